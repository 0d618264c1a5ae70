"""What is checked before an export is offered: the same tokens everywhere, and a GGUF file that answers as it should.

A proof is a dict for the result of the job: `ok`, a `sentence` for people, and the numbers behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from backend.chat.client import Chat
from backend.chat.engine import BASE, Messages, Sampling
from backend.errors import BadInput
from backend.export.merge import working_dtype
from backend.tokens.tokenizer import ChatTokenizer

ANSWER_TOKENS = 128  # at most, in an answer that is looked at
ROWS = 8  # examples that the two are rated on
_ALLOWED = {"F16": 0.02, "Q8_0": 0.05, "Q6_K": 0.15, "Q5_K_M": 0.25, "Q4_K_M": 0.4}
# ^ nats a token by which a GGUF file may rate known answers otherwise than the merged model. Measured on the embedded
#   model after 40 steps on the orders sample: F16 0.0000, Q8_0 -0.005, Q6_K 0.012, Q5_K_M 0.018, Q4_K_M 0.041. A
#   model whose weights are in the wrong places is off by several.

Prompt = Callable[[Messages], list[int]]

_SYSTEM = {"role": "system", "content": "You are a helpful assistant. Today is 24 November 2026."}
_CHATS: tuple[Messages, ...] = (
    ({"role": "user", "content": "What is the capital of France?"},),
    (_SYSTEM, {"role": "user", "content": "Order 4711-23: 2 x lamp, 19.90 €.\n\n  Where is it?"}),
    (
        {"role": "user", "content": "Hi!"},
        {"role": "assistant", "content": "Hello, how can I help you?"},
        {"role": "user", "content": "def f(x):\n\treturn x ** 2 + 10  # naïve 日本語 🙂"},
    ),
    ({"role": "user", "content": 'It\'s {"id": 1234567, "ok": true} — isn\'t it?   1st, 22nd…'},),
)


def parity(tokenizer: ChatTokenizer, others: dict[str, Prompt], held_out: Sequence[Messages] = ()) -> dict[str, Any]:
    """Whether the same conversations become the same token ids as in training.

    others: by the name to show, how each of them makes the ids of a prompt. Conversations that the template does not
    accept (a system message, say) are left out. `first_difference` is None or {where, conversation, position,
    training, other}, the last two the tokens' texts.
    """
    conversations = 0
    for chat in (*_CHATS, *held_out):
        try:
            wanted = tokenizer.prompt_ids([dict(m) for m in chat])
        except BadInput:
            continue
        conversations += 1
        for where, prompt_ids in others.items():
            difference = _difference(tokenizer, wanted, prompt_ids(chat))
            if difference:
                found = {"where": where, "conversation": conversations, **difference}
                return {
                    "ok": False,
                    "first_difference": found,
                    "sentence": f"In conversation {conversations}, {where} reads {found['other']!r} at token "
                    f"{found['position']}, where the training read {found['training']!r}.",
                }
    compared = ", ".join(["the training", *others][:-1]) + " and " + [*others][-1]
    sentence = f"{conversations} conversations become exactly the same tokens in {compared}."
    return {"ok": conversations > 0, "first_difference": None, "conversations": conversations, "sentence": sentence}


def through_transformers(folder: Path) -> Prompt:
    """How the model or adapter saved in `folder` makes a prompt's ids when loaded by transformers."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def prompt_ids(chat: Messages) -> list[int]:
        messages = [dict(m) for m in chat]
        return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))

    return prompt_ids


def reference(merged: Path, prompt: Messages, rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    """What the merged model answers and how it rates known answers, in float32 where the memory allows: what a GGUF
    file is held against. {ids, ends, scores, end_ids}"""
    from backend.chat.torch_engine import TorchEngine

    engine = TorchEngine(merged, dtype=working_dtype(merged))
    ids: list[int] = []
    tokens = engine.tokens(BASE, engine.prompt_ids(prompt), Sampling(max_new_tokens=ANSWER_TOKENS))
    try:
        while True:
            ids.append(next(tokens))
    except StopIteration as end:
        ends = end.value == "end"
    return {"ids": ids, "ends": ends, "scores": engine.score(rows), "end_ids": engine.report["end_ids"]}


def smoke(
    chat: Chat, kind: str, known: dict[str, Any], prompts: Sequence[Messages], rows: list[dict[str, list[int]]]
) -> dict[str, Any]:
    """Whether the GGUF file that is open in `chat` answers, ends its answers, and agrees with the merged model.

    kind: one of `gguf.TYPES`. known: the `reference` for the first of `prompts`, whose answer is `text`. Gives {ok,
    loads, stops, agrees, text, tokens, tokens_per_second, same_tokens, nll, merged_nll (nats a token), same_choice,
    places, sentence}. Not to stop is a failure only where the merged model does.
    """
    answers = [list(chat.ask(prompt, max_new_tokens=ANSWER_TOKENS)) for prompt in prompts]
    first, last = answers[0], answers[0][-1]
    marks_end = set(known["end_ids"]) <= set(chat.report["end_ids"])
    stops = marks_end and any(answer[-1].finish == "end" for answer in answers)
    as_told = stops or (marks_end and not known["ends"])
    rated = _rated(known["scores"], chat.score(rows))
    agrees = abs(rated["nll"] - rated["merged_nll"]) <= _ALLOWED[kind] and last.tokens > 0
    same = _leading(last.ids, known["ids"])
    return {
        "ok": as_told and agrees,
        "loads": True,
        "stops": stops,
        "agrees": agrees,
        "text": "".join(chunk.text for chunk in first),
        "tokens": last.tokens,
        "tokens_per_second": last.tokens_per_second,
        "same_tokens": same,
        **rated,
        "sentence": _sentence(as_told, stops, agrees, rated, last.tokens_per_second),
    }


def _sentence(as_told: bool, stops: bool, agrees: bool, rated: dict[str, float], speed: float) -> str:
    if not as_told:
        return "The file does not end its answers where the trained model does."
    if not agrees:
        gap = abs(rated["nll"] - rated["merged_nll"])
        return f"The file is another model: its ratings of known answers are {gap:.2f} nats a token apart."
    ends = "ends its answers" if stops else f"like the merged model does not end within {ANSWER_TOKENS} tokens"
    return (
        f"The file loads, answers at {speed:.0f} tokens a second, {ends}, and chooses the same next word "
        f"as the merged model in {rated['same_choice']:.1%} of {rated['places']} places."
    )


def _rated(merged: list[dict[str, Any]], other: list[dict[str, Any]]) -> dict[str, Any]:
    counts = [len(score["top"]) for score in merged]
    places = max(1, sum(counts))
    same = sum(a == b for m, o in zip(merged, other, strict=True) for a, b in zip(m["top"], o["top"], strict=True))
    return {
        "nll": sum(score["nll"] * n for score, n in zip(other, counts, strict=True)) / places,
        "merged_nll": sum(score["nll"] * n for score, n in zip(merged, counts, strict=True)) / places,
        "same_choice": same / places,
        "places": places,
    }


def _leading(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens are the same from the beginning on."""
    return next((i for i, (a, b) in enumerate(zip_longest(left, right)) if a != b), len(left))


def _difference(tokenizer: ChatTokenizer, wanted: list[int], got: list[int]) -> dict[str, Any] | None:
    position = _leading(wanted, got)
    if position == len(wanted) == len(got):
        return None

    def text(ids: list[int]) -> str:
        return tokenizer.decode(ids[position : position + 1], skip_special_tokens=False)

    return {"position": position, "training": text(wanted), "other": text(got)}
