"""Reads chats, mailboxes and copied e-mails as text, and the records of files that hold
conversations.
"""

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace
from itertools import chain
from typing import Any

from backend.datasets.chats import transcript, whatsapp
from backend.datasets.chats.mail import MAIL, is_mail, mail_messages
from backend.datasets.chats.pasted_mail import is_pasted_mail, pasted_mails
from backend.datasets.chats.read_chat import chat_format, read_chat
from backend.datasets.convert.detect import Record, match
from backend.datasets.convert.nested import flat, is_nested
from backend.datasets.convert.propose import propose
from backend.datasets.read.file import File, OpenSource, Reader, each_object
from backend.datasets.read.formats.text import as_document
from backend.datasets.read.source import line_blocks
from backend.records.reading import ReadOptions
from backend.records.rows import columns_of
from backend.text.excerpt import excerpt

_LOOKED_AT = 50  # rows
_ADDRESS = re.compile(r"(?:https?:/|www\.|[./#])\S*")  # of a page, or a place in one


def _open_transcript(file: File) -> OpenSource:
    records, passed = transcript.read_transcript(file.whole_text())
    opened = OpenSource(iter([records]), chat=transcript.TRANSCRIPT)
    if outside := " ".join(passed.split()):
        message = f"Text that belongs to no message was passed over: {excerpt(outside, width=200)}"
        opened.notes.append(
            (
                "text_passed_over",
                message,
                "Add it to a message if the model should learn it.",
            )
        )
    return opened


def read_conversations(opened: OpenSource, options: ReadOptions) -> None:
    """Turns records that are conversations into examples, or else, also where the user
    chose columns, gives dotted names to what lies inside objects. Raises BadInput when
    fewer than two people write.
    """
    chosen = {*columns_of(options.mapping or {}), *options.only}
    if chosen:
        _flatten(opened, chosen)
    if options.shape or chosen:
        return
    if opened.chat is None:
        _divide_cells(opened)
    sample = opened.sample()
    chat = opened.chat or chat_format(sample)
    if chat is None and _flatten(opened, chosen):
        chat = chat_format(opened.sample())
    if chat is None or not sample:
        return
    examples = read_chat(
        chain.from_iterable(opened.records), chat, options.imitate, options.pairs
    )
    opened.records = iter([examples.records])
    opened.passed += examples.passed
    opened.guess, opened.proposals = examples.guess, examples.proposals
    if examples.long:
        fix = "If they don't belong together, make an example of each (on the command line: --pairs)."
        opened.notes.append(("long_chats", examples.long, fix))
    opened.notes.append(
        ("chat", examples.note, "If that is wrong, choose somebody else to learn from.")
    )
    opened.details = replace(
        opened.details,
        title=chat.title,
        people=examples.people,
        imitate=examples.imitate,
    )


def _divide_cells(opened: OpenSource) -> None:
    """Gives each message a row where a cell of each row is a whole conversation."""
    rows = [record for _, record in opened.sample() if isinstance(record, dict)][
        :_LOOKED_AT
    ]
    matched = match(rows[0]) if rows else None
    used = matched.mapping.values() if matched and matched.shape != "text" else ()
    whole = (
        [*rows[0]] == ["text"] and opened.format in ("text", "markdown")
        if rows
        else False
    )  # lines of the file
    for column in (name for name in (rows[0] if rows else ()) if name not in used):
        cells = [
            cell
            for row in rows
            if isinstance(cell := row.get(column), str) and cell.strip()
        ]
        talks = sum(bool(transcript.turns_in(cell, whole)) for cell in cells)
        if 2 * len(cells) > len(rows) and talks > 0.8 * len(cells):
            opened.records = (
                [*chain.from_iterable(_turns(column, *r, whole) for r in b)]
                for b in opened.records
            )
            return


def _turns(column: str, line: int, row: Any, whole: bool) -> Iterator[Record]:
    cell = str(row.get(column) or "") if isinstance(row, dict) else ""
    for at, author, text in transcript.turns_in(cell, whole) or [(line, "", cell)]:
        turn = {"conversation_id": line, "author": author, "text": text}
        yield at if whole else line, turn if isinstance(row, dict) else row


def _flatten(opened: OpenSource, chosen: Set[str]) -> bool:
    """Gives dotted names to what lies inside the objects of records, where most have
    any and are no examples or lack what is `chosen`; other records that are
    conversations stay. A list is divided where it holds a column that is chosen or,
    with none, that would be read. Whether it does.
    """

    def wanted(record: dict[str, Any]) -> bool:
        return not chosen <= {*record} or (
            match(record) is None and chosen <= {*flat(record)}
        )

    records = [record for _, record in opened.sample() if isinstance(record, dict)]
    if 2 * sum(is_nested(record) and wanted(record) for record in records) <= len(
        records
    ):
        return False
    columns = chosen or _read_from(
        [part for record in records for part in _pairs(record)[:_LOOKED_AT]]
    )

    def apart(_: int, record: dict[str, Any]) -> list[dict[str, Any]]:
        matched = None if wanted(record) else match(record)
        return (
            [record]
            if matched and matched.shape in ("messages", "sharegpt")
            else _pairs(record, columns)
        )

    opened.records = each_object(opened.records, apart)
    return True


def _read_from(records: Sequence[dict[str, Any]]) -> set[str]:
    """The columns of the pairs in flat records, by their names or else by what they
    hold.
    """
    matches = [
        matched
        for record in records
        if (matched := match(record)) and matched.shape != "text"
    ]
    guessed = [] if matches else propose(records)[:1]
    columns = {column for found in matches for column in found.mapping.values()}
    return columns | {column for own in guessed for column in columns_of(own)}


def _pairs(
    record: dict[str, Any], columns: Set[str] = frozenset()
) -> list[dict[str, Any]]:
    """The flat record, or one for each pair where it has none of its own but a list of
    them, with any of `columns`.
    """
    for name, items in record.items():
        objects = (
            isinstance(items, list)
            and items
            and all(isinstance(item, dict) for item in items)
        )
        used = not columns or any(column.startswith(f"{name}.") for column in columns)
        if (
            objects
            and used
            and all(sum(map(_is_text, item.values())) > 1 for item in items)
        ):
            rest = {other: value for other, value in record.items() if other != name}
            if match(flat(rest)) is None:
                return [flat({**rest, name: item}) for item in items]
    return [flat(record)]


def _is_text(cell: Any) -> bool:
    return isinstance(cell, str) and not _ADDRESS.fullmatch(cell.strip())


def _is_mailbox(file: File) -> bool:
    return (
        file.detects
        and is_mail(file.head)
        and not is_pasted_mail(file.head.decode("utf-8", "replace"))
    )


def _open_mailbox(file: File) -> OpenSource:
    blocks = line_blocks(
        file.source.blocks(), file.options.limits.line_bytes
    )  # each mail has its own encodings
    return OpenSource(
        mail_messages(line or b"" for lines in blocks for line in lines), chat=MAIL
    )


def _of_text(
    matches: Callable[[str], bool], read: Callable[[File], OpenSource]
) -> Reader:
    return Reader(
        "text",
        "plain text",
        lambda file: file.detects and matches(file.text),
        read,
        as_document,
    )


MAILBOX = Reader("mail", "e-mail", _is_mailbox, _open_mailbox, binary=True)
PASTED_MAIL = _of_text(
    is_pasted_mail, lambda file: OpenSource(pasted_mails(file.whole_text()), chat=MAIL)
)
WHATSAPP = _of_text(
    whatsapp.is_whatsapp,
    lambda file: OpenSource(
        whatsapp.whatsapp_messages(file.whole_text()), chat=whatsapp.WHATSAPP
    ),
)
TRANSCRIPT = _of_text(transcript.is_transcript, _open_transcript)
