"""Editing the stored examples: each edit is checked, saved, and can be undone."""

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from functools import partial
from itertools import chain

from backend.datasets.check_dataset import row_problems
from backend.datasets.checks.dataset import most_common_instruction
from backend.datasets.convert.convert import check_size
from backend.datasets.edits import Edit, with_instruction
from backend.datasets.info import DatasetInfo, saving
from backend.datasets.store import DatasetStore
from backend.errors import BadInput
from backend.records.reading import Limits, RowFault
from backend.records.rows import Dataset, Message, Problem, Row
from backend.text.conversation import SYSTEM, content, question, said
from backend.text.normalize import normalize

LONGEST_INSTRUCTION = 20_000  # characters
_Turns = tuple[list[str], list[tuple[str, str]]]
_ALSO_REFUSED = ("no_question", "empty_question")  # only a warning in a file


class Editor:
    """The edits of the datasets in a store. Each method raises BadInput, changing
    nothing, WorkspaceProblem (full disk), and NotInDemo.
    """

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def replace(self, data_id: str, number: int, example: Row) -> None:
        """Puts `example` in place of the row with this number, also of one that could
        not be read.
        """
        dataset = self._store.original(data_id)
        before = _row(dataset, number)
        if before is None or not _same(before, example):
            self._require_usable(data_id, [example], _kinds(dataset.rows))
            self._save(data_id, Edit("replace", number, example))

    def delete(self, data_id: str, number: int) -> None:
        _row(self._store.original(data_id), number)
        self._save(data_id, Edit("delete", number))

    def add(self, data_id: str, example: Row) -> int:
        """Adds a row, with the instruction that most rows have, and returns its number."""
        return self.add_together(data_id, [example])[0]

    def add_together(
        self,
        data_id: str,
        examples: Sequence[Row],
        log: Callable[[str], None] = lambda edit: None,
    ) -> range:
        """Adds rows as `add` does, as one edit to undo, and returns their numbers. log:
        called with its id; if it fails, nothing is added.
        """
        dataset = self._store.original(data_id)
        usual = most_common_instruction(dataset.rows)
        kinds = _kinds(dataset.rows) or _kinds(examples[:1])
        first, *more = added = [_instructed(example, usual) for example in examples]
        self._require_usable(data_id, added, kinds)
        self._save(data_id, Edit("add", example=first, more=tuple(more)), log)
        return range(dataset.highest + 1, dataset.highest + 1 + len(examples))

    def set_instruction(self, data_id: str, text: str) -> None:
        """Gives every conversation this system message; "" removes it."""
        text = text.strip()
        if len(text) > LONGEST_INSTRUCTION:
            most = f"It has over {LONGEST_INSTRUCTION:,} characters."
            raise BadInput("The instruction is too long.", most, "Shorten it.")
        if text and "remove_system" in self._store.info.read(data_id).accepted:
            why = "You chose to remove the instructions from every example."
            raise BadInput(
                "The instruction would be removed again.", why, "Undo that first."
            )
        rows = [row for row in self._store.original(data_id).rows if row.text is None]
        if not rows:
            raise BadInput(
                "Plain texts have no instruction.", "Only conversations have one."
            )
        if any(with_instruction(row, text).messages != row.messages for row in rows):
            self._save(data_id, Edit("instruction", instruction=text))

    def correct(
        self,
        data_id: str,
        messages: Sequence[Message],
        answer: Message,
        wrong: str,
        run_id: str,
    ) -> int:
        """Adds the right answer to a question that a run answered wrongly, and returns
        the row's number. It replaces an earlier correction of the same question, else
        the row with the same conversation, whose answer would contradict it.

        messages: up to the answer; without a system message they get that of most rows
        wrong: the run's answer, which becomes the worse one where the examples are
            pairs
        """
        dataset = self._store.original(data_id)
        rejected = (
            [{"role": "assistant", "content": wrong}]
            if any(row.rejected for row in dataset.rows)
            else None
        )
        example = Row(0, 0, [*map(dict, messages), answer], rejected)
        example = _instructed(example, most_common_instruction(dataset.rows))
        self._require_usable(data_id, [example], _kinds(dataset.rows))
        asked = normalize(question(example))
        corrected = (row for row in dataset.rows if row.origin == "corrected")
        earlier = (row for row in corrected if normalize(question(row)) == asked)
        turns = _up_to_answer(example)
        asking = (row for row in dataset.rows if _same_conversation(row, turns))
        match = next(chain(earlier, asking), None)
        if match is None:
            self._save(data_id, Edit("add", example=example, run_id=run_id))
            return dataset.highest + 1
        if match.origin != "corrected" or not _same(match, example):
            example = replace(example, tools=match.tools)
            self._save(data_id, Edit("replace", match.row, example, run_id=run_id))
        return match.row

    def undo(self, data_id: str) -> None:
        """Undoes the last edit."""
        last: list[str] = []

        def change(info: DatasetInfo) -> DatasetInfo:
            if not info.edits:
                raise BadInput("There is nothing to undo.")
            last[:] = info.edits[-1:]
            return replace(info, edits=info.edits[:-1])

        self._store.info.update(data_id, change)
        self._store.edits.delete(data_id, last)

    def corrections(self, data_id: str) -> dict[str, str]:
        """The corrected answers, by the question right before each."""
        stored = self._store.edits.read(data_id, self._store.info.read(data_id).edits)
        if not any(
            edit.run_id for edit in stored
        ):  # nothing of the file needs to be read
            return {}
        corrected = (
            row
            for row in self._store.original(data_id).rows
            if row.origin == "corrected"
        )
        return {content(row.messages[-2]): said(row.messages[-1]) for row in corrected}

    def _require_usable(
        self, data_id: str, examples: Sequence[Row], kinds: Set[str]
    ) -> None:
        """Raises BadInput unless they can be learned and are of the same kind as the
        others, if any.
        """
        for example in examples:
            if kinds and _kind(example) not in kinds:
                raise BadInput(
                    f"Your examples are {' and '.join(sorted(kinds))}.",
                    f"This one is {_kind(example)}.",
                )
        try:
            characters = sum(check_size(example, Limits()) for example in examples)
        except RowFault as fault:
            raise BadInput(
                "This example is too long.", fault.message, "Shorten it."
            ) from fault
        for each in self._store.compute(
            data_id, partial(_problems, examples), characters
        ):
            if each.severity == "error" or each.kind in _ALSO_REFUSED:
                raise BadInput(
                    "This example can't be learned as it is.",
                    each.message,
                    "Correct it, then save again.",
                )

    def _save(
        self, data_id: str, edit: Edit, log: Callable[[str], None] = lambda edit: None
    ) -> None:
        """Adds an edit, or nothing. log: called with its id before it counts."""
        self._store.require_disk()
        ids: list[str] = []
        with saving("Your change", lambda: self._store.edits.delete(data_id, ids)):
            ids.append(self._store.edits.write(data_id, edit))
            log(ids[0])
            self._store.info.update(
                data_id, lambda info: replace(info, edits=[*info.edits, *ids])
            )


def _row(dataset: Dataset, number: int) -> Row | None:
    """The row with this number, None for one that could not be read. Raises BadInput
    when there is neither.
    """
    row = next((row for row in dataset.rows if row.row == number), None)
    if row is None and number not in {p.row for p in dataset.problems if p.row}:
        raise BadInput(
            f"There is no example {number:,}.",
            "It may have been deleted.",
            "Choose another number.",
        )
    return row


def _same(row: Row, other: Row) -> bool:
    return (row.messages, row.rejected, row.text) == (
        other.messages,
        other.rejected,
        other.text,
    )


def _same_conversation(row: Row, other: _Turns) -> bool:
    """Whether a row is the same up to the answer as what `_up_to_answer` made of
    another one. A row without an instruction matches any: a fix may add one.
    """
    if row.text is not None or not row.messages:
        return False
    (first, turns), (second, other_turns) = _up_to_answer(row), other
    return turns == other_turns and (first == second or not first or not second)


def _up_to_answer(row: Row) -> _Turns:
    """The instruction and the turns before the answer, in the form to compare."""
    turns = [
        (message["role"], normalize(content(message))) for message in row.messages[:-1]
    ]
    return [text for role, text in turns if role in SYSTEM], [
        turn for turn in turns if turn[0] not in SYSTEM
    ]


def _instructed(example: Row, usual: str) -> Row:
    """`example` with the instruction `usual`, unless it has its own."""
    has_own = any(message["role"] in SYSTEM for message in example.messages)
    return example if has_own or not usual else with_instruction(example, usual)


def _problems(examples: Sequence[Row]) -> list[Problem]:
    return list(row_problems(examples))


def _kinds(rows: Sequence[Row]) -> set[str]:
    return {_kind(row) for row in rows}


def _kind(row: Row) -> str:
    if row.text is not None:
        return "plain texts"
    return (
        "pairs of a better and a worse answer"
        if row.rejected is not None
        else "conversations"
    )
