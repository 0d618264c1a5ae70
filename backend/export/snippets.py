"""Python that uses an exported folder with transformers, peft, or through a server that speaks OpenAI's protocol."""

from __future__ import annotations

import json

_ADAPTER = """\
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
base = AutoModelForCausalLM.from_pretrained({base})
model = PeftModel.from_pretrained(base, folder)
"""
_MERGED = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
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


def with_transformers(form: str, base: str, instruction: str = "", folder: str = ".") -> str:
    """Answers one question with the "merged" model in `folder`, or with the "adapter" there on its base model."""
    start = _ADAPTER.format(base=json.dumps(base), folder=json.dumps(folder))
    if form != "adapter":
        start = _MERGED.format(folder=json.dumps(folder))
    return f"{start}\n{_messages(instruction)}{_ANSWER}"


def with_openai(url: str, key: str, model: str, instruction: str = "") -> str:
    """Asks a server with OpenAI's Python package."""
    values = {"url": json.dumps(url), "key": json.dumps(key), "model": json.dumps(model)}
    return _OPENAI.format(messages=_messages(instruction), **values)


def _messages(instruction: str) -> str:
    if not instruction:
        return 'messages = [{"role": "user", "content": "Hello"}]\n'
    return (
        f"instruction = {instruction!r}\n"
        'messages = [{"role": "system", "content": instruction}, {"role": "user", "content": "Hello"}]\n'
    )
