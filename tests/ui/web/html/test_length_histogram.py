"""The lengths of the examples as a bar chart and in words."""

from __future__ import annotations

import re

from ui.web.html.length_histogram import histogram, sentence


def heights(drawn: str) -> list[float]:
    return [float(height) for height in re.findall(r' height="([\d.]+)"', drawn)]


def test_each_length_is_in_a_bar_and_the_tallest_fills_the_height() -> None:
    drawn = histogram([10] * 8 + [200] * 4 + [320])
    assert heights(drawn) == [100.0, 50.0, 12.5]


def test_the_sentence_gives_the_same_numbers_to_screen_readers() -> None:
    words = sentence([*range(1, 101)])
    assert re.findall(r"\d+", words) == ["50", "90", "100"]
    assert f'aria-label="{words}"' in histogram([*range(1, 101)])


def test_a_limit_is_drawn_only_where_it_cuts_examples() -> None:
    assert "limit" in histogram([10, 400], 200)
    assert "200 tokens" in histogram([10, 400], 200)
    assert "limit" not in histogram([10, 400], 512)


def test_no_lengths_draw_nothing_and_one_draws_one_bar() -> None:
    assert histogram([]) == ""
    assert heights(histogram([7])) == [100.0]
    assert "7 tokens" in sentence([7])


def test_equal_lengths_are_said_once() -> None:
    assert sentence([34, 34, 34]) == "Every example has 34 tokens."
