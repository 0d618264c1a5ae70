"""The lengths of the examples as bars, and in words."""

from __future__ import annotations

import re

from ui.web.html.length_histogram import histogram, sentence


def heights(drawn: str) -> list[float]:
    return [float(height) for height in re.findall(r' height="([\d.]+)"', drawn)]


def test_each_length_is_in_a_bar_and_the_tallest_is_whole() -> None:
    drawn = histogram([10] * 8 + [200] * 4 + [320])
    assert heights(drawn) == [100.0, 50.0, 12.5]


def test_the_words_say_the_same_to_those_who_can_not_see_it() -> None:
    said = sentence([*range(1, 101)])
    assert said == "Half of the examples have 50 tokens or fewer, nine in ten have 90 or fewer; the longest has 100."
    assert f'aria-label="{said}"' in histogram([*range(1, 101)])


def test_a_limit_is_drawn_only_where_something_is_cut() -> None:
    assert "limit" in histogram([10, 400], 200)
    assert "Beyond 200" in histogram([10, 400], 200)
    assert "limit" not in histogram([10, 400], 512)


def test_nothing_is_drawn_of_nothing_and_one_is_one() -> None:
    assert histogram([]) == ""
    assert heights(histogram([7])) == [100.0]
    assert sentence([7]) == "The one example has 7 tokens."
