"""Long documents in windows: every token is in one, neighbours overlap as asked, none is all overlap."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.data.windows import count, truncate, windows
from backend.errors import BadSetting


@given(st.integers(0, 400), st.integers(1, 60), st.data())
def test_windows_cover_everything(length: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    document = list(range(length))
    pieces = [list(piece) for piece in windows(document, size, overlap)]
    assert len(pieces) == count(length, size, overlap)
    assert sorted({token for piece in pieces for token in piece}) == document
    for before, after in pairwise(pieces):
        assert len(before) == size
        assert before[size - overlap :] == after[:overlap]
        assert len(after) > overlap


@pytest.mark.parametrize(
    ("length", "pieces"), [(0, 0), (1, 1), (4096, 1), (4097, 2), (7680, 2), (7681, 3), (100_000, 28)]
)
def test_the_guides_numbers(length: int, pieces: int) -> None:
    assert count(length) == pieces


def test_truncate_keeps_the_beginning() -> None:
    assert truncate([1, 2, 3], 2) == [1, 2]
    assert truncate([1, 2, 3]) == [1, 2, 3]


@pytest.mark.parametrize(("size", "overlap"), [(10, 10), (10, 11), (0, 0), (10, -1)])
def test_windows_that_never_end_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(BadSetting):
        count(100, size, overlap)
