"""Faults in a model's answers, recognized by measurement, with the likely cause, and
what to do next.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from backend.advice.settings import KEEP_GENERAL
from backend.evaluation.items import Item
from backend.evaluation.verdict import FEWEST as FEWEST_CLUSTERS
from backend.records.evaluation import BASE, TUNED, EvaluationReport, Finding
from backend.records.events import EvalEvent, read_valid
from backend.records.specs import RunSpec, TrainSettings
from backend.text import signs
from backend.text.normalize import normalize

Kind = Literal[
    "loops", "gibberish", "same_answer", "repeats_question", "never_ends", "memorized"
]
OFTEN, FEWEST = (
    0.2,
    3,
)  # a fault in so large a share of the clusters, and in so many, is reported
_SAME = 0.5  # of the answers are the same
GIBBERISH = 6.0  # nats a token of an answer, as the base model reads it; fluent text has 1 to 4, chance 10 and more
UNUSUAL = 3.0  # nats a token by which it must exceed the expected answers
LONG_ENOUGH = 5  # words of an answer that can be called gibberish: labels and codes are short and unusual
_MOST_EPOCHS = 100.0

_FAULTS = {
    "loops": "Its answers repeat themselves endlessly.",
    "gibberish": (
        "Its answers are gibberish: the learning rate was too high. Train again with "
        "half of it."
    ),
    "same_answer": "It gives the same answer to different questions.",
    "repeats_question": "It repeats the question instead of answering.",
    "never_ends": "Many of its answers do not end.",
    "train_longer": "So far its score shows no clear gain.",
    "memorized": (
        "It recites answers from your examples where another answer is right: train "
        "again for fewer epochs, or with more examples."
    ),
}
# Of a model that was perhaps trained too briefly: see `still_falling`.
_CAUSES = {
    True: (
        "It was trained too briefly: the validation loss was still falling at the end. "
        "Train again for more epochs."
    ),
    False: (
        "More epochs would not help, because the validation loss had stopped falling. "
        "Add about as many examples again."
    ),
    None: "Train again for more epochs, or add about as many examples again.",
}
_TOO_BRIEF = (
    "loops",
    "same_answer",
    "repeats_question",
    "never_ends",
    "train_longer",
)  # perhaps
_FALL = 0.02  # of the best validation loss before, by which the last one is lower while it is still falling
_GOOD = 0.9  # a score from which on a model is simply used
_SURELY = 0.7  # the least that its interval reaches down to: nine right answers of nine


def findings(
    items: Sequence[Item],
    train: Sequence[Item],
    texts: Sequence[str],
    ended: Sequence[bool],
    wrong: Sequence[bool],
    strange: Sequence[bool],
) -> list[Finding]:
    """The faults of a model's answers (`texts`), the most telling first. All but
    `train` are in the order of `items`.

    train: items whose answers might be recited
    ended: whether each answer ended, or was cut only because the right one is as long
    wrong: which answers are not right: a right one is never called a fault
    strange: which answers are gibberish
    """
    possible = {normalize(item.answer) for item in items}
    learned = {
        normalize(item.answer): item.answer
        for item in train
        if normalize(item.answer) not in possible
    }
    everything = range(len(items))
    shown: dict[Kind, list[int]] = {
        "loops": [n for n in everything if wrong[n] and signs.repeats(texts[n])],
        "gibberish": [n for n in everything if strange[n]],
        "same_answer": _same(items, texts, wrong),
        "repeats_question": [
            n for n in everything if wrong[n] and _repeats(items[n], texts[n])
        ],
        "never_ends": [n for n in everything if wrong[n] and not ended[n]],
        "memorized": [
            n for n in everything if wrong[n] and normalize(texts[n]) in learned
        ],
    }
    least = max(FEWEST, OFTEN * len({item.cluster for item in items}))
    faults = []
    for kind, numbers in shown.items():
        if len({items[n].cluster for n in numbers}) >= least:
            recited = (
                {"example": learned[normalize(texts[numbers[0]])]}
                if kind == "memorized"
                else {}
            )
            faults.append(
                Finding(kind=kind, share=len(numbers) / len(items), **recited)
            )
    return faults


def validation_losses(run_folder: Path) -> list[float]:
    """The losses after training began, in order of their steps; [] where there are
    none, or they can't be read.
    """
    with suppress(OSError):
        events = read_valid(run_folder / "events.jsonl")
        # A run that was stopped is evaluated when it resumes, once more if it was
        # killed before its next step.
        losses = {
            event.step: event.loss
            for event in events
            if isinstance(event, EvalEvent) and event.step > 0
        }
        return [losses[step] for step in sorted(losses)]
    return []


def still_falling(losses: Sequence[float]) -> bool | None:
    """Whether the validation loss was still falling at the end; None where there are
    too few losses to tell.
    """
    return losses[-1] < (1 - _FALL) * min(losses[:-1]) if len(losses) > 1 else None


def sentence(kind: str, falling: bool | None = None) -> str:
    """The finding in plain words, with its likely cause and what to do. falling: see
    `still_falling`.
    """
    fault = _FAULTS[kind]
    return f"{fault} {_CAUSES[falling]}" if kind in _TOO_BRIEF else fault


def change(
    kind: str, settings: TrainSettings, falling: bool | None = None
) -> dict[str, float]:
    """The one setting to change after a finding or a verdict of "worse"; {} where no
    setting helps.
    """
    if kind in ("gibberish", "worse"):
        return {"learning_rate": settings.learning_rate / 2}
    if kind in _TOO_BRIEF and falling is not False:
        more = min(_MOST_EPOCHS, 2 * settings.num_train_epochs)
        return (
            {"num_train_epochs": more}
            if more > settings.num_train_epochs and settings.max_steps < 0
            else {}
        )
    if kind == "cut_short":
        return {"max_steps": -1}
    if kind == "keep_general":
        return {"keep_general": KEEP_GENERAL}
    if kind == "memorized" and settings.num_train_epochs > 1 and settings.max_steps < 0:
        return {"num_train_epochs": max(1.0, settings.num_train_epochs / 2)}
    return {}


def _same(
    items: Sequence[Item], texts: Sequence[str], wrong: Sequence[bool]
) -> list[int]:
    """The items that get the most frequent answer, where it is far more frequent than
    it should be.
    """
    text, count = Counter(map(normalize, texts)).most_common(1)[0]
    expected = max(Counter(normalize(item.answer) for item in items).values())
    if count < _SAME * len(items) or count < 2 * expected:
        return []
    return [n for n, given in enumerate(texts) if normalize(given) == text and wrong[n]]


def _repeats(item: Item, text: str) -> bool:
    question, answer = normalize(item.question), normalize(text)
    return (
        bool(question)
        and answer.startswith(question)
        and not normalize(item.answer).startswith(question)
    )


def cut_short(run: RunSpec, steps: int) -> str:
    """That a maximum of steps ended a run after `steps`, before its last epoch, in a
    sentence; "" where none did.
    """
    rows, most = run.data.train_rows, run.settings.max_steps
    planned = run.settings.planned_steps(rows + run.settings.general_rows(rows))
    is_cut = 0 <= most <= steps < planned  # early stopping may have ended it before
    return (
        f"Training was cut short after {steps} of {planned} steps, because that was its maximum. "
        if is_cut
        else ""
    )


def with_next_step(
    report: EvaluationReport,
    falling: bool | None = None,
    *,
    stopped: bool = False,
    cut: str = "",
) -> EvaluationReport:
    """The report with its next step, in a sentence and as a code.

    falling: see `still_falling`
    stopped: by the person
    cut: what `cut_short` says"""
    kind, step = _next_step(report, falling)
    if (stopped or cut) and kind in _TOO_BRIEF and falling is not False:
        fault = _FAULTS[kind]
        kind = "continue"
        step = f"{fault} You stopped its training before the end: continue it first."
        if cut:
            kind, step = "cut_short", f"{fault} Train again without that maximum."
    return report.model_copy(update={"next": cut + step, "next_kind": kind})


def _next_step(report: EvaluationReport, falling: bool | None) -> tuple[str, str]:
    base, tuned, verdict = report.systems[BASE], report.systems[TUNED], report.verdict
    if report.findings:
        kind = report.findings[0].kind
        return kind, sentence(kind, falling)
    if verdict == "worse":
        return (
            "worse",
            "It became worse than the base model: train with a lower learning rate or "
            "fewer epochs.",
        )
    if report.against_prompt == "as_good":
        return (
            "prompt_does_it",
            "The base model does at least as well with a prompt or with examples in "
            "it, as the scores show: use that, or train longer and check again.",
        )
    if report.against_facts == "as_good":
        return (
            "facts_do_it",
            "The base model does the same with your facts in its prompt: look them up "
            "for each question (retrieval), and you can change them without training "
            "again.",
        )
    if verdict == "no_difference_shown":
        # a few right answers do not show that the base model surely answers nearly all
        # questions correctly
        judged = not report.graded and report.main_measure != "preference"
        if judged and base.score >= _GOOD and base.interval[0] >= _SURELY:
            return (
                "base_does_it",
                "The base model already answers these: you may not need any training.",
            )
        least, count = report.least_provable_gain, report.clusters
        if count < FEWEST_CLUSTERS or (
            not report.graded and (least is None or least > 0.5)
        ):
            few = f"{count} examples are too few to prove much: add examples, so that more are set aside."
            return "set_more_aside", few
        return "train_longer", sentence("train_longer", falling)
    if report.general.keep_general == 0 and report.general.verdict in (
        "mostly_kept",
        "lost",
    ):
        return (
            "keep_general",
            "It lost other things: choose “Keep the rest” on Train, and train it "
            "again.",
        )
    if report.main_measure == "perplexity":
        return (
            "use_it",
            "Use it: try it, then share it. More texts of this kind make it better still.",
        )
    if tuned.score >= _GOOD and not report.graded:
        return "use_it", "Use it: try your own questions, then share it."
    if tuned.fields:
        name, share = min(tuned.fields.items(), key=lambda field: field[1])
        return (
            "add_examples",
            f"Most mistakes are in “{name}” ({share:.0%} right): add examples that show it.",
        )
    return (
        "add_examples",
        "Look at its worst answers, and add examples like those questions.",
    )
