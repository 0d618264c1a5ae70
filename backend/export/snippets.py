"""Python that uses an exported folder with transformers, peft, or through an OpenAI-compatible server."""

import json
from collections.abc import Mapping

_ADAPTER = """\
from peft import PeftModel
from transformers import {names}

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
{first}base = AutoModelForCausalLM.from_pretrained({loaded})
model = PeftModel.from_pretrained(base, folder)
"""
_MERGED = """\
from transformers import {names}

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
{first}model = AutoModelForCausalLM.from_pretrained({loaded})
"""
_PART = """\
whole = AutoConfig.from_pretrained({base})  # the model also has parts for pictures, which are skipped
part = whole.get_text_config()
part.tie_word_embeddings = whole.tie_word_embeddings
"""
_ANSWER = """\
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
answer = model.generate(**inputs, max_new_tokens=200, do_sample=False)
print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""
_OPENAI = """\
from openai import OpenAI

client = OpenAI(base_url={url}, api_key={key})
{messages}answer = client.chat.completions.create(model={model}, messages=messages, temperature=0)
print(answer.choices[0].message.content)
"""
_CURL = """\
curl {url}/chat/completions -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
"""
_SPREADSHEET = """\
import csv
import json
from urllib.request import Request, urlopen

def ask(question):
    body = {{"model": {model}, "messages": [{{"role": "user", "content": question}}]}}
    headers = {{"Authorization": "Bearer " + {key}, "Content-Type": "application/json"}}
    with urlopen(Request({url}, json.dumps(body).encode(), headers)) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]

with open("questions.csv", newline="", encoding="utf-8-sig") as file:
    rows = list(csv.DictReader(file))
for row in rows:
    row["answer"] = ask(row["question"])
with open("answers.csv", "w", newline="", encoding="utf-8-sig") as file:
    writer = csv.DictWriter(file, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
"""
_WEB_FORM = """\
<!doctype html>
<meta charset="utf-8">
<form><textarea name="question" rows="5" cols="60"></textarea><br><button>Ask</button></form>
<pre></pre>
<script>
document.querySelector("form").onsubmit = async (event) => {{
  event.preventDefault();
  const question = event.target.question.value;
  const answer = await fetch({url}, {{
    method: "POST",
    headers: {{"Authorization": "Bearer " + {key}, "Content-Type": "application/json"}},
    body: JSON.stringify({{model: {model}, messages: [{{role: "user", content: question}}]}}),
  }});
  const found = await answer.json();
  document.querySelector("pre").textContent = found.error ? found.error.message : found.choices[0].message.content;
}};
</script>
"""


def with_transformers(
    form: str, base: str, instruction: str = "", folder: str = ".", renamed: Mapping[str, str] | None = None
) -> str:
    """Answers one question with the "merged" model in `folder`, or with the "adapter" there on its base model.

    base: the id of the base model.
    instruction: the system message, "" for none.
    renamed: the `key_mapping` of a model of which only the language part is loaded (models/causal_lm.py).
    """
    names, first, loaded = (
        "AutoModelForCausalLM, AutoTokenizer",
        "",
        json.dumps(base) if form == "adapter" else "folder",
    )
    if renamed:
        names, first = f"AutoConfig, {names}", _PART.format(base=loaded)
        loaded += f", config=part, key_mapping={json.dumps(dict(renamed))}"
    template = _ADAPTER if form == "adapter" else _MERGED
    start = template.format(folder=json.dumps(folder), names=names, first=first, loaded=loaded)
    return f"{start}\n{_messages(instruction)}{_ANSWER}"


def with_openai(url: str, key: str, model: str, instruction: str = "") -> str:
    """Asks a server with OpenAI's Python package."""
    return _OPENAI.format(messages=_messages(instruction), **_as_json(url, key, model))


def _messages(instruction: str) -> str:
    if not instruction:
        return 'messages = [{"role": "user", "content": "Hello"}]\n'
    return (
        f"instruction = {instruction!r}\n"
        'messages = [{"role": "system", "content": instruction}, {"role": "user", "content": "Hello"}]\n'
    )


def with_curl(url: str, key: str, model: str) -> str:
    """Asks a server from the command line."""
    return _CURL.format(url=url, key=key, model=model)


def for_a_spreadsheet(url: str, key: str, model: str) -> str:
    """Fills a column of a spreadsheet that was saved as CSV, with the standard library alone."""
    return _SPREADSHEET.format(**_as_json(f"{url}/chat/completions", key, model))


def as_web_form(url: str, key: str, model: str) -> str:
    """A page with a question and its answer."""
    return _WEB_FORM.format(**_as_json(f"{url}/chat/completions", key, model))


def _as_json(url: str, key: str, model: str) -> dict[str, str]:
    return {"url": json.dumps(url), "key": json.dumps(key), "model": json.dumps(model)}
