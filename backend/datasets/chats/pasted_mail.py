"""Reads e-mails that somebody copied into a text, one below the other, each under its headers in any language.

From: Maria Lopez <maria@example.com>
Sent: Monday, November 3, 2025 10:00 AM
To: Front desk
Subject: Appointment
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from backend.datasets.chats.mail import without_prefix
from backend.datasets.chats.mail_text import ADDRESS, begins_headers, own_words
from backend.datasets.convert.detect import Record

_OWN = re.compile(r"^(message-id|mime-version|received|content-type):", re.IGNORECASE | re.MULTILINE)
_SUBJECT = re.compile(
    r"subject|betreff|asunto|objet|oggetto|assunto|onderwerp|ämne|emne|aihe|temat|předmět|tárgy|subiect|konu|тема"
    r"|θέμα|件名|主题|主旨|제목|נושא|الموضوع",
    re.IGNORECASE,
)
_HEADER = re.compile(r"[*\s]*([^:：]{1,30}?)[*\s]*[:：][*\s]*(.*)")


def is_pasted_mail(text: str) -> bool:
    """Whether a text begins with the headers of an e-mail, as a mail program shows them, and has those of another."""
    lines = text.lstrip("\ufeff\r\n ").replace("\r\n", "\n").split("\n")
    starts = _starts(lines)
    return len(starts) > 1 and starts[0] == 0 and not _OWN.search("\n".join(lines[: starts[1]]))


def pasted_mails(text: str) -> Iterator[list[Record]]:
    """The mails as records of the format MAIL, in the order in which they were written."""
    blank = len(text) - len(text.lstrip("\ufeff\r\n "))
    above, lines = text.count("\n", 0, blank), text[blank:].replace("\r\n", "\n").split("\n")
    starts = _starts(lines)
    mails = [_mail(lines[start:end]) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    newest_first = _newest_first([(headers, subject) for headers, subject, _ in mails])
    records: list[Record] = []
    for place, (start, (headers, subject, said)) in enumerate(zip(starts, mails, strict=True)):
        author = headers[0]
        address = ADDRESS.search(author)
        records.append(
            (
                above + start + 1,
                {
                    "thread": without_prefix(subject),
                    "author": address[0].lower() if address else author,
                    "text": said,
                    "time": str(len(mails) - place if newest_first else place + 1),
                },
            )
        )
    yield records


def _starts(lines: list[str]) -> list[int]:
    return [at for at in range(len(lines)) if begins_headers(lines, at)]


def _mail(lines: list[str]) -> tuple[list[str], str, str]:
    """The values of its headers, its subject, and what its author wrote."""
    end = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    headers = [found for line in lines[:end] if (found := _HEADER.fullmatch(line))]
    subject = next((found[2].strip() for found in headers if _SUBJECT.fullmatch(found[1])), "")
    return [found[2].strip() for found in headers], subject, own_words("\n".join(lines[end:]))[0]


def _newest_first(mails: list[tuple[list[str], str]]) -> bool:
    """Whether the order is that of a mail program: by the dates, or else by who answers (Re:) whom."""
    times = [time for headers, _ in mails if (time := _time(headers)) is not None]
    if len(times) == len(mails) and times[0] != times[-1]:
        return times[0] > times[-1]
    answers = [without_prefix(subject) != subject for _, subject in mails]
    return answers[0] and not answers[-1]


def _time(headers: list[str]) -> float | None:
    for value in headers[1:]:
        try:
            return parsedate_to_datetime(value).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
