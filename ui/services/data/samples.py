"""The sample datasets, examples typed into a table, and the held-out questions of a
run.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from backend.datasets.dataset import CheckedDataset
from backend.datasets.edits import with_instruction
from backend.datasets.split import Split, corrected_among
from backend.errors import BadInput
from backend.evaluation.items import Side
from backend.records.rows import Message, Row, rejected_side
from backend.runs.conversations import (
    read_conversations,
    write_conversations,
    write_texts,
)
from backend.settings import SAMPLES as FOLDER
from backend.text.conversation import SYSTEM, question
from ui.records.data import Sample
from ui.records.runs import UnseenQuestion

_MAX_QUESTIONS = 40  # held-out questions stored with a run


def _sample(name: str, title: str, description: str) -> Sample:
    return Sample(
        name,
        title,
        description,
        FOLDER / f"{name}.jsonl",
        FOLDER / f"{name}.held_out.jsonl",
    )


SAMPLES = (
    _sample(
        "orders",
        "Orders into fields",
        "Turns messy customer messages into the same tidy fields every time.",
    ),
    _sample(
        "support",
        "A support voice",
        "A telecom company's chat support that answers in one warm, brief voice.",
    ),
)


def table_as_lines(rows: Sequence[Sequence[str]]) -> str:
    """Typed rows of (question, answer) as JSON lines. Raises BadInput when the table is
    empty.
    """
    filled = [
        (row[0], row[1] if len(row) > 1 else "")
        for row in rows
        if any(cell.strip() for cell in row)
    ]
    if not filled:
        raise BadInput(
            "The table is empty.", "", "Type a question and its answer into a row."
        )
    user, answers = {"role": "user"}, {"role": "assistant"}
    conversations = (
        [{**user, "content": asked}, {**answers, "content": answer}]
        for asked, answer in filled
    )
    return "\n".join(
        json.dumps({"messages": messages}, ensure_ascii=False)
        for messages in conversations
    )


def write_examples(
    folder: Path, checked: CheckedDataset, split: Split, *, pairs: bool = False
) -> None:
    """Writes the conversations of a split into a job's folder, those to learn from and
    those that judge, which may be plain texts. Raises OSError.

    split: the numbers of the rows that learn and judge
    pairs: also write the worse answers of those that judge
    """
    train, held_out = sides(checked, split)
    write_conversations(folder, "train", *train)
    write_conversations(folder, "held_out", *held_out)
    judging = [checked.rows[i] for i in split.judging]
    if pairs:
        write_conversations(
            folder,
            "rejected",
            [rejected_side(row).messages for row in judging if row.messages],
        )
    if texts := [row.text for row in judging if row.text is not None]:
        write_texts(folder, texts)


def sides(checked: CheckedDataset, split: Split) -> tuple[Side, Side]:
    """The conversations of a split to learn from, and those that judge, with a sample
    its held-out ones too; each with the tools that they offer. A person's own
    validation file takes precedence over a sample's.
    """
    train, judging = (
        [checked.rows[i] for i in side] for side in (split.train, split.judging)
    )
    judging = [
        *(Row(0, 0, talk) for talk in sample_questions(checked)),
        *(row for row in judging if row.messages),
    ]
    learned, held_out = (
        ([row.messages for row in side], [row.tools for row in side])
        for side in (train, judging)
    )
    return learned, held_out


def sample_questions(checked: CheckedDataset) -> list[list[Message]]:
    """The held-out conversations of the sample that these examples are; none for other
    examples.
    """
    source = checked.original.source
    for sample in SAMPLES if checked.validation is None else ():
        if (source.file_sha256 or source.sha256) == hashlib.sha256(
            sample.path.read_bytes()
        ).hexdigest():
            held_out = [
                json.loads(line)["messages"]
                for line in sample.held_out.read_text("utf-8").splitlines()
            ]
            if (
                "instruction" in checked.original.source.edits
            ):  # the person gave one to all examples
                [(text, _)] = checked.instructions.most_common(1) or [("", 0)]
                held_out = [
                    with_instruction(Row(0, 0, messages), text).messages
                    for messages in held_out
                ]
            corrected = [
                question(row) for row in checked.rows if row.origin == "corrected"
            ]
            learned = (
                corrected_among(held_out, corrected) if corrected else set()
            )  # their answers are learned now
            return [messages for i, messages in enumerate(held_out) if i not in learned]
    return []


def judged_before(checked: CheckedDataset, run_folder: Path) -> int:
    """How many of the sample's questions also judged an earlier run. Raises OSError,
    ValueError for damaged files.
    """
    own = sample_questions(checked)
    if not own:
        return 0
    before = [
        _without_instruction(messages)
        for messages in read_conversations(run_folder, "held_out")
    ]
    return sum(_without_instruction(messages) in before for messages in own)


def _without_instruction(messages: Sequence[Message]) -> list[Message]:
    return [message for message in messages if message["role"] not in SYSTEM]


def unseen_questions(run_folder: Path) -> list[UnseenQuestion]:
    """The run's held-out conversations as questions with expected answers, single
    questions first.
    """
    questions = []
    for messages in read_conversations(run_folder, "held_out")[:_MAX_QUESTIONS]:
        *before, last = messages or [{}]
        if (
            before
            and last.get("role") == "assistant"
            and before[-1].get("role") == "user"
        ):
            text, answer = (
                str(before[-1].get("content") or ""),
                str(last.get("content") or ""),
            )
            questions.append(UnseenQuestion(text, before, answer))
    return sorted(questions, key=lambda question: len(question.messages) > 2)
