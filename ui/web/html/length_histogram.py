"""How long the examples are, drawn as bars on the server, with the same said in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ui.text import format as fmt

BARS = 32


def histogram(lengths: Sequence[int], limit: int | None = None) -> str:
    """Bars over lengths in tokens. limit: the most that the model is given, drawn as a line where it lies inside."""
    if not lengths:
        return ""
    shortest, longest = min(lengths), max(lengths)
    begin = 0 if 2 * shortest < longest else shortest  # lengths that are much alike are shown apart
    step = max(1, -(-(longest - begin) // BARS))
    counts = [0] * ((longest - begin) // step + 1)
    for length in lengths:
        counts[(length - begin) // step] += 1
    most, end = max(counts), begin + step * len(counts)
    bars = "".join(
        f'<rect x="{at + 0.06:.2f}" width=".88" y="{100 - high:.1f}" height="{high:.1f}"/>'
        for at, count in enumerate(counts)
        if count and (high := max(2.0, 100 * count / most))
    )
    line, cut = "", ""
    if limit and limit < longest:
        at = 100 * max(0, limit - begin) / (end - begin)
        line = f'<i class="limit" style="left:{at:.1f}%"></i>'
        cut = f" Beyond {fmt.number(limit)}, the line, a conversation is cut and a document divided."
    said = sentence(lengths) + cut
    return (
        f'<figure class="lengths"><div><svg viewBox="0 0 {len(counts)} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(said)}">{bars}</svg>{line}</div>'
        f'<p aria-hidden="true"><span>{fmt.number(begin)}</span><span>{fmt.number(longest)} tokens</span></p>'
        f"<figcaption>{escape(said)}</figcaption></figure>"
    )


def sentence(lengths: Sequence[int]) -> str:
    """The spread of the lengths in words: the median, the ninth decile, the longest."""
    ordered = sorted(lengths)
    half, most = ordered[(len(ordered) - 1) // 2], ordered[(9 * len(ordered) + 9) // 10 - 1]
    if len(ordered) == 1:
        return f"The one example has {fmt.count(half, 'token')}."
    return (
        f"Half of the examples have {fmt.count(half, 'token')} or fewer, nine in ten have "
        f"{fmt.number(most)} or fewer; the longest has {fmt.number(ordered[-1])}."
    )
