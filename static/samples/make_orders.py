"""Write `orders.jsonl` and `orders.held_out.jsonl`: messy shop messages and the JSON each one means.

    python static/samples/make_orders.py [FOLDER]

The output is the same on every machine: it uses only `Random.random()`, the one method whose results Python promises
to keep for a seed. README.md in this folder has the rules that turn a message into its JSON. Some validation rows use
sentences that no training row has.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import order_words as words

SEED = 20
TRAINING_ROWS = 240
HELD_OUT_ROWS = 40


class Order(NamedTuple):
    """The meaning of one message; the fields of its JSON, in order."""

    intent: str
    order_id: str | None
    item: str
    quantity: int | None


class Dice:
    """Seeded choices that are the same in every Python version."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 (nothing here is secret)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def below(self, limit: int) -> int:
        return int(self._random.random() * limit)

    def pick(self, options: Sequence[str]) -> str:
        return options[self.below(len(options))]

    def endless(self, options: Sequence[str]) -> Iterator[str]:
        """Yield the options in random order, each once before any repeats."""
        while True:
            left = list(options)
            while left:
                yield left.pop(self.below(len(left)))


def plural(item: str) -> str:
    if item in words.PLURALS:
        return words.PLURALS[item]
    return item + ("es" if item.endswith(("x", "sh", "ch", "ss")) else "s")


def misspell(word: str, dice: Dice) -> str:
    """Drop, double or swap one inner letter, like a typo."""
    at = 1 + dice.below(len(word) - 2)
    kind = dice.below(3)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def counted(item: str, quantity: int, dice: Dice) -> str:
    """The item with its quantity, written in one of several ways."""
    if quantity == 1:
        return dice.pick([f"one {item}", f"1 {item}"])
    several = plural(item)
    ways = [f"{quantity} {several}", f"{quantity} {several}", f"{quantity} x {item}", f"{quantity}x {item}"]
    ways += [f"{word} {several}" for word in words.NUMBER_WORDS.get(quantity, ())]
    return dice.pick(ways)


def new_id(dice: Dice) -> str:
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    shape = dice.pick(["99999", "A-9999", "ORD-9999"])
    shape = re.sub("9", lambda _: str(1 + dice.below(9)), shape)
    return shape.replace("A", dice.pick(letters))


def roughen(text: str, dice: Dice) -> str:
    """Shorten and misspell some words of a sentence, except those in braces."""
    for formal, short in words.CASUAL.items():
        if dice.chance(0.35):
            text = re.sub(rf"\b{formal}\b", short, text, flags=re.IGNORECASE)
    pieces = re.split(r"(\{\w+\}|\W+)", text)
    long = [i for i, word in enumerate(pieces) if len(word) > 5 and word.isalpha()]
    if long:
        at = long[dice.below(len(long))]
        pieces[at] = misspell(pieces[at], dice)
    return "".join(pieces)


def recase(text: str, dice: Dice) -> str:
    """Sometimes use lower case only, often without apostrophes and full stops."""
    if dice.chance(0.3):
        text = text.lower()
        if dice.chance(0.5):
            text = text.replace("'", "")
        if dice.chance(0.4):
            text = re.sub(r"[.,](?=\s|$)", "", text)
    return text


class Parts(NamedTuple):
    """Endless supplies of the pieces around the core sentence; none repeats before all have been used."""

    names: Iterator[str]
    items: Iterator[str]
    fillers: Iterator[str]
    openings: Iterator[str]


def surround(sentence: str, parts: Parts, dice: Dice) -> str:
    """Add the usual extras: a greeting, gossip, hurry, a name, thanks, typos."""
    pieces = [sentence]
    if dice.chance(0.22):
        pieces.insert(dice.below(2), next(parts.fillers))
    if dice.chance(0.12):
        pieces.append(dice.pick(words.HURRIES))
    introduction, signature = dice.chance(0.3), dice.chance(0.6)
    name = ""
    if introduction or signature:
        name = next(parts.names)
        if dice.chance(0.35):
            name += " " + dice.pick(words.SURNAMES.split())
    if introduction:
        pieces.insert(0, dice.pick(words.INTRODUCTIONS))
    if dice.chance(0.4):
        pieces.insert(0, next(parts.openings))
    if signature and not introduction:
        pieces.append(dice.pick(words.SIGNATURES))
    elif dice.chance(0.25):
        pieces.append(dice.pick(words.CLOSINGS))
    text = " ".join(pieces)
    if dice.chance(0.22):
        text = roughen(text, dice)
    return text.replace("{name}", name)


def message(intent: str, sentence: str, parts: Parts, dice: Dice) -> tuple[str, Order]:
    """Build one message around a core sentence; return it with its meaning."""
    text = surround(sentence, parts, dice)
    item, quantity = next(parts.items), None
    order_id = new_id(dice) if "{id}" in text else None
    slots = {"id": order_id, "item": item, "items": plural(item)}
    if "{n}" in text or "{many}" in text:
        low = 2 if "{many}" in text else 1
        quantity = max(low, dice.below(12)) if dice.chance(0.9) else 12 + dice.below(13)
        slots["n"] = slots["many"] = counted(item, quantity, dice)
    text = re.sub(r"\{(\w+)\}", lambda slot: str(slots[slot.group(1)]), text)
    text = recase(text[0].upper() + text[1:], dice)
    if order_id and order_id not in text:  # lower-cased with the rest
        order_id = order_id.lower()
    return text, Order(intent, order_id, item, quantity)


def rows(sentences: dict[str, list[str]], count: int, dice: Dice, parts: Parts) -> list[str]:
    """`count` lines of JSON in the chat format, with the intents evenly mixed."""
    queues = {intent: dice.endless(options) for intent, options in sentences.items()}
    kinds = dice.endless(list(sentences))
    lines = []
    for _ in range(count):
        intent = next(kinds)
        text, order = message(intent, next(queues[intent]), parts, dice)
        answer = json.dumps(order._asdict(), ensure_ascii=False, separators=(",", ":"))
        chat = [("user", text), ("assistant", answer)]
        messages = [{"role": role, "content": content} for role, content in chat]
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False))
    return lines


def make() -> dict[str, str]:
    """The text of both files by file name."""
    dice = Dice(SEED)
    items = " ".join(words.ITEMS.split()).split(", ")
    pools = (words.NAMES.split(), items, words.FILLERS, words.OPENINGS)
    parts = Parts(*(dice.endless(pool) for pool in pools))
    training = rows(words.TRAINING, TRAINING_ROWS, dice, parts)
    mixed = {intent: words.HELD_OUT[intent] + words.TRAINING[intent] for intent in words.TRAINING}
    held_out = rows(mixed, HELD_OUT_ROWS, dice, parts)
    return {"orders.jsonl": "\n".join(training) + "\n", "orders.held_out.jsonl": "\n".join(held_out) + "\n"}


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for file_name, text in make().items():
        (folder / file_name).write_text(text, encoding="utf-8", newline="\n")
