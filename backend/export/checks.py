"""Checks before an export is offered: the same tokens everywhere, and a GGUF file that behaves like the model.

The result of a check is a dict: `ok`, a `sentence` for people, and the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backend.chat.client import Chat
from backend.chat.engine import BASE, Messages, Sampling, common_prefix
from backend.errors import BadInput
from backend.export.merge import working_dtype
from backend.tokens.tokenizer import ChatTokenizer

ANSWER_TOKENS = 128  # at most, per test answer
ROWS = 8  # examples to compare probabilities on
# Nats per token by which a GGUF file may differ from the merged model on known answers. Measured on the bundled model
# after 40 steps on the orders sample: F16 0.0000, Q8_0 -0.005, Q6_K 0.012, Q5_K_M 0.018, Q4_K_M 0.041. With weights
# in the wrong places the difference is several nats.
_ALLOWED = {"F16": 0.02, "Q8_0": 0.05, "Q6_K": 0.15, "Q5_K_M": 0.25, "Q4_K_M": 0.4}

Prompt = Callable[[Messages], list[int]]

_SYSTEM = {"role": "system", "content": "You are a helpful assistant. Today is 24 November 2026."}
CHATS: tuple[Messages, ...] = (
    ({"role": "user", "content": "What is the capital of France?"},),
    (_SYSTEM, {"role": "user", "content": "Order 4711-23: 2 x lamp, 19.90 €.\n\n  Where is it?"}),
    (
        {"role": "user", "content": "Hi!"},
        {"role": "assistant", "content": "Hello, how can I help you?"},
        {"role": "user", "content": "def f(x):\n\treturn x ** 2 + 10  # naïve 日本語 🙂"},
    ),
    ({"role": "user", "content": 'It\'s {"id": 1234567, "ok": true} — isn\'t it?   1st, 22nd…'},),
)


def check_tokens(
    tokenizer: ChatTokenizer, others: dict[str, Prompt], held_out: Sequence[Messages] = ()
) -> dict[str, Any]:
    """Whether the same conversations become the same token ids as in training.

    others: name to a function that encodes a prompt. Conversations that the template rejects (a system message, say)
    are skipped. `first_difference` is None or {where, conversation, position, training, other}; the last two are the
    texts of the tokens.
    """
    conversations = 0
    for chat in (*CHATS, *held_out):
        try:
            expected = tokenizer.prompt_ids([dict(m) for m in chat])
        except BadInput:
            continue
        conversations += 1
        for where, prompt_ids in others.items():
            difference = _difference(tokenizer, expected, prompt_ids(chat))
            if difference:
                found = {"where": where, "conversation": conversations, **difference}
                return {
                    "ok": False,
                    "first_difference": found,
                    "sentence": f"In conversation {conversations}, {where} reads {found['other']!r} at token "
                    f"{found['position']}, but training read {found['training']!r}.",
                }
    compared = ", ".join(["training", *others][:-1]) + " and " + [*others][-1]
    sentence = f"{conversations} conversations become exactly the same tokens in {compared}."
    return {"ok": conversations > 0, "first_difference": None, "conversations": conversations, "sentence": sentence}


def through_transformers(folder: Path) -> Prompt:
    """Encodes prompts like the model or adapter in `folder` when transformers loads it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def prompt_ids(chat: Messages) -> list[int]:
        messages = [dict(m) for m in chat]
        return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))

    return prompt_ids


def reference(merged: Path, prompt: Messages, rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    """The merged model's answer and its probabilities of known answers, for comparison with a GGUF file; in float32
    if memory allows. Returns {ids, ends, scores, end_ids}."""
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


def check_gguf(
    chat: Chat, kind: str, merged: dict[str, Any], prompts: Sequence[Messages], rows: list[dict[str, list[int]]]
) -> dict[str, Any]:
    """Whether the GGUF file that is open in `chat` answers, ends its answers, and agrees with the merged model.

    kind: one of `gguf.TYPES`. merged: the `reference` for the first of `prompts`, whose answer is `text`. Returns
    {ok, loads, stops, agrees, text, tokens, tokens_per_second, same_tokens, nll, merged_nll (nats per token),
    same_choice, places, sentence}. An answer without an end is a failure only if the merged model ends it.
    """
    answers = [list(chat.ask(prompt, max_new_tokens=ANSWER_TOKENS)) for prompt in prompts]
    first, last = answers[0], answers[0][-1]
    has_ends = set(merged["end_ids"]) <= set(chat.report["end_ids"])
    stops = has_ends and any(answer[-1].finish == "end" for answer in answers)
    stops_alike = stops or (has_ends and not merged["ends"])
    comparison = _compare(merged["scores"], chat.score(rows))
    agrees = abs(comparison["nll"] - comparison["merged_nll"]) <= _ALLOWED[kind] and last.tokens > 0
    same = common_prefix(last.ids, merged["ids"])
    return {
        "ok": stops_alike and agrees,
        "loads": True,
        "stops": stops,
        "agrees": agrees,
        "text": "".join(chunk.text for chunk in first),
        "tokens": last.tokens,
        "tokens_per_second": last.tokens_per_second,
        "same_tokens": same,
        **comparison,
        "sentence": _sentence(stops_alike, stops, agrees, comparison, last.tokens_per_second),
    }


def _sentence(stops_alike: bool, stops: bool, agrees: bool, comparison: dict[str, float], speed: float) -> str:
    if not stops_alike:
        return "The file does not end its answers where the trained model does."
    if not agrees:
        gap = abs(comparison["nll"] - comparison["merged_nll"])
        return f"The file does not match the trained model (mean difference {gap:.2f} nats per token)."
    ends = "ends its answers" if stops else f"does not end them within {ANSWER_TOKENS} tokens, like the merged model"
    return (
        f"The file loads, answers at {speed:.0f} tokens a second, {ends}, and chooses the same next word "
        f"as the merged model in {comparison['same_choice']:.1%} of {comparison['places']} positions."
    )


def _compare(merged: list[dict[str, Any]], other: list[dict[str, Any]]) -> dict[str, Any]:
    counts = [len(score["top"]) for score in merged]
    places = max(1, sum(counts))
    same = sum(a == b for m, o in zip(merged, other, strict=True) for a, b in zip(m["top"], o["top"], strict=True))
    return {
        "nll": sum(score["nll"] * n for score, n in zip(other, counts, strict=True)) / places,
        "merged_nll": sum(score["nll"] * n for score, n in zip(merged, counts, strict=True)) / places,
        "same_choice": same / places,
        "places": places,
    }


def _difference(tokenizer: ChatTokenizer, expected: list[int], got: list[int]) -> dict[str, Any] | None:
    position = common_prefix(expected, got)
    if position == len(expected) == len(got):
        return None

    def text(ids: list[int]) -> str:
        return tokenizer.decode(ids[position : position + 1], skip_special_tokens=False)

    return {"position": position, "training": text(expected), "other": text(got)}
