"""Finds texts and rows that are the same except for case, spaces, Unicode form and
punctuation at the ends.

Whatever may carry meaning counts: "-5" is not "5", "C#" not "C", "$5" not "€5", ":)"
    not ":(", one emoji not another.
"""

import re
import unicodedata
from collections.abc import Callable, Hashable, Sequence
from functools import partial

from backend.records.rows import Row

QUESTION_MARKS = ("?", "？", "؟")
Groups = list[
    list[int]
]  # positions in a list of rows; each group and the groups in rising order
Key = Callable[
    [Row, "Callable[[str], Hashable]"], Hashable
]  # the part of a row to compare; None matches no row

_STARTS = " \"'‘’‚‛“”„‟«»‹›「」『』¿¡"  # the marks before and after a sentence
_ENDS = f"{_STARTS}.,;:?!…。．、，！？；：｡､؟؛،।॥"
_RAISED = re.compile("([²³¹⁰-⁹₀-₉]+)")
_LOWER = bytes(range(256)).lower()
_NO_WORD = bytes(b for b in range(128) if not chr(b).isalnum())
# A garbled letter that ends in what looks like a space, and would be lost where spaces
# are stripped; not MANHÃ.
whole_letters = partial(re.compile(r"(?<![A-ZÀ-Þ])Ã\xa0").sub, "à")


def normalize(text: str) -> str:
    """`text` for comparing: NFKC, no case, single spaces, no punctuation at the ends. A
    text of nothing but punctuation stays as it is.
    """
    if not text.isascii():
        text = compatible(text)
    text = " ".join(text.casefold().split())
    return text.rstrip(_ENDS).lstrip(_STARTS) or text


def words_of(text: str) -> list[str]:
    """The words of `text`, without case."""
    return re.findall(r"\w+", text.casefold())


def compatible(text: str) -> str:
    """`text` in Unicode's form NFKC, but with 5² as 5^2 instead of 52."""
    return unicodedata.normalize("NFKC", _RAISED.sub(r"^\1", text))


def fingerprint(text: str) -> bytes:
    """Equal for texts that `normalize` makes equal, and much faster; occasionally equal
    for others too.
    """
    if not text.isascii():
        text = normalize(text)
    return text.encode("utf-8", "surrogatepass").translate(_LOWER, _NO_WORD)


def same_rows(rows: Sequence[Row], key: Key, part: Key | None = None) -> Groups:
    """Groups of two or more rows with an equal `key`. A key applies the given function
    to the texts it compares: first `fingerprint`, then, within the groups that this
    finds, `normalize`. part: a key of less text, equal where `key` is; most rows differ
    in it, so the whole key is computed for few.
    """
    groups = [list(range(len(rows)))]
    for rough in filter(None, (part, key)):
        groups = [
            same
            for group in groups
            for same in _grouped(group, rows, rough, fingerprint)
        ]
    return sorted(
        same for group in groups for same in _grouped(group, rows, key, normalize)
    )


def _grouped(
    group: Sequence[int],
    rows: Sequence[Row],
    key: Key,
    of_text: Callable[[str], Hashable],
) -> Groups:
    """The members of `group` with an equal key. Fingerprints are compared by their
    hashes, because they would take as much memory as the file.
    """
    first: dict[Hashable, int] = {}
    members: dict[int, list[int]] = {}
    for i in group:
        value = key(rows[i], of_text)
        if value is not None:
            leader = first.setdefault(
                hash(value) if of_text is fingerprint else value, i
            )
            if leader != i:
                members.setdefault(leader, [leader]).append(i)
    return list(members.values())
