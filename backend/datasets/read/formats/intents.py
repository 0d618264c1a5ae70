"""Reads the intents of chatbots: several ways to ask, and answers of which any would
do, or only the name (Rasa).
"""

import re
from collections.abc import Iterator
from typing import Any

from backend.datasets.convert.shapes import NAMES, plain_name
from backend.datasets.read.file import OpenSource, each_object
from backend.records.reading import ReadOptions
from backend.records.rows import PassedOver
from backend.text.excerpt import excerpt

_ASKED = ("patterns", "questions", "utterances", "training_phrases")
_MARKED = re.compile(
    r"\[([^\[\]]+)\](?:\((?!\w+:/|www\.|mailto:|[/#.])[^()]*\)|\{[^{}]*\})"
)  # [two](number), of Rasa
_ANSWERED = ("responses", "answers", "replies", "response", "answer", "reply")


def read_intents(opened: OpenSource, _: ReadOptions) -> None:
    """Turns intents into examples: every way to ask, with the answers in turn, so that
    each is in one. What is blank, and an intent that lacks one side, is passed over.
    The columns keep their names, which may have been chosen.
    """
    opened.records = each_object(
        opened.records, lambda line, record: _phrases(line, record, opened.passed)
    )
    sides = [_sides(record) for _, record in opened.sample()]
    if 2 * sum(map(bool, sides)) > len(sides):
        opened.records = each_object(
            opened.records, lambda line, intent: _examples(line, intent, opened.passed)
        )


def _phrases(
    line: int, record: dict[str, Any], passed: list[PassedOver]
) -> list[dict[str, Any]]:
    """Each way to ask of an intent of Rasa, with the name of the intent; another record
    as it is.
    """
    intent, listed = record.get("intent"), record.get("examples")
    phrases = (
        [text.strip() for text in listed.split("\n") if text.strip(" -\t\r")]
        if isinstance(listed, str)
        else []
    )
    if not (
        phrases
        and isinstance(intent, str)
        and intent
        and all(text.startswith("- ") for text in phrases)
    ):
        return [record]
    rest = (
        f"{name}: {value}"
        for name, value in record.items()
        if name not in ("intent", "examples") and value
    )
    passed += [
        PassedOver("other part of an intent", excerpt(text, width=200), line)
        for text in rest
    ]
    return [
        {"question": _MARKED.sub(r"\1", text[2:].strip()), "answer": intent}
        for text in phrases
    ]


def _sides(intent: Any) -> dict[str, list[str]]:
    """The ways to ask, which are a list, and the answers, which may be one text, by
    their columns; {} without both.
    """
    columns = (
        {plain_name(name): name for name in intent} if isinstance(intent, dict) else {}
    )
    asks, replies = (
        next((columns[name] for name in names if name in columns), "")
        for names in (_ASKED, _ANSWERED)
    )
    values = {name: intent[name] for name in (asks, replies) if name}
    sides = {
        name: value if isinstance(value, list) else [value]
        for name, value in values.items()
    }
    texts = all(isinstance(text, str) for side in sides.values() for text in side)
    return sides if len(sides) == 2 and texts and isinstance(intent[asks], list) else {}


def _examples(
    line: int, intent: dict[str, Any], passed: list[PassedOver]
) -> Iterator[dict[str, Any]]:
    if not (sides := _sides(intent)):
        yield intent
        return
    rest = {
        name: value for name, value in intent.items() if name not in sides and value
    }
    texts = [
        name
        for name in NAMES["context"]
        if isinstance(text := rest.get(name), str) and " " in text
    ]
    beside = {
        name if name in texts else f"{name} (intent)": str(value)
        for name, value in rest.items()
    }
    filled = [[text for text in side if text.strip()] for side in sides.values()]
    unused = [
        f"{name}: a blank text"
        for name, side in sides.items()
        if not all(map(str.strip, side))
    ]
    unused += [text for texts in filled for text in texts if not all(filled)]
    passed += [
        PassedOver(
            "part of an intent that makes no example", excerpt(text, width=200), line
        )
        for text in unused
    ]
    for n in range(max(map(len, filled)) if all(filled) else 0):
        yield beside | {
            name: texts[n % len(texts)]
            for name, texts in zip(sides, filled, strict=True)
        }
