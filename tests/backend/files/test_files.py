"""Files are written whole or not at all, and errors of the disk are told apart."""

import errno
import json
import os
import re
import runpy
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from backend.files import atomic
from backend.files.disk_errors import disk_words
from backend.files.json_file import read_json, to_json, write_json
from backend.settings import PROJECT_ROOT


def test_two_writers_may_replace_the_same_file_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_written = threading.Barrier(2, timeout=10)

    def after_both(replace: Callable[[], None], seconds: float) -> None:
        both_written.wait()
        replace()

    monkeypatch.setattr(atomic, "retry_while_in_use", after_both)
    path = tmp_path / "device.json"
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda text: atomic.write_text(path, text), ["one", "two"]))
    assert path.read_text() in ("one", "two")
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_written_byte_for_byte(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a.txt", "é\n\r\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\n\r\n"


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "status.json"
    atomic.write_text(path, "old")
    monkeypatch.setattr(
        os, failing, Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_opened_in_binary_mode_where_the_system_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "O_BINARY", 0x8000, raising=False)
    assert runpy.run_path(atomic.__file__)["BINARY"] == 0x8000


def test_a_folder_that_cannot_be_flushed_undoes_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller would take back what the file refers to."""
    fsync = os.fsync

    def broken(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", broken)
    atomic.write_text(tmp_path / "info.json", "new")
    assert (tmp_path / "info.json").read_text() == "new"


def test_on_windows_a_file_is_replaced_once_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").write_text("new")
    tries = []

    def busy(source: Path, target: Path) -> None:
        tries.append(source)
        if len(tries) < 3:
            raise in_use()
        source.rename(target)

    monkeypatch.setattr(atomic.os, "replace", busy)
    atomic.replace_file(tmp_path / "new", tmp_path / "old")
    assert ((tmp_path / "old").read_text(), len(tries)) == ("new", 3)


def in_use() -> PermissionError:
    error = PermissionError(13, "The process cannot access the file")
    error.winerror = 32  # type: ignore[attr-defined]
    return error


def test_a_file_that_stays_in_use_is_told_after_30_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(atomic.os, "replace", Mock(side_effect=in_use()))
    monkeypatch.setattr(
        atomic,
        "time",
        SimpleNamespace(sleep=pauses.append, monotonic=lambda: sum(pauses)),
    )
    with pytest.raises(PermissionError) as caught:
        atomic.replace_file(tmp_path / "new", tmp_path / "old")
    assert 25 < sum(pauses) <= 30
    assert len(pauses) < 30
    assert "program is using it" in disk_words(caught.value)[0]


def test_where_a_file_is_really_denied_nothing_is_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*paths: object) -> None:
        raise PermissionError(13, "Permission denied")  # as on Linux and macOS

    monkeypatch.setattr(atomic.os, "replace", denied)
    monkeypatch.setattr(atomic, "time", SimpleNamespace(monotonic=lambda: 0.0))
    with pytest.raises(PermissionError):
        atomic.replace_file(tmp_path / "new", tmp_path / "old")


def test_a_folder_is_deleted_once_its_files_are_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, unlink, tries = tmp_path / "model", os.unlink, []

    def busy(path: str, **options: int) -> None:
        tries.append(path)
        if len(tries) < 3:
            raise in_use()
        unlink(path, **options)

    folder.mkdir()
    (folder / "weights").touch()
    monkeypatch.setattr(os, "unlink", busy)
    atomic.delete_folder(folder)
    assert not folder.exists()
    atomic.delete_folder(folder)


def test_files_are_replaced_in_one_way_only() -> None:
    """On Windows a bare os.replace fails while a virus scanner or the search index has
    the file open.
    """
    for package in ("backend", "jobs", "ui"):
        for file in (PROJECT_ROOT / package).rglob("*.py"):
            text = re.sub(
                r"\b(?:before|location|choice\(inputs\))\.replace",
                "",
                file.read_text("utf-8"),
            )  # of choices and addresses
            bare = re.findall(
                r"\bos\.(?:replace|rename)\(|\.rename\(self\.|\.replace\([^,=()]+\)",
                text,
            )
            assert not bare or file.name == "atomic.py", file


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.ENOSPC, "full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "user"),
        (errno.EIO, "damaged"),
    ],
)
def test_a_disk_error_says_what_it_is(number: int, word: str) -> None:
    why, what_next = disk_words(OSError(number, os.strerror(number)))
    assert word in why
    assert what_next.endswith(".")


def test_other_errors_are_quoted() -> None:
    assert "Too many links" in disk_words(OSError(errno.EMLINK, "Too many links"))[0]


def test_what_is_written_is_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_json(
        path,
        {
            "loss": float("nan"),
            "all": [np.float32(0.5), float("inf")],
            "at": Path("a"),
            "name": "é",
        },
    )
    assert path.read_bytes().isascii()
    assert json.loads(path.read_bytes(), parse_constant=pytest.fail) == read_json(path)
    assert read_json(path) == {"loss": None, "all": [0.5, None], "at": "a", "name": "é"}


def test_other_objects_are_rejected() -> None:
    with pytest.raises(TypeError, match="object"):
        to_json({"a": object()})


@pytest.mark.parametrize("content", ["", "{", "[]", "1"])
def test_a_file_without_a_json_object_is_rejected(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"JSON|Expecting"):
        read_json(tmp_path / "a.json")
