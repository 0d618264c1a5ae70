"""The cards of the Data tab."""

from __future__ import annotations

import pytest

from ui.records import DatasetProgress
from ui.web.data import views


@pytest.mark.parametrize(("imports", "title"), [(True, "Reading orders.csv"), (False, "Checking orders.csv")])
def test_progress_is_headed_by_what_happens_to_which_file(imports: bool, title: str) -> None:
    card = views.reading(DatasetProgress("orders.csv", "Counting tokens", 0.5), imports)
    assert f">{title}<" in card
