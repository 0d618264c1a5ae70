"""The verdict of an evaluation as HTML, the same on Train, on Try and in My models:
answers before and after, what is kept, and one next step.
"""

from markupsafe import Markup

from backend.records.evaluation import (
    BASE,
    FACTS,
    FEW_SHOT,
    PROMPT,
    TUNED,
    Answered,
    EvaluationReport,
    EvaluationSummary,
    Measured,
)
from backend.records.specs import TrainSettings
from ui.text import format as fmt
from ui.text import verdicts
from ui.web.html import components, tables

TONES = {"better": "good", "no_difference_shown": "calm", "worse": "bad"}
_OUTCOMES = {
    "kept": "still right",
    "lost": "no longer right",
    "leaked": "answered as if it were your task",
}
_KEPT = {"kept": "good", "lost": "warn"}
# A button that leads to the next step, by its kind, and what it does.
_DO = {
    "use_it": ("Share it", "share"),
    "continue": ("Continue training", "resume-evaluated"),
    "prompt_does_it": ("Ask both models", "try"),
    "facts_do_it": ("Ask both models", "try"),
    "base_does_it": ("Ask both models", "try"),
}
_SCORED = {
    "preference": (
        "A pair counts as right if the model finds the better answer likelier."
    ),
    "perplexity": (
        "Perplexity: how many words the model is choosing between at each step, on "
        "average (lower is better). Each text counts once."
    ),
}
_MORE = ("Add examples", "examples")


def verdict(report: EvaluationSummary) -> Markup:
    """The verdict in one card."""
    learned = components.alert(
        tone(report, report.verdict), verdicts.title(report), verdicts.caveats(report)
    )
    kept = components.alert(
        _KEPT.get(report.general.verdict, "calm"),
        verdicts.general_title(report),
        verdicts.general_counts(report),
    )
    typical = (
        pairs(report) if isinstance(report, EvaluationReport) else components.EMPTY
    )
    kept += others(report)
    parts = components.join(
        (
            learned,
            typical,
            kept,
            against_parent(report),
            next_step(report),
            _verified(report),
        )
    )
    head = Markup("<h2>{}</h2>{}").format(
        verdicts.counts(report), components.text(verdicts.sure(report), "lead")
    )
    return Markup('<section class="card verdict">{}{}</section>').format(head, parts)


def pairs(report: EvaluationReport) -> Markup:
    """Three typical answers before and after training: the best, the median and the
    worst by their scores.
    """
    answers = report.answers  # the worst first
    if not answers:
        return components.EMPTY
    names = {0: "Worst", len(answers) - 1: "Best"}
    if len(answers) != 2:
        names[len(answers) // 2] = "Typical"
    articles = components.EMPTY
    for at in sorted(names, reverse=True):
        answer = answers[at]
        before, after = (
            fmt.shorten(answer.texts[system], 200) for system in (BASE, TUNED)
        )
        question = Markup("<strong>{}</strong> {}").format(
            names[at], fmt.shorten(answer.question, 240)
        )
        judged = (
            "" if report.main_measure == "chrf" else mark(answer.scores[TUNED], report)
        )  # a likeness says little
        articles += components.answers(
            question, [("Before", "", before), ("After", judged, after)]
        )
    return Markup('<div class="samples pairs">{}</div>').format(articles)


def others(report: EvaluationSummary) -> Markup:
    """A message about something else of each outcome, with the answers before and after
    training.
    """
    articles = components.EMPTY
    for answer in {
        example.outcome: example for example in reversed(report.general.examples)
    }.values():
        judged = components.badge(
            _OUTCOMES[answer.outcome], _KEPT.get(answer.outcome, "warn")
        )
        articles += components.answers(
            answer.question,
            [("Before", "", answer.base), ("After", judged, answer.tuned)],
        )
    return (
        Markup('<div class="samples pairs">{}</div>').format(articles)
        if articles
        else articles
    )


def mark(score: float, report: Answered) -> Markup:
    """Whether an answer is right, or how alike or likely it is."""
    if (
        report.main_measure == "preference"
    ):  # the score is not about this answer, but about the pair
        return components.text(
            f"Prefers the better answer: {'yes' if score >= 1 else 'no'}", "small"
        )
    if report.main_measure == "perplexity":
        return components.badge(f"perplexity {score:.1f}", "calm")
    if report.graded:
        return components.badge(f"similarity {score:.2f}", "calm")
    return (
        components.badge("right", "good")
        if score >= 1
        else components.badge("wrong", "bad")
    )


def next_step(report: EvaluationSummary) -> Markup:
    """What to do next, in a sentence and as one button."""
    if not report.next:
        return components.EMPTY
    step = components.alert("calm", "Next", report.next)
    text, do = _DO.get(report.next_kind, _MORE)
    for name, value in report.retry.items():
        text, do = (
            f"Try again with {TrainSettings.facts()[name].term} {fmt.setting(value)}",
            "retry-evaluated",
        )
    return step + Markup('<div class="after-alert">{}</div>').format(
        components.button(text, do, kind="firm")
    )


def tone(report: EvaluationSummary, verdict: str) -> str:
    """The color of one of the report's verdicts: green only for answers that are right,
    since wording that is alike may say something false.
    """
    color = TONES.get(verdict, "calm")
    doubted = report.main_measure == "chrf" or verdicts.falls_short(report)
    return "calm" if color == "good" and doubted else color


def against_parent(report: EvaluationSummary) -> Markup:
    """How the model compares with the previous version; empty for a first version."""
    compared = verdicts.against_parent(report)
    return (
        components.alert(tone(report, report.against_parent), *compared)
        if compared
        else components.EMPTY
    )


def systems(report: Measured) -> Markup:
    """The score of each system with its interval."""
    return components.rows(
        (
            verdicts.SYSTEMS[name],
            verdicts.score(name, report),
            f"95% interval: {verdicts.interval(name, report)}",
        )
        for name in (TUNED, BASE, PROMPT, FEW_SHOT, FACTS)
        if name in report.systems
    )


def _verified(report: EvaluationSummary) -> Markup:
    """How it was measured, with all numbers."""
    asked = fmt.count(
        report.items, "text" if report.main_measure == "perplexity" else "example"
    )
    memorized = next(
        (finding.example for finding in report.findings if finding.kind == "memorized"),
        "",
    )
    of_base = report.systems[BASE].phrases
    phrases = [  # the person's own
        (
            f"“{phrase}”",
            f"in {share:.0%} of the answers",
            f"the base model: {of_base.get(phrase, 0):.0%}",
        )
        for phrase, share in report.systems[TUNED].phrases.items()
    ]
    lost = [(question, "", "") for question in report.general.lost]
    parts = (
        systems(report),
        components.text(how(report), "small"),
        _titled(
            "Your own phrases",
            components.rows(phrases) if phrases else components.EMPTY,
        ),
        _titled(
            "An example that it also answers other questions with",
            components.text(memorized, "quoted"),
        ),
        _confusion(report),
        instruction(report),
        _titled(
            "What it answers to other things",
            components.text(verdicts.general_detail(report), "small"),
        ),
        _titled(
            "What it no longer answers correctly",
            components.rows(lost) if lost else components.EMPTY,
        ),
    )
    return components.verified(
        f"Verified on {asked} it has not seen", *parts, key="verdict"
    )


def _titled(title: str, body: Markup) -> Markup:
    return Markup("<h3>{}</h3>{}").format(title, body) if body else components.EMPTY


def _confusion(report: EvaluationSummary) -> Markup:
    """How often each label was answered for each expected one."""
    table = report.systems[TUNED].confusion
    if not table:
        return components.EMPTY
    labels = sorted({label for row in table.values() for label in row} | set(table))
    lines = [
        (expected, *(str(row.get(label, "")) for label in labels))
        for expected, row in sorted(table.items())
    ]
    caption = "Expected labels (rows) and what your model answered (columns)"
    return _titled(
        "Which labels it confuses (confusion matrix)",
        components.text(f"{caption}.", "small")
        + tables.table(("Expected", *labels), lines, caption),
    )


def instruction(report: Measured) -> Markup:
    """The best prompt, to use or to doubt."""
    prompted = report.systems.get(PROMPT)
    if prompted is None or not prompted.instruction:
        return components.EMPTY
    return components.fold(
        "The best prompt", components.text(prompted.instruction, "quoted")
    )


def how(report: Measured) -> str:
    """How the answers were scored."""
    measure = report.main_measure
    once = ""
    if report.clusters < report.items:
        once = (
            " Answers that depend on each other (near-copies, or turns of one "
            f"conversation) count once, which leaves {report.clusters}."
        )
    asked = fmt.count(report.items, "text" if measure == "perplexity" else "question")
    good = (
        f"A good answer {verdicts.MEASURES.get(measure, '')}; this was chosen before any "
        "answer was seen."
    )
    scored = _SCORED.get(measure, good)
    return f"{scored} {asked}.{once} Answered by {report.engine}."
