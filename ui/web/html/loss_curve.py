"""The loss curve as one SVG: both losses labelled on their lines, the best version
marked.

The chart stretches with the page while its text keeps its size: lines are in a
stretched inner SVG, text and dots are placed in percentages of the plot. Colours come
from the style sheet, so the chart follows light and dark mode.
"""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from backend.advice.loss import current_loss
from backend.records.events import EvalEvent, StepEvent
from ui.text import format as fmt
from ui.text import losses
from ui.web.html.components import join

Point = tuple[float, float]  # (step, loss)
LIMIT = 500  # points drawn per line
NAMES = {
    "training": losses.TRAINING,
    "validation": losses.LATEST,
    "first": "A",
    "second": "B",
}
_UNITS = 1000  # the inner SVG's width and height
_LABEL_GAP = 7.5  # per cent of the plot's height that two labels need between them
_NEAR_END = 12  # per cent of the plot's width; nearer to the labels of the lines, "best" stands left of its point
_CORNER = 35  # per cent of the plot's height; on a narrow screen, the labels of the lines are in its right corner


def draw(
    training: Sequence[Point],
    validation: Sequence[Point],
    total_steps: int = 0,
    best_step: int | None = None,
    general: Sequence[Point] = (),
) -> Markup:
    """The curve of one run. The lines skip a loss that is not finite.

    training: in order of step, as are the others
    total_steps: the end of the step axis, so that the curve grows into free space; 0
        when unknown
    best_step: the step of the lowest validation loss, which is marked
    general: the loss of the general rows, drawn without a label
    """
    lines = {
        "training": ("Training loss", smoothed(training)),
        "validation": ("Validation loss", validation),
    }
    return _chart(
        lines, {"each": training, "general": smoothed(general)}, total_steps, best_step
    )


def draw_two(first: Sequence[Point], second: Sequence[Point], tested: bool) -> Markup:
    """The same loss of two runs, A and B, on one chart. tested: these are validation
    losses, else training losses.
    """
    if not tested:
        first, second = smoothed(first), smoothed(second)
    which = "validation" if tested else "training"
    return _chart(
        {
            "first": (f"The {which} loss of A", first),
            "second": (f"The {which} loss of B", second),
        },
        {},
    )


def smoothed(points: Sequence[Point]) -> list[Point]:
    """The training loss as it is reported at each step: the median of the last few
    (`current_loss`).
    """
    each = [loss for _, loss in points]
    return [(step, current_loss(each, at + 1)) for at, (step, _) in enumerate(points)]


def _chart(
    named: Mapping[str, tuple[str, Sequence[Point]]],
    behind: Mapping[str, Sequence[Point]],
    total_steps: float = 0,
    best_step: int | None = None,
) -> Markup:
    """Lines by CSS class, each with its name for screen readers and its latest loss at
    its end; paler ones `behind`. Validation losses are dots too, while they are few.
    """
    now = {
        kind: points[-1][1] if points else None for kind, (_, points) in named.items()
    }
    lines = {kind: _finite(points) for kind, (_, points) in named.items()}
    behind = {kind: _finite(points) for kind, points in behind.items()}
    if not any((*lines.values(), behind.get("each"))):
        return Markup(
            '<svg class="curve" role="img" aria-label="No measurements yet.">'
            '<line class="axis" x1="0" x2="100%" y1="100%" y2="100%"/>'
            '<text class="tick middle" x="50%" y="50%">The curve starts with the first training step.</text></svg>'
        )
    dots = lines.get("validation", [])
    best = next((point for point in reversed(dots) if point[0] == best_step), None)
    summary = sentence(
        {name: lines[kind] for kind, (name, _) in named.items()},
        list(now.values()),
        best,
    )
    last = max(
        [total_steps, 1, *(points[-1][0] for points in lines.values() if points)]
    )
    top, gap = _scale(
        max(
            value
            for points in (*lines.values(), *behind.values())
            for _, value in points
        )
    )
    place, unit, curves = _Place(last, top), _UNITS / 100, []
    line = Markup(
        '<polyline class="line {}" points="{}" vector-effect="non-scaling-stroke"/>'
    )
    for name, points in {**behind, **lines}.items():
        if len(points) > 1:
            sample = (
                (place.x(step) * unit, place.y(value) * unit)
                for step, value in down_sample(points)
            )
            curves.append(
                line.format(name, " ".join(f"{x:.1f},{y:.1f}" for x, y in sample))
            )
    dot = Markup('<circle class="dot" cx="{:.2f}%" cy="{:.2f}%" r="2.5"/>')
    few = dots if len(dots) <= 24 else []
    return Markup(
        '<svg class="curve" role="img" aria-label="{}">{}'
        '<svg viewBox="0 0 {units} {units}" preserveAspectRatio="none" width="100%" height="100%">{}</svg>{}{}</svg>'
    ).format(
        summary,
        _axes(last, top, gap, place),
        join(curves),
        join(dot.format(place.x(step), place.y(value)) for step, value in few),
        _marks(lines, now, best, place),
        units=_UNITS,
    )


def points(events: Sequence[StepEvent] | Sequence[EvalEvent]) -> list[Point]:
    """The loss at each step; NaN where it was not a number."""
    return [(event.step, event.loss) for event in events]


def sentence(
    lines: Mapping[str, Sequence[Point]],
    now: Sequence[float | None],
    best: Point | None,
) -> str:
    """The curve in words, for screen readers. now: the latest loss of each line."""
    sentences = []
    for (name, points), latest in zip(lines.items(), now, strict=True):
        if not points or latest is None:
            continue
        (_, first), (step, _) = points[0], points[-1]
        if len(points) > 1 and math.isfinite(first) and math.isfinite(latest):
            begun, ended = fmt.loss(first), fmt.loss(latest)
            change = "fell" if latest < first else "rose"
            moved = (
                f"stayed at {ended} until"
                if begun == ended
                else f"{change} from {begun} to {ended} by"
            )
            sentences.append(f"{name} {moved} step {step:.0f}.")
        else:
            sentences.append(f"{name} is {fmt.loss(latest)} at step {step:.0f}.")
    if best:
        sentences.append(
            f"The {losses.BEST} is {fmt.loss(best[1])}, at step {best[0]:.0f}."
        )
    return " ".join(sentences)


def down_sample(points: Sequence[Point]) -> list[Point]:
    """At most LIMIT points that look the same: both ends, and the lowest and highest of
    each bucket between.
    """
    if len(points) <= LIMIT:
        return list(points)
    inner, buckets = points[1:-1], (LIMIT - 2) // 2
    sample = [points[0]]
    for bucket in range(buckets):
        part = inner[
            bucket * len(inner) // buckets : (bucket + 1) * len(inner) // buckets
        ]
        low, high = (
            min(part, key=lambda point: point[1]),
            max(part, key=lambda point: point[1]),
        )
        sample += sorted({low, high})
    return [*sample, points[-1]]


class _Place:
    """The position of a point, in per cent of the plot from its top left corner."""

    def __init__(self, last: float, top: float) -> None:
        self.last, self.top = last, top

    def x(self, step: float) -> float:
        return 100 * step / self.last

    def y(self, value: float) -> float:
        return 100 - 100 * value / self.top


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(step, value) for step, value in points if math.isfinite(value)]


def _scale(highest: float) -> tuple[float, float]:
    """The top of the loss axis and the distance of its lines: a round number, three to
    six lines.
    """
    end = max(highest, 0.01) * 1.05
    gap = _round_step(end / 4, (1, 2, 2.5, 5, 10), end)
    return math.ceil(end / gap) * gap, gap


def _round_step(least: float, multiples: Sequence[float], end: float) -> float:
    """The distance of the marks on an axis up to `end`: round, at least about `least`,
    at most six marks.
    """
    magnitude: float = 10 ** math.floor(math.log10(least))
    return next(step * magnitude for step in multiples if end / (step * magnitude) <= 6)


def _axes(last: float, top: float, gap: float, place: _Place) -> Markup:
    line = Markup(
        '<line class="{kind}" x1="0" x2="100%" y1="{y:.2f}%" y2="{y:.2f}%"/>'
        '<text class="tick left" x="0" y="{y:.2f}%">{value:g}</text>'
    )
    values = (at * gap for at in range(round(top / gap) + 1))
    lines = (
        line.format(kind="rule" if value else "axis", y=place.y(value), value=value)
        for value in values
    )
    loss = join(lines) + Markup(
        '<text class="axis-name above" x="0" y="0">loss (lower is better)</text>'
    )
    gap = _round_step(max(last / 4, 1), (1, 2, 5, 10), last)
    tick = Markup('<text class="tick below" x="{:.2f}%" y="100%">{:,g}</text>')
    ticks = (
        tick.format(place.x(at * gap), at * gap) for at in range(int(last // gap) + 1)
    )
    return (
        loss
        + join(ticks)
        + Markup(
            '<text class="axis-name under" x="100%" y="100%">training steps</text>'
        )
    )


def _marks(
    lines: dict[str, list[Point]],
    now: Mapping[str, float | None],
    best: Point | None,
    at: _Place,
) -> Markup:
    """The labels at the ends of both lines, moved apart where they would overlap, and
    the best version. Each label is drawn twice: at the line's end, and in the corner
    for a narrow screen.
    """
    ends = {name: points[-1] for name, points in lines.items() if points}
    heights = {name: at.y(value) for name, (_, value) in ends.items()}
    if len(heights) == 2:
        upper, lower = sorted(heights, key=lambda name: heights[name])
        middle = (heights[upper] + heights[lower]) / 2
        if heights[lower] - heights[upper] < _LABEL_GAP:
            middle = min(middle, 100 - _LABEL_GAP / 2)
            heights[upper], heights[lower] = (
                middle - _LABEL_GAP / 2,
                middle + _LABEL_GAP / 2,
            )
    x = max((at.x(step) for step, _ in ends.values()), default=0)
    wide = (
        _label(name, now[name], f"{x:.2f}%", f"{heights[name]:.2f}%") for name in ends
    )
    narrow = (_label(name, now[name], "100%", "0") for name in ends)
    labels = Markup('<g class="wide">{}</g><g class="narrow">{}</g>').format(
        join(wide), join(narrow)
    )
    return labels + _best(best, x, at) if best else labels


def _label(name: str, value: float | None, x: str, y: str) -> Markup:
    return Markup(
        '<text class="label {}" x="{}" y="{}">{} <tspan>{}</tspan></text>'
    ).format(name, x, y, NAMES[name], fmt.loss(value))


def _best(best: Point, end: float, place: _Place) -> Markup:
    """end: where the lines end and their labels begin, in per cent of the width."""
    x, y = place.x(best[0]), place.y(best[1])
    side = "end" if end - x < _NEAR_END else "start" if x < 12 else "middle"
    height = " high" if y < _CORNER else ""
    return Markup(
        '<line class="drop" x1="{x:.2f}%" x2="{x:.2f}%" y1="{y:.2f}%" y2="100%"/>'
        '<circle class="best" cx="{x:.2f}%" cy="{y:.2f}%" r="5.5"/>'
        '<text class="best-name {side}{height}" x="{x:.2f}%" y="{y:.2f}%">best</text>'
    ).format(x=x, y=y, side=side, height=height)
