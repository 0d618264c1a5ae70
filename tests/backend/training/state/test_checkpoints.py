"""A checkpoint or result is complete on the disk or not there: any failure leaves the
earlier ones intact.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.files import manifest
from backend.training.state import checkpoints, result


def write(parent: Path, step: int) -> Path:
    with checkpoints.writing(parent, step) as folder:
        (folder / "weights.safetensors").write_bytes(b"weights %d" % step)
        (folder / "state.json").write_text(f'{{"step": {step}}}')
    return checkpoints.path(parent, step)


def steps(parent: Path) -> list[int]:
    return sorted(checkpoints.step_of(folder) for folder in parent.iterdir())


def test_the_newest_checkpoint_has_the_highest_step_whatever_the_clock(
    tmp_path: Path,
) -> None:
    for step in (9, 100, 20):
        write(tmp_path, step)
    hour_ago = checkpoints.path(tmp_path, 100).stat().st_mtime - 3600
    os.utime(checkpoints.path(tmp_path, 100), (hour_ago, hour_ago))
    assert checkpoints.find(tmp_path).newest == checkpoints.path(tmp_path, 100)
    checkpoints.prune(tmp_path, best=None)
    assert steps(tmp_path) == [20, 100]


def test_the_best_checkpoint_is_never_deleted(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 5):
        write(tmp_path, step)
        checkpoints.prune(tmp_path, best=2 if step >= 2 else None)
    assert steps(tmp_path) == [2, 4, 5]


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", manifest.NAME])
@pytest.mark.parametrize("fault", ["gone", "cut", "flipped"])
def test_a_damaged_checkpoint_is_not_used(
    tmp_path: Path, name: str, fault: str
) -> None:
    good, bad = write(tmp_path, 1), write(tmp_path, 2)
    file = bad / name
    content = file.read_bytes()
    if fault == "gone":
        file.unlink()
    else:
        file.write_bytes(
            content[: len(content) // 2]
            if fault == "cut"
            else bytes([content[0] ^ 1]) + content[1:]
        )
    assert checkpoints.find(tmp_path).newest == good


def test_damaged_checkpoints_do_not_count_as_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write(tmp_path, step)
    (checkpoints.path(tmp_path, 3) / "state.json").unlink()
    checkpoints.prune(tmp_path, best=None)
    assert steps(tmp_path) == [1, 2]


def test_a_manifest_of_another_step_is_invalid(tmp_path: Path) -> None:
    write(tmp_path, 1).rename(checkpoints.path(tmp_path, 7))
    assert checkpoints.find(tmp_path).newest is None


def test_a_checkpoint_of_the_same_step_replaces_the_old_one(tmp_path: Path) -> None:
    old = write(tmp_path, 5)
    (old / "weights.safetensors").write_bytes(b"damaged!!!")
    write(tmp_path, 5)
    assert checkpoints.find(tmp_path).newest == old


@pytest.mark.parametrize("kind", ["crash", "full disk"])
def test_any_failure_leaves_an_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The Nth disk operation fails, for rising N until none does; a crash also leaves
    its files behind.
    """
    for n in range(1, 100):
        parent = tmp_path / f"{kind}-{n}"
        write(parent, 1)
        with monkeypatch.context() as patch:
            failing = FailAt(n, patch, crash=kind == "crash")
            try:
                write(parent, 2)
            except (OSError, Crash):
                assert failing.failed
        assert checkpoints.find(parent).newest in (
            checkpoints.path(parent, 1),
            checkpoints.path(parent, 2),
        )
        write(parent, 3)
        assert checkpoints.find(parent).newest == checkpoints.path(parent, 3)
        checkpoints.prune(parent, best=None)
        assert {folder.name for folder in parent.iterdir()} <= {
            "step-1",
            "step-2",
            "step-3",
        }
        assert not list(parent.glob(".*"))
        if not failing.failed:
            assert n > 6  # files, manifest, folder, rename, parent
            return
    pytest.fail("the writing never went through")


class Crash(BaseException):
    """The process is gone: no cleanup runs."""


class FailAt:
    """Makes the Nth fsync, rename or manifest fail; after a crash, cleanup does
    nothing.
    """

    def __init__(self, n: int, patch: pytest.MonkeyPatch, *, crash: bool) -> None:
        self.left, self.crash, self.failed = n, crash, False
        patch.setattr(os, "fsync", self._counted(os.fsync))
        patch.setattr(os, "replace", self._counted(os.replace))
        patch.setattr(checkpoints.manifest, "write", self._counted(manifest.write))
        remove = checkpoints.shutil.rmtree
        patch.setattr(
            checkpoints.shutil,
            "rmtree",
            lambda *a, **k: None if self.failed and crash else remove(*a, **k),
        )

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.failed = True
                raise (
                    Crash
                    if self.crash
                    else OSError(errno.ENOSPC, "No space left on device")
                )
            return call(*given, **named)

        return counted


class Model:
    def save_pretrained(self, folder: Path, **_: Any) -> None:
        (folder / "model.safetensors").write_bytes(b"weights")


def test_files_of_a_result_are_flushed_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, flushed, fsync = tmp_path / "result" / "model", [], os.fsync

    def flush(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, target.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    with result.saved(Model(), tmp_path, target):
        pass
    assert ((target / "model.safetensors").stat().st_ino, False) in flushed
