"""What the disk refuses is said in plain words."""

from __future__ import annotations

import errno
import os

import pytest

from backend.files.disk_errors import disk_words


@pytest.mark.parametrize(
    ("number", "word"),
    [(errno.ENOSPC, "full"), (errno.EROFS, "read-only"), (errno.EACCES, "user"), (errno.EIO, "damaged")],
)
def test_a_disk_error_says_what_it_is(number: int, word: str) -> None:
    why, what_next = disk_words(OSError(number, os.strerror(number)))
    assert word in why
    assert what_next.endswith(".")


def test_other_errors_are_quoted() -> None:
    assert "Too many links" in disk_words(OSError(errno.EMLINK, "Too many links"))[0]
