"""Reads the text file that WhatsApp exports, from Android and iPhone, in any language.

    31.12.23, 21:15 - Anna: Hello                Android
    [12/31/23, 9:15:33 PM] Anna: Hello           iPhone

There is no specification. A line begins a message if it starts with a date and a time,
in the words and the order of the phone's language, and goes on with " - " or stands in
brackets; other lines continue the message before. What the phone itself adds is marked:
on an iPhone by an invisible left-to-right mark, also behind the words below a picture,
on Android by <…> or by a file name.
"""

import re
from collections.abc import Iterator

from backend.datasets.chats.format import ChatFormat
from backend.datasets.chats.threads import NOTICES
from backend.datasets.chats.times import digits, seconds
from backend.datasets.chats.transcript import is_log
from backend.datasets.convert.detect import Record

_SOURCE = "https://faq.whatsapp.com/1180414079177245"
WHATSAPP = ChatFormat(
    "a WhatsApp chat", _SOURCE, thread="file", time=("time",), pauses=True
)
_START = re.compile(
    r"(?:\[(?P<iphone>\d[^\]]{9,40})\] ?|(?P<android>\d[^\n]{9,40}?) [-–] )(?P<rest>[^\n]*)"
)
_BIDI = dict.fromkeys(
    map(ord, "\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
)
_SPACES = {ord("\u202f"): " ", ord("\xa0"): " ", ord("\r"): None}
_MARK = "\u200e"
_NOTICE = re.compile(
    r"<[^<>\n]{4,60}>|null"  # <Media omitted>
    r"|\S[^\n]{0,120}\.\w{2,4} \([^()\n]{4,30}\)"  # IMG-20231231-WA0001.jpg (file attached)
    r"|\S[^\n]{0,120}\.\w{2,4} <[^<>\n]{4,30}>"
)
_DOCUMENT = re.compile(r"[^\n]{1,120}\.\w{2,4} • \u200e")  # Plan.pdf • 3 pages
_EDITED = re.compile(r" ?<[^<>\n]{8,60}>$")  # <This message was edited>
_LONGEST_NAME = 60  # characters
_LOOKED_AT = 200  # lines


def is_whatsapp(text: str) -> bool:
    """Whether a text begins as a WhatsApp export does: with a message or a notice, and
    soon a message by somebody.
    """
    lines = [line for line in text[: 64 * 1024].split("\n") if line.strip()][
        :_LOOKED_AT
    ]
    first = _start(lines[0]) if lines else None
    if first is None or not any(
        seconds(_when(first), months) is not None for months in (False, True)
    ):
        return False
    authors = [
        author
        for line in lines
        if (start := _start(line)) and (author := _author(start)[0])
    ]
    return len(authors) >= 2 and not is_log(authors)


def whatsapp_messages(text: str) -> Iterator[list[Record]]:
    """The messages as records of the format WHATSAPP, each with its first line; text ""
    for what the phone added itself, and a record without author for what it added to a
    message.
    """
    records: list[Record] = []
    message: dict[str, str] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        start = _start(line)
        if start is not None:
            author, first_line = _author(start)
            message = {"author": author, "text": first_line, "time": _when(start)}
            records.append((number, message))
        elif message is not None:
            message["text"] += "\n" + line.translate(_SPACES).rstrip()
    added: list[Record] = []
    for number, message in records:
        message["text"], rest = _said(message["text"])
        if rest:
            added.append(
                (number, {"author": "", "text": rest, "time": message["time"]})
            )
    yield [*records, *added]


def _start(line: str) -> re.Match[str] | None:
    start = _START.match(_plain(line).lstrip(_MARK))
    when = _when(start) if start else ""
    has_clock = re.search(r"\d{1,2}[:.h]\d{2}", when) and len(
        re.findall(r"\d+", when)
    ) in (5, 6)
    return start if has_clock else None


def _plain(line: str) -> str:
    """The line with ordinary spaces. Direction marks go, except the left-to-right mark
    in what is said.
    """
    line = line.translate(_SPACES)
    if line.isascii():
        return line
    head, colon, text = line.partition(": ")
    head = head.translate(_BIDI).replace(_MARK, "")
    return digits(head[:45]) + head[45:] + colon + text.translate(_BIDI)


def _when(start: re.Match[str]) -> str:
    return start["iphone"] or start["android"]


def _author(start: re.Match[str]) -> tuple[str, str]:
    """Who wrote the message, and its first line; ("", "") for a notice, which has no
    author.
    """
    name, colon, first_line = start["rest"].partition(": ")
    if not colon and name.endswith(":"):
        name, colon = name[:-1], ":"
    name = name.strip().removeprefix("~").strip()
    if (
        not colon
        or not name
        or len(name) > _LONGEST_NAME
        or any(sign in name for sign in '"“”«»')
    ):
        return "", ""
    return name, first_line


def _said(text: str) -> tuple[str, str]:
    """The person's own words, "" if there are none, and what the phone added to them:
    without a first line that only names a picture or a notice.
    """
    if _DOCUMENT.match(text):
        return "", text.replace(_MARK, "")
    marked = text.startswith(_MARK)
    own, mark, added = text.lstrip(_MARK).rpartition(f" {_MARK}")
    if not mark or added.lower() not in NOTICES:  # the mark is the writer's
        own, added = own + mark + added, ""
    own = own.replace(_MARK, "")
    first, _, rest = own.partition("\n")
    if _NOTICE.fullmatch(first.strip()):  # perhaps a picture and the words below it
        return "" if first.startswith("<") else rest.strip(), added
    return "" if marked else _EDITED.sub("", own.strip()), added
