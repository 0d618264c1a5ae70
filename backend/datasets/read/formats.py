"""Detects the format of a file from its first bytes; its name only decides unclear cases."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter

from backend.datasets.convert.shapes import NAMES, plain_name
from backend.datasets.read.json_document import find_list
from backend.errors import BadInput

_ZIP = b"PK\x03\x04"
_SAVE_TEXT = "Save or export its text as a spreadsheet (.xlsx, .csv) or as plain text, and upload that."
_SAVE_NEW = "Save it as .xlsx, .docx or .csv without a password, and upload that."
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
    (b"\xd0\xcf\x11\xe0", "an old Office document (.doc or .xls), or one with a password", _SAVE_NEW),
    (b"{\\rtf", "a rich text document (.rtf)", _SAVE_TEXT),
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
_KNOWN = frozenset(name for names in NAMES.values() for name in names)
_CONTROL = [chr(code) for code in range(32) if chr(code) not in "\t\n\r\f\x1b"]
_TITLES, _UNDER_TITLES = 5, 3  # lines above a table at most, and in it at least
DELIMITERS = (",", ";", "\t", "|")


def binary_format(head: bytes) -> str | None:
    """The binary format, "zip", "parquet" or "pdf"; None for text. Raises BadInput for any other binary file."""
    if head.startswith(_ZIP):
        return "zip"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"%PDF"):
        return "pdf"
    for mark, what, advice in _NOT_DATA:
        if head.startswith(mark):
            raise BadInput(f"This file is {what}.", "A model can only learn from text.", advice)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32 and b"\x00" in head[:8]:
        raise BadInput("This file is a model (safetensors), not a dataset.", "", _NO_MODEL)
    if head[257:262] == b"ustar":
        raise BadInput("This file is a packed archive (tar).", "", _UNPACK)
    return None


def check_text(text: str) -> None:
    """Raises BadInput when the decoded file is not text, or is XML."""
    control = sum(map(text.count, _CONTROL))
    if control > 20 and control > 0.03 * len(text):
        raise BadInput("This file is not text.", "A model can only learn from text.", _SAVE_TEXT)
    for begins, what in _OF_PROGRAMS:
        if begins.match(text[:4000].lstrip("\ufeff\r\n ")):
            raise BadInput(f"This file is {what}.", "It is meant for a program, not for people to read.", _SAVE_TEXT)
    if re.match(r"\s*<\?xml", text[:1000], re.IGNORECASE) and not is_html(text):
        raise BadInput(
            "This file is XML.", "Its text is mixed with markup that a model should not learn.", _SAVE_TEXT
        )


def is_html(text: str) -> bool:
    """Whether a text is a web page, or begins as a part of one."""
    start = re.sub(r"^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*", "", text[:4000], flags=re.DOTALL)
    first = r"<(!doctype html|html|head|body|(table|dl|h[1-6]|div|section|article|details)\b[^>]*>)"
    return re.match(first, start, re.IGNORECASE) is not None


def text_format(text: str, whole: bool, name: str) -> tuple[str, str]:
    """The format of a text and its delimiter: "jsonl", "json", "csv", "html",
    "yaml" or "text", and "" unless it is "csv".

    text: the first 64 KiB at most. whole: whether that is all of it. name: of the file, for unclear cases.
    """
    if declared_delimiter(text):
        return "csv", declared_delimiter(text)
    if is_html(text):
        return "html", ""
    suffixes = name.lower().split(".")[1:]
    if not {"yaml", "yml"}.isdisjoint(suffixes):
        return "yaml", ""
    start = text.lstrip()[:1]
    lines = text.split("\n")
    if not whole and len(lines) > 1:
        lines.pop()  # cut off
    lines = [line for line in (line.strip() for line in lines) if line]
    if start and start in "{[" and _json_like(text.lstrip()):
        return ("jsonl" if _is_lines(lines, start) else "json"), ""
    if _parses(lines[:20]) * 2 >= len(lines[:20]):  # some lines are broken, but most are JSON
        return "jsonl", ""
    delimiter = sniff_delimiter(text, whole, suffixes)
    if delimiter:
        return "csv", delimiter
    if not {"jsonl", "ndjson"}.isdisjoint(suffixes):
        return "jsonl", ""
    return "text", ""


def is_table(text: str, delimiter: str) -> bool:
    """Whether a text with this delimiter is a table, whatever its cells are: by its header, or by its tabs."""
    lines = [line for line in text.lstrip("\ufeff\r\n").split("\n") if line.strip()]
    if delimiter == "\t":
        first = [line.partition("\t")[0].strip() for line in lines]
        marks = sum(not cell or (len(cell) <= 12 and cell[-1] in ":：.)") for cell in first)
        return 5 * marks < len(first)  # otherwise a list: indented, or with marks such as "Q:" and "1."
    header = lines[0].split(delimiter) if lines and delimiter in (",", ";") else []
    return len(header) > 1 and all(plain_name(cell) in _KNOWN for cell in header)


def declared_delimiter(text: str) -> str:
    """The delimiter from a first line such as "sep=;" (Excel reads and writes it), else ""."""
    first_line = text.partition("\n")[0].rstrip("\r")
    return first_line[4] if first_line.startswith("sep=") and len(first_line) == 5 else ""


def _json_like(text: str) -> bool:
    if text[0] == "{":
        return text[1:].lstrip()[:1] in ('"', "}", "'", "")
    return re.match(r"\[\s*([{\[\"'\]]|-?\d[\d.eE+-]*\s*([,\]]|$)|null|true|false|$)", text) is not None


def _parses(lines: list[str]) -> int:
    count = 0
    for line in lines:
        try:
            count += isinstance(json.loads(line), (dict, list))
        except (ValueError, RecursionError):
            continue
    return count


def _is_lines(lines: list[str], start: str) -> bool:
    """Whether each line is a JSON value of its own, even if the first line is broken."""
    lines = lines[:50]
    if start == "[":
        return len(lines) > 1 and _parses(lines[:1]) == 1
    if len(lines) == 1:
        return find_list(lines[0].encode("utf-8", "replace")) is None
    first_is_whole = _parses(lines[:1]) == 1 or (len(lines[0]) > 1 and lines[0].endswith("}"))
    return first_is_whole or 2 * _parses(lines) >= len(lines)


def sniff_delimiter(text: str, whole: bool, suffixes: list[str]) -> str:
    """The delimiter that gives most records the same number of cells, two or more; "" when this is not a table.

    suffixes: of the file name: with "csv" it must be a table, with "txt" the signs must be clearer.
    """
    table = not {"csv", "tsv", "tab"}.isdisjoint(suffixes)
    prose = not {"txt", "md", "markdown"}.isdisjoint(suffixes)
    best, best_score = "", 0.0
    for delimiter in DELIMITERS:
        widths, first = _widths(text, delimiter, whole)
        if len(first) < 2:
            continue
        width, agreeing = Counter(widths).most_common(1)[0]
        known = sum(plain_name(cell) in _KNOWN for cell in first)
        if known > 1:  # the header counts, even if most texts contain the delimiter
            width, agreeing = len(first), max(agreeing, sum(cells >= len(first) for cells in widths))
        share = agreeing / len(widths)
        by_tabs = delimiter == "\t" and bool(first[0].strip())  # no indented text
        orderly = len(widths) >= 3 and share > 0.9 and (by_tabs or (is_header(first) and not prose))
        score = share + min(known, 2) / 4 + min(width, 10) / 100
        score -= text.count(f"{delimiter} ") / max(text.count(delimiter), 1) / 5  # as in sentences
        if width >= 2 and share >= 0.5 and (table or known > prose or orderly) and score > best_score:
            best, best_score = delimiter, score
    return best or ("," if table else "")


def _widths(text: str, delimiter: str, whole: bool) -> tuple[list[int], list[str]]:
    lines = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    records = []
    try:
        for record in csv.reader([line + "\n" for line in lines], delimiter=delimiter):
            if record:
                records.append(record)
    except csv.Error:
        records.append([])
    if not whole and len(records) > 1:
        records.pop()
    titles = next((n for n, record in enumerate(records[: _TITLES + 1]) if len(record) > 1), 0)
    if titles and len(records) >= titles + _UNDER_TITLES:
        records = records[titles:]
    return [len(record) for record in records[:200]], records[0] if records else []


def is_header(cells: list[str]) -> bool:
    """Whether these can be column names: short, distinct, not sentences."""
    names = [cell.strip() for cell in cells]
    return len(set(names)) == len(names) and all(0 < len(n) <= 40 and n[-1] not in ".?!,;" for n in names)
