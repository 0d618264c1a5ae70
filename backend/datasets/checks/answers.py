"""Checks of the answers: repeated sentences and words, different answers to the same
question.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from backend.datasets.checks import editor, names
from backend.datasets.checks.issues import problem
from backend.datasets.checks.near_duplicates import (
    contradict,
    gist,
    only_numbers_differ,
)
from backend.datasets.checks.patterns import asks_for, pattern
from backend.records.rows import Problem, Row
from backend.text.conversation import (
    answers,
    content,
    instruction,
    last_answer,
    question,
)
from backend.text.excerpt import excerpt
from backend.text.normalize import same_rows

SAME_EVERYWHERE = (
    5  # rows; from here on, the same question in all of them is a fault of the file
)
_UNSPACED, _CODE = map(pattern, ("unspaced", "code_line"))  # lines of code may repeat

CHOICE = "conflicting_answers"  # no fix but the person's choice
_LISTED = 4  # answers to one question
_SHOWN = 40  # characters that answers may have in common and be told apart

LIMIT = 5  # repetitions of one sentence that are a fault (the guide's number)
_ENDS = ".!?。！？\n"
_SENTENCE = re.compile(f"[^{_ENDS}]*[{_ENDS}]+|[^{_ENDS}]+")
_REPEATS = 8  # words
_WORDS = 0.7  # share of what is between spaces; the rest may be numbers and the like
_VARIED = 0.25  # share of different pairs of words, which every text has
_MIN_LENGTH = (
    8  # characters; shorter sentences ("Yes.", "1.", "end") repeat in good answers
)


def find(rows: Sequence[Row]) -> Iterator[Problem]:
    """Problems in the answers of `rows`."""
    yield from repetitions(rows)
    yield from conflicts(rows)
    yield from editor.find(rows)
    yield from names.find(rows)


def repetitions(rows: Sequence[Row]) -> Iterator[Problem]:
    """Answers that repeat one sentence five times or more, and last answers of the same
    few words.
    """
    for row in rows:
        repeat = next(filter(None, map(repeated, answers(row))), None)
        answer = last_answer(row).strip()
        if not (repeat or _repeats_words(answer)) or asks_for(
            "repetition", f"{instruction(row)}\n{question(row)}"
        ):
            continue  # they may ask for a song, or to say it many times
        if repeat:
            message = f"The answer repeats one sentence {repeat[1]} times; the model would learn to do so."
            yield problem(row, "repetition", message, excerpt(repeat[0]))
        else:
            yield problem(row, "repeated_words", quote=excerpt(answer))


def _repeats_words(answer: str) -> bool:
    """Whether the words at the end, or all of them, are the same few, or a long word is
    the same few letters.
    """
    words = answer.casefold().split()
    if _UNSPACED.search(max(words, key=len, default="")):
        return True
    for part in (words, words[-3 * _REPEATS :]):
        if len(set(part)) <= (_VARIED + 1 - _WORDS) * len(
            part
        ):  # as few have; only then each word is looked at
            own = [word for word in part if any(map(str.isalpha, word))]
            pairs = list(pairwise(own))
            if len(own) >= max(_REPEATS, _WORDS * len(part)) and len(
                set(pairs)
            ) <= _VARIED * len(pairs):
                return True
    return False


def conflicts(rows: Sequence[Row]) -> Iterator[Problem]:
    """Rows with the same question and different answers: which one is right, only the
    person knows.
    """
    ended = [
        row
        for row in rows
        if row.messages
        and row.messages[-1]["role"] == "assistant"
        and row.rejected is None
    ]
    groups = same_rows(
        ended,
        lambda row, of_text: (
            *[of_text(content(m)) for m in row.messages[:-1]],
            str(row.tools),
        ),
        lambda row, of_text: (
            of_text(content(row.messages[-2])) if len(row.messages) > 1 else ""
        ),
    )
    if groups and len(groups[0]) == len(ended) >= SAME_EVERYWHERE:
        return  # `dataset.same_everywhere` reports this once
    yield from chain.from_iterable(
        _conflict([ended[i] for i in group]) for group in groups
    )


def _conflict(rows: Sequence[Row]) -> Iterator[Problem]:
    """Problems of rows with the same question, unless their answers mean the same;
    notes where all may be good answers: where more than numbers differ, and none denies
    the other.
    """
    rows = (
        rows if not asks_for(CHOICE, question(rows[0])) else []
    )  # any of several is right
    answered = [
        row for row in rows if question(row).strip() and last_answer(row).strip()
    ]
    meanings = {gist(last_answer(row)): last_answer(row) for row in reversed(answered)}
    counts = Counter(gist(last_answer(row)) for row in answered)
    texts = list(meanings.values())
    if len(texts) > 1:
        same = next(
            (
                i
                for i, letters in enumerate(zip(*texts, strict=False))
                if len(set(letters)) > 1
            ),
            0,
        )
        start = (
            texts[0].rfind(" ", 0, same) + 1 if same > _SHOWN else 0
        )  # of the word in which they first differ
        shown = {
            key: excerpt("…" * (start > 0) + text[start:])
            for key, text in meanings.items()
        }
        listed = "; ".join(
            f"“{shown[key]}” ({n:,} ×)" for key, n in counts.most_common(_LISTED)
        )
        sure = all(only_numbers_differ(texts[0], text) for text in texts[1:])
        sure |= len(texts) == 2 and contradict(question(rows[0]), *texts)
        if not sure and len({row.beside for row in answered}) == len(answered):
            return  # each has another text beside it, such as its options
        so = (
            "The model can't tell which one is right."
            if sure
            else "Keep all of them if that is intended."
        )
        message = f"This question has {len(counts):,} answers: {listed}. {so}"
        for row in answered:
            yield problem(
                row,
                CHOICE,
                message,
                excerpt(last_answer(row)),
                None if sure else "note",
            )


def repeated(text: str) -> tuple[str, int] | None:
    """The most frequent sentence in `text`, in lower case and without its end mark, and
    its count if that is at least LIMIT.
    """
    ends = [end for end in _ENDS if end in text]
    if sum(map(text.count, ends)) < LIMIT - 1:
        return None  # too few sentences, like most answers
    text = text.casefold()
    for end in ends[1:]:
        text = text.replace(end, ends[0])  # many times faster than a pattern
    keys = list(map(str.strip, text.split(ends[0])))
    if len(keys) - len(set(keys)) < LIMIT - 1:
        return None
    return next(
        (
            pair
            for pair in Counter(keys).most_common()
            if pair[1] >= LIMIT and _is_sentence(pair[0])
        ),
        None,
    )


def without_repetition(text: str) -> str:
    """`text` with each sentence only once, also those that appear twice, if `repeated`
    finds a fault in it.
    """
    if repeated(text) is None:
        return text
    seen, pieces = set(), []
    for piece in _SENTENCE.findall(text):
        key = piece.rstrip(_ENDS).strip().casefold()
        if key not in seen or not _is_sentence(key):
            pieces.append(piece)
        seen.add(key)
    return "".join(pieces)


def _is_sentence(text: str) -> bool:
    least = 3 if text.isascii() else 1  # some scripts don't separate words
    return (
        len(text) >= _MIN_LENGTH
        and text.count(" ") >= least - 1
        and not _CODE.search(text)
    )
