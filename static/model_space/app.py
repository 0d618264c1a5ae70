"""A chat with the model in the folder "model". settings.json names it, and holds the instruction of its examples."""

import json
import threading
from pathlib import Path

import gradio as gr
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer

HERE = Path(__file__).parent
SETTINGS = json.loads((HERE / "settings.json").read_text("utf-8"))
LONGEST_ANSWER = 512  # tokens

tokenizer = AutoTokenizer.from_pretrained(HERE / "model")
options = {}
if "renamed" in SETTINGS:  # a model that also sees: its language part alone
    whole = AutoConfig.from_pretrained(HERE / "model")
    part = whole.get_text_config()
    part.tie_word_embeddings = whole.tie_word_embeddings
    options = {"config": part, "key_mapping": SETTINGS["renamed"]}
model = AutoModelForCausalLM.from_pretrained(HERE / "model", dtype="auto", **options)


def text_of(content):
    """The text of a message: gradio gives a text, or a list of parts."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def answer(question, history):
    """The growing answer. The likeliest word is chosen each time, as on Apprentice's Try."""
    messages = [{"role": "system", "content": SETTINGS["instruction"]}] if SETTINGS["instruction"] else []
    messages += [{"role": one["role"], "content": text_of(one["content"])} for one in history]
    messages += [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    pieces = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=300)
    asked = {**inputs, "streamer": pieces, "max_new_tokens": LONGEST_ANSWER, "do_sample": False}
    threading.Thread(target=model.generate, kwargs=asked, daemon=True).start()
    text = ""
    for piece in pieces:
        text += piece
        yield text


if __name__ == "__main__":
    gr.ChatInterface(answer, title=SETTINGS["name"], api_name="chat").launch()
