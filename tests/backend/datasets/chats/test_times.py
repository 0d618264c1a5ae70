"""The time of a message is read whatever way it is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backend.datasets.chats.times import month_first, seconds

NEW_YEAR = datetime(2023, 12, 31, 21, 15, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "written",
    [
        "31.12.23, 21:15",
        "31/12/2023, 9:15 p. m.",
        "31/12/2023 9:15 pm",
        "2023-12-31T21:15:00Z",
        "2023-12-31 21:15",
        "2023/12/31 下午9:15",
        "2023. 12. 31. 오후 9:15",
        "31.12.2023 klo 21.15",
        "٣١/١٢/٢٠٢٣، ٩:١٥ م",
        "31/12/2566 21:15",
        NEW_YEAR,
        NEW_YEAR * 1000,
        str(int(NEW_YEAR)),
        f"{int(NEW_YEAR)}.000100",
    ],
)
def test_one_moment_in_many_forms(written: Any) -> None:
    found = seconds(written)
    assert found is not None
    assert abs(found - NEW_YEAR) < 1


def test_midnight_and_noon() -> None:
    midnight, noon = seconds("1/2/24, 12:05 AM"), seconds("1/2/24, 12:05 PM")
    assert midnight is not None
    assert noon is not None
    assert noon - midnight == 12 * 3600


@pytest.mark.parametrize("written", ["", "soon", "31.31.2023 10:00", "12:30", None, True, [2023]])
def test_what_is_no_time(written: Any) -> None:
    assert seconds(written) is None


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["3/4/24, 9:00 PM", "3/14/24, 9:00 PM"], True),
        (["3/4/24, 9:00 PM", "14/3/24, 9:00 PM"], False),
        (["3/4/24, 9:00 PM"], True),
        (["03.04.24, 21:00"], False),
        (["3/4/24, 21:00"], False),
        (["2024-03-14 09:00"], False),
        ([], False),
    ],
)
def test_other_dates_of_the_file_say_whether_the_month_is_first(dates: list[str], expected: bool) -> None:
    assert month_first(dates) is expected
