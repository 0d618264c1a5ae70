"""Cells are shown as Excel shows them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from backend.datasets.documents.number_format import shown

MOMENT = datetime.datetime(2026, 3, 9, 14, 5, 7)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (3, "General", "3"),
        (2.5, "General", "2.5"),
        (0.1 + 0.2, "General", "0.3"),
        (True, "General", "true"),
        (None, "0", ""),
        (0.35, "0%", "35%"),
        (0.3456, "0.0%", "34.6%"),
        (1299, "#,##0.00", "1,299.00"),
        (1299.5, '#,##0.00\\ "€"', "1,299.50 €"),
        (1299, "[$$-409]#,##0", "$1,299"),
        (-5, "#,##0.00;(#,##0.00)", "(5.00)"),
        (7, "00000", "00007"),
        (3.1, "0.##", "3.1"),
        (12345.678, "0.00E+00", "12345.678"),
        (1.5, "# ?/?", "1.5"),
        (datetime.datetime(2026, 3, 9), "mm-dd-yy", "2026-03-09"),
        (datetime.datetime(2026, 3, 9), "dd.mm.yyyy", "09.03.2026"),
        (MOMENT, "d mmmm yyyy", "9 March 2026"),
        (MOMENT, "h:mm AM/PM", "2:05 PM"),
        (MOMENT, "yyyy-mm-dd hh:mm:ss", "2026-03-09 14:05:07"),
        (datetime.time(14, 5), "hh:mm", "14:05"),
        (MOMENT, "General", "2026-03-09 14:05:07"),
        ("00123", "@", "00123"),
    ],
)
def test_a_value_looks_as_in_the_cell(value: Any, code: str, text: str) -> None:
    assert shown(value, code) == text
