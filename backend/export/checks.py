"""Checks before an export is offered: the same tokens everywhere, and a GGUF file that behaves like the model.

The result of a check is a dict: `ok`, a `sentence` for people, and the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, lgamma, log
from pathlib import Path
from typing import Any

from backend.chat.client import Chat
from backend.chat.engine import BASE, Messages, Sampling, Tools, common_prefix
from backend.errors import BadInput
from backend.export.conversations import FIXED, Conversation
from backend.models import model_folder
from backend.tokens.tokenizer import ChatTokenizer

ANSWER_TOKENS = 128  # at most, per test answer
ROWS = 8  # examples to compare probabilities on
# Nats per token by which a GGUF file may differ from the merged model on known answers. Measured on the bundled model
# after 40 steps on the orders sample: F16 0.0000, Q8_0 -0.005, Q6_K 0.012, Q5_K_M 0.018, Q4_K_M 0.041. With weights
# in the wrong places the difference is several nats.
_ALLOWED = {"F16": 0.02, "Q8_0": 0.05, "Q6_K": 0.15, "Q5_K_M": 0.25, "Q4_K_M": 0.4}
# The share of the positions in known answers at which a file must choose the merged model's next word. It fails where
# so many others would come up in less than one of a hundred files that reach the share: few positions prove little.
# The K types lose much of a small model that is unsure of its words: the bundled one with a random adapter
# chose the same in 60% of 48 positions in Q4_K_M. What they lose is shown; this finds files that are another model.
SAME_CHOICE = {"F16": 0.99, "Q8_0": 0.98, "Q6_K": 0.9, "Q5_K_M": 0.8, "Q4_K_M": 0.7}
_CHANCE = 0.01

Prompt = Callable[[Messages, Tools], list[int]]


def check_tokens(
    tokenizer: ChatTokenizer, others: dict[str, Prompt], held_out: Sequence[Messages] = ()
) -> dict[str, Any]:
    """Whether the same conversations become the same token ids as in training.

    others: name to a function that encodes a prompt. Conversations that the template rejects (a system message, say)
    are skipped. `first_difference` is None or {where, conversation, position, training, other}; the last two are the
    texts of the tokens.
    """
    conversations = 0
    for messages, tools in (*FIXED, *map(Conversation, held_out)):
        try:
            expected = tokenizer.prompt_ids([dict(m) for m in messages], tools)
        except BadInput:
            continue
        conversations += 1
        for where, prompt_ids in others.items():
            difference = _difference(tokenizer, expected, prompt_ids(messages, tools))
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

    def prompt_ids(messages: Messages, tools: Tools) -> list[int]:
        chat = [dict(m) for m in messages]
        options = {"add_generation_prompt": True, "return_dict": False}
        return list(tokenizer.apply_chat_template(chat, tools=list(tools) or None, **options))

    return prompt_ids


def reference(merged: Path, prompt: Messages, rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    """The merged model's answer and its probabilities of known answers, for comparison with a GGUF file; in float32
    if memory allows. Returns {ids, ends, scores, end_ids, may_end}; `may_end` are the tokens at which a file may end
    answers: also the other control tokens, since llama.cpp knows some by their names."""
    from backend.chat.torch_engine import TorchEngine

    engine = TorchEngine(merged, dtype=model_folder.working_dtype(merged))
    ids: list[int] = []
    tokens = engine.tokens(BASE, engine.prompt_ids(prompt), Sampling(max_new_tokens=ANSWER_TOKENS))
    try:
        while True:
            ids.append(next(tokens))
    except StopIteration as end:
        ends = end.value == "end"
    end_ids = engine.report["end_ids"]
    may_end = [*end_ids, *ChatTokenizer.load(merged).control_ids]
    return {"ids": ids, "ends": ends, "scores": engine.score(rows), "end_ids": end_ids, "may_end": may_end}


def check_gguf(
    chat: Chat, kind: str, merged: dict[str, Any], prompts: Sequence[Messages], rows: list[dict[str, list[int]]]
) -> dict[str, Any]:
    """Whether the GGUF file that is open in `chat` answers, ends its answers, and agrees with the merged model.

    kind: one of `gguf.TYPES`. merged: the `reference` for the first of `prompts`, whose answer is `text`. Returns
    {ok, loads, stops, agrees, text, tokens, tokens_per_second, same_tokens, nll, merged_nll (nats per token),
    same_choice, needed (the share that same_choice must reach), places, sentence}. An answer without an end is a
    failure only if the merged model ends it.
    """
    answers = [list(chat.ask(prompt, max_new_tokens=ANSWER_TOKENS)) for prompt in prompts]
    first, last = answers[0], answers[0][-1]
    has_ends = set(merged["end_ids"]) <= set(chat.report["end_ids"]) <= set(merged["may_end"])
    stops = has_ends and any(answer[-1].finish == "end" for answer in answers)
    stops_alike = stops or (has_ends and not merged["ends"])
    comparison = _compare(merged["scores"], chat.score(rows))
    close = abs(comparison["nll"] - comparison["merged_nll"]) <= _ALLOWED[kind]
    others = round((1 - comparison["same_choice"]) * comparison["places"])
    agrees = close and _is_chance(others, comparison["places"], 1 - SAME_CHOICE[kind]) and last.tokens > 0
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
        "needed": SAME_CHOICE[kind],
        "sentence": _sentence(stops_alike, stops, agrees, comparison, last.tokens_per_second),
    }


def _is_chance(others: int, places: int, share: float) -> bool:
    """Whether at least so many `others` of `places` come up in one of a hundred cases, at a true `share` of them
    (binomial distribution)."""

    def probability(count: int) -> float:
        ways = lgamma(places + 1) - lgamma(count + 1) - lgamma(places - count + 1)
        return exp(ways + count * log(share) + (places - count) * log(1 - share))

    return 1 - sum(map(probability, range(others))) >= _CHANCE


def _sentence(stops_alike: bool, stops: bool, agrees: bool, comparison: dict[str, float], speed: float) -> str:
    if not stops_alike:
        return "The file does not end its answers where the trained model does."
    if not agrees:
        gap = abs(comparison["nll"] - comparison["merged_nll"])
        return (
            f"The file does not match the trained model (mean difference {gap:.2f} nats per token, the same next "
            f"word in {comparison['same_choice']:.1%} of {comparison['places']} positions)."
        )
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
