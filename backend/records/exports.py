"""The result of an export: what its job stores, `export --json` prints, and CHECKS.json
holds of it.

A file may come from an older version: what it lacks has its default. JSON has no
infinity and no NaN: both are written as null, which reads as NaN.
"""

import math
from typing import Self

from pydantic import Field

from backend.records.base import StoredRecord
from backend.records.events import Loss


class ExportFile(StoredRecord):
    """A file that an export made, or a folder of files."""

    name: str
    """In the folder of the export."""
    bytes: int
    """Its size, or that of the files in a folder."""
    sha256: str = ""
    """In hexadecimal; "" for a folder, and in an export of an older version."""


class Check(StoredRecord):
    """What one check of an export found."""

    ok: bool | None
    """Whether it passed; None: no verdict."""
    sentence: str
    """What it found, in words."""


class TokenDifference(StoredRecord):
    """The first token that differs from training's in a conversation."""

    where: str
    """What read it."""
    conversation: int
    """Its number, from 1."""
    position: int
    """Of the token, from 0."""
    training: str
    """The text of the token in training."""
    other: str
    """Its text there."""


class TokenCheck(Check):
    """Whether conversations become the same tokens as in training."""

    conversations: int = 0
    """How many were compared."""
    first_difference: TokenDifference | None = None
    """None if there is none."""


class MergeCheck(Check):
    """The saved merged model, compared with base and adapter on `tokens` tokens."""

    dtype: str = ""
    """Of the saved weights, such as "bfloat16"."""
    lost: Loss = math.nan
    """Distance to base-with-adapter, relative to that between it and the base (over all logits)."""
    same_choice: float = 0.0
    """Share of the positions where both rank the same next token first."""
    tokens: int = 0
    """How many were compared."""


class LossCheck(Check):
    """What merging changed after QLoRA: mean loss at `places` positions of known
    answers (nats).
    """

    trained: Loss = math.nan
    """Of the model as trained, on its 4-bit base."""
    merged: Loss = math.nan
    """Of the merged model."""
    places: int = 0
    """How many positions."""


class TemplateCheck(Check):
    """Whether llama.cpp's own template engine renders conversations as training did."""

    conversations: int = 0
    """How many were compared."""
    expected: str = ""
    """The text of the first one that differs, as in training."""
    found: str = ""
    """Its text by llama.cpp."""


class ScriptCheck(Check):
    """Whether the first steps of the training script repeat the run."""

    first_difference: int | None = None
    """The first step that differs."""


class TaskCheck(Check):
    """Whether a GGUF file does the task worse than the largest by more than chance."""

    worse: tuple[str, ...] = ()
    """The types that are."""
    items: int = 0
    """How many examples."""
    scores: dict[str, float] = Field({})
    """The mean score of each type, 0 to 1."""


class FileCheck(Check):
    """Whether a GGUF file answers, ends its answers, and agrees with the merged model."""

    loads: bool | None = None
    """Whether it can be opened."""
    stops: bool | None = None
    """Whether it ends its answers."""
    agrees: bool | None = None
    """Whether it matches the merged model."""
    text: str = ""
    """Its answer to the first prompt."""
    tokens: int = 0
    """Of that answer."""
    tokens_per_second: float = 0.0
    """Of that answer."""
    same_tokens: int = 0
    """At the start of that answer, as the merged model's."""
    nll: Loss = math.nan
    """Of known answers, in nats per token."""
    merged_nll: Loss = math.nan
    """The same of the merged model."""
    same_choice: float = 0.0
    """Share of the `places` with the merged model's next word."""
    places: int = 0
    """How many positions in known answers."""
    needed: float = 0.0
    """The share that `same_choice` must reach."""


class PageCheck(Check):
    """Whether the page with the model in it answers in a browser as the GGUF file does."""

    questions: int = 0
    """How many were asked."""
    from_disk: int = 0
    """How many answers from the disk are the file's."""
    over_http: int = 0
    """How many over http."""
    seconds: float = 0.0
    """Until the page from the disk was ready."""
    tokens_per_second: float = 0.0
    """Of its answers."""


class TaskScore(StoredRecord):
    """How a GGUF file did on held-out examples."""

    measure: str
    """The measure's name."""
    score: float
    """The mean, 0 to 1."""
    items: int
    """How many examples."""


class GgufFile(StoredRecord):
    """A GGUF file of an export."""

    kind: str
    """One of `gguf.TYPES`."""
    file: str = ""
    """Its name."""
    bytes: int
    """Its size."""
    too_narrow: float = 0.0
    """Share of the weights that take a larger type, because their width does not fit this one."""
    same_choice: float | None = None
    """Share of the `places` with the merged model's next word; None: not measured."""
    places: int = 0
    """How many positions were compared."""
    task: TaskScore | None = None
    """How it did the task; None: not tried."""
    recommended: bool = False
    """Whether it is, for this computer."""


class Program(StoredRecord):
    """A program that can run an export."""

    name: str
    """The program's own."""
    what: str
    """What it is, in a sentence."""
    steps: tuple[str, ...]
    """What to do there."""
    code: str
    """To type or run, "" for nothing."""
    source: str
    """Where the program documents this: https."""


class ExportResult(StoredRecord):
    """An export, or what is known so far of one that is being made."""

    to: str = ""
    """One of FORMATS, or several GGUF types."""
    evaluation: str = ""
    """The job that evaluated the model, "" for none."""
    files: tuple[ExportFile, ...] = ()
    """Those that can be downloaded."""
    parity: TokenCheck | None = None
    """Same tokens as in training."""
    merge: MergeCheck | None = None
    """The merged model is what was trained."""
    loss: LossCheck | None = None
    """What merging changed after QLoRA."""
    template: TemplateCheck | None = None
    """llama.cpp's own templates."""
    same: ScriptCheck | None = None
    """The script repeats the run."""
    task: TaskCheck | None = None
    """The sizes on the task."""
    page: PageCheck | None = None
    """The page answers as the file in it."""
    smoke: dict[str, FileCheck] = Field({})
    """Each GGUF file, by its type."""
    sizes: tuple[GgufFile, ...] = ()
    """The GGUF files, the largest first."""
    programs: tuple[Program, ...] = ()
    """Where to use it."""
    ollama_template: bool | None = None
    """Whether the chat template could be expressed for Ollama."""
    checks: tuple[Check, ...] = ()
    """All of the above, as they are shown."""

    @property
    def passed(self) -> bool:
        """Whether none of its checks failed."""
        return all(check.ok is not False for check in self.checks)

    def joined(self, other: Self) -> Self:
        """This and what was found since: a check that has failed once stays so."""
        failed = {
            name
            for name in CHECK_FIELDS
            if getattr(getattr(self, name), "ok", None) is False
        }
        return self.model_copy(
            update={
                name: getattr(other, name) for name in other.model_fields_set - failed
            }
        )

    def all_checks(self) -> list[Check]:
        """Every check, in the order in which they are shown."""
        checks = (
            self.parity,
            self.merge,
            self.loss,
            self.template,
            self.same,
            self.task,
            self.page,
        )
        return [*(check for check in checks if check), *self.smoke.values()]


class AnsweredTable(StoredRecord):
    """A spreadsheet with answers."""

    file: str = ""
    """The name of its file, in the job's folder under exports."""
    rows: int = 0
    """The number of its rows."""
    unanswered: int = 0
    """Rows without an answer, such as those without a question."""
    cut: int = 0
    """Answers that were cut at their limit or in a loop."""
    skipped: tuple[str, ...] = ()
    """Sentences on what was left out."""


class PushResult(StoredRecord):
    """An upload to Hugging Face."""

    url: str = ""
    """Its address there."""
    repo: str = ""
    """OWNER/NAME."""
    private: bool = False
    """Whether only the owner sees it."""


# The fields of a result that hold checks.
CHECK_FIELDS = ("parity", "merge", "loss", "template", "same", "task", "page", "smoke")
