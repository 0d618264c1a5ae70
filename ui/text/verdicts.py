"""An evaluation's report in plain words, each number with what it was measured on."""

import math

from backend.evaluation.blind_test import OTHER, Outcome
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

SYSTEMS = {
    "base": "The base model",
    "prompt": "The base model with the best prompt",
    "few_shot": "The base model with examples in the prompt",
    "facts": "The base model with your facts in the prompt",
    "tuned": "Your model",
}
MEASURES = {
    "preference": "makes the better of two answers the likelier one",
    "tool_call": "calls the right tool with the right arguments",
    "json": "has every field right",
    "label": "gives the right label",
    "exact": "gives exactly the expected answer",
    "chrf": "is like the expected answer (chrF, 0 to 1)",
}
# By verdict, or "short": see `falls_short`.
_TITLES = {
    "short": "It is better than the base model, but has not learned your task yet",
    "better": "It learned your task: it is better than the base model",
    "no_difference_shown": (
        "It has not shown that it learned your task: no clear difference from the base "
        "model"
    ),
    "worse": "It did not learn your task: it is worse than the base model",
}
# The same where the wording is measured (chrF).
_WORDING = {
    "short": (
        "Its words come closer to yours than the base model's, but no more is shown"
    ),
    "better": "It learned your wording: more like your answers than the base model",
    "no_difference_shown": (
        "Length and form apart, its words are not clearly more like yours than the "
        "base model's"
    ),
    "worse": (
        "Length and form apart, its words are less like yours than the base model's"
    ),
}
_GENERAL = {
    "kept": "It kept the rest",
    "mostly_kept": "It kept most of the rest",
    "lost": "It did not keep the rest",
    "unknown": "Whether it kept the rest is not known",
}
# Of one answer, and of several.
_FAULTS = {
    "loop": ("gets stuck in a loop", "get stuck in a loop"),
    "greeting": ("doesn't begin as yours do", "don't begin as yours do"),
    "sign_off": ("doesn't end as yours do", "don't end as yours do"),
    "too_short": ("is much shorter", "are much shorter"),
    "too_long": ("is much longer", "are much longer"),
    "form": ("is laid out differently", "are laid out differently"),
}
# The previous version, by verdict.
_AGAINST = {
    "better": "Better than",
    "no_difference_shown": "No clear difference from",
    "worse": "Worse than",
}
_WORDED_AGAINST = {
    "better": "Worded more like your answers than",
    "no_difference_shown": "No clear difference from",
    "worse": "Worded less like your answers than",
}
_AGAINST_PROMPT = {
    "better": (
        "It is also better than the base model with the best prompt that was found."
    ),
    "as_good": (
        "With a good prompt, or examples in it, the base model does at least as well "
        "without training."
    ),
    "not_shown": "It is not clear whether it beats the base model with a good prompt.",
    "not_measured": "",
}
_AGAINST_FACTS = {
    "better": "It is better than the base model with your facts in its prompt.",
    "as_good": "The base model does as well with your facts in its prompt.",
    "not_shown": (
        "It is not clear whether it beats the base model with your facts in its prompt."
    ),
}


def provable(judging: int) -> str:
    """The smallest gain that so many answers can prove, in words; "" where the split
    says that they are too few.
    """
    least = least_provable_gain(judging)
    if least is None:
        return ""
    return (
        f"To prove that the trained model is better, at least {round(least * judging)} "
        f"of the {judging} answers must get better, and none worse. With more examples, "
        "more are set aside, and a smaller gain can be proved."
    )


def title(report: EvaluationSummary) -> str:
    """The verdict in a few words, which claim no more than the counts."""
    titles = _WORDING if report.main_measure == "chrf" else _TITLES
    return titles["short" if falls_short(report) else report.verdict]


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
    names = (TUNED, BASE)
    questions = fmt.count(report.items, "question")
    shares = [_share(name, report) for name in names]
    if counted := [
        round(share * report.clusters) for share in shares if share is not None
    ]:
        bounds = (wilson_interval(count, report.clusters) for count in counted)
        tuned, base = (f"{low:.0%} to {high:.0%}" for low, high in bounds)
        return (
            f"Measured on {questions}: of many others, likely {tuned} would be "
            f"{_kind(report)}. Of the base model's answers, {base}."
        )
    if not all(math.isfinite(report.systems[name].interval[1]) for name in names):
        return ""
    tuned, base = (interval(name, report) for name in names)
    if report.main_measure == "perplexity":
        texts = fmt.count(report.items, "text")
        return (
            f"Measured on {texts}: over many others, likely a perplexity of {tuned}. "
            f"The base model's, {base}."
        )
    return (
        f"Measured on {questions}: over many others, likely a mean similarity of "
        f"{tuned}. The base model's, {base}."
    )


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
            fmt.count(number, *_FAULTS[fault]) for fault, number in tuned.faults.items()
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
    wording = ""
    if report.main_measure == "chrf":
        wording = (
            "This measures wording, not whether what they say is true: read all its "
            "answers before you rely on it."
        )
    against = (
        _AGAINST_PROMPT[report.against_prompt],
        _AGAINST_FACTS.get(report.against_facts),
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
    against = _WORDED_AGAINST if report.main_measure == "chrf" else _AGAINST
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
    return _GENERAL[report.general.verdict]


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
        share = rest.kept / rest.base_right
        parts = [
            f"Of {rest.base_right} general questions that the base model answers "
            f"correctly, it still answers {rest.kept} ({share:.0%}, 95% interval "
            f"{low:.0%} to {high:.0%})."
        ]
    if rest.leaked is not None:
        parts.append(
            f"Of {rest.asked} messages about other things, it answers {rest.leaked} as "
            "if they were your task."
        )
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
