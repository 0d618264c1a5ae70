"""Reads the conversations in a zip file as the services provide it: ChatGPT, Claude, WhatsApp, Slack, Meta, Google.

One table says which files of it hold conversations; pictures, settings and web pages are skipped.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backend.datasets.chats.format import ChatFormat
from backend.datasets.chats.mail import MAIL, mail_messages
from backend.datasets.chats.paths import first
from backend.datasets.chats.whatsapp import WHATSAPP, whatsapp_messages
from backend.datasets.convert.detect import Record
from backend.datasets.documents.archive import damaged
from backend.datasets.read.json_document import document
from backend.datasets.read.source import BLOCK, ByteSource, line_blocks
from backend.files.listing import is_hidden
from backend.records.reading import ZIP_ERRORS, Limits, RowFault

_MOST_FILES = 100_000
Reader = Callable[[Iterator[bytes], Limits], Iterator[list[Record]]]


def _json(blocks: Iterator[bytes], limits: Limits) -> Iterator[list[Record]]:
    return document(blocks, limits)[0]


def _lines(blocks: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    for lines in line_blocks(blocks, limits.line_bytes):
        yield from (line or b"" for line in lines)


def _mail(blocks: Iterator[bytes], limits: Limits) -> Iterator[list[Record]]:
    return mail_messages(_lines(blocks, limits))


def _whatsapp(blocks: Iterator[bytes], limits: Limits) -> Iterator[list[Record]]:
    return whatsapp_messages(b"\n".join(_lines(blocks, limits)).decode("utf-8", "replace"))


@dataclass(frozen=True)
class _Content:
    """Files of one kind. files: what their paths look like; beside: a file that must be there too."""

    files: re.Pattern[str]
    read: Reader
    chat: ChatFormat | None = None
    beside: str = ""


_CONTENTS: tuple[_Content, ...] = (
    _Content(re.compile(r"(.*/)?conversations(-\d+)?\.json"), _json),  # ChatGPT, Claude
    _Content(re.compile(r"(.*/)?(_chat|WhatsApp[^/]*)\.txt"), _whatsapp, WHATSAPP),
    _Content(re.compile(r"(.*/)?messages/\w+/[^/]+/message_\d+\.json"), _json),  # Messenger, Instagram
    _Content(re.compile(r"[^/]+/\d{4}-\d\d-\d\d\.json"), _json, beside="users.json"),  # Slack
    _Content(re.compile(r"(.*/)?[^/]+\.mbox"), _mail, MAIL),  # Gmail
    _Content(re.compile(r"(.*/)?My ?Activity\.json"), _json),  # Gemini
    _Content(re.compile(r"(.*/)?result\.json"), _json),  # Telegram
)


def archive_records(source: ByteSource) -> tuple[Iterator[list[Record]], ChatFormat | None] | None:
    """The records of the conversations in a zip file, and how to read them where that is certain; None without any.

    Raises zipfile.BadZipFile and the like for a damaged file, BadInput when it unpacks to too much.
    """
    archive = zipfile.ZipFile(source.seekable())
    files = {
        info.filename: info
        for info in archive.infolist()[:_MOST_FILES]
        if not info.is_dir() and not is_hidden(info.filename)
    }
    for content in _CONTENTS:
        found = [info for name, info in sorted(files.items()) if content.files.fullmatch(name)]
        if found and (not content.beside or content.beside in files):
            read = [*found, files[content.beside]] if content.beside else found
            source.check_expansion(sum(info.file_size for info in read))  # zipfile reads no more than a file declares
            people = _people(archive, files[content.beside], source) if content.beside else {}
            return _records(archive, found, source, content, people), content.chat
    return None


def _records(
    archive: zipfile.ZipFile,
    found: list[zipfile.ZipInfo],
    source: ByteSource,
    content: _Content,
    people: Mapping[str, str],
) -> Iterator[list[Record]]:
    for info in found:
        folder = info.filename.rpartition("/")[0]
        for batch in content.read(_blocks(archive, info, source), source.limits):
            if content.chat is WHATSAPP:
                batch = [(line, {**message, "file": info.filename}) for line, message in batch]
            yield [_with_channel(record, folder, people) for record in batch] if content.beside else batch


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: ByteSource) -> Iterator[bytes]:
    try:
        with archive.open(info) as file:
            while block := file.read(BLOCK):
                source.check_cancelled()
                yield block
    except ZIP_ERRORS as error:
        raise damaged() from error


def _people(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: ByteSource) -> dict[str, str]:
    """The names of the people in Slack's users.json by their ids."""
    names = {}
    for batch in _json(_blocks(archive, info, source), source.limits):
        for _, user in batch:
            name = first(user, "profile.display_name", "profile.real_name", "real_name", "name")
            if isinstance(user, dict) and isinstance(user.get("id"), str) and isinstance(name, str):
                names[user["id"]] = name
    return names


def _with_channel(record: Record, channel: str, people: Mapping[str, str]) -> Record:
    """A message of Slack with the name of its author, and a thread that is no other channel's."""
    line, message = record
    if isinstance(message, RowFault) or not isinstance(message, dict):
        return record
    added: dict[str, Any] = {"thread_ts": f"{channel}/{message.get('thread_ts') or ''}"}
    if (name := people.get(str(message.get("user")))) is not None:
        added["user_profile"] = {"display_name": name}
    return line, {**message, **added}
