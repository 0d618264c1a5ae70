"""A zip file of a service's export is read by itself, and any other is refused with the reason."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from backend.datasets.read.load import Limits, ReadOptions, load
from backend.errors import BadInput

CHAT = "31.12.23, 21:15 - Anna: Open?\n31.12.23, 21:16 - {}: Yes\n"


def packed(path: Path, **files: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, (str, bytes)) else json.dumps(content))
    return path


def texts(path: Path, *imitate: str) -> list[list[str]]:
    data = load(path, options=ReadOptions(imitate=imitate))
    return [[message["content"] for message in row.messages] for row in data.rows]


def test_two_chats_in_one_file_stay_apart(tmp_path: Path) -> None:
    files = {"WhatsApp Chat with Ben.txt": CHAT.format("Ben"), "WhatsApp Chat with Eva.txt": CHAT.format("Eva")}
    assert texts(packed(tmp_path / "chats.zip", **files), "Ben", "Eva") == [["Open?", "Yes"]] * 2


def test_an_export_in_several_files_is_read_whole(tmp_path: Path) -> None:
    def conversation(number: int) -> dict[str, Any]:
        said = [("human", f"Open {number}?"), ("assistant", "Yes")]
        return {"uuid": str(number), "chat_messages": [{"sender": who, "text": text} for who, text in said]}

    files = {f"conversations-{n:03}.json": [conversation(2 * n), conversation(2 * n + 1)] for n in range(3)}
    files["__MACOSX/conversations.json"] = b"\x00\x05\x16\x07"  # type: ignore[assignment]
    assert texts(packed(tmp_path / "export.zip", **files, **{"user.json": {}})) == [
        [f"Open {n}?", "Yes"] for n in range(6)
    ]


@pytest.mark.parametrize("files", [{"a.txt": "hello", "b.txt": "hello"}, {"users.json": []}])
def test_any_other_archive_is_refused(tmp_path: Path, files: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"zip|archive|damaged"):
        texts(packed(tmp_path / "other.zip", **files))


def test_a_damaged_export_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "export.zip", **{"_chat.txt": CHAT.format("Ben") * 200})
    path.write_bytes(
        path.read_bytes().replace(b"_chat.txt", b"_chat.txt", 1)[:60] + b"\0" * 20 + path.read_bytes()[80:]
    )
    with pytest.raises(BadInput, match="damaged"):
        texts(path, "Ben")


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "export.zip", **{"_chat.txt": CHAT.format("Ben") + "a" * 3_000_000})
    limits = Limits(ratio_from_bytes=1_000_000)
    with pytest.raises(BadInput, match="unpacks to far more"):
        load(path, options=ReadOptions(imitate=("Ben",), limits=limits))


def test_the_list_of_people_counts_to_what_an_export_unpacks_to(tmp_path: Path) -> None:
    said = [{"type": "message", "user": "U1", "text": "Open?", "ts": "1704100000.000100"}]
    people = [{"id": "U1", "name": "anna", "title": "a" * 3_000_000}]
    path = packed(tmp_path / "export.zip", **{"users.json": people, "general/2024-01-01.json": said})
    with pytest.raises(BadInput, match="unpacks to far more"):
        load(path, options=ReadOptions(imitate=("anna",), limits=Limits(ratio_from_bytes=1_000_000)))
