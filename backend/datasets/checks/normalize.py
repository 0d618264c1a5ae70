"""Finds texts and rows that are the same except for case, spaces, Unicode form and punctuation at the ends.

Whatever may carry meaning counts: "-5" is not "5", "C#" not "C", "$5" not "€5", ":)" not ":(", one emoji not another.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

from backend.records.rows import Row

Groups = list[list[int]]  # positions in a list of rows; each group and the groups in rising order
Key = Callable[[Row, "Callable[[str], Hashable]"], Hashable]  # the part of a row to compare; None matches no row

_QUOTES = "\"'‘’‚‛“”„‟«»‹›「」『』"
_EDGES = re.compile(f"^[\\s{_QUOTES}¿¡]+|[\\s{_QUOTES}.,;:?!¿¡…。．、，！？；：｡､؟؛،।॥]+$")  # marks of a sentence
_RAISED = re.compile("([²³¹⁰-⁹₀-₉]+)")
_NO_WORD = bytes(b for b in range(128) if not chr(b).isalnum())


def normalize(text: str) -> str:
    """`text` for comparing: NFKC, no case, single spaces, no punctuation at the ends.

    A text of nothing but punctuation stays as it is.
    """
    if not text.isascii():
        text = compatible(text)
    text = " ".join(text.casefold().split())
    return _EDGES.sub("", text) or text


def compatible(text: str) -> str:
    """`text` in Unicode's form NFKC, but with 5² as 5^2 instead of 52."""
    return unicodedata.normalize("NFKC", _RAISED.sub(r"^\1", text))


def fingerprint(text: str) -> bytes:
    """Equal for texts that `normalize` makes equal, and much faster; occasionally equal for others too."""
    if not text.isascii():
        text = normalize(text)
    return text.encode("utf-8", "surrogatepass").lower().translate(None, _NO_WORD)


def same_rows(rows: Sequence[Row], key: Key) -> Groups:
    """Groups of two or more rows with an equal `key`.

    The key applies the given function to the texts it compares: first `fingerprint`, then, within the groups that
    this finds, `normalize`.
    """
    groups: Groups = []
    for rough in _grouped((i, _short(key(row, fingerprint))) for i, row in enumerate(rows)):
        groups += _grouped((i, key(rows[i], normalize)) for i in rough)
    return sorted(groups)


def _grouped(keys: Iterable[tuple[int, Hashable]]) -> Groups:
    by_key: dict[Hashable, list[int]] = defaultdict(list)
    for i, key in keys:
        if key is not None:
            by_key[key].append(i)
    return [group for group in by_key.values() if len(group) > 1]


def _short(key: Hashable) -> int | None:
    return None if key is None else hash(key)  # the keys themselves would take as much memory as the file
