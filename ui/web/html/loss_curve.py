"""The loss curve as one SVG: both losses labelled on their lines, the best version marked.

The drawing stretches with the page while its letters keep their size: lines live in a stretched inner drawing,
letters and dots in percentages of the plot. Colours come from the style sheet, so it follows light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from backend.advice import diagnose
from backend.records.events import EvalEvent, StepEvent
from ui.services import losses
from ui.text import format as fmt

Point = tuple[float, float]  # (step, loss)
LIMIT = 500  # points drawn of each line
NAMES = {"practice": "practice loss", "held": losses.LATEST, "first": "A", "second": "B"}
_UNITS = 1000  # the inner drawing's width and height
_LABEL_GAP = 7.5  # per cent of the plot's height that two labels need between them


def draw(
    training: Sequence[Point], tests: Sequence[Point], total_steps: int = 0, best_step: int | None = None
) -> str:
    """The curve of one run as an SVG string.

    practice, tests: (step, loss) in order of step; a loss that is not finite is left out of the lines.
    total_steps: how far the step axis reaches, so that the curve grows into free room; 0 when unknown.
    best_step: of the best test, which is marked.
    """
    typical = typically(training)
    now = {"practice": _last(typical), "held": _last(tests)}
    training, typical, tests = _finite(training), _finite(typical), _finite(tests)
    if not training and not tests:
        return _empty()
    best = next((point for point in reversed(tests) if point[0] == best_step), None)
    said = sentence({"Practice loss": typical, "Test loss": tests}, [now["practice"], now["held"]], best)
    return _drawing({"practice": typical, "held": tests}, now, total_steps, said, tests, best, training)


def draw_two(first: Sequence[Point], second: Sequence[Point], tested: bool) -> str:
    """The same loss of two runs, A and B, over each other, as an SVG string. tested: the test loss, else practice."""
    if not tested:
        first, second = typically(first), typically(second)
    now = [_last(points) for points in (first, second)]
    first, second = _finite(first), _finite(second)
    if not first and not second:
        return _empty()
    which = "test" if tested else "practice"
    said = sentence({f"The {which} loss of A": first, f"The {which} loss of B": second}, now, None)
    return _drawing({"first": first, "second": second}, {"first": now[0], "second": now[1]}, 0, said, [], None)


def typically(points: Sequence[Point]) -> list[Point]:
    """The practice loss at each step as it is told: the median of those before it (`monitor.recent`)."""
    each = [loss for _, loss in points]
    return [(step, diagnose.current_loss(each, at + 1)) for at, (step, _) in enumerate(points)]


def _last(points: Sequence[Point]) -> float | None:
    return points[-1][1] if points else None


def _drawing(
    lines: dict[str, list[Point]],
    now: Mapping[str, float | None],
    total_steps: float,
    said: str,
    dots: list[Point],
    best: Point | None,
    each: Sequence[Point] = (),
) -> str:
    """An SVG string of `lines` by the names of their style, with the numbers `now` at their ends, and with dots and
    the best point on one of them. each: a pale line behind them."""
    last = max([total_steps, 1, *(points[-1][0] for points in lines.values() if points)])
    top, gap = _scale(max(value for points in (*lines.values(), each) for _, value in points))
    place = _Place(last, top)
    drawn = _line("each", down_sample(each), place)
    drawn += "".join(_line(name, down_sample(points), place) for name, points in lines.items())
    return (
        f'<svg class="curve" role="img" aria-label="{escape(said)}">'
        f"{_grid(top, gap, place)}{_steps(last, place)}"
        f'<svg viewBox="0 0 {_UNITS} {_UNITS}" preserveAspectRatio="none" width="100%" height="100%">{drawn}</svg>'
        f"{_dots(dots, place)}{_marks(lines, now, best, place)}</svg>"
    )


def points(events: Sequence[StepEvent] | Sequence[EvalEvent]) -> list[Point]:
    """The loss at each step; NaN where it was not a number."""
    return [(event.step, event.loss) for event in events]


def sentence(lines: Mapping[str, Sequence[Point]], now: Sequence[float | None], best: Point | None) -> str:
    """The curve for someone who can't see it. now: of each line what is told as its latest number."""
    said = []
    for (name, points), latest in zip(lines.items(), now, strict=True):
        if not points or latest is None:
            continue
        (_, first), (step, _) = points[0], points[-1]
        if len(points) > 1 and math.isfinite(latest):
            way = "fell" if latest < first else "rose" if latest > first else "stayed"
            said.append(f"{name} {way} from {fmt.loss(first)} to {fmt.loss(latest)} by step {step:.0f}.")
        else:
            said.append(f"{name} is {fmt.loss(latest)} at step {step:.0f}.")
    if best:
        said.append(f"The {losses.BEST} is {fmt.loss(best[1])}, at step {best[0]:.0f}.")
    return " ".join(said)


def down_sample(points: Sequence[Point], limit: int = LIMIT) -> list[Point]:
    """At most `limit` points that look the same: the lowest and highest of each bucket, both ends kept."""
    if len(points) <= limit:
        return list(points)
    inner, buckets = points[1:-1], (limit - 2) // 2
    kept = [points[0]]
    for bucket in range(buckets):
        part = inner[bucket * len(inner) // buckets : (bucket + 1) * len(inner) // buckets]
        low, high = min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])
        kept += sorted({low, high})
    return [*kept, points[-1]]


class _Place:
    """Where a point lies, in per cent of the plot from its left top."""

    def __init__(self, last: float, top: float) -> None:
        self.last, self.top = last, top

    def x(self, step: float) -> float:
        return 100 * step / self.last

    def y(self, value: float) -> float:
        return 100 - 100 * value / self.top


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(step, value) for step, value in points if math.isfinite(value)]


def _scale(highest: float) -> tuple[float, float]:
    """The top of the loss axis and the gap of its lines: a round gap, three to six lines."""
    highest = max(highest, 0.01) * 1.05
    magnitude: float = 10 ** math.floor(math.log10(highest / 4))
    gap = next(step * magnitude for step in (1, 2, 2.5, 5, 10) if highest / (step * magnitude) <= 6)
    return math.ceil(highest / gap) * gap, gap


def _grid(top: float, gap: float, place: _Place) -> str:
    parts = []
    for index in range(round(top / gap) + 1):
        y = place.y(index * gap)
        parts.append(
            f'<line class="{"axis" if index == 0 else "rule"}" x1="0" x2="100%" y1="{y:.2f}%" y2="{y:.2f}%"/>'
            f'<text class="tick left" x="0" y="{y:.2f}%">{index * gap:g}</text>'
        )
    return "".join(parts) + '<text class="axis-name above" x="0" y="0">loss: lower is better</text>'


def _steps(last: float, place: _Place) -> str:
    magnitude = 10 ** math.floor(math.log10(max(last / 4, 1)))
    gap = next(step * magnitude for step in (1, 2, 5, 10) if last / (step * magnitude) <= 6)
    marks = [index * gap for index in range(int(last // gap) + 1)]
    return (
        "".join(f'<text class="tick below" x="{place.x(step):.2f}%" y="100%">{step:,g}</text>' for step in marks)
        + '<text class="axis-name under" x="100%" y="100%">practice steps</text>'
    )


def _line(name: str, points: list[Point], place: _Place) -> str:
    if len(points) < 2:
        return ""
    unit = _UNITS / 100
    drawn = " ".join(f"{place.x(step) * unit:.1f},{place.y(value) * unit:.1f}" for step, value in points)
    return f'<polyline class="line {name}" points="{drawn}" vector-effect="non-scaling-stroke"/>'


def _dots(tests: list[Point], place: _Place) -> str:
    if len(tests) > 24:
        return ""
    return "".join(
        f'<circle class="dot" cx="{place.x(step):.2f}%" cy="{place.y(value):.2f}%" r="2.5"/>' for step, value in tests
    )


def _marks(lines: dict[str, list[Point]], now: Mapping[str, float | None], best: Point | None, place: _Place) -> str:
    """The labels at the ends of both lines, kept apart, and the best version."""
    ends = {name: points[-1] for name, points in lines.items() if points}
    heights = {name: place.y(value) for name, (_, value) in ends.items()}
    if len(heights) == 2:
        upper, lower = sorted(heights, key=lambda name: heights[name])
        middle = (heights[upper] + heights[lower]) / 2
        if heights[lower] - heights[upper] < _LABEL_GAP:
            middle = min(middle, 100 - _LABEL_GAP / 2)
            heights[upper], heights[lower] = middle - _LABEL_GAP / 2, middle + _LABEL_GAP / 2
    x = max((place.x(step) for step, _ in ends.values()), default=0)
    wide = "".join(_label(name, now[name], f"{x:.2f}%", f"{heights[name]:.2f}%") for name in ends)
    narrow = "".join(_label(name, now[name], "100%", "0") for name in ends)
    parts = [f'<g class="wide">{wide}</g>', f'<g class="narrow">{narrow}</g>']
    if best:
        x, y = place.x(best[0]), place.y(best[1])
        side = "start" if x < 12 else "end" if x > 88 else "middle"
        parts.append(
            f'<line class="drop" x1="{x:.2f}%" x2="{x:.2f}%" y1="{y:.2f}%" y2="100%"/>'
            f'<circle class="best" cx="{x:.2f}%" cy="{y:.2f}%" r="5.5"/>'
            f'<text class="best-name {side}" x="{x:.2f}%" y="{y:.2f}%">best</text>'
        )
    return "".join(parts)


def _label(name: str, value: float | None, x: str, y: str) -> str:
    """A line's name and its number. Drawn twice: at the line's end, and in the corner where a phone has no room."""
    return f'<text class="label {name}" x="{x}" y="{y}">{NAMES[name]} <tspan>{fmt.loss(value)}</tspan></text>'


def _empty() -> str:
    return (
        '<svg class="curve" role="img" aria-label="No measurements yet.">'
        '<line class="axis" x1="0" x2="100%" y1="100%" y2="100%"/>'
        '<text class="tick middle" x="50%" y="50%">The curve starts with the first practice step.</text></svg>'
    )
