"""Wrong answers of a trained model, corrected and added to the examples that it learned
from.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.datasets.checks.fix import record
from backend.datasets.convert.tool_calls import calls_in_text
from backend.datasets.editing import Editor
from backend.datasets.store import DatasetStore
from backend.errors import ApprenticeError, BadInput
from backend.evaluation.items import judging_items
from backend.records.reading import RowFault
from backend.records.rows import Message
from backend.runs import division
from ui.records.data import Correction
from ui.services.training.runs import RunService

LONGEST = 20_000  # characters of an answer


class CorrectionService:
    """Corrections of the answers of a workspace's runs."""

    def __init__(self, store: DatasetStore, runs: RunService) -> None:
        self._store, self._runs = store, runs
        self._editor = Editor(store)

    def has_examples(self, run_id: str) -> bool:
        """Whether the examples that the run learned from are still here."""
        data_id = self._runs.spec(run_id).data.data_id
        return bool(data_id) and self._store.has(data_id)

    def all(self, run_id: str) -> dict[str, str]:
        """The corrected answers among the run's examples, of any run, by the last
        question before them.
        """
        with suppress(ApprenticeError):  # what is wrong with the examples shows on Data
            data_id = self._runs.spec(run_id).data.data_id
            return (
                self._editor.corrections(data_id) if self.has_examples(run_id) else {}
            )
        return {}

    def held_out(
        self, run_id: str, question: str, expected: str
    ) -> tuple[list[Message], bool]:
        """The conversation up to the answer of a held-out question of the run, as its
        evaluation reports it, and whether that answer is a tool call.
        """
        for item in judging_items(self._runs.folder(run_id)):
            if (item.question, item.answer) == (question, expected):
                return [dict(message) for message in item.messages], bool(
                    item.expected.get("tool_calls")
                )
        return [{"role": "user", "content": question}], False

    def add(
        self,
        run_id: str,
        messages: Sequence[Mapping[str, Any]],
        answer: str,
        wrong: str,
        restore: bool = False,
        calls: bool = False,
    ) -> Correction:
        """Adds the right answer to the examples of the run: see `Editor.correct`.
        Raises BadInput, changing nothing.

        messages: the conversation up to the answer
        wrong: the answer that the model gave
        restore: if the examples were deleted, restores them first from the run's own
            copy
        calls: the answer is a tool call, in JSON
        """
        if not answer.strip():
            raise BadInput("There is no answer.", "", "Write the answer that is right.")
        if len(answer) > LONGEST:
            raise BadInput(
                "The answer is too long.",
                f"It has more than {LONGEST:,} characters.",
                "Shorten it.",
            )
        right: Message = {"role": "assistant", "content": answer.strip()}
        if calls:
            try:
                right |= {
                    "content": "",
                    "tool_calls": calls_in_text(answer.strip(), len(messages) + 1),
                }
            except RowFault as fault:
                next_step = "Correct it, then add it again."
                raise BadInput(
                    "This tool call can't be added.", fault.message, next_step
                ) from fault
        data = self._runs.spec(run_id).data
        if not data.data_id:
            raise BadInput(
                "This run does not say which examples it learned from.",
                "",
                "Add the answer in step 2.",
            )
        restored = not self._store.has(data.data_id)
        if restored and not restore:
            raise BadInput(
                "The examples of this run were deleted.",
                "",
                "Save the answer as new examples.",
            )
        if restored:
            self._store.add(
                copied_examples(self._runs.folder(run_id)),
                data.name,
                data_id=data.data_id,
            )
        try:
            row = self._editor.correct(
                data.data_id, [*map(dict, messages)], right, wrong, run_id
            )
        except BaseException:
            if restored:
                self._store.remove(data.data_id)
            raise
        return Correction(
            data.data_id, self._store.info.read(data.data_id).name, row, restored
        )


def copied_examples(run_folder: Path) -> str:
    """The examples of a run, from its own copy, as JSON Lines. Raises BadInput when
    they can't be read.
    """
    try:
        rows = [row.row for row in division.read(run_folder) if not row.gone]
    except (OSError, ValueError) as error:
        raise BadInput(
            "The run's own copy of its examples can't be read.", str(error)
        ) from error
    return "".join(json.dumps(record(row)) + "\n" for row in rows)
