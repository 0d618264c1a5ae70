"""What an export is made of: a run, what it learned, and the examples to check the
files with.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from backend.chat.engine import Messages
from backend.errors import BadSetting
from backend.export.formats import jobs_for
from backend.export.model_card import Evaluation
from backend.models import local
from backend.records.base import Record
from backend.records.encoded import IGNORED
from backend.records.specs import RunSpec
from backend.runs.conversations import usual_instruction
from backend.runs.token_rows import TokenRow, read_rows
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import oom

ROWS = 8  # examples to compare probabilities on
_PROMPTS = 3  # validation conversations to answer
_LONGEST = 512  # tokens of an example that the checks use
_LEARNED = 64  # of them are learned at most, since llama.cpp takes a step for the probability of each
_FALLBACK: Messages = ({"role": "user", "content": "What can you help me with?"},)


class ExportSpec(Record):
    """An export as requested."""

    run: str  # its id
    to: str  # one of FORMATS, or several GGUF types
    name: str = ""  # for the files; "" for that of the run
    evaluation: str = ""  # the job that evaluated the model, "" for none
    scores: Evaluation | None = None  # what it found, in words

    @classmethod
    def of(cls, spec: dict[str, Any]) -> Self:
        """The spec of a job. Raises BadSetting."""
        # Older versions could merge into other weights: "base".
        values = {name: value for name, value in spec.items() if name != "base"}
        requested = cls.requested(values, "The export can't be made.")
        if jobs_for(requested.to) != [requested.to]:
            raise BadSetting(
                "These formats are not made together.",
                "",
                "Choose GGUF types only, or another format.",
            )
        return requested


@dataclass(frozen=True)
class Source:
    """A run to export."""

    workspace: Workspace
    run: RunSpec  # with the settings as used
    folder: Path  # of the run
    learned: Path  # the folder with its result: the adapter, or the complete model where all weights were trained
    instruction: str  # the system message that most examples carry, "" for none
    prompts: list[Messages]  # validation conversations to answer
    rows: list[
        dict[str, list[int]]
    ]  # {input_ids, labels} to compare probabilities on, shortened; [] if not needed
    requested: ExportSpec

    @cached_property
    def system_message(self) -> str:
        """What every chat needs: the instruction, or else the template's own, which
        some programs leave out.
        """
        return self.instruction or self.tokenizer.default_instruction

    @cached_property
    def tokenizer(self) -> ChatTokenizer:
        """Of the training. Raises MissingPart."""
        return ChatTokenizer.of_training(self.run.model.path, self.learned)

    @classmethod
    def of(cls, workspace: Workspace, requested: ExportSpec) -> Self:
        """Raises RunProblem if there is no such run, TrainingFailed for damaged rows."""
        folder = workspace.run_folder(requested.run)
        run = oom.spec_used(folder, local.read_run(folder))
        rows: list[dict[str, list[int]]] = []
        if requested.to not in ("adapter", "script"):
            train, validation = read_rows(folder)
            rows = [_shortened(row) for row in (validation or train)[:ROWS]]
        return cls(
            workspace=workspace,
            run=run,
            folder=folder,
            learned=local.learned(folder, run.settings.method),
            instruction=usual_instruction(folder),
            prompts=[list(prompt) for prompt in run.data.held_out_prompts[:_PROMPTS]]
            or [_FALLBACK],
            rows=rows,
            requested=requested,
        )


def _shortened(row: TokenRow) -> dict[str, list[int]]:
    """The start of a row; where nothing in it is learned, as after a long prompt, the
    first token and the end.
    """
    ids, labels, learned = (
        row.input_ids.tolist(),
        row.labels.tolist(),
        (row.labels != IGNORED).nonzero()[0].tolist(),
    )
    labels = [
        label if at in learned[:_LEARNED] else IGNORED
        for at, label in enumerate(labels)
    ]
    if len(ids) > _LONGEST and all(label == IGNORED for label in labels[:_LONGEST]):
        end = 1 - _LONGEST
        return {
            "input_ids": [*ids[:1], *ids[end:]],
            "labels": [*labels[:1], *labels[end:]],
        }
    return {"input_ids": ids[:_LONGEST], "labels": labels[:_LONGEST]}
