"""Reads e-mails: a mailbox (mbox, RFC 4155) or one message (.eml, RFC 5322), as the
messages of conversations.
"""

import email
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import getaddresses, parsedate_to_datetime
from itertools import takewhile
from typing import Any

from backend.datasets.chats import clean
from backend.datasets.chats.format import ChatFormat
from backend.datasets.chats.mail_text import ADDRESS, own_words, repeated_ends
from backend.datasets.convert.detect import Record
from backend.records.units import MIB

MAIL = ChatFormat(
    "a mailbox",
    "https://www.rfc-editor.org/rfc/rfc5322",
    thread="thread",
    time=("time",),
)
_POSTMARK = re.compile(
    rb"From \S{1,320} .{0,99}\d\d:\d\d.{0,99}\d{4}|From [^\s@]{1,320}@\S{1,320}$"
)
_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]*):", re.ASCII)
_MAIL_FIELDS = frozenset(
    (b"from", b"to", b"subject", b"date", b"message-id", b"received", b"mime-version")
)
_LARGEST = 32 * MIB  # bytes of one message; the attachments of a larger one are cut off
_GMAIL_QUOTE = re.compile(r"<div[^<>]{1,300}gmail_quote[^<>]{0,300}>", re.IGNORECASE)
_BLOCKQUOTE = re.compile(r"(</?blockquote\b[^<>]{0,1000}>)", re.IGNORECASE)
_SUBJECT = re.compile(
    r"^(\s*(re|aw|sv|antw|fw|fwd|wg|tr|rv|enc|odp|vs|ynt|res)\s*(\[\d+\]\s*)?[:：])+\s*",
    re.I,
)
_LONGEST_SUBJECT = 1_000  # characters that are read
_FORWARDED = re.compile(r"\s*(fwd?|wg|tr|rv|enc|doorst|vb|vs)\s*:", re.IGNORECASE)
_CLOCK12 = re.compile(
    r"\b(\d{1,2})(:\d{2}(?::\d{2})?) ?([AaPp])\.?[Mm]\b\.?"
)  # email.utils ignores AM and PM
_BROKEN = (
    AttributeError,
    LookupError,
    MessageError,
    TypeError,
    ValueError,
    RecursionError,
    AssertionError,
)


class _PlainHeaders(EmailPolicy):
    """Raw headers: parsing each of them takes four times as long as everything else."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        if name.lower() == "content-disposition":
            return super().header_fetch_parse(name, value)
        return str(value).replace("\r", "").replace("\n", "")


_POLICY = _PlainHeaders()


@dataclass(frozen=True)
class _Mail:
    line: int
    author: str
    text: str
    quoted: str
    asker: str  # who wrote what is quoted
    time: float | None
    id: str
    parents: tuple[str, ...]
    thread: str


def is_mail(head: bytes) -> bool:
    """Whether a file begins as a mailbox or an e-mail does."""
    head = head.lstrip(b"\xef\xbb\xbf\r\n")
    first, _, rest = head.partition(b"\n")
    if first.startswith(b"From ") and _POSTMARK.match(first.rstrip()):
        head = rest
    lines = takewhile(bytes.strip, head.split(b"\n")[:200])
    fields = [_FIELD.match(line) for line in lines if line[:1] not in b" \t"]
    names = {field[1].lower() for field in fields if field}
    return None not in fields and b"from" in names and len(names & _MAIL_FIELDS) >= 3


def mail_messages(lines: Iterable[bytes]) -> Iterator[list[Record]]:
    """The mails in the lines of a file as records of the format MAIL, with text "" for
    newsletters, drafts and the like.
    """
    mails = [_parse(number, data) for number, data in _split(lines)]
    yield [(mail.line, record) for mail in _clean(mails) for record in _records(mail)]


def _split(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The line and the bytes of each message."""
    message: list[bytes] = []
    start, size, blank, box = 1, 0, True, False
    for number, line in enumerate(lines, 1):
        if blank and line.startswith(b"From ") and _POSTMARK.match(line.rstrip()):
            if message:
                yield start, b"\n".join(message)
            message, start, size, box = [], number, 0, True
        elif size < _LARGEST and (message or line.strip()):
            message.append(
                line[1:] if box and re.match(rb">+From ", line) else line
            )  # unescaped
            size += len(line)
        blank = not line.strip()
    if message:
        yield start, b"\n".join(message)


def _parse(line: int, data: bytes) -> _Mail:
    """A message; an empty one where it can't be read at all."""
    try:
        message = email.message_from_bytes(data, policy=_POLICY)
        assert isinstance(message, EmailMessage)
        subject = _decoded(str(message.get("subject", ""))[:_LONGEST_SUBJECT])
        author = _address(message, "from")
        references = re.findall(
            r"<[^<>\s]+>",
            f"{message.get('references', '')} {message.get('in-reply-to', '')}",
        )
        text, quoted, credit = (
            own_words(_body(message)) if _is_personal(message) else ("", "", "")
        )
        askers = (
            address.lower()
            for address in ADDRESS.findall(credit)
            if address.lower() != author
        )
        return _Mail(
            line,
            author,
            text,
            "" if _FORWARDED.match(subject) else quoted,
            next(askers, _address(message, "to")),
            sent_at(str(message["date"])),
            str(message.get("message-id", "")).strip(),
            tuple(references),
            str(message.get("x-gm-thrid", "")).strip() or without_prefix(subject),
        )
    except _BROKEN:
        return _Mail(line, "", "", "", "", None, "", (), "")


def without_prefix(subject: str) -> str:
    """A subject without "Re:" and the like."""
    return _SUBJECT.sub("", subject).strip()


def _address(message: EmailMessage, field: str) -> str:
    addresses = getaddresses([str(value) for value in message.get_all(field, [])])
    return next(
        (address.strip().lower() for _, address in addresses if "@" in address), ""
    )


def _decoded(header: str) -> str:
    try:
        return str(make_header(decode_header(header)))
    except _BROKEN:
        return header


def sent_at(date: str) -> float | None:
    """The time of a date as mail programs write it; None for another text."""
    try:
        in_24_hours = _CLOCK12.sub(
            lambda at: f"{int(at[1]) % 12 + 12 * (at[3] in 'pP')}{at[2]}", date
        )
        return parsedate_to_datetime(in_24_hours).timestamp()
    except (*_BROKEN, OverflowError):
        return None


def _is_personal(message: EmailMessage) -> bool:
    """Whether a person wrote it: no newsletter, automatic answer, draft or spam."""
    labels = str(message.get("x-gmail-labels", "")).lower()
    automatic = str(message.get("auto-submitted", "no")).lower() != "no"
    bulk = str(message.get("precedence", "")).lower() in ("bulk", "list", "junk")
    return not (
        automatic
        or bulk
        or "list-unsubscribe" in message
        or re.search(r"\b(spam|trash|drafts?)\b", labels)
    )


def _body(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    try:
        text = str(part.get_content())
    except _BROKEN:  # for example, a character set that does not exist
        payload = part.get_payload(decode=True)
        text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    return _as_plain(text) if part.get_content_subtype() == "html" else text


def _as_plain(html: str) -> str:
    """An HTML mail as a plain one, with a ">" before the lines in a blockquote, apart
    from who wrote them.
    """
    if "<blockquote" not in html.lower():
        html = _GMAIL_QUOTE.sub("<blockquote>", html)
    lines: list[str] = []
    depth = 0
    for piece in _BLOCKQUOTE.split(html):
        if _BLOCKQUOTE.fullmatch(piece):
            depth = max(depth + (-1 if piece.startswith("</") else 1), 0)
        elif text := clean.html(piece).strip():
            first, *rest = text.split("\n")
            inside = not (
                depth and first.rstrip().endswith(":") and ADDRESS.search(first)
            )  # Apple's credit is quoted
            lines += [
                "> " * depth + first if inside else first,
                *("> " * depth + line for line in rest),
                "",
            ]
    return "\n".join(lines)


def _clean(mails: list[_Mail]) -> list[_Mail]:
    """The mails without repeated signatures, each with the conversation that it belongs
    to. The mail that one answers comes from its quotation where it is not in the file
    itself.
    """
    by_author: dict[str, list[int]] = {}
    for at, mail in enumerate(mails):
        by_author.setdefault(mail.author, []).append(at)
    for places in by_author.values():
        for at, text in zip(
            places, repeated_ends([mails[at].text for at in places]), strict=True
        ):
            mails[at] = replace(mails[at], text=text)
    by_id = {mail.id: mail for mail in mails if mail.id}
    threads: dict[str, str] = {}
    for mail in mails:
        references = [reference for reference in (*mail.parents, mail.id) if reference]
        root = next(
            (threads[reference] for reference in references if reference in threads),
            references[0] if references else mail.thread,
        )
        threads.update(dict.fromkeys(references, root))
    return [
        replace(
            mail,
            thread=threads.get(mail.id, mail.thread)
            if mail.id or mail.parents
            else mail.thread,
            quoted=""
            if any(parent in by_id for parent in mail.parents)
            else mail.quoted,
        )
        for mail in mails
    ]


def _records(mail: _Mail) -> Iterator[dict[str, object]]:
    if mail.quoted and mail.text and mail.asker not in ("", mail.author):
        before = None if mail.time is None else mail.time - 1
        yield {
            "thread": mail.thread,
            "author": mail.asker,
            "text": mail.quoted,
            "time": before,
        }
    yield {
        "thread": mail.thread,
        "author": mail.author,
        "text": mail.text,
        "time": mail.time,
    }
