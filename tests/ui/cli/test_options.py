"""A question about a file is asked on the command line with the options that answer it."""

from __future__ import annotations

import pytest

from backend.datasets.convert.mapping import SeveralReadings
from backend.errors import BadInput
from ui.cli.options import asking_for_columns


def test_a_text_that_can_be_read_in_two_ways_names_both() -> None:
    with pytest.raises(BadInput, match="--shape messages or --shape text"), asking_for_columns():
        raise SeveralReadings(3, ("messages", "text"))
