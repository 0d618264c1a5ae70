"""Finding near-duplicates among 50,000 texts, 5 % of them edited copies, against
datasketch's MinHash LSH.

A text has about 90 words; an edited copy has one to four words changed, added or
removed, or different case and punctuation. The peer is datasketch as in its
documentation (128 permutations, LSH at 0.7) on the same word pairs, hashed in one batch
per text (`update_batch`). Our threshold is 0.75; the peer's LSH finds more of the edits
at 0.7 than at 0.8, and its pairs are not verified, as is usual. Both start from the
same strings. The ways take turns and the best of RUNS counts, since other work on the
machine only ever slows one down.

datasketch is to be installed for it (pip install datasketch). It is none of the
packages for the tests: it needs SciPy, which transformers imports where it is, in more
than a second of each training.

A pair is right when it is a text and its edited copy. Recall is over the planted pairs.

    python -m tests.benchmarks.near_duplicates [TEXTS] [--smoke]

Goals: recall no less than the peer, precision at least 0.99, and faster. The last line
    is JSON.
"""

import importlib.util
import random
import re
import time
from collections.abc import Callable
from typing import Any

from backend.datasets.checks.near_duplicates import similar_pairs
from tests.benchmarks.chat_corpus import Words
from tests.benchmarks.measuring import command_line, print_result

Pairs = set[tuple[int, int]]
SHARE = 0.05
RUNS = 4
PEER_TEXTS = 10_000  # the peer gets no more, so that the benchmark ends


def main(count: int, runs: int) -> None:
    texts, planted = corpus(count)
    similar_pairs(texts[:1000])  # imports and first calls
    ways: dict[str, tuple[Callable[[list[str]], Pairs], int]] = {
        "ours": (lambda texts: set(similar_pairs(texts)), count)
    }
    if importlib.util.find_spec("datasketch"):
        ways["datasketch"] = datasketch_pairs, min(count, PEER_TEXTS)
    results = dict.fromkeys(ways, (0.0, 0.0, 0.0))
    for _ in range(runs):
        for name, (find, size) in ways.items():
            results[name] = max(results[name], measured(find, texts[:size], planted))
    for name, (speed, recall, precision) in results.items():
        print(
            f"{name:21} {speed:9,.0f} texts/s  recall {recall:.3f}  precision {precision:.4f}"
        )
    ours, peer = results["ours"], results.get("datasketch")
    figures = (round(peer[0]), round(ours[0] / peer[0], 1)) if peer else (None, None)
    more: dict[str, Any] = {} if peer else {"no_peer": "datasketch is not installed"}
    more |= {"recall": round(ours[1], 4), "precision": round(ours[2], 4)}
    print_result("near_duplicates", "texts/s", round(ours[0]), *figures, **more)


def corpus(count: int, seed: int = 0) -> tuple[list[str], Pairs]:
    """Texts and the planted pairs: a text and, somewhere after it, its edited copy."""
    rng = random.Random(seed)
    words = Words(rng)
    texts: list[str] = []
    planted: Pairs = set()
    used: set[int] = set()
    while len(texts) < count:
        if texts and rng.random() < SHARE:
            original = rng.randrange(max(0, len(texts) - 200), len(texts))
            if original not in used:
                used.update((original, len(texts)))
                planted.add((original, len(texts)))
                texts.append(edited(texts[original], words))
                continue
        texts.append(words.text(rng.randint(60, 120)))
    return texts, planted


def edited(text: str, words: Words) -> str:
    """`text` with a few small changes, like those people make."""
    rng, changed = words.rng, text.split()
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed))
        change = rng.choice(("swap", "add", "drop", "case", "mark"))
        if change == "swap":
            changed[at] = words.draw(1)[0]
        elif change == "add":
            changed.insert(at, words.draw(1)[0])
        elif change == "drop":
            del changed[at]
        else:
            word = changed[at]
            changed[at] = word.upper() if change == "case" else word.rstrip(".") + ","
    return " ".join(changed)


def measured(
    find: Callable[[list[str]], Pairs], texts: list[str], planted: Pairs
) -> tuple[float, float, float]:
    """Texts a second, recall and precision."""
    expected = {pair for pair in planted if pair[1] < len(texts)}
    start = time.perf_counter()
    found = find(texts)
    seconds = time.perf_counter() - start
    right = len(found & expected)
    return len(texts) / seconds, right / len(expected), right / max(len(found), 1)


def datasketch_pairs(texts: list[str]) -> Pairs:
    """The pairs that datasketch finds."""
    from datasketch import MinHash, MinHashLSH

    word = re.compile(r"\w+")

    def pairs_of(text: str) -> list[bytes]:
        found = word.findall(text.lower())
        return [
            f"{a} {b}".encode() for a, b in zip(found, [*found[1:], ""], strict=False)
        ]

    index = MinHashLSH(threshold=0.7, num_perm=128)
    found: Pairs = set()
    for i, text in enumerate(texts):
        minhash = MinHash(num_perm=128)
        minhash.update_batch(pairs_of(text))
        found.update((other, i) for other in index.query(minhash))
        index.insert(i, minhash)
    return found


if __name__ == "__main__":
    command_line(main, rows=50_000, runs=RUNS)
