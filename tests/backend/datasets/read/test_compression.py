"""Packed files are read like their content; damaged ones and those that unpack to too much are refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from backend.datasets.read.load import Limits, ReadOptions, load
from backend.errors import BadInput

TEXT = b"question,answer\n" + b"".join(b"How much is %d?,It is %d.\n" % (n, n) for n in range(20_000))
ALL = [
    ("gz", gzip.compress),
    ("bz2", bz2.compress),
    ("xz", lzma.compress),
    ("zst", lambda data: pyarrow.compress(data, "zstd", asbytes=True)),
]


@pytest.mark.parametrize(("ending", "pack"), ALL)
def test_a_packed_file_is_read_as_its_content(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"faq.csv.{ending}"
    path.write_bytes(pack(TEXT))
    data = load(path)
    assert (len(data.rows), data.rows[-1].messages[1]["content"]) == (20_000, "It is 19999.")


@pytest.mark.parametrize(("ending", "pack"), ALL)
def test_a_packed_file_that_ends_too_early_is_refused(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"faq.csv.{ending}"
    packed = pack(TEXT)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BadInput, match="damaged"):
        load(path)


@pytest.mark.parametrize(("ending", "pack"), ALL)
def test_a_packed_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"zeros.{ending}"
    path.write_bytes(pack(b"0" * 5_000_000))
    with pytest.raises(BadInput, match="unpacks"):
        load(path, options=ReadOptions(limits=Limits(ratio_from_bytes=1_000_000)))


def test_an_xz_file_of_several_streams_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "faq.csv.xz"
    path.write_bytes(lzma.compress(TEXT[:100_000]) + lzma.compress(TEXT[100_000:]))
    assert len(load(path).rows) == 20_000
