"""Reads a text or a document as the examples in it, or as one text to learn from."""

import re
from collections.abc import Sequence
from pathlib import Path

from backend.datasets.chats.transcript import turns_in
from backend.datasets.documents.blocks import Block, Document, Rows
from backend.datasets.documents.questions import (
    LEAST,
    MARKS,
    TEXT,
    Pairs,
    asks,
    find,
    propose,
)
from backend.datasets.read.cells import as_records, split_header, unique_names
from backend.datasets.read.file import OpenSource
from backend.datasets.read.header import find_header, is_header, known_columns
from backend.errors import BadInput
from backend.files.json_file import read_json
from backend.records.reading import ReadOptions
from backend.records.rows import FileDetails, PassedOver, Proposal
from backend.text.excerpt import excerpt

_TABLE_ROWS = 3  # that a table without usual column names has at least
_MOSTLY = 0.6  # share of the text that is in tables
_QUOTED = 200  # characters
_MIN_LENGTH = 200  # characters of a text to learn from
_MIN_LINES, _MAX_LINES = 3, 400  # that tell what kind of text it is
_MIN_SHARE = 0.6  # of the lines that are not comments
_ASKING = 3  # lines that ask, of which the answers may stand anywhere
_WORDS = read_json(Path(__file__).with_name("words.json"))


def open_text(
    document: Document, text: str, options: ReadOptions, prose: bool = True
) -> OpenSource:
    """The examples in a document, or all of it as one text, with the other likely ways
    to read it. Raises BadInput where it is neither.

    text: all of it as it is written
    prose: it may be meant to be learned as a whole, unlike a web page with its menus
    """
    if "text" in (options.shape, options.marks):
        return _one_text(text)
    if options.marks:
        return _marked(document, options.marks)
    chosen = bool(options.shape or options.mapping)
    likely = propose(document.blocks, least=0 if chosen else LEAST)
    if options.shape:
        likely = [own for own in likely if _shape(own) == options.shape]
    fitting = [own for own in likely if own.certain or own.score > TEXT]
    if table := _table(document, bool(fitting)):
        return table
    if likely and (chosen or likely[0].certain):
        return _from_pairs(likely[0])
    asking = sum(asks(line) for line in document.text.split("\n"))
    plain = (not likely and asking < _ASKING) or (
        not fitting and turns_in(text, whole=True)  # a chat, which is divided later
    )
    if prose and (chosen or plain):
        return _one_text(text)
    if not (likely or prose):
        raise BadInput(
            "No questions with answers were found in this web page.",
            "Its text is mixed with menus and notices that a model should not learn.",
            "Save the part that you need as text, or put questions and answers into a table.",
        )
    short = len(text.strip()) < _MIN_LENGTH
    better = fitting if prose and not short else likely  # than all of it as one text
    opened = _from_pairs(likely[0]) if better else _one_text(text)
    opened.proposals = [Proposal(_title(own), {"marks": own.mark}) for own in likely]
    if not short:
        whole = Proposal("one text to learn from as it is", {"shape": "text"})
        opened.proposals.insert(len(better), whole)
    opened.guess = f"Read as {opened.proposals[0].title}."
    return opened


def _marked(document: Document, mark: str) -> OpenSource:
    """The examples whose questions have a mark. Raises BadInput where none has it."""
    if mark in MARKS and (pairs := find(mark, document.blocks)):
        return _from_pairs(pairs)
    raise BadInput(
        "This text has no such questions.",
        f"No two questions in it are marked by: {mark}.",
        f"Choose another mark: {', '.join(MARKS)}, text.",
    )


def _one_text(text: str) -> OpenSource:
    """A source whose only record is this text. Raises BadInput when it is too short to
    learn from.
    """
    if (length := len(text.strip())) < _MIN_LENGTH:
        raise BadInput(
            f"This text is too short to learn from: {length} characters.",
            "Plain text is used as a document, from which the model learns how to write.",
            f"Add questions with answers (as a table or as JSON), or a text of at least {_MIN_LENGTH} characters.",
        )
    opened = OpenSource(iter([[(1, {"text": text})]]))
    if name := _looks_like(text):
        message = f"This looks like {name}. The model would learn to write such lines."
        opened.notes.append(
            (
                "not_prose",
                message,
                "Choose another file if you picked this one by mistake.",
            )
        )
    return opened


def _table(document: Document, fitting: bool) -> OpenSource | None:
    """The examples in the tables of a document: in those with the usual column names,
    or in one that is most of it. fitting: its text holds questions with answers.
    """
    known = [rows for rows in document.tables if _header_of(rows)]
    large = [rows for rows in document.tables if len(rows) >= _TABLE_ROWS]
    for tables, least in ((known, 1 / 2 if fitting else 0), (large[:1], _MOSTLY)):
        inside = sum(len(own.text) for own in document.blocks if own.rows in tables)
        if tables and inside > least * len(document.text):
            return _from_tables(tables, document)
    return None


def _header_of(rows: Rows) -> tuple[str, ...]:
    """The header of a table with the usual column names of examples; () without them."""
    header, _ = find_header(rows)
    return (
        tuple(rows[header][1])
        if header is not None and known_columns(rows[header][1])
        else ()
    )


def _from_tables(tables: list[Rows], document: Document) -> OpenSource:
    """The rows of the first table, and of those with the same columns."""
    first = _header_of(tables[0])
    used = [
        tables[0],
        *(table for table in tables[1:] if first and _header_of(table) == first),
    ]
    rows = [
        *tables[0],
        *(row for table in used[1:] for row in table[find_header(table)[1] :]),
    ]
    if first or not is_header(rows[0][1]):
        names, below, _ = split_header(iter(rows))
    else:  # the first row of a table in a text is its header, however it looks
        names, below = unique_names(rows[0][1]), iter(rows[1:])
    outside = _outside([own for own in document.blocks if own.rows not in used])
    return OpenSource(as_records(below, names, pad=True), passed=outside)


def _shape(pairs: Pairs) -> str:
    talks = any("messages" in record for _, record in pairs.records)
    return "messages" if talks else "question_answer"


def _title(pairs: Pairs) -> str:
    """What each example is, in words."""
    if _shape(pairs) == "messages":
        return "conversations, in which the second speaker answers"
    return f"questions with answers, where {MARKS[pairs.mark].title} is a question"


def _from_pairs(pairs: Pairs) -> OpenSource:
    cue = f"{MARKS[pairs.mark].title}, answer = what follows"
    return OpenSource(
        iter([list(pairs.records)]),
        FileDetails(cue=cue),
        passed=_outside(pairs.outside),
    )


def _outside(blocks: Sequence[Block]) -> list[PassedOver]:
    why = "text outside the examples"
    return [
        PassedOver(why, excerpt(own.text, width=_QUOTED), own.line) for own in blocks
    ]


_COMMENT, _LOG, _SETTING = (
    re.compile(rf"\s*(?:{'|'.join(_WORDS[name])})")
    for name in ("comment", "log", "setting")
)
_CHAT = re.compile(
    r"\s*\[[^\]\n]{0,40}\d{1,2}:\d\d[^\]\n]{0,12}\]"
)  # [1.3.26 10:00] ann
_KINDS = (
    (_CHAT, "a copied chat", 0.25),
    (_LOG, "a log", _MIN_SHARE),
    (_SETTING, "a configuration file", _MIN_SHARE),
)


def _looks_like(text: str) -> str:
    """The kind of text that this looks like: "a log", "a configuration file", "a copied
    chat", or "" for prose.
    """
    lines = [
        line
        for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]
        if line.strip() and not _COMMENT.match(line)
    ]
    for pattern, name, share in _KINDS if len(lines) >= _MIN_LINES else ():
        if sum(bool(pattern.match(line)) for line in lines) >= share * len(lines):
            return name
    return ""
