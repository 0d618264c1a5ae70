"""What a file's answers have in common, and those that differ: labels, JSON, swapped
columns, an ending.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from statistics import median

from backend.datasets.checks.issues import problem
from backend.files.json_file import value_of
from backend.records.rows import Problem, Row
from backend.text.excerpt import excerpt
from backend.text.normalize import normalize

Chats = Sequence[tuple[Row, str, str]]  # with the last answer and the last question

_ROWS = 10  # with fewer, nothing is usual
_MOST, _JSON = 0.8, 0.9  # of the answers
_OFTEN, _LABEL = 5, 40  # answers with one label, and its characters
_MOST_LABELS = 200  # more are no labels
_MARKS = ("?", "？")
_TAIL = 20  # characters


def find(chats: Chats) -> Iterator[Problem]:
    """Answers unlike the others, in a file whose answers are alike."""
    if len(chats) >= _ROWS:
        yield from _labels(chats)
        yield from _json(chats)
        yield from _swapped(chats)


def ending(chats: Chats) -> str:
    """What at least half of the answers end in, "" for nothing, and for the last
    brackets of objects.
    """
    tail, count = (
        Counter(answer[-_TAIL:] for _, answer, _ in chats).most_common(1)[0]
        if chats
        else ("", 0)
    )
    same = {answer[::-1] for _, answer, _ in chats if answer.endswith(tail)}
    if count < max(_ROWS, len(chats) / 2) or len(same) < _ROWS or tail[-1] in "}]":
        return ""
    common = list(
        takewhile(lambda letters: len(set(letters)) == 1, zip(*same, strict=False))
    )
    return "".join(letter for letter, *_ in reversed(common)).lstrip(" .!?\n")


def _labels(chats: Chats) -> Iterator[Problem]:
    counts = Counter(answer for _, answer, _ in chats)
    usual = {
        normalize(label): label
        for label, count in counts.items()
        if count >= _OFTEN and len(label) <= _LABEL
    }
    if not 2 <= len(usual) <= _MOST_LABELS:
        return
    spelled: dict[str, list[str]] = {key: [] for key in usual}
    for label in (label for label in counts if len(label) <= _LABEL):
        spelled.get(normalize(label), []).append(label)
    if sum(
        counts[label] for labels in spelled.values() for label in labels
    ) < _MOST * len(chats):
        return
    for labels in filter(lambda each: len(each) > 1, spelled.values()):
        listed = ", ".join(f"“{label}” ({counts[label]:,} ×)" for label in labels)
        yield problem(
            None,
            "label_spelling",
            f"A label is written in several ways: {listed}. Choose one of them.",
        )
    for row, answer, asked in (
        chat for chat in chats if normalize(chat[1]) not in usual
    ):
        if normalize(asked) in usual:
            yield problem(row, "swapped", quote=excerpt(answer))
        elif counts[answer] == 1 and len(answer) <= _LABEL:
            message = f"The answer “{excerpt(answer)}” is not one of the usual answers; keep it if that is intended."
            yield problem(row, "rare_label", message, excerpt(answer))


def _json(chats: Chats) -> Iterator[Problem]:
    """Answers that are no JSON object, or have other keys or types than most, where
    most are objects.
    """
    found = [_types(answer) for _, answer, _ in chats]
    if sum(map(bool, found)) < _JSON * len(chats):
        return
    usual, count = Counter(
        frozenset(types.items()) for types in found if types
    ).most_common(1)[0]
    for (row, answer, asked), types in zip(chats, found, strict=True):
        own = types or {}
        other = sorted(
            {
                key
                for key, kind in usual ^ frozenset(own.items())
                if kind and own.get(key) != ""
            }
        )
        if types is None and _types(asked):
            yield problem(row, "swapped", quote=excerpt(answer))
        elif types is None:
            yield problem(
                row,
                "json_invalid",
                quote=excerpt(answer),
                severity=None if answer[:1] == "{" else "note",
            )
        elif other and count >= _JSON * len(chats):
            message = f"The answer has other keys, or other kinds of values, than most: {', '.join(other)}."
            yield problem(row, "json_keys", message, excerpt(answer))


def _types(text: str) -> dict[str, str] | None:
    """The kind of value of each key of a JSON object; None for another text. A missing
    value is of any kind.
    """
    found = value_of(text) if text[:1] == "{" else None
    kinds = {int: "number", float: "number", type(None): ""}
    return (
        {
            key: kinds.get(type(value), type(value).__name__)
            for key, value in found.items()
        }
        if found
        else found
    )


def _swapped(chats: Chats) -> Iterator[Problem]:
    """A long question without a question mark whose answer is a short question, where
    others are the other way.
    """
    replying = [
        answer.endswith(_MARKS) and len(row.messages) < 4 for row, answer, _ in chats
    ]
    asking = sum(asked.endswith(_MARKS) for *_, asked in chats)
    if asking < len(chats) / 2 or sum(replying) > max(3, (1 - _MOST) / 2 * len(chats)):
        return
    usual = median(len(asked) for *_, asked in chats)
    counts = Counter(answer for _, answer, _ in chats)
    for (row, answer, asked), other in zip(chats, replying, strict=True):
        if (
            other
            and "?" not in asked
            and len(asked) > max(len(answer), usual)
            and counts[answer] == 1
        ):
            yield problem(row, "swapped", quote=excerpt(answer), severity="note")
