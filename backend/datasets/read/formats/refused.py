"""Rejects files that hold no text to learn from, with a word on what they are."""

import re
from typing import NoReturn

from backend.datasets.chats.transcript import is_transcript
from backend.datasets.read.file import File, Reader
from backend.datasets.read.formats.text import is_html
from backend.errors import BadInput

_SAVE_TEXT = "Save or export its text as a spreadsheet (.xlsx, .csv) or as plain text, and upload that."
_UPLOAD_TEXT = "Upload text."
_NO_MODEL = "Upload examples here; you choose the model on another page."
_UNPACK = "Unpack it, and upload the file inside."
# The first bytes of a file, what it is, and what to do with it.
_NOT_DATA: tuple[tuple[bytes | tuple[bytes, ...], str, str], ...] = (
    ((b"\x89PNG", b"\xff\xd8\xff", b"GIF8"), "an image", _UPLOAD_TEXT),
    (b"RIFF", "an image, sound or video", _UPLOAD_TEXT),
    ((b"ID3", b"OggS"), "a sound file", _UPLOAD_TEXT),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Office document (.doc, .xls, .ppt), a mail of Outlook (.msg), or has a "
        "password",
        "Save it as .xlsx, .docx, .pdf or .csv without a password, or the mail as .txt "
        "or .eml, and upload that.",
    ),
    (b"{\\rtf", "a rich text document (.rtf)", "Save it as .docx, and upload that."),
    (
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        "a Python pickle, which can run code when it is opened",
        f"It is never opened here. {_NO_MODEL}",
    ),
    (b"GGUF", "a model, not a dataset", _NO_MODEL),
    (
        (b"ARROW1", b"\xff\xff\xff\xff"),
        "an Arrow file",
        "Save it as Parquet, and upload that.",
    ),
    (b"SQLite format 3", "a database", "Export the table that you need as CSV."),
    ((b"7z\xbc\xaf", b"Rar!"), "a packed archive", _UNPACK),
    ((b"\x7fELF", b"MZ\x90"), "a program", _UPLOAD_TEXT),
    ((b"\x93NUMPY", b"\x89HDF"), "an array of numbers", _UPLOAD_TEXT),
)
# The beginning of a text, and what it is.
_OF_PROGRAMS = [
    (re.compile(begin, re.IGNORECASE), what)
    for begin, what in (
        (r"BEGIN:VCALENDAR", "a calendar"),
        (r"BEGIN:VCARD", "an address book"),
        (r"(WEBVTT\b|\d+\r?\n\d\d:\d\d:\d\d[,.]\d{3} --> )", "a file of subtitles"),
        (
            r"(?:--[^\n]*\n|/\*(?:(?!\*/).)*\*/;?|\s)*"
            r"(?:CREATE TABLE\s+(?:IF NOT EXISTS\s+)?\S+\s*\(|INSERT INTO\s+\S+\s*(?:\(|VALUES\b))",
            "a dump of a database",
        ),
    )
]
_CONTROL = [chr(code) for code in range(32) if chr(code) not in "\t\n\r\f\x1b"]


def refusal(head: bytes, text: str) -> BadInput | None:
    """Why a file is no text to learn from; None for text. head: its first bytes. text:
    the same decoded.
    """
    for marks, what, advice in _NOT_DATA:
        if head.startswith(marks):
            return BadInput(
                f"This file is {what}.", "A model can only learn from text.", advice
            )
    if (
        head[8:9] == b"{"
        and int.from_bytes(head[:8], "little") < 1 << 32
        and b"\x00" in head[:8]
    ):
        return BadInput(
            "This file is a model (safetensors), not a dataset.", "", _NO_MODEL
        )
    if head[257:262] == b"ustar":
        return BadInput("This file is a packed archive (tar).", "", _UNPACK)
    control = sum(map(text.count, _CONTROL))
    if control > 20 and control > 0.03 * len(text):
        return BadInput(
            "This file is not text.", "A model can only learn from text.", _SAVE_TEXT
        )
    for begins, what in _OF_PROGRAMS:
        if begins.match(text[:4000].lstrip("\ufeff\r\n ")) and not is_transcript(text):
            return BadInput(
                f"This file is {what}.",
                "It is meant for a program, not for people to read.",
                _SAVE_TEXT,
            )
    if re.match(r"\s*<\?xml", text[:1000], re.IGNORECASE) and not is_html(text):
        return BadInput(
            "This file is XML.",
            "Its text is mixed with markup that no model should learn.",
            _SAVE_TEXT,
        )
    return None


def _refuse(file: File) -> NoReturn:
    raise refusal(file.head, file.text) or AssertionError


READER = Reader(
    "",
    "another kind of file",
    lambda file: refusal(file.head, file.text) is not None,
    _refuse,
    _refuse,
)
