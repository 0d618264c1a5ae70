"""Rejects files that hold no text to learn from, with a word on what they are."""

import re
from pathlib import Path
from typing import NoReturn

from backend.datasets.chats.transcript import is_transcript
from backend.datasets.read.file import File, Reader
from backend.datasets.read.formats.text import is_html
from backend.errors import BadInput
from backend.files.json_file import read_json

_SAVE_TEXT = "Save or export its text as a spreadsheet (.xlsx, .csv) or as plain text, and upload that."
# What a file is and what to do with it, by its first bytes in hexadecimal; and what a
# text is, by its beginning.
_TABLES = read_json(Path(__file__).with_suffix(".json"))
_NOT_DATA = [
    (bytes.fromhex(mark), what, advice)
    for marks, what, advice in _TABLES["files"]
    for mark in marks.split()
]
_OF_PROGRAMS = [
    (re.compile(begin, re.IGNORECASE), what) for begin, what in _TABLES["texts"]
]
_NO_MODEL, _UNPACK = _TABLES["no model"], _TABLES["unpack"]
_CONTROL = [chr(code) for code in range(32) if chr(code) not in "\t\n\r\f\x1b"]


def refusal(head: bytes, text: str) -> BadInput | None:
    """Why a file is no text to learn from; None for text. head: its first bytes. text:
    the same decoded.
    """
    for mark, what, advice in _NOT_DATA:
        if head.startswith(mark):
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
