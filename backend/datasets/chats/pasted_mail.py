"""Reads e-mails that somebody copied into a text, one below the other, each under its
headers in any language.

From: Maria Lopez <maria@example.com>
Sent: Monday, November 3, 2025 10:00 AM
To: Front desk
Subject: Appointment
"""

import re
from collections.abc import Iterator

from backend.datasets.chats.format import WORDS
from backend.datasets.chats.mail import sent_at, without_prefix
from backend.datasets.chats.mail_text import (
    ADDRESS,
    SEPARATOR,
    begins_headers,
    own_words,
)
from backend.datasets.convert.detect import Record

_OWN = re.compile(
    r"^(message-id|mime-version|received|content-type):", re.IGNORECASE | re.MULTILINE
)
_SUBJECT = re.compile("|".join(WORDS["subject"]), re.IGNORECASE)
_HEADER = re.compile(r"[*\s]*([^:：*\s][^:：]{0,40}?)[*\s]{0,9}[:：][*\s]*(.*)")


def is_pasted_mail(text: str) -> bool:
    """Whether a text begins with the headers of an e-mail, as a mail program shows
    them, and has those of another.
    """
    lines = text.lstrip("\ufeff\r\n ").replace("\r\n", "\n").split("\n")
    starts = _starts(lines)
    return (
        len(starts) > 1
        and starts[0] == 0
        and not _OWN.search("\n".join(lines[: starts[1]]))
    )


def pasted_mails(text: str) -> Iterator[list[Record]]:
    """The mails as records of the format MAIL, in the order in which they were written."""
    blank = len(text) - len(text.lstrip("\ufeff\r\n "))
    above = text.count("\n", 0, blank)
    lines = text[blank:].replace("\r\n", "\n").split("\n")
    starts = _starts(lines)
    mails = [
        _mail(lines[start:end])
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]
    places = _places([(headers, subject) for headers, subject, _ in mails])
    records: list[Record] = []
    for place, start, (headers, subject, body) in zip(
        places, starts, mails, strict=True
    ):
        address = ADDRESS.search(headers[0])
        author = address[0].lower() if address else headers[0]
        record = {
            "thread": without_prefix(subject),
            "author": author,
            "text": body,
            "time": str(place),
        }
        records.append((above + start + 1, record))
    yield records


def _starts(lines: list[str]) -> list[int]:
    return [at for at in range(len(lines)) if begins_headers(lines, at)]


def _mail(lines: list[str]) -> tuple[list[str], str, str]:
    """The values of its headers, its subject, and what its author wrote."""
    # a line in the headers is one, or continues the one above
    inside = (
        line.strip() and (line[0] in " \t" or _HEADER.fullmatch(line)) for line in lines
    )
    end = next((at for at, within in enumerate(inside) if not within), len(lines))
    headers = [match for line in lines[:end] if (match := _HEADER.fullmatch(line))]
    subject = next(
        (match[2].strip() for match in headers if _SUBJECT.fullmatch(match[1])), ""
    )
    below = lines[end:]
    while below and (
        set(below[-1]) <= set("-_=*~ \t") or SEPARATOR.fullmatch(below[-1])
    ):
        below.pop()  # "-----Original Message-----", above the next mail
    return (
        [match[2].strip() for match in headers],
        subject,
        own_words("\n".join(below))[0],
    )


def _places(mails: list[tuple[list[str], str]]) -> list[int]:
    """The position of each mail in time, from 1: by the dates where all are readable.
    Otherwise the newest is first, as in a mail program, if the first mail is an answer
    (Re:).
    """
    dates = ((sent_at(value) for value in headers[1:]) for headers, _ in mails)
    times = [
        next((date for date in values if date is not None), None) for values in dates
    ]
    order = list(range(len(mails)))
    if without_prefix(mails[0][1]) != mails[0][1]:
        order.reverse()
    if None not in times:
        order.sort(key=lambda at: times[at] or 0.0)
    places = {at: place for place, at in enumerate(order, 1)}
    return [places[at] for at in range(len(mails))]
