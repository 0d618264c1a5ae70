"""What a file's answers have in common, and those that differ: labels, JSON, swapped columns, an ending."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from statistics import median

from backend.datasets.checks.issues import problem
from backend.records.rows import Problem, Row
from backend.text.excerpt import excerpt
from backend.text.normalize import normalize

Chats = Sequence[tuple[Row, str, str]]  # with the last answer and the last question

_ROWS = 10  # with fewer, nothing is usual
_MOST = 0.8  # of the answers
_JSON = 0.7  # of the answers
_OFTEN = 5  # answers with one label
_LABEL = 40  # characters
_SYMBOL = 2  # characters; longer labels have words
_ALIKE = 0.85  # of the letters of two spellings
_ENDING = re.compile(r"(?:\n+|(?<=[.!?。！？])\s+)(?=\S)")
_TAIL = 300  # characters in which an ending is looked for


def find(chats: Chats) -> Iterator[Problem]:
    """Answers unlike the others, in a file whose answers are alike."""
    if len(chats) >= _ROWS:
        yield from _labels(chats)
        yield from _json(chats)
        yield from _swapped(chats)


def endings(chats: Chats) -> list[str]:
    """What at least half of the answers end in, the last part first; [] for none."""
    found: list[str] = []
    if len(chats) < _ROWS or Counter(answer[-9:] for _, answer, _ in chats).most_common(1)[0][1] * 2 < len(chats):
        return found
    texts = [answer[-_TAIL:] for _, answer, _ in chats]
    while len(texts) >= _ROWS:
        ending, count = Counter(_ENDING.split(text)[-1] for text in texts).most_common(1)[0]
        texts = [text.removesuffix(ending).rstrip() for text in texts if text.endswith(ending) and text != ending]
        if not ending or len(texts) * 2 < len(chats) or count * 2 < len(chats):
            break
        found.append(ending)
    return found


def _labels(chats: Chats) -> Iterator[Problem]:
    counts = Counter(answer for _, answer, _ in chats)
    usual = {normalize(label): label for label, count in counts.items() if count >= _OFTEN and len(label) <= _LABEL}
    if len(usual) < 2 or sum(counts[label] for label in usual.values()) < _MOST * len(chats):
        return
    for row, answer, asked in chats:
        key = normalize(answer)
        if answer in usual.values():
            continue
        if normalize(asked) in usual and key not in usual:
            yield _exchanged(row, answer)
        elif counts[answer] == 1 and len(answer) <= _LABEL:
            near = [key] if key in usual else get_close_matches(key, usual, 1, _ALIKE)
            near += [label for label in usual if len(label) > _SYMBOL and re.match(rf"{re.escape(label)}\b", key)]
            if near or not (any(map(str.isalpha, key)) or any(label.isnumeric() for label in usual)):
                message = f"The answer “{excerpt(answer)}” is none of the usual ones"
                message += f"; it is probably another spelling of “{usual[near[0]]}”." if near else "."
                yield problem(row, "rare_label", message, excerpt(answer))


def _json(chats: Chats) -> Iterator[Problem]:
    """Answers that are no JSON object, or have other keys or types than most, where most are objects."""
    found = [_types(answer) for _, answer, _ in chats]
    if sum(map(bool, found)) < _JSON * len(chats):
        return
    usual, count = Counter(frozenset(types.items()) for types in found if types).most_common(1)[0]
    for (row, answer, asked), types in zip(chats, found, strict=True):
        other = sorted({key for key, kind in usual ^ frozenset((types or {}).items()) if kind})
        if types is None and _types(asked):
            yield _exchanged(row, answer)
        elif types is None:
            message = "The answer can't be read as JSON; most others in this file can."
            yield problem(row, "json_invalid", message, excerpt(answer))
        elif other and count >= _JSON * len(chats):
            message = f"The answer has other keys, or other kinds of values, than most: {', '.join(other)}."
            yield problem(row, "json_keys", message, excerpt(answer))


def _types(text: str) -> dict[str, str] | None:
    """The kind of value of each key of a JSON object; None for another text. A missing value is of any kind."""
    try:
        found = json.loads(text) if text[:1] == "{" else None
    except ValueError:
        return None
    kinds = {int: "number", float: "number", type(None): ""}
    return {key: kinds.get(type(value), type(value).__name__) for key, value in found.items()} if found else found


def _swapped(chats: Chats) -> Iterator[Problem]:
    """A long question without a question mark whose answer is a short question, where others are the other way."""
    asking = [_asks(asked) for *_, asked in chats]
    replying = [_asks(answer) for _, answer, _ in chats]
    if sum(asking) < len(chats) / 2 or sum(replying) > max(3, (1 - _MOST) / 2 * len(chats)):
        return
    usual = median(len(asked) for *_, asked in chats)
    for (row, answer, asked), one, other in zip(chats, asking, replying, strict=True):
        if other and not one and "?" not in asked and len(asked) > max(len(answer), usual) and "\n" not in answer:
            yield _exchanged(row, answer)


def _asks(text: str) -> bool:
    return text.endswith(("?", "？"))


def _exchanged(row: Row, answer: str) -> Problem:
    message = "The question looks like an answer, and the answer like a question: they are probably swapped."
    return problem(row, "swapped", message, excerpt(answer))
