"""Write `orders.jsonl` and `orders.held_out.jsonl`: messy shop messages and the JSON each one means.

    python static/samples/make_orders.py [FOLDER]

The output is the same on every machine: it uses only `Random.random()`, the one method whose results Python promises
to keep for a seed. README.md in this folder has the rules that turn a message into its JSON, order_words.json the
words. Some validation rows use sentences that no training row has."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

TRAINING_ROWS = 240
HELD_OUT_ROWS = 40
WORDS = json.loads(Path(__file__).with_name("order_words.json").read_text("utf-8"))

draw = random.Random(20).random  # noqa: S311 (nothing here is secret)


def below(limit: int) -> int:
    return int(draw() * limit)


def pick(options: Sequence[str]) -> str:
    return options[below(len(options))]


def endless(options: Sequence[str]) -> Iterator[str]:
    """Yield the options in random order, each once before any repeats."""
    while True:
        left = list(options)
        while left:
            yield left.pop(below(len(left)))


names, items, fillers, openings = (endless(WORDS[kind]) for kind in ("names", "items", "fillers", "openings"))


def plural(item: str) -> str:
    return WORDS["plurals"].get(item) or item + ("es" if item.endswith(("x", "sh", "ch", "ss")) else "s")


def misspell(word: str) -> str:
    """Drop, double or swap one inner letter, like a typo."""
    at = 1 + below(len(word) - 2)
    typo = ("", word[at] * 2, word[at + 1] + word[at])[kind := below(3)]
    return word[:at] + typo + word[at + (2 if kind == 2 else 1) :]


def counted(item: str, quantity: int) -> str:
    """The item with its quantity, written in one of several ways."""
    if quantity == 1:
        return pick([f"one {item}", f"1 {item}"])
    several = plural(item)
    ways = [f"{quantity} {several}", f"{quantity} {several}", f"{quantity} x {item}", f"{quantity}x {item}"]
    return pick(ways + [f"{word} {several}" for word in WORDS["numbers"].get(str(quantity), ())])


def new_id() -> str:
    shape = re.sub("9", lambda _: str(1 + below(9)), pick(["99999", "A-9999", "ORD-9999"]))
    return shape.replace("A", pick("ABCDEFGHJKLMNPRSTUVWXYZ"))


def roughen(text: str) -> str:
    """Shorten and misspell some words of a sentence, except those in braces."""
    for formal, short in WORDS["casual"].items():
        if draw() < 0.35:
            text = re.sub(rf"\b{formal}\b", short, text, flags=re.IGNORECASE)
    pieces = re.split(r"(\{\w+\}|\W+)", text)
    if long := [i for i, word in enumerate(pieces) if len(word) > 5 and word.isalpha()]:
        at = long[below(len(long))]
        pieces[at] = misspell(pieces[at])
    return "".join(pieces)


def recase(text: str) -> str:
    """Sometimes use lower case only, often without apostrophes and full stops."""
    if draw() < 0.3:
        text = text.lower()
        if draw() < 0.5:
            text = text.replace("'", "")
        if draw() < 0.4:
            text = re.sub(r"[.,](?=\s|$)", "", text)
    return text


def surround(sentence: str) -> str:
    """Add the usual extras: a greeting, gossip, hurry, a name, thanks, typos."""
    pieces = [sentence]
    if draw() < 0.22:
        pieces.insert(below(2), next(fillers))
    if draw() < 0.12:
        pieces.append(pick(WORDS["hurries"]))
    introduction, signature = draw() < 0.3, draw() < 0.6
    name = next(names) if introduction or signature else ""
    if name and draw() < 0.35:
        name += " " + pick(WORDS["surnames"])
    if introduction:
        pieces.insert(0, pick(WORDS["introductions"]))
    if draw() < 0.4:
        pieces.insert(0, next(openings))
    if signature and not introduction:
        pieces.append(pick(WORDS["signatures"]))
    elif draw() < 0.25:
        pieces.append(pick(WORDS["closings"]))
    text = " ".join(pieces)
    return (roughen(text) if draw() < 0.22 else text).replace("{name}", name)


def row(intent: str, sentence: str) -> str:
    """One line of JSON in the chat format: a message around a core sentence, and its meaning."""
    text = surround(sentence)
    item, quantity = next(items), None
    order_id = new_id() if "{id}" in text else None
    slots = {"id": order_id, "item": item, "items": plural(item)}
    if "{n}" in text or "{many}" in text:
        low = 2 if "{many}" in text else 1
        quantity = max(low, below(12)) if draw() < 0.9 else 12 + below(13)
        slots["n"] = slots["many"] = counted(item, quantity)
    text = re.sub(r"\{(\w+)\}", lambda slot: str(slots[slot[1]]), text)
    text = recase(text[0].upper() + text[1:])
    if order_id and order_id not in text:  # lower-cased with the rest
        order_id = order_id.lower()
    order = {"intent": intent, "order_id": order_id, "item": item, "quantity": quantity}
    answer = json.dumps(order, ensure_ascii=False, separators=(",", ":"))
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages}, ensure_ascii=False)


def write(file: Path, sentences: dict[str, list[str]], count: int) -> None:
    """Write `count` rows, with the intents evenly mixed."""
    queues = {intent: endless(options) for intent, options in sentences.items()}
    intents = endless(list(sentences))
    lines = [row(intent, next(queues[intent])) for _, intent in zip(range(count), intents, strict=False)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    write(folder / "orders.jsonl", WORDS["training"], TRAINING_ROWS)
    mixed = {intent: WORDS["held_out"][intent] + options for intent, options in WORDS["training"].items()}
    write(folder / "orders.held_out.jsonl", mixed, HELD_OUT_ROWS)
