"""An evaluation's report in plain words, each number with what it was measured on."""

import math
from pathlib import Path

from backend.evaluation.blind_test import OTHER, Outcome
from backend.files.json_file import read_json
from backend.records.evaluation import (
    BASE,
    PARENT,
    TUNED,
    EvaluationSummary,
    Measured,
    ParentComparison,
    SystemScore,
    TrialReport,
)
from backend.statistics import least_provable_gain, wilson_interval
from ui.text import format as fmt

_WORDS = read_json(Path(__file__).with_suffix(".json"))
SYSTEMS: dict[str, str] = _WORDS["systems"]
MEASURES: dict[str, str] = _WORDS["measures"]
NO_QUESTIONS, BLIND = str(_WORDS["no_questions"]), str(_WORDS["blind"])
SCORED: dict[str, str] = _WORDS["scored"]
OUTCOMES: dict[str, str] = _WORDS["outcomes"]
DO: dict[str, tuple[str, str]] = _WORDS[
    "do"
]  # a button that leads to the next step, by its kind, and what it does


def provable(judging: int) -> str:
    """The smallest gain that so many answers can prove, in words; "" where the split
    says that they are too few.
    """
    least = least_provable_gain(judging)
    if least is None:
        return ""
    return str(_WORDS["provable"]).format(least=round(least * judging), judging=judging)


def title(report: EvaluationSummary) -> str:
    """The verdict in a few words, which claim no more than the counts."""
    titles = _WORDS["wording" if report.main_measure == "chrf" else "titles"]
    return str(titles["short" if falls_short(report) else report.verdict])


def falls_short(report: EvaluationSummary) -> bool:
    """Whether the model is better than its base, but not in half of its answers as it
    should be.
    """
    tuned, base = (_share(name, report) for name in (TUNED, BASE))
    return (
        report.verdict == "better"
        and tuned is not None
        and (tuned < 0.5 or tuned <= (base or 0))
    )


def _share(name: str, report: EvaluationSummary) -> float | None:
    """The share of answers that the headline counts; None where it has a mean instead."""
    tuned, base = (report.systems[each].voice for each in (TUNED, BASE))
    if voice := tuned and base and report.systems[name].voice:
        return voice.in_voice / report.items
    return None if report.graded else report.systems[name].score


def sure(report: EvaluationSummary) -> str:
    """How far the headline may be off, in words; "" where nothing is known of other
    questions.
    """
    names, form = (TUNED, BASE), str(report.main_measure)
    shares, ranges = (
        [_share(name, report) for name in names],
        [interval(name, report) for name in names],
    )
    if counted := [
        round(share * report.clusters) for share in shares if share is not None
    ]:
        bounds = (wilson_interval(count, report.clusters) for count in counted)
        ranges, form = [f"{low:.0%} to {high:.0%}" for low, high in bounds], "counted"
    elif not all(math.isfinite(report.systems[name].interval[1]) for name in names):
        return ""
    items = fmt.count(
        report.items, "text" if report.main_measure == "perplexity" else "question"
    )
    return str(_WORDS["sure"][form]).format(*ranges, items=items, kind=_kind(report))


def _kind(report: EvaluationSummary) -> str:
    voice = report.systems[TUNED].voice
    return (
        "right"
        if not voice
        else "in your voice"
        if voice.signed
        else "of your length and form"
    )


def sentence(report: EvaluationSummary) -> str:
    """Both halves of the verdict with their numbers."""
    return f"{title(report)}. {detail(report)} {general_title(report)}. {general_detail(report)}"


def detail(report: EvaluationSummary) -> str:
    """The numbers of the verdict, and what they do not show."""
    return " ".join(filter(None, (f"{counts(report)}.", caveats(report))))


def counts(report: EvaluationSummary) -> str:
    """The verdict in numbers of answers: "9 of 14 in your voice; 5 get stuck in a loop;
    the base model: 0 of 14".
    """
    tuned, base = (report.systems[name].voice for name in (TUNED, BASE))
    if tuned and base:
        faults = [
            fmt.count(number, *_WORDS["faults"][fault])
            for fault, number in tuned.faults.items()
        ]
        parts = [
            f"{tuned.in_voice} of {report.items} {_kind(report)}",
            *faults,
            f"the base model: {base.in_voice}",
        ]
        return "; ".join(parts)
    numbers = f"{score(TUNED, report)}; the base model: {score(BASE, report)}"
    return numbers[:1].upper() + numbers[1:]


def caveats(report: EvaluationSummary) -> str:
    """What the numbers do not show, and what a prompt does; "" for nothing."""
    if report.main_measure == "perplexity":
        return "The lower, the better it predicts texts it has not seen."
    unproved = report.verdict == "no_difference_shown" and not report.graded
    provable = _provable(report).strip() if unproved else ""
    wording = _WORDS["not_truth"] if report.main_measure == "chrf" else ""
    against = (
        _WORDS["prompts"][report.against_prompt],
        _WORDS["facts"].get(report.against_facts),
    )
    held = f"Held to the form of your answers (JSON schema), {report.right_in_form} of {report.items} are right."
    form = "" if report.right_in_form is None else held
    return " ".join(filter(None, (provable, wording, *against, form)))


def against_parent(report: EvaluationSummary) -> tuple[str, str] | None:
    """How the model compares with the previous version, in a few words and in numbers;
    None for a first version.
    """
    parent = report.parent
    if parent is None:
        return None
    if report.against_parent == "not_measured":
        return "Not compared with the previous version", parent.why_not
    new, old = (
        _score(report, parent.systems[name], parent.items) for name in (TUNED, PARENT)
    )
    version = f"version {parent.version}"
    numbers = f"{new}, {version} {old}, on the same questions."
    numbers = numbers[:1].upper() + numbers[1:]
    if parent.left_out:
        were, them = ("was", "it") if parent.left_out == 1 else ("were", "them")
        numbers += f" {parent.left_out} of the questions {were} excluded because one of the two learned from {them}."
    if report.against_parent == "no_difference_shown" and not report.graded:
        numbers += _provable(parent)
    against = _WORDS["worded" if report.main_measure == "chrf" else "against"]
    return f"{against[report.against_parent]} {version}", numbers


def _provable(judged: Measured | ParentComparison) -> str:
    if judged.least_provable_gain:
        return f" {judged.clusters} examples can prove only a gain of {judged.least_provable_gain:.0%} or more."
    return f" {judged.clusters} examples are too few to prove any gain."


def trial_title(report: TrialReport) -> str:
    """How far prompts get: "The base model with the best prompt: 21 of 24 right,
    without training".
    """
    return f"{SYSTEMS[report.best]}: {score(report.best, report)}, without training"


def voted_on(ended: Outcome) -> tuple[str, str]:
    """The names of the two systems that a blind test compared."""
    first, second = (
        ended.other if name == OTHER else SYSTEMS[name] for name in ended.systems
    )
    return first, second


def blind_test(ended: Outcome) -> str:
    """The verdict of a blind test in a sentence."""
    if ended.better is None:
        return f"Blind test: no difference shown, after {sum(ended.wins) + ended.same} choices."
    wins = f"{ended.wins[ended.better]} to {ended.wins[1 - ended.better]}"
    name = voted_on(ended)[ended.better]
    name = name if ended.systems[ended.better] == OTHER else name.lower()
    return f"Blind test: {name} is better, by your choices ({wins})."


def general_title(report: EvaluationSummary) -> str:
    """Whether the model still answers other things as its base does, in a few words."""
    return str(_WORDS["general"][report.general.verdict])


def general_counts(report: EvaluationSummary) -> str:
    """`general_title` in numbers of answers."""
    general, parts = report.general, []
    if general.base_right:
        parts = [
            f"{general.kept} of {general.base_right} general questions are still answered correctly."
        ]
    if general.leaked is not None:
        parts.append(
            f"It answers {general.leaked} of {general.asked} other messages as if that were your task."
        )
    return " ".join(parts)


def general_detail(report: EvaluationSummary) -> str:
    """The numbers of `general_title`."""
    rest = report.general
    parts = [
        "The base model answers none of our general questions correctly, so there was nothing to keep."
    ]
    if rest.base_right:
        low, high = rest.interval
        parts = [
            str(_WORDS["kept"]).format(
                rest=rest, share=rest.kept / rest.base_right, low=low, high=high
            )
        ]
    if rest.leaked is not None:
        parts.append(str(_WORDS["leaked"]).format(rest=rest))
    if rest.drift is not None and math.isfinite(rest.drift):
        likely = "less" if rest.drift > 0 else "more"
        parts.append(
            f"The base model's own answers became {likely} likely ({abs(rest.drift):.2f} nats per token)."
        )
    return " ".join(parts)


def system_line(name: str, report: Measured) -> str:
    """One system with its score and the interval that it may lie in."""
    return f"{SYSTEMS[name]}: {score(name, report)} (95% interval {interval(name, report)})"


def interval(name: str, report: Measured) -> str:
    """The 95% interval of a system's score."""
    low, high = report.systems[name].interval
    if not (math.isfinite(low) and math.isfinite(high)):
        return "unknown: there is only one"
    if report.main_measure == "perplexity":
        return f"{low:.1f} to {high:.1f}"
    return f"{low:.2f} to {high:.2f}" if report.graded else f"{low:.0%} to {high:.0%}"


def score(name: str, report: Measured) -> str:
    """A system's score: "21 of 24 right", a mean similarity, or a perplexity."""
    return _score(report, report.systems[name], report.items)


def _score(report: Measured, system: SystemScore, items: int) -> str:
    if report.main_measure == "perplexity":
        return f"perplexity {system.score:.1f}"
    return (
        f"similarity {system.score:.2f}"
        if report.graded
        else f"{round(system.score * items)} of {items} right"
    )
