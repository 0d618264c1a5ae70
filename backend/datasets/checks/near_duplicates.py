"""Pairs of texts that are almost the same, found exactly and in bulk.

A text is the set of its word pairs (each word with the next one). Two texts are almost the same when their sets
have a Jaccard similarity of at least THRESHOLD and their numbers agree: "order 17" is not "order 18".

How: MinHash is not needed. Two sets that similar must share two of the few rarest members of each (prefix
filtering: Chaudhuri, Ganti and Kaushik, "A Primitive Operator for Similarity Joins in Data Cleaning", ICDE 2006;
Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007). So only texts that share a rare
member are compared, and each comparison is exact: no pair is missed and none is made up. All of it runs as
numpy operations over bytes of many texts at once; words and sets are 64-bit hashes.

Word pairs in more than FORM of the texts are the form of the data (an instruction repeated in every row), not
its content, and are left out of the sets, unless nothing else is in a text.

Bounded: in data where very many texts share their rarest members (a file made from one template) at most
_SHARED shared members a text are looked at, nearest rows first.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backend.datasets.checks.shingles import Block, Hashes, Numbers, block

THRESHOLD = 0.75  # one word in fifteen, two in twenty-nine
BOILERPLATE = 0.15  # of the texts, and more than _FORM_LEAST of them
_FORM_LEAST = 10
_BLOCK = 2048  # texts looked at together; their number must fit in 11 bits
_BUCKETS = 22  # bits, at most, of the table that counts in how many texts a word pair stands
_SHARED = 60
_COUNTED = 10  # blocks, spread over the texts, that tell how common a word pair is
_PAIRS = 2048  # pairs compared together; their number must fit in 11 bits


def similar_pairs(texts: Sequence[str], threshold: float = THRESHOLD) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, of positions whose texts are almost the same. Empty texts pair with none."""
    if len(texts) < 2:
        return []
    sets = _sets_of(texts)
    left, right = _candidates(sets, threshold)
    same = _alike(sets, left, right, threshold)
    return list(zip(left[same].tolist(), right[same].tolist(), strict=True))


def _sets_of(texts: Sequence[str]) -> _Sets:
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # numpy works on several cores at once
        blocks = list(threads.map(block, (texts[i : i + _BLOCK] for i in range(0, len(texts), _BLOCK))))
        sample = blocks[:: -(-len(blocks) // _COUNTED)]
        form = max(_FORM_LEAST, int(BOILERPLATE * sum(len(part.words) for part in sample)))
        commonness = _commonness(sample, form)
        return _Sets.of(list(threads.map(lambda part: _rarest_first(part, commonness, form), blocks)))


def are_similar(texts: Sequence[str], pairs: Sequence[tuple[int, int]], threshold: float) -> list[bool]:
    """For each pair of positions in `texts` whether their Jaccard similarity reaches `threshold`."""
    if not pairs:
        return []
    nothing = np.zeros(2, np.int64)
    parts = (block(texts[i : i + _BLOCK]) for i in range(0, len(texts), _BLOCK))
    sets = _Sets.of([_rarest_first(part, nothing, form=0) for part in parts])
    left, right = np.array(pairs).T
    alike: list[bool] = _alike(sets, left, right, threshold).tolist()
    return alike


def _bucket(members: Hashes, table: Numbers) -> Numbers:
    """The place of each member in `table`, whose length is a power of two: its uppermost bits."""
    buckets: Numbers = (members >> np.uint64(65 - len(table).bit_length())).view(np.int64)
    return buckets


def _commonness(blocks: Sequence[Block], form: int) -> Numbers:
    """How often the members of each bucket stand in a sample of the texts; where that is more than `form`, in how
    many texts. Which order the members have matters only for speed, so a sample will do."""
    members = np.concatenate([part.members for part in blocks])
    counts = np.zeros(1 << min(_BUCKETS, len(members).bit_length() + 4), np.int64)
    counts += np.bincount(_bucket(members, counts), minlength=len(counts))
    often = counts > form
    if often.any():
        counts[often] = 0
        for part in blocks:
            buckets = _bucket(part.members, counts)
            here = often.take(buckets)
            once = np.unique(part.owners[here] << _BUCKETS | buckets[here]) & (len(counts) - 1)
            buckets, texts = np.unique(once, return_counts=True)
            counts[buckets] += texts
    return counts


@dataclass(slots=True)
class _Sets:
    """The sets of all texts, one after the other: `members` as 52-bit numbers (12 bits how common, 40 bits hash),
    in each set the rarest first; `starts` and `sizes` of each set; `numbers` as in Block."""

    members: Hashes
    starts: Numbers
    sizes: Numbers
    numbers: Hashes

    @classmethod
    def of(cls, parts: Sequence[tuple[Hashes, Numbers, Hashes]]) -> _Sets:
        """From the members, sizes and numbers of the blocks."""
        members = np.concatenate([members for members, _, _ in parts])
        sizes = np.concatenate([sizes for _, sizes, _ in parts])
        return cls(members, np.cumsum(sizes) - sizes, sizes, np.concatenate([numbers for _, _, numbers in parts]))


def _rarest_first(part: Block, commonness: Numbers, form: int) -> tuple[Hashes, Numbers, Hashes]:
    """The sets of one block: their members, sizes and numbers. A member that stands in more than `form` texts is
    left out where others are left."""
    texts, members, owners = len(part.numbers), part.members, part.owners
    common = commonness.take(_bucket(members, commonness))
    content = common <= form
    if not content.all():
        content |= ~(np.bincount(owners[content], minlength=texts) > 0)[owners]
        members, owners, common = members[content], owners[content], common[content]
    keys = (owners << 52 | np.minimum(common, 4095) << 40).view(np.uint64)
    keys |= members & np.uint64((1 << 40) - 1)
    keys.sort()
    keys = keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys
    sizes = np.bincount((keys >> np.uint64(52)).view(np.int64), minlength=texts)
    keys &= np.uint64((1 << 52) - 1)
    return keys, sizes, part.numbers


def _candidates(sets: _Sets, threshold: float) -> tuple[Numbers, Numbers]:
    """Pairs of texts that share two of their rarest members (one where a text has no more), whose sizes allow the
    threshold and whose numbers agree."""
    prefix = np.minimum(sets.sizes, sets.sizes - np.ceil(threshold * sets.sizes).astype(np.int64) + 2)
    places = _ranges(sets.starts, prefix)
    order = np.argsort(sets.members[places])
    shared, places = sets.members[places[order]], places[order]
    owners = np.repeat(np.arange(len(prefix), dtype=np.int64), prefix)[order]
    left_of_set = sets.starts[owners] + sets.sizes[owners] - places  # members from this one on
    at = np.arange(len(shared), dtype=np.int64)
    found: list[Numbers] = [np.empty(0, np.int64)]
    budget = _SHARED * len(prefix) + 100_000
    for distance in range(1, len(shared)):
        at = at[: np.searchsorted(at, len(shared) - distance)]
        at = at[shared[at] == shared[at + distance]]
        if not len(at) or budget < 0:
            break
        a, b = owners[at], owners[at + distance]
        needed = threshold / (1 + threshold) * (sets.sizes[a] + sets.sizes[b])
        possible = np.minimum(left_of_set[at], left_of_set[at + distance]) + 1  # if this is the second shared one
        fit = (possible >= needed) & (sets.numbers[a] == sets.numbers[b])
        found.append(np.minimum(a, b)[fit] << 32 | np.maximum(a, b)[fit])
        budget -= len(found[-1])
    pairs = np.concatenate(found)
    pairs.sort()
    single = sets.sizes[pairs >> 32] == 1
    pairs = np.unique(np.concatenate([pairs[1:][pairs[1:] == pairs[:-1]], pairs[single]]))
    return pairs >> 32, pairs & ((1 << 32) - 1)


def _alike(sets: _Sets, left: Numbers, right: Numbers, threshold: float) -> npt.NDArray[np.bool_]:
    """For each pair whether the Jaccard similarity of its sets, counted exactly, reaches the threshold."""
    alike = np.zeros(len(left), bool)
    for begin in range(0, len(left), _PAIRS):
        a, b = left[begin : begin + _PAIRS], right[begin : begin + _PAIRS]
        number = np.arange(len(a), dtype=np.int64)
        keys = np.concatenate([_members_of(sets, a, number), _members_of(sets, b, number)])
        keys.sort()
        twice = keys[1:][keys[1:] == keys[:-1]] >> np.uint64(52)
        both = np.bincount(twice.view(np.int64), minlength=len(a))
        either = sets.sizes[a] + sets.sizes[b] - both
        alike[begin : begin + _PAIRS] = both >= threshold * either
    return alike


def _members_of(sets: _Sets, texts: Numbers, number: Numbers) -> Hashes:
    """The members of the sets of `texts`, each marked above its 52 bits with the `number` of its set."""
    marked: Hashes = sets.members[_ranges(sets.starts[texts], sets.sizes[texts])]
    marked |= np.repeat(number << 52, sets.sizes[texts]).view(np.uint64)
    return marked


def _ranges(starts: Numbers, counts: Numbers) -> Numbers:
    """starts[0], starts[0] + 1, … (counts[0] of them), then the same for the next."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0, dtype=np.int64) + np.repeat(starts - ends + counts, counts)
