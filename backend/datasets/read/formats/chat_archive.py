"""Reads the conversations in a zip file as the services provide it: ChatGPT, Claude,
WhatsApp, Slack, Meta, Google.

One table says which files of it hold conversations; pictures, settings and web pages
are skipped.
"""

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.datasets.chats.format import ChatFormat
from backend.datasets.chats.mail import MAIL, mail_messages
from backend.datasets.chats.paths import first
from backend.datasets.chats.whatsapp import WHATSAPP, whatsapp_messages
from backend.datasets.convert.detect import Record
from backend.datasets.documents.archive import damaged
from backend.datasets.read.file import File, OpenSource, Reader
from backend.datasets.read.formats.json import document
from backend.datasets.read.source import BLOCK, ByteSource, line_blocks
from backend.files.listing import is_hidden
from backend.records.reading import ZIP_ERRORS, Limits, RowFault

_Read = Callable[[Iterator[bytes], Limits], Iterator[list[Record]]]


def _lines(blocks: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    for lines in line_blocks(blocks, limits.line_bytes):
        yield from (line or b"" for line in lines)


@dataclass(frozen=True)
class _Content:
    """Files of one kind. files: what their paths look like; beside: a file that must be
    there too.
    """

    files: re.Pattern[str]
    read: _Read
    chat: ChatFormat | None = None
    beside: str = ""


_CONTENTS: tuple[_Content, ...] = (
    _Content(
        re.compile(r"(.*/)?conversations(-\d+)?\.json"), document
    ),  # ChatGPT, Claude
    _Content(
        re.compile(r"(.*/)?(_chat|WhatsApp[^/]*)\.txt"),
        lambda blocks, limits: whatsapp_messages(
            b"\n".join(_lines(blocks, limits)).decode("utf-8", "replace")
        ),
        WHATSAPP,
    ),
    _Content(
        re.compile(r"(.*/)?messages/\w+/[^/]+/message_\d+\.json"), document
    ),  # Messenger, Instagram
    _Content(
        re.compile(r"[^/]+/\d{4}-\d\d-\d\d\.json"), document, beside="users.json"
    ),  # Slack
    _Content(
        re.compile(r"(.*/)?[^/]+\.mbox"),
        lambda *file: mail_messages(_lines(*file)),
        MAIL,
    ),  # Gmail
    _Content(re.compile(r"(.*/)?My ?Activity\.json"), document),  # Gemini
    _Content(re.compile(r"(.*/)?result\.json"), document),  # Telegram
)


def _find(file: File) -> tuple[_Content, list[zipfile.ZipInfo]] | None:
    """The conversations in an archive by their kind and their files; None without any."""
    infos = file.archive.infolist() if file.archive and not file.office else []
    files = {
        info.filename: info
        for info in infos
        if not (info.is_dir() or is_hidden(info.filename))
    }
    for content in _CONTENTS:
        matches = [
            info
            for name, info in sorted(files.items())
            if content.files.fullmatch(name)
        ]
        if matches and (not content.beside or content.beside in files):
            return content, matches
    return None


def _open(file: File) -> OpenSource:
    """The records of the conversations, and how to read them where that is certain.
    Raises BadInput for a damaged file, and when it unpacks to too much.
    """
    archive, found = file.archive, _find(file)
    assert archive is not None
    assert found is not None
    content, files = found
    beside = [archive.getinfo(content.beside)] if content.beside else []
    # zipfile reads no more of a file than it declares
    file.source.check_expansion(sum(info.file_size for info in [*files, *beside]))
    people = _people(archive, beside[0], file.source) if beside else {}
    return OpenSource(
        _records(archive, files, file.source, content, people), chat=content.chat
    )


def _records(
    archive: zipfile.ZipFile,
    files: Sequence[zipfile.ZipInfo],
    source: ByteSource,
    content: _Content,
    people: Mapping[str, str],
) -> Iterator[list[Record]]:
    for info in files:
        folder = info.filename.rpartition("/")[0]
        for batch in content.read(_blocks(archive, info, source), source.limits):
            if content.chat is WHATSAPP:
                batch = [
                    (line, {**message, "file": info.filename})
                    for line, message in batch
                ]
            yield (
                [_with_channel(record, folder, people) for record in batch]
                if content.beside
                else batch
            )


def _blocks(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: ByteSource
) -> Iterator[bytes]:
    try:
        with archive.open(info) as file:
            while block := file.read(BLOCK):
                source.check_cancelled()
                yield block
    except ZIP_ERRORS as error:
        raise damaged() from error


def _people(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: ByteSource
) -> dict[str, str]:
    """The names of the people in Slack's users.json by their ids."""
    names = {}
    for batch in document(_blocks(archive, info, source), source.limits):
        for _, user in batch:
            name = first(
                user, "profile.display_name", "profile.real_name", "real_name", "name"
            )
            if (
                isinstance(user, dict)
                and isinstance(user.get("id"), str)
                and isinstance(name, str)
            ):
                names[user["id"]] = name
    return names


def _with_channel(record: Record, channel: str, people: Mapping[str, str]) -> Record:
    """A message of Slack with the name of its author, and a thread that is no other
    channel's.
    """
    line, message = record
    if isinstance(message, RowFault) or not isinstance(message, dict):
        return record
    added: dict[str, Any] = {"thread_ts": f"{channel}/{message.get('thread_ts') or ''}"}
    if (name := people.get(str(message.get("user")))) is not None:
        added["user_profile"] = {"display_name": name}
    return line, {**message, **added}


READER = Reader(
    "zip",
    "an archive of files",
    lambda file: _find(file) is not None,
    _open,
    binary=True,
)
