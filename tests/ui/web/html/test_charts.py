"""The loss curve as SVG: lines, labels, sentence and size."""

import math
import random
import re
from xml.etree import ElementTree

import pytest

from backend.advice.loss import current_loss
from ui.web.html import loss_curve

TRAINING = [(float(step), 1.8 * math.exp(-step / 30) + 0.1) for step in range(1, 81)]
NOW = current_loss([loss for _, loss in TRAINING])
VALIDATION = [
    (float(step), 1.8 * math.exp(-step / 30) + 0.2) for step in range(0, 81, 10)
]


def test_the_line_that_carries_a_number_ends_at_that_number() -> None:
    steps = [(1.0, 4.0), (2.0, 3.6), (3.0, 3.0), (4.0, 2.6), (5.0, 2.2), (6.0, 1.8)]
    svg = loss_curve.draw(steps, [])
    ((_, height),) = re.findall(
        r'class="line training" points="[^"]* ([\d.]+),([\d.]+)"', svg
    )
    top = max(
        float(one) for one in re.findall(r'class="tick left"[^>]*>([\d.]+)<', svg)
    )
    assert (1 - float(height) / 1000) * top == pytest.approx(2.0, abs=0.01)
    assert ">training loss <tspan>2.00<" in svg
    assert 'class="line each"' in svg


def points(svg: str, name: str) -> list[tuple[float, float]]:
    drawn = re.search(rf'class="line {name}" points="([^"]*)"', svg)
    assert drawn, f"no line {name}"
    return [
        (float(x), float(y)) for x, y in (pair.split(",") for pair in drawn[1].split())
    ]


def test_losses_are_drawn_as_one_image_with_a_sentence() -> None:
    root = ElementTree.fromstring(loss_curve.draw(TRAINING, VALIDATION, best_step=80))
    assert root.get("role") == "img"
    numbers = re.findall(r"[\d.]*\d", root.get("aria-label") or "")
    assert numbers == ["1.84", f"{NOW:.2f}", "80", "2.00", "0.33", "80", "0.33", "80"]
    for first in (1.2001, math.nan):
        words = loss_curve.sentence(
            {"training loss": [(1.0, first), (9.0, 1.2)]}, [1.2], None
        )
        assert re.findall(r"[\d.]*\d", words) == ["1.20", "9"]


def test_lines_are_named_and_lie_where_the_numbers_put_them() -> None:
    svg = loss_curve.draw(TRAINING, VALIDATION, total_steps=160)
    training = points(svg, "training")
    assert training[-1][0] == 500.0  # step 80 of 160 is half way
    assert training[0][1] < training[-1][1]  # a falling loss goes down the page
    assert all(0 <= y <= 1000 for _, y in training + points(svg, "validation"))
    svg = loss_curve.draw(TRAINING, [*VALIDATION, (90.0, 0.9)], best_step=80)
    assert f">training loss <tspan>{NOW:.2f}" in svg
    assert ">latest validation loss <tspan>0.90" in svg
    best = re.search(r'<circle class="best" cx="([\d.]+)%"', svg)
    assert abs(float(best[1]) - 100 * 80 / 90) < 0.1  # that one, not the latest
    svg = loss_curve.draw([(1.0, 1.0), (2.0, 0.5)], [(1.0, 1.0), (2.0, 0.5)])
    heights = [
        float(y)
        for y in re.findall(r'class="label \w+" x="[\d.]+%" y="([\d.]+)%"', svg)
    ]
    assert len(heights) == 2
    assert abs(heights[0] - heights[1]) >= 7


def test_names_make_room_and_long_runs_keep_their_spikes() -> None:
    drawn = {
        "end": loss_curve.draw([(1, 3.0), (6, 2.0)], [(0, 3.0), (6, 2.0)], 60, 6),
        "start": loss_curve.draw(
            [(1, 3.0), (40, 2.0)], [(0, 3.0), (6, 2.0), (40, 2.5)], 60, 6
        ),
        "middle high": loss_curve.draw(
            [(1.0, 3.5), (5.0, 2.6)], [(0.0, 3.3), (2.0, 3.1)], best_step=2
        ),
    }
    assert all(f"best-name {place}" in svg for place, svg in drawn.items())
    assert 'class="best-name end"' in loss_curve.draw(
        TRAINING, VALIDATION, best_step=80
    )
    noise = random.Random(0)
    long = [(float(step), 1.0 + noise.random() / 10) for step in range(10_000)]
    long[6_123] = (6_123.0, 7.5)
    kept = loss_curve.down_sample(long)
    assert len(kept) <= loss_curve.LIMIT
    assert (6_123.0, 7.5) in kept
    assert (kept[0], kept[-1]) == (long[0], long[-1])
    assert kept == sorted(kept)
    assert len(loss_curve.draw(long, [])) < 20_000


def test_losses_not_finite_and_the_numbers_of_the_axis() -> None:
    svg = loss_curve.draw(
        [(1.0, 1.0), (2.0, math.nan), (3.0, math.inf), (4.0, 0.5)], []
    )
    assert len(points(svg, "training")) == 2
    assert "nan" not in svg.lower()
    nothing = loss_curve.draw([], [])
    assert ("first training step" in nothing, "polyline" in nothing) == (True, False)
    for highest in (0.02, 0.3, 1.7, 2.0, 9.4, 113.0):
        top, gap = loss_curve._scale(highest)
        assert top >= highest
        assert 2 <= round(top / gap) <= 7
        assert float(f"{gap:.1g}") == gap or float(f"{gap:.2g}") == gap
