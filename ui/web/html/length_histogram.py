"""The lengths of the examples as a bar chart in SVG, with the same in a sentence."""

from collections.abc import Sequence

from markupsafe import Markup

from ui.text import format as fmt
from ui.web.html.components import EMPTY, join

BARS = 32


def histogram(lengths: Sequence[int], limit: int | None = None) -> Markup:
    """A bar chart of lengths in tokens. limit: the longest that the model reads, drawn as a line inside the chart."""
    if not lengths:
        return EMPTY
    shortest, longest = min(lengths), max(lengths)
    begin = 0 if 2 * shortest < longest else shortest  # similar lengths are spread over the whole chart
    step = max(1, -(-(longest - begin) // BARS))
    counts = [0] * ((longest - begin) // step + 1)
    for length in lengths:
        counts[(length - begin) // step] += 1
    most, end = max(counts), begin + step * len(counts)
    bars = (
        Markup('<rect x="{:.2f}" width=".88" y="{:.1f}" height="{:.1f}"/>').format(at + 0.06, 100 - high, high)
        for at, count in enumerate(counts)
        if count and (high := max(2.0, 100 * count / most))
    )
    line, summary = EMPTY, sentence(lengths)
    if limit and limit < longest:
        line = Markup('<i class="limit" style="left:{:.1f}%"></i>').format(100 * max(0, limit - begin) / (end - begin))
        summary += f" Conversations beyond the line, {fmt.number(limit)} tokens, are cut off; documents are divided."
    return Markup(
        '<figure class="lengths"><div><svg viewBox="0 0 {width} 100" preserveAspectRatio="none" role="img" '
        'aria-label="{summary}">{bars}</svg>{line}</div>'
        '<p aria-hidden="true"><span>{begin}</span><span>{longest} tokens</span></p>'
        "<figcaption>{summary}</figcaption></figure>"
    ).format(
        width=len(counts),
        bars=join(bars),
        line=line,
        summary=summary,
        begin=fmt.number(begin),
        longest=fmt.number(longest),
    )


def sentence(lengths: Sequence[int]) -> str:
    """The spread of the lengths in words: the median, the ninth decile, the longest."""
    ordered = sorted(lengths)
    half, most = ordered[(len(ordered) - 1) // 2], ordered[(9 * len(ordered) + 9) // 10 - 1]
    if len(ordered) == 1:
        return f"Your one example has {fmt.count(half, 'token')}."
    if ordered[0] == ordered[-1]:
        return f"Every example has {fmt.count(half, 'token')}."
    return (
        f"Half of the examples have {fmt.count(half, 'token')} or fewer, nine in ten have "
        f"{fmt.number(most)} or fewer, and the longest has {fmt.number(ordered[-1])}."
    )
