"""Checks of the answers: repetition, very short answers, different answers to the same question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from backend.datasets.checks.issues import problem
from backend.datasets.checks.repetition import repeated, suspects
from backend.records.rows import Problem, Row
from backend.text.conversation import answers, content, last_answer, question
from backend.text.excerpt import excerpt
from backend.text.normalize import normalize, same_rows

SAME_EVERYWHERE = 5  # rows; from here on, the same question in all of them is a fault of the file
_BLOCK = 512  # rows checked together, so that their texts stay in the processor's cache
_TYPICAL = 30  # characters; with a median below it, short answers are the task (labels, numbers)


def find(rows: Sequence[Row]) -> Iterator[Problem]:
    """Problems in the answers of `rows`."""
    yield from repetitions(rows)
    yield from short_answers(rows)
    yield from conflicts(rows)


def repetitions(rows: Sequence[Row]) -> Iterator[Problem]:
    """Answers that repeat one sentence five times or more."""
    for start in range(0, len(rows), _BLOCK):
        texts = [(row, answer) for row in rows[start : start + _BLOCK] for answer in answers(row)]
        reported = None
        for i in suspects([answer for _, answer in texts]):
            row, answer = texts[i]
            if row is not reported and (repetition := repeated(answer)):
                reported, (sentence, times) = row, repetition
                message = f"The answer repeats one sentence {times} times; the model would learn to repeat itself."
                yield problem(row, "repetition", message, excerpt(sentence))


def short_answers(rows: Sequence[Row]) -> Iterator[Problem]:
    """Answers far shorter than usual in this file: a tenth of the median, at most ten characters."""
    chats = [row for row in rows if row.messages]
    lengths = [len(last_answer(row).strip()) for row in chats]
    middle = median(list(filter(None, lengths)) or [0])
    if middle < _TYPICAL:
        return
    limit = min(10, int(middle) // 10)
    for row, length in zip(chats, lengths, strict=True):
        if 0 < length <= limit and not row.messages[-1].get("tool_calls"):
            units = "character" if length == 1 else "characters"
            message = f"The answer has {length} {units}; answers in this file usually have about {int(middle)}."
            yield problem(row, "very_short_answer", message, excerpt(last_answer(row)))


def conflicts(rows: Sequence[Row]) -> Iterator[Problem]:
    """Rows with the question of an earlier row and a different answer."""
    ending = [
        row for row in rows if row.messages and row.messages[-1]["role"] == "assistant" and row.rejected is None
    ]
    groups = same_rows(
        ending,
        lambda row, of_text: tuple([of_text(content(m)) for m in row.messages[:-1]]),
        lambda row, of_text: of_text(content(row.messages[-2])) if len(row.messages) > 1 else "",
    )
    if groups and len(groups[0]) == len(ending) >= SAME_EVERYWHERE:
        return  # `dataset.same_input` reports this once
    for group in groups:
        answered = [ending[i] for i in group if question(ending[i]).strip() and last_answer(ending[i]).strip()]
        for row in answered[1:]:
            if normalize(last_answer(row)) != normalize(last_answer(answered[0])):
                message = (
                    f"Example {answered[0].row} ({answered[0].place}) has the same question with a different answer; "
                    "the model can't tell which one is right."
                )
                yield problem(row, "conflicting_answers", message, excerpt(last_answer(row)))
