"""Rejects files that hold no text to learn from, with a word on what they are."""

import re

from backend.datasets.chats.transcript import is_transcript
from backend.datasets.read.file import File, OpenSource, Reader
from backend.datasets.read.formats.text import is_html
from backend.errors import BadInput

_SAVE_TEXT = "Save or export its text as a spreadsheet (.xlsx, .csv) or as plain text, and upload that."
_SAVE_NEW = "Save it as .xlsx, .docx, .pdf or .csv without a password, or the mail as .txt or .eml, and upload that."
_UPLOAD_TEXT = "Upload text."
_NO_MODEL = "Upload examples here; you choose the model on another page."
_UNPACK = "Unpack it, and upload the file inside."
_PARQUET = "Save it as Parquet, and upload that."
_PICKLE = "a Python pickle, which can run code when it is opened"
_NOT_DATA: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG", "an image", _UPLOAD_TEXT),
    (b"\xff\xd8\xff", "an image", _UPLOAD_TEXT),
    (b"GIF8", "an image", _UPLOAD_TEXT),
    (b"RIFF", "an image, sound or video", _UPLOAD_TEXT),
    (b"ID3", "a sound file", _UPLOAD_TEXT),
    (b"OggS", "a sound file", _UPLOAD_TEXT),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Office document (.doc, .xls, .ppt), a mail of Outlook (.msg), or has a password",
        _SAVE_NEW,
    ),
    (b"{\\rtf", "a rich text document (.rtf)", "Save it as .docx, and upload that."),
    *((bytes([0x80, version]), _PICKLE, f"It is never opened here. {_NO_MODEL}") for version in range(2, 6)),
    (b"GGUF", "a model, not a dataset", _NO_MODEL),
    (b"ARROW1", "an Arrow file", _PARQUET),
    (b"\xff\xff\xff\xff", "an Arrow file", _PARQUET),
    (b"SQLite format 3", "a database", "Export the table that you need as CSV."),
    *((mark, "a packed archive", _UNPACK) for mark in (b"7z\xbc\xaf", b"Rar!")),
    (b"\x7fELF", "a program", _UPLOAD_TEXT),
    (b"MZ\x90", "a program", _UPLOAD_TEXT),
    (b"\x93NUMPY", "an array of numbers", _UPLOAD_TEXT),
    (b"\x89HDF", "an array of numbers", _UPLOAD_TEXT),
)
_OF_PROGRAMS = (
    (re.compile(r"BEGIN:VCALENDAR"), "a calendar"),
    (re.compile(r"BEGIN:VCARD"), "an address book"),
    (re.compile(r"(WEBVTT\b|\d+\r?\n\d\d:\d\d:\d\d[,.]\d{3} --> )"), "a file of subtitles"),
    (
        re.compile(
            r"(?:--[^\n]*\n|/\*(?:(?!\*/).)*\*/;?|\s)*"
            r"(?:CREATE TABLE\s+(?:IF NOT EXISTS\s+)?\S+\s*\(|INSERT INTO\s+\S+\s*(?:\(|VALUES\b))",
            re.IGNORECASE,
        ),
        "a dump of a database",
    ),
)
_CONTROL = [chr(code) for code in range(32) if chr(code) not in "\t\n\r\f\x1b"]


def refusal(head: bytes, text: str) -> BadInput | None:
    """Why a file is no text to learn from; None for text. head: its first bytes. text: the same decoded."""
    for mark, what, advice in _NOT_DATA:
        if head.startswith(mark):
            return BadInput(f"This file is {what}.", "A model can only learn from text.", advice)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32 and b"\x00" in head[:8]:
        return BadInput("This file is a model (safetensors), not a dataset.", "", _NO_MODEL)
    if head[257:262] == b"ustar":
        return BadInput("This file is a packed archive (tar).", "", _UNPACK)
    control = sum(map(text.count, _CONTROL))
    if control > 20 and control > 0.03 * len(text):
        return BadInput("This file is not text.", "A model can only learn from text.", _SAVE_TEXT)
    for begins, what in _OF_PROGRAMS:
        if begins.match(text[:4000].lstrip("\ufeff\r\n ")) and not is_transcript(text):
            return BadInput(f"This file is {what}.", "It is meant for a program, not for people to read.", _SAVE_TEXT)
    if re.match(r"\s*<\?xml", text[:1000], re.IGNORECASE) and not is_html(text):
        return BadInput("This file is XML.", "Its text is mixed with markup that no model should learn.", _SAVE_TEXT)
    return None


def _open(file: File) -> OpenSource:
    raise refusal(file.head, file.text) or AssertionError


READER = Reader("", "", lambda file: refusal(file.head, file.text) is not None, _open)
