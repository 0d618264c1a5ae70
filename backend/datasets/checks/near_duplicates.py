"""Finds pairs of texts that are almost the same.

A text is the set of its shingles: pairs of neighboring words, case and punctuation
ignored; signs of numbers, money, emoji and the like count as words. Two texts are
almost the same when the Jaccard similarity of their sets is at least THRESHOLD and
their numbers and names agree: "order 17" is not "order 18", "$5" not "€5", "to Anna"
not "to Ben".

Texts of one form ("What is the capital of ...?") are not almost the same: where _FORM
or more texts resemble each other, two whose every difference is their own, shared by at
most half of them, are two fillings of a form. In an edited copy, a difference is
wording that the others have.

Two such sets must share two of the few rarest shingles of each (prefix filtering:
Chaudhuri, Ganti and Kaushik, "A Primitive Operator for Similarity Joins in Data
Cleaning", ICDE 2006; Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search",
WWW 2007). Only such texts are compared, and each comparison is exact.

Shingles in more than BOILERPLATE of the texts are the form of the data (an instruction
repeated in every row) and are excluded from the sets, unless a text has nothing else.
Where very many texts share their rarest shingles (a file made from one template), only
about _MAX_SHARED candidates per text are compared, nearest rows first.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, filterfalse, permutations
from zlib import crc32

import numpy as np
import numpy.typing as npt

from backend.datasets.checks.language import FUNCTION_WORDS, QUESTION_WORDS
from backend.datasets.checks.patterns import WORD_LISTS, any_of, pattern
from backend.text.normalize import QUESTION_MARKS, compatible

THRESHOLD = 0.75  # one word in fifteen, two in twenty-nine
BOILERPLATE = 0.15  # of the texts, and more than MIN_BOILERPLATE of them
MIN_BOILERPLATE = 10
_MAX_SHARED = 60
# Characters of a block, and those that each text counts for besides its own.
_BLOCK, _PER_TEXT = 1 << 21, 100
_BUCKET_BITS = 22  # size of the table that counts in how many texts a shingle occurs
_FORM = 4  # texts
_AGAIN = 9  # times that a word is compared one by one; from there on, only how often it is said
_TELLING = 3  # words that tell what a text is about; with fewer, all of its words count
_COUNTS = set(WORD_LISTS["counts"].split())
_QUOTED_CODE = pattern("quoted_code")
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64
)  # odd, as usual in hash functions

# Words keep their combining marks; letters of scripts without spaces, signs of money,
# arrows, and emoji are words.
_WORD, _ASCII_WORD, _HIRAGANA, _JAPANESE_WORD = map(
    pattern, ("word", "ascii_word", "hiragana", "japanese_word")
)
_NAME, _NUMBER = pattern("name"), pattern("number")  # what must agree
_CONTRACTED = pattern("contracted")
_SIGN = pattern("sign")  # addresses and code in a line are signs, too
_YES, _NO = (any_of(WORD_LISTS[side], r"(?<!\W)\W*{}\W*") for side in ("yes", "no"))
_DENIED, _WITH_DENIAL = any_of(WORD_LISTS["denied"]), any_of(WORD_LISTS["with_denial"])
_CLAUSE_ENDS = re.compile(r"[.,;:!?—–(\n。、，！？；：]")

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]


def similar_pairs(texts: Iterable[str]) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, of positions whose texts are almost the same. Empty
    texts match none.
    """
    numbers, blocks = list[int](), list[tuple[Hashes, Positions]]()
    for block in _blocks(texts):
        words = list(map(_words, block))
        numbers += [
            hash(_details(text, own)) for text, own in zip(block, words, strict=True)
        ]
        blocks.append(_shingles(words))
    sets = _rarest_first(blocks, len(numbers))
    similar = []
    for i, j in ((i, j) for i, j in _candidates(sets) if numbers[i] == numbers[j]):
        both = len(set(sets[i].tolist()).intersection(sets[j].tolist()))
        if both >= THRESHOLD * (len(sets[i]) + len(sets[j]) - both):
            similar.append((i, j))
    return list(_without_forms(similar, sets))


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts, a few at a time: the words of all of them would take many times as
    much memory as the file.
    """
    block, size = list[str](), 0
    for text in texts:
        block.append(text)
        size += len(text) + _PER_TEXT
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


@lru_cache(
    maxsize=256
)  # several rows with one question are compared, one after the other
def gist(text: str) -> frozenset[str]:
    """What carries a text's meaning, as often as it is said: words, "not" and numbers,
    but no articles; and each piece of code, whose signs are no words.
    """
    words = _words(_CONTRACTED.sub(" not", text))
    telling = [word for word in words if word not in FUNCTION_WORDS]
    counts = Counter(
        [*(telling if len(telling) >= _TELLING else words), *_QUOTED_CODE.findall(text)]
    )
    often = ((word, times) for word, times in counts.items() if times > 1)
    again = (
        word + "×" * time
        for word, times in often
        for time in {*range(1, min(times, _AGAIN)), times - 1}
    )
    return frozenset(chain(counts, again))


def only_numbers_differ(one: str, other: str) -> bool:
    """Whether two texts say the same with other numbers."""
    differing = [
        first - second for first, second in permutations(map(gist, (one, other)))
    ]
    return all(differing) and all(
        _NUMBER.search(word) or word.strip("×") in _COUNTS for word in chain(*differing)
    )


def contradict(asked: str, one: str, other: str) -> bool:
    """Whether, of two answers to a question of yes or no, one begins with yes and the
    other with no, or with the denial of what the first one says.
    """
    begins = [_CLAUSE_ENDS.split(text.strip(), maxsplit=1)[0] for text in (one, other)]
    denied = [_DENIED.search(clause) is not None for clause in begins]
    (_, no, _), (_, yes, said) = sorted(
        zip(denied, begins, (one, other), strict=True), reverse=True
    )
    closed = asked.rstrip().endswith(QUESTION_MARKS) and QUESTION_WORDS.isdisjoint(
        _words(asked)
    )
    if not closed or all(denied) or not any(denied):
        return False
    without = _WITH_DENIAL.sub(" ", _DENIED.sub(" ", no))
    what, stated = (
        {word.rstrip("s") for word in _words(text)} - FUNCTION_WORDS
        for text in (without, said)
    )
    return bool(_YES.fullmatch(yes) and _NO.fullmatch(no)) or (
        bool(what) and what <= stated
    )


def same_order(one: str, other: str) -> bool:
    """Whether two texts have the same words in the same order, and the same signs."""
    return _words(one) == _words(other) and _SIGN.findall(one) == _SIGN.findall(other)


def differing(one: str, other: str) -> list[str]:
    """The words that only one of two texts has."""
    words = [dict.fromkeys(_words(text)) for text in (one, other)]
    return [
        word
        for own, others in permutations(words)
        for word in own
        if word not in others
    ]


def same_details(one: str, other: str) -> bool:
    """Whether the numbers and names of two texts agree."""
    return _details(one, _words(one)) == _details(other, _words(other))


def _details(text: str, words: Sequence[str]) -> tuple[str, ...]:
    """Numbers, and names in mid-sentence; in Japanese, the words of Chinese characters
    or katakana tell texts apart.
    """
    names = set(
        (
            _JAPANESE_WORD if not text.isascii() and _HIRAGANA.search(text) else _NAME
        ).findall(text)
    )
    return (
        *sorted(filter(_NUMBER.search, filterfalse(str.isalpha, words))),
        "",
        *sorted(names),
    )


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(compatible(text).casefold())


def _shingles(texts: Sequence[Sequence[str]]) -> tuple[Hashes, Positions]:
    """The distinct hashes of each word with the next one, or with nothing, by text and
    rising; and how many each text has. Not Python's own hash, which differs between
    processes: a split must come out the same in each.
    """
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    ends = np.cumsum(sizes)
    codes = np.fromiter(map(_code, chain.from_iterable(texts)), np.uint64)
    following = np.append(codes, np.zeros(1, np.uint64))[1:]
    following[ends[ends > 0] - 1] = 0
    hashes = codes * _FACTORS[0] + following * _FACTORS[1]
    owners = np.repeat(np.arange(len(sizes)), sizes)
    hashes = hashes[np.lexsort((hashes, owners))]
    repeated = np.append(
        False, (hashes[1:] == hashes[:-1]) & (owners[1:] == owners[:-1])
    )[: len(hashes)]
    return hashes[~repeated], np.bincount(owners[~repeated], minlength=len(sizes))


@lru_cache(maxsize=1 << 16)
def _code(word: str) -> int:
    return crc32(word.encode("utf-8", "surrogatepass"))


def _buckets(members: Hashes) -> npt.NDArray[np.int64]:
    return (members >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)


def _rarest_first(blocks: list[tuple[Hashes, Positions]], texts: int) -> list[Hashes]:
    """The set of each text without boilerplate, sorted from its rarest to its most
    common shingle. `blocks`, which take as much memory as the file, are empty
    afterwards.
    """
    counts = np.zeros(1 << _BUCKET_BITS, np.int32)
    for members, _ in blocks:
        np.add.at(counts, _buckets(members), 1)
    boilerplate = max(MIN_BOILERPLATE, int(BOILERPLATE * texts))
    sets = list[Hashes]()
    while blocks:
        members, sizes = blocks.pop(0)
        owners = np.repeat(np.arange(len(sizes)), sizes)
        common = counts[_buckets(members)]
        content = common <= boilerplate
        content |= np.bincount(owners, content, len(sizes))[owners] == 0
        members, owners, common = members[content], owners[content], common[content]
        ends = np.cumsum(np.bincount(owners, minlength=len(sizes)))
        sets += np.split(members[np.lexsort((common, owners))], ends[:-1])
    return sets


def _candidates(sets: Sequence[Hashes]) -> Iterator[tuple[int, int]]:
    """Pairs of texts that share two of their rarest shingles (one, if a text has only
    one).
    """
    sizes = np.fromiter(map(len, sets), np.int64, len(sets))
    prefixes = np.minimum(
        sizes, sizes - np.ceil(THRESHOLD * sizes).astype(np.int64) + 2
    )
    owners = np.repeat(np.arange(len(sizes), dtype=np.int32), prefixes)
    first = (own[:size] for own, size in zip(sets, prefixes.tolist(), strict=True))
    shared = np.concatenate([np.empty(0, np.uint64), *first])
    order = np.argsort(shared, kind="stable")
    shared = shared[order]  # one after the other: each takes much memory
    owners = owners[order]
    del order
    most = _MAX_SHARED * len(sizes) + 100_000
    # Its end is hardly ever used, and then takes no memory.
    pairs = np.empty(most + len(shared), np.int64)
    count = 0
    for distance in range(
        1, len(shared)
    ):  # equal shingles are neighbors now, so are the texts that share them
        same = np.flatnonzero(shared[distance:] == shared[:-distance])
        if not len(same) or count > most:
            break
        pairs[count : count + len(same)] = (
            owners[same].astype(np.int64) << 32 | owners[same + distance]
        )
        count += len(same)
    pairs = pairs[:count]
    pairs.sort()
    enough, single = pairs[1:][pairs[1:] == pairs[:-1]], sizes == 1
    if single.any():
        enough = np.union1d(enough, pairs[single[pairs >> 32]])
    for pair in np.unique(enough).tolist():
        yield pair >> 32, pair & 0xFFFFFFFF


def _without_forms(
    pairs: Sequence[tuple[int, int]], sets: Sequence[Hashes]
) -> Iterator[tuple[int, int]]:
    """The pairs that are not two fillings of one form, judged by the texts around the
    one that resembles more.
    """
    around: dict[int, list[int]] = defaultdict(list)
    for i, j in pairs:
        around[i].append(j)
        around[j].append(i)
    rare: dict[int, Hashes] = {}  # shingles of at most half of the texts around one
    for i, j in pairs:
        center = max((i, j), key=lambda row: len(around[row]))
        size = len(around[center]) + 1
        if size >= _FORM:
            if center not in rare:
                near = np.concatenate([sets[row] for row in (center, *around[center])])
                shingles, counts = np.unique(near, return_counts=True)
                rare[center] = shingles[2 * counts <= size]
            own = np.setxor1d(sets[i], sets[j], assume_unique=True)
            if len(own) and np.isin(own, rare[center], assume_unique=True).all():
                continue
        yield i, j
