"""The results of an evaluation and of a trial of prompts: what evaluation.json stores
and `evaluate --json` prints.

A file may be damaged, so reading it checks all that the page relies on; one from
another computer is checked more strictly (`from_elsewhere`). JSON has no infinity and
no NaN: they are written as null, which reads as the infinity that the field can have,
or as NaN in a loss or difference.
"""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from backend.records.base import StoredRecord
from backend.records.events import Loss
from backend.statistics import wilson_interval

SYSTEMS = BASE, PROMPT, FEW_SHOT, FACTS, TUNED = (
    "base",
    "prompt",
    "few_shot",
    "facts",
    "tuned",
)
PARENT = "parent"  # the previous version of the tuned model

MeasureName = Literal[
    "preference", "tool_call", "json", "label", "exact", "chrf", "perplexity"
]
Verdict = Literal["better", "no_difference_shown", "worse"]
AgainstPrompt = Literal["better", "as_good", "not_shown", "not_measured"]
GeneralOutcome = Literal["kept", "lost", "leaked"]
GeneralVerdict = Literal["kept", "mostly_kept", "lost", "unknown"]
TrialOutcome = Literal["prompt_may_do", "read_answers", "train"]
VoiceFault = Literal["loop", "greeting", "sign_off", "too_short", "too_long", "form"]

_MOST_KEPT = 0.6  # of what the base model knows, below which it is lost
_SOME_LEAKED, _MUCH_LEAKED = 0.1, 0.25  # of all prompts
_LARGEST = 1e100  # finite also when multiplied by a count


def _check_shown(value: float, info: ValidationInfo) -> float:
    """`value`, which must be in the range that cards can show if it comes from another
    computer.
    """
    if info.context and not 0 <= value <= _LARGEST:
        raise ValueError("a number that can't be shown")
    return value


_SHOWN = AfterValidator(_check_shown)
_FINITE = PlainSerializer(
    lambda value: value if math.isfinite(value) else None, return_type=float | None
)
_HIGHEST = BeforeValidator(lambda value: math.inf if value is None else value)
_LOWEST = BeforeValidator(lambda value: -math.inf if value is None else value)
_EDGE = AfterValidator(
    lambda value: value if abs(value) <= _LARGEST else math.copysign(math.inf, value)
)

SystemName = Annotated[str, Field(pattern=f"^({'|'.join(SYSTEMS)})$")]
SystemOrParent = Annotated[str, Field(pattern=f"^({'|'.join((*SYSTEMS, PARENT))})$")]
Count = Annotated[int, Field(ge=0, lt=1 << 31)]
Share = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, _HIGHEST, Field(ge=0), _SHOWN, _FINITE]
Bounds = tuple[
    Annotated[float, _LOWEST, _EDGE, _FINITE],
    Annotated[float, _HIGHEST, _EDGE, _FINITE],
]
Nats = Annotated[Loss, _SHOWN, _FINITE]


class VoiceCount(StoredRecord):
    """How many answers are in the voice of the examples, and the worst fault of each of
    the others.
    """

    in_voice: Count
    """How many answers are in it."""
    signed: bool
    """Whether the examples greet or sign off, instead of having only a length and a form in common."""
    faults: dict[VoiceFault, Count] = Field(default_factory=dict)
    """How many of the others have each as their worst."""


class SystemScore(StoredRecord):
    """How one system did. Where JSON is expected, a base's answer that begins otherwise
    is cut after 32 tokens.
    """

    score: Score
    """The share of right answers, the mean likeness from 0 to 1, or the perplexity."""
    interval: Bounds
    """The 95% interval of `score`; infinite where nothing is known of other questions."""
    ended: Share | None = None
    """Of the answers, those that the model ended by itself."""
    loops: Share | None = None
    """Of the answers, those that repeat themselves endlessly."""
    words: Annotated[float, _SHOWN] | None = None
    """Words of an answer, on average."""
    loss: Nats | None = None
    """Loss of the expected answers, in nats per token."""
    phrases: dict[str, Share] = Field(default_factory=dict)
    """The person's own phrases, with the share of answers that have each."""
    voice: VoiceCount | None = None
    """How many answers have the voice of the examples, where they are free texts."""
    copied: Share | None = None
    """Of the answers, those that are an answer of the training examples."""
    parsed: Share | None = Field(None, alias="json")
    """Of the answers, those that are JSON, where it is expected."""
    fields: dict[str, Share] = Field(default_factory=dict)
    """Those of the expected JSON objects, with the share of answers that have each right."""
    confusion: dict[str, dict[str, Count]] = Field(default_factory=dict)
    """How often each label was answered, by expected label."""
    instruction: str = ""
    """The prompt that this system was given."""


class Comparison(StoredRecord):
    """System `a` against system `b` on the same questions."""

    a: SystemOrParent
    """A system, or the previous version."""
    b: SystemOrParent
    """The one that it is compared with."""
    difference: Annotated[Loss, _FINITE]
    """Of the mean scores of clusters; of perplexities, in nats per token, positive where `a` is better."""
    interval: Bounds
    """The 95% interval of `difference`."""
    p: float | None
    """Exact McNemar over clusters won and lost; None for graded scores, where the interval decides."""
    verdict: Verdict
    """Whether `a` is better, worse, or neither was shown."""


class Finding(StoredRecord):
    """A fault in the answers of the tuned model, see `evaluation.diagnosis`."""

    kind: str
    """One of `evaluation.diagnosis.Kind`."""
    share: Share = 0.0
    """Of the answers."""
    example: str = ""
    """The training answer that it recites, where it was memorized."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "memorized" and not self.example:
            raise ValueError("a finding without its example")
        return self


class GeneralAnswer(StoredRecord):
    """Both answers to a general prompt."""

    question: str
    """The general prompt."""
    base: str
    """The answer of the base model."""
    tuned: str
    """The answer of the tuned model."""
    outcome: GeneralOutcome
    """What became of the base model's answer."""


class GeneralCheck(StoredRecord):
    """How much of the base model is left in the tuned one besides the task, see
    `evaluation.general`.
    """

    asked: Count = 0
    """How many general prompts."""
    base_right: Count
    """Questions that the base model answers correctly."""
    kept: Count
    """Questions that both answer correctly."""
    tuned_right: Count = 0
    """Questions that the tuned model answers correctly."""
    lost: tuple[str, ...]
    """The questions that only the base model answers correctly."""
    dropped: bool
    """Whether so many more were lost than gained that it can't be chance."""
    leaked: Count | None = None
    """Of the prompts, those that only the tuned model answers in the form of its task; None where that has none."""
    drift: Annotated[float, _EDGE, _FINITE] | None = None
    """Nats per token by which the base model's own answers became less likely; None where it was not measured."""
    keep_general: Share | None = None
    """The run's setting; None where it has no effect."""
    examples: tuple[GeneralAnswer, ...] = ()
    """Some prompts with both answers."""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the share of questions that are kept."""
        return wilson_interval(self.kept, self.base_right)

    @property
    def verdict(self) -> GeneralVerdict:
        """Whether the tuned model still answers other things as its base does."""
        leaked = (self.leaked or 0) / max(1, self.asked)
        if not self.base_right:
            return "unknown"
        if leaked > _MUCH_LEAKED or (
            self.dropped and self.kept < _MOST_KEPT * self.base_right
        ):
            return "lost"
        return "mostly_kept" if self.dropped or leaked > _SOME_LEAKED else "kept"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kept > self.base_right or (self.leaked or 0) > self.asked:
            raise ValueError("more than there are")
        return self


class ParentComparison(StoredRecord):
    """What the comparison with the previous version rests on; all but `run` and
    `why_not` only if it was made.
    """

    run: str
    """The id of the previous version."""
    version: Count = 0
    """Its number."""
    items: Count = 0
    """Questions that neither version has learned from."""
    left_out: Count = 0
    """Questions that one of them has learned from."""
    why_not: str = ""
    """Why the versions were not compared, "" if they were."""
    asked: Count = 0
    """Questions whose answer was not stored by the evaluation of the previous version."""
    clusters: Count = 0
    """Of questions that depend on each other."""
    least_provable_gain: Share | None = None
    """As in `Measured`."""
    systems: dict[SystemOrParent, SystemScore] = Field(default_factory=dict)
    """The scores of TUNED and PARENT."""


class ReportedAnswer(StoredRecord):
    """A question with the answers of all systems. In JSON, these stand beside the
    question, each under its name.
    """

    question: str
    """Of a plain text, its beginning."""
    expected: str
    """The answer of the examples."""
    texts: dict[SystemOrParent, str]
    """The answer of each system."""
    scores: dict[SystemOrParent, Score]
    """The score of each answer."""
    losses: dict[SystemOrParent, Nats] = Field(default_factory=dict)
    """Of a plain text, in nats per token."""
    cluster: Count
    """The same number for questions that depend on each other."""

    def without(self, system: str) -> Self:
        """The same without the answer of one system."""
        texts = {name: text for name, text in self.texts.items() if name != system}
        scores = {name: score for name, score in self.scores.items() if name != system}
        return self.model_copy(update={"texts": texts, "scores": scores})

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, values: Any) -> Any:
        if isinstance(values, dict) and "texts" not in values:
            return {
                **values,
                "texts": {
                    name: values[name] for name in (*SYSTEMS, PARENT) if name in values
                },
            }
        return values

    @model_serializer(mode="wrap")
    def _flat(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = write(self)
        return {**values.pop("texts"), **values}


class Measured(StoredRecord):
    """How the systems were measured, and their scores."""

    main_measure: MeasureName
    """The measure of `score`."""
    items: Annotated[Count, Field(gt=0)]
    """How many questions, or plain texts."""
    skipped: Count = 0
    """Those that are too long to read and answer."""
    clusters: Count
    """Of questions that depend on each other: each counts once."""
    least_provable_gain: Share | None = None
    """See `statistics`; None where no gain can be proved, or scores are graded."""
    detectable_gain: Share | None = None
    """See `statistics`."""
    engine: str
    """The engine that answered, such as "llama.cpp"."""
    systems: dict[SystemName, SystemScore]
    """The scores of each system."""
    comparisons: tuple[Comparison, ...] = ()
    """Systems against each other."""

    @property
    def graded(self) -> bool:
        """Whether answers score a likeness or a perplexity, instead of being right or
        wrong.
        """
        return self.main_measure in ("chrf", "perplexity")

    @model_validator(mode="after")
    def _check_scores(self) -> Self:
        if self.main_measure != "perplexity" and any(
            system.score > 1 for system in self.systems.values()
        ):
            raise ValueError("a score of more than 1")
        return self


class Answered(Measured):
    """A report with every answer."""

    answers: tuple[ReportedAnswer, ...]
    """Each question, the worst answer of the system `judged` first."""

    @property
    def judged(self) -> str:
        """The system that the report is about."""
        return TUNED

    @model_validator(mode="after")
    def _check_answers(self) -> Self:
        names = self.systems.keys()
        answered = all(
            answer.texts.keys() >= names <= answer.scores.keys()
            for answer in self.answers
        )
        if not answered or self.judged not in names:
            raise ValueError("a system without answers or scores")
        return self


class EvaluationSummary(Measured):
    """The verdict on a trained model: the result of the job "evaluate"."""

    verdict: Verdict
    """On the tuned model, against its base."""
    against_prompt: AgainstPrompt
    """Against the base with its best prompt."""
    against_facts: AgainstPrompt = "not_measured"
    """Against the base with facts in its prompt."""
    next: str
    """The recommended next step, in a sentence."""
    next_kind: str = ""
    """What that step is about, "" in older files."""
    right_in_form: Count | None = None
    """Of the questions, those answered right where answers are held to the form of the examples', a JSON schema; None
    where it was not measured."""
    findings: tuple[Finding, ...]
    """Faults in the answers, the most telling first."""
    general: GeneralCheck
    """What is left of the base model."""
    retry: dict[str, float] = Field(default_factory=dict)
    """Settings to train again with."""
    against_parent: Verdict | Literal["not_measured"] = "not_measured"
    """Against the previous version."""
    parent: ParentComparison | None = None
    """The comparison with the previous version; None for a first one."""

    @model_validator(mode="after")
    def _check_systems(self) -> Self:
        if not self.systems.keys() >= {BASE, TUNED}:
            raise ValueError("a system is missing")
        if self.against_parent != "not_measured":
            systems = self.parent.systems if self.parent else {}
            if not systems.keys() >= {TUNED, PARENT} or any(
                system.score > 1 for system in systems.values()
            ):
                raise ValueError(
                    "a comparison with the previous version without its scores"
                )
        return self


class EvaluationReport(EvaluationSummary, Answered):
    """The verdict with every answer."""

    @classmethod
    def from_elsewhere(cls, text: str | bytes) -> Self:
        """The report in a file from another computer: each value has its type and can
        be shown. Raises ValueError.
        """
        return cls.model_validate_json(
            text, strict=True, context="elsewhere"
        ).elsewhere()

    def elsewhere(self) -> Self:
        """The report without what another computer can't use: the previous version, and
        settings to train again.
        """
        answers = tuple(answer.without(PARENT) for answer in self.answers)
        changes: dict[str, object] = {
            "answers": answers,
            "comparisons": (),
            "parent": None,
            "retry": {},
        }
        return self.model_copy(update={**changes, "against_parent": "not_measured"})


class TrialReport(Answered):
    """How far the base model gets with prompts: evaluation.json of the job
    "try_prompts".
    """

    best: SystemName
    """The system with the highest score."""
    next: str
    """The recommended next step, in a sentence."""
    next_kind: TrialOutcome
    """What that step is."""

    @property
    def judged(self) -> str:
        return self.best
