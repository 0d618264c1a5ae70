"""Sizes, times and small numbers in the words of messages and of the page."""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def format_size(mib: float | None) -> str:
    """MiB of memory or disk: 320 -> "320 MB", 5222 -> "5.1 GB" (of 1024 MB each, as
    operating systems count).
    """
    return "unknown size" if mib is None else _format(mib, 0)


def format_sizes(one: float, other: float) -> tuple[str, str]:
    """Two sizes (MiB) that a sentence compares, with as many digits as tell them apart:
    ("1.18 GB", "1.21 GB").
    """
    more = next(
        (
            digits
            for digits in range(10)
            if _format(one, digits) != _format(other, digits)
        ),
        0,
    )
    return _format(one, more), _format(other, more)


def _format(mib: float, more: int) -> str:
    """more: digits besides the usual ones."""
    if mib < 0.1 and not more:
        return "0 MB"
    if mib < 999.5:
        return f"{mib:.{more + (mib < 9.95)}f} MB"
    gib = mib / 1024
    return f"{gib:,.{more + (gib < 99.95)}f} GB"


def format_decimal(value: float) -> str:
    """A small number, such as a learning rate, without an exponent: 5e-05 -> "0.00005"."""
    return f"{value:.12f}".rstrip("0").rstrip(".")


def format_speed(tokens: float) -> str:
    """Tokens per second: 0.9 -> "1 token a second"."""
    return f"{tokens:.0f} token{'s' * (round(tokens) != 1)} a second"


def format_rough(seconds: float) -> str:
    """A time in its largest unit: 33 -> "35 s", 970 -> "16 min", 9000 -> "2.5 h"."""
    if seconds < 55:
        return f"{max(5, round(seconds / 5) * 5)} s"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.1f}".removesuffix(".0") + " h"
