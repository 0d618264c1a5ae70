"""Names of customers in the greetings of answers: the model would call strangers by
them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from backend.datasets.checks.issues import problem
from backend.datasets.checks.patterns import WORD_LISTS, asks_for
from backend.records.rows import Message, Problem, Row
from backend.text.conversation import content
from backend.text.excerpt import excerpt

_NAME = r"[^\W\d_a-z][\w'’-]*"
_GREETING = re.compile(
    rf"\A\s*(?i:{'|'.join(WORD_LISTS['greeting'])}) (?!(?i:{'|'.join(WORD_LISTS['anyone'])})\b)"
    rf"(?P<name>{_NAME}\.?(?: {_NAME}){{0,2}})\s*[,!:，！](?P<line>\s*\n)?"
)


def find(rows: Sequence[Row]) -> Iterator[Problem]:
    """Answers that begin with "Hello NAME," on a line of its own, or with a name that
    the question is signed with.
    """
    for row in rows:
        for match in _greetings(row)[:1]:
            message = f"The answer calls somebody {match['name']}; the model would call other people that, too."
            yield problem(
                row,
                "personal_name",
                message,
                excerpt(match.string, *match.span("name")),
            )


def without_names(row: Row) -> Row:
    """The row with its customers' names replaced in the greetings."""
    names = {match.string: match for match in _greetings(row)}

    def fixed(message: Message) -> Message:
        match = names.get(content(message)) if message["role"] == "assistant" else None
        if match is None:
            return message
        start, end = match.span("name")
        return {
            **message,
            "content": f"{match.string[:start]}[name]{match.string[end:]}",
        }

    return replace(row, messages=[fixed(message) for message in row.messages])


def _greetings(row: Row) -> list[re.Match[str]]:
    """The greeting of each answer that has one with a name."""
    found, asked = [], ""
    for message in row.messages:
        text = content(message)
        if message["role"] != "assistant":
            asked = text.rstrip(" .!\n")
        elif (match := _GREETING.match(text)) and (
            match["line"] or asked.endswith(match["name"].split()[-1])
        ):
            found += [] if asks_for("personal_name", asked) else [match]
    return found
