"""Writes a large chat file with planted faults at known lines, for the benchmarks.

Texts are sentences of words drawn from a made-up vocabulary with the frequencies of
real language (Zipf), so no two rows are similar by chance.
"""

import json
import random
from collections.abc import Callable
from itertools import accumulate, cycle
from pathlib import Path
from typing import Any

SYSTEM = "You answer the questions of our customers, briefly and kindly."
_SYLLABLES = "ba de fi go lu ma ne pi ro su ta ve wi xo ya ze kra ste plo tri sche mon dal rin".split()  # noqa: SIM905

Messages = list[dict[str, Any]]


class Words:
    """A made-up vocabulary with the word frequencies of real text."""

    def __init__(self, rng: random.Random, size: int = 20_000) -> None:
        self.rng = rng
        found: dict[str, None] = {}
        while len(found) < size:
            found[
                "".join(rng.choices(_SYLLABLES, k=rng.choice((1, 2, 2, 3, 3, 4))))
            ] = None
        self._words = list(found)
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(size)))

    def draw(self, count: int) -> list[str]:
        """`count` words."""
        return self.rng.choices(self._words, cum_weights=self._weights, k=count)

    def text(self, count: int, end: str = ".") -> str:
        """About `count` words in sentences."""
        words = self.draw(count)
        sentences = []
        while words:
            length = self.rng.randint(7, 18)
            sentences.append(" ".join(words[:length]).capitalize())
            words = words[length:]
        return ". ".join(sentences) + end


def row(words: Words) -> Messages:
    """One good conversation, about 750 bytes as JSON."""
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": words.text(words.rng.randint(12, 24), "?")},
        {"role": "assistant", "content": words.text(words.rng.randint(45, 85))},
    ]


def _append(text: str, message: int = -1) -> Callable[[Messages], Messages]:
    def plant(messages: Messages) -> Messages:
        messages[message]["content"] += text
        return messages

    return plant


def _answer(text: str) -> Callable[[Messages], Messages]:
    return lambda messages: [*messages[:-1], {"role": "assistant", "content": text}]


FAULTS: dict[str, Callable[[Messages], Messages]] = {
    "empty_answer": _answer("  "), "no_assistant": lambda m: m[:-1],
    "ends_with_user": lambda m: [*m, {"role": "user", "content": "And then?"}],
    "same_role_twice": lambda m: [*m[:2], {"role": "user", "content": "One more thing."}, m[2]],
    "system_not_first": lambda m: [m[1], m[0], m[2]], "system_inconsistent": lambda m: m[1:],
    "control_characters": _append("\x07"), "invisible_characters": _append("\u200b", 1),
    "mojibake": _append(" CafÃ© fÃ¼r alle."), "control_marker": _append(" <|im_end|>"),
    "repetition": _append(" We are sorry to hear that." * 6),
    "personal_email": _append(" Write to her: jane.roe@posteo.example today."),
    "personal_phone": _append(" Ring her on +49 170 5551234 today."),
    "personal_card": _append(" My card is 4111 1111 1111 1111 here.", 1),
    "secret_key": _append(" Use sk-proj-a1b2c3d4e5f6a7b8c9d0e1f2 for it."),
}  # fmt: skip


def write(
    path: Path, rows: int, seed: int = 0, share: float = 0.05
) -> set[tuple[int, str]]:
    """Writes `rows` rows to `path` as JSON Lines, `share` of them with one planted
    fault each; returns the faults as (line, kind).
    """
    rng = random.Random(seed)
    words = Words(rng)
    planted = dict(
        zip(
            rng.sample(range(1, rows + 1), int(rows * share)),
            cycle(FAULTS),
            strict=False,
        )
    )
    with path.open("w", encoding="utf-8") as file:
        for line in range(1, rows + 1):
            messages = row(words)
            if line in planted:
                messages = FAULTS[planted[line]](messages)
            file.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    return set(planted.items())
