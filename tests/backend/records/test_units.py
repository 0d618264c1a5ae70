"""Sizes in words."""

import pytest

from backend.records.units import GIB, MIB, format_size, format_sizes


@pytest.mark.parametrize(
    ("mib", "shown"),
    [
        (0, "0 MB"), (0.05, "0 MB"), (0.4, "0.4 MB"), (9.5, "9.5 MB"), (18.6, "19 MB"), (320, "320 MB"),
        (999.4, "999 MB"), (999.7, "1.0 GB"), (1024, "1.0 GB"), (5222, "5.1 GB"), (102_400, "100 GB"),
        (200_000, "195 GB"), (2_000_000, "1,953 GB"),
    ],
)  # fmt: skip
def test_size(mib: float, shown: str) -> None:
    assert format_size(mib) == shown


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (5222, 320, ("5.1 GB", "320 MB")), (1240, 1210, ("1.21 GB", "1.18 GB")),
        (1184, 1183, ("1.156 GB", "1.155 GB")), (1000.2, 999.8, ("0.977 GB", "0.976 GB")),
        (300.4, 300.1, ("300.4 MB", "300.1 MB")), (0.05, 0, ("0.05 MB", "0.00 MB")),
        (200_100, 200_000, ("195.4 GB", "195.3 GB")), (2048, 2048, ("2.0 GB", "2.0 GB")),
        (10, 9.97, ("10.00 MB", "9.97 MB")),
    ],
)  # fmt: skip
def test_sizes_that_differ_look_different(
    one: float, other: float, shown: tuple[str, str]
) -> None:
    assert format_sizes(one, other) == shown


@pytest.mark.parametrize("size", [1, MIB, 2 * GIB, 500 * GIB])
def test_a_single_byte_makes_a_difference(size: int) -> None:
    larger, smaller = format_sizes((size + 1) / MIB, size / MIB)
    assert larger != smaller
