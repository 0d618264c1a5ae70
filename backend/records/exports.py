"""The result of an export: what its job stores, `export --json` prints, and CHECKS.json holds of it.

A file may come from an older version: what it lacks has its default. JSON has no infinity and no NaN: both are
written as null, which reads as NaN.
"""

from __future__ import annotations

import math

from pydantic import Field

from backend.records.base import StoredRecord
from backend.records.events import Loss


class ExportFile(StoredRecord):
    """A file that an export made, or a folder of files."""

    name: str  # in the folder of the export
    bytes: int
    sha256: str = ""  # in hexadecimal; "" for a folder, and in an export of an older version


class Check(StoredRecord):
    """What one check of an export found."""

    ok: bool | None  # None: no verdict
    sentence: str


class TokenDifference(StoredRecord):
    """The first token that differs from training's in a conversation."""

    where: str  # what read it
    conversation: int  # from 1
    position: int
    training: str  # the text of the token
    other: str


class TokenCheck(Check):
    """Whether conversations become the same tokens as in training."""

    conversations: int = 0
    first_difference: TokenDifference | None = None


class MergeCheck(Check):
    """The saved merged model, compared with base and adapter on `tokens` tokens."""

    dtype: str = ""  # of the saved weights, such as "bfloat16"
    lost: Loss = math.nan  # distance to base-with-adapter, relative to that between it and the base (over all logits)
    same_choice: float = 0.0  # share of the positions where both rank the same next token first
    tokens: int = 0


class LossCheck(Check):
    """What merging changed after QLoRA: mean loss at `places` positions of known answers (nats)."""

    trained: Loss = math.nan  # of the model as trained, on its 4-bit base
    merged: Loss = math.nan
    places: int = 0


class TemplateCheck(Check):
    """Whether llama.cpp's own template engine renders conversations as training did."""

    conversations: int = 0
    expected: str = ""  # of the first one that differs
    found: str = ""


class ScriptCheck(Check):
    """Whether the first steps of the training script repeat the run."""

    first_difference: int | None = None  # a step


class TaskCheck(Check):
    """Whether a GGUF file does the task worse than the largest by more than chance."""

    worse: tuple[str, ...] = ()  # types
    items: int = 0
    scores: dict[str, float] = Field({})  # the mean score of each type, 0 to 1


class FileCheck(Check):
    """Whether a GGUF file answers, ends its answers, and agrees with the merged model."""

    loads: bool | None = None
    stops: bool | None = None
    agrees: bool | None = None
    text: str = ""  # its answer to the first prompt
    tokens: int = 0
    tokens_per_second: float = 0.0
    same_tokens: int = 0  # at the start of that answer, as the merged model's
    nll: Loss = math.nan  # of known answers, in nats per token
    merged_nll: Loss = math.nan
    same_choice: float = 0.0  # share of the `places` with the merged model's next word
    places: int = 0
    needed: float = 0.0  # the share that `same_choice` must reach


class TaskScore(StoredRecord):
    """How a GGUF file did on held-out examples."""

    measure: str
    score: float  # the mean, 0 to 1
    items: int


class GgufFile(StoredRecord):
    """A GGUF file of an export."""

    kind: str  # one of `gguf.TYPES`
    file: str = ""  # its name
    bytes: int
    too_narrow: float = 0.0  # share of the weights that take a larger type, because their width does not fit this one
    kl: float | None = None  # mean divergence of its next words from the 16-bit file's (nats); None: not measured
    same_choice: float | None = None  # share of the `places` where both choose the same next word
    places: int = 0
    task: TaskScore | None = None  # None: not tried
    recommended: bool = False  # for this computer


class Program(StoredRecord):
    """A program that can run an export."""

    name: str
    what: str
    steps: tuple[str, ...]
    code: str  # to type or run, "" for nothing
    source: str  # where the program documents this: https


class ExportResult(StoredRecord):
    """An export, or what is known so far of one that is being made."""

    to: str = ""  # one of FORMATS, or several GGUF types
    base: str = "original"  # what an adapter was merged into, "original" or "trained"
    evaluation: str = ""  # the job that evaluated the model, "" for none
    files: tuple[ExportFile, ...] = ()
    folder: str = ""  # the name of the folder among the files, "" for none
    parity: TokenCheck | None = None
    merge: MergeCheck | None = None
    loss: LossCheck | None = None
    template: TemplateCheck | None = None
    same: ScriptCheck | None = None
    task: TaskCheck | None = None
    smoke: dict[str, FileCheck] = Field({})  # by type of GGUF file
    sizes: tuple[GgufFile, ...] = ()
    programs: tuple[Program, ...] = ()
    ollama_template: bool | None = None  # whether the chat template could be expressed for Ollama
    checks: tuple[Check, ...] = ()  # all of the above, as they are shown

    @property
    def passed(self) -> bool:
        """Whether none of its checks failed."""
        return all(check.ok is not False for check in self.checks)

    def joined(self, other: ExportResult) -> ExportResult:
        """This and what was found since: a check that has failed once stays so."""
        failed = {name for name in CHECK_FIELDS if getattr(getattr(self, name), "ok", None) is False}
        return self.model_copy(update={name: getattr(other, name) for name in other.model_fields_set - failed})

    def all_checks(self) -> list[Check]:
        """Every check, in the order in which they are shown."""
        found = (self.parity, self.merge, self.loss, self.template, self.same, self.task)
        return [*(check for check in found if check), *self.smoke.values()]


class PushResult(StoredRecord):
    """An upload to Hugging Face."""

    url: str = ""
    repo: str = ""  # OWNER/NAME
    private: bool = False


# The fields of a result that hold checks.
CHECK_FIELDS = ("parity", "merge", "loss", "template", "same", "task", "smoke")
