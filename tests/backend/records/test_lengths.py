"""Windows of long documents: every token is in one, neighbors overlap as set, and none
is only overlap.
"""

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets.checks.tokens import TokenTotals
from backend.records.encoded import Encoded
from backend.records.lengths import LengthLimits, spans
from backend.records.rows import Row
from backend.records.specs import TrainSettings
from backend.tokens.token_counts import TokenCount


@given(st.integers(0, 400), st.integers(1, 60), st.data())
def test_windows_cover_everything(length: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    document = list(range(length))
    pieces = [document[start:end] for start, end in spans(length, size, overlap)]
    assert sorted({token for piece in pieces for token in piece}) == document
    for before, after in pairwise(pieces):
        assert (len(before), before[size - overlap :]) == (size, after[:overlap])
        assert len(after) > overlap


@pytest.mark.parametrize(
    ("length", "pieces"),
    [(0, 0), (1, 1), (4096, 1), (4097, 2), (7680, 2), (7681, 3), (100_000, 28)],
)
def test_the_guides_numbers(length: int, pieces: int) -> None:
    assert (
        len(spans(length)),
        len(LengthLimits().spans(Row(1, 1, text="a"), length)),
    ) == (pieces, pieces)


def test_conversations_are_cut_and_documents_split() -> None:
    whole = Encoded([*range(10)], [*range(10)])
    (cut,) = LengthLimits(4).pieces(Row(1, 1), whole)
    assert (cut.input_ids, cut.labels, cut.truncated) == (
        [0, 1, 2, 3],
        [0, 1, 2, 3],
        True,
    )
    assert LengthLimits(10).pieces(Row(1, 1), whole) == [whole]
    document, whole = Row(1, 1, text="a"), Encoded([*range(10)], [*range(10)])
    windows = LengthLimits.from_settings(TrainSettings(max_length=16, window_overlap=2))
    assert [
        p.input_ids for p in replace(windows, max_length=6).pieces(document, whole)
    ] == [
        [0, 1, 2, 3, 4, 5],
        [4, 5, 6, 7, 8, 9],
    ]
    (cut,) = LengthLimits(6, "truncate").pieces(document, whole)
    assert (cut.input_ids, cut.truncated) == ([0, 1, 2, 3, 4, 5], True)
    sentence = LengthLimits(64, window_overlap=512).sentence(3, 17)
    assert (re.findall(r"\d+", sentence), LengthLimits().sentence(3, 3)) == (
        ["3", "17", "64", "32"],
        "",
    )
    tokens = TokenTotals()
    for number in (1, 2):
        tokens.add(Row(number, number), TokenCount(10, ((2, 10),)))
    assert tokens.sentence == ""
