"""The verdict of an evaluation as HTML: the scores with their intervals, and how they were measured."""

from markupsafe import Markup

from backend.records.evaluation import (
    BASE,
    FACTS,
    FEW_SHOT,
    PROMPT,
    TUNED,
    EvaluationReport,
    EvaluationSummary,
    Measured,
)
from ui.text import format as fmt
from ui.text import verdicts
from ui.web.html import components, tables

TONES = {"better": "good", "no_difference_shown": "calm", "worse": "bad"}


def alert(report: EvaluationSummary) -> Markup:
    """Both halves of the verdict, each with an example in a colored box, and below them what to do next."""
    answers, others = report.answers if isinstance(report, EvaluationReport) else (), report.general.examples
    typical = answers[len(answers) // 2] if answers else None
    example = _example(typical.question, typical.texts[TUNED]) if typical else ""
    task = components.alert(tone(report, report.verdict), verdicts.title(report), verdicts.detail(report), example)
    color = {"kept": "good", "lost": "warn"}.get(report.general.verdict, "calm")
    fits = [other for other in others if (other.outcome == "kept") == (report.general.verdict == "kept")]
    example = _example(fits[0].question, fits[0].tuned) if fits else ""
    rest = components.alert(color, verdicts.general_title(report), verdicts.general_detail(report), example)
    next_step = components.alert("calm", "Next", report.next) if report.next else components.EMPTY
    return Markup('<div class="halves">{}{}</div>{}').format(task, rest, next_step)


def _example(question: str, answer: str) -> str:
    return f"For example, “{fmt.shorten(question, 100)}” got “{fmt.shorten(answer, 120)}”."


def tone(report: EvaluationSummary, verdict: str) -> str:
    """The color of one of the report's verdicts: green only for answers that are right, since wording that is alike
    may say something false."""
    color = TONES.get(verdict, "calm")
    return "calm" if color == "good" and report.main_measure == "chrf" else color


def verdict(report: EvaluationSummary) -> Markup:
    """The verdict, the score of each system with its interval, and how it was measured."""
    parts = (
        alert(report),
        against_parent(report),
        systems(report),
        _phrases(report),
        _memorized(report),
        _confusion(report),
        instruction(report),
        _general(report),
        components.text(how(report), "small"),
    )
    return components.join(parts)


def against_parent(report: EvaluationSummary) -> Markup:
    """How the model compares with the previous version; empty for a first version."""
    compared = verdicts.against_parent(report)
    return components.alert(tone(report, report.against_parent), *compared) if compared else components.EMPTY


def systems(report: Measured) -> Markup:
    """The score of each system with its interval."""
    return components.rows(
        (verdicts.SYSTEMS[name], verdicts.score(name, report), f"95% interval: {verdicts.interval(name, report)}")
        for name in (TUNED, BASE, PROMPT, FEW_SHOT, FACTS)
        if name in report.systems
    )


def _phrases(report: EvaluationSummary) -> Markup:
    """How often the person's own phrases occur in the trained model's answers."""
    phrases, base = report.systems[TUNED].phrases, report.systems[BASE].phrases
    if not phrases:
        return components.EMPTY
    lines = [(f"“{phrase}”", f"in {share:.0%} of the answers", f"the base model: {base.get(phrase, 0):.0%}")
             for phrase, share in phrases.items()]  # fmt: skip
    return components.fold("Your own phrases", components.rows(lines), key="phrases")


def _general(report: EvaluationSummary) -> Markup:
    """Answers to messages about other things, and the questions that the model lost."""
    lines = verdicts.general_examples(report) or [(question, "", "") for question in report.general.lost]
    if not lines:
        return components.EMPTY
    return components.fold("What it answers to other things", components.rows(lines), key="general")


def _memorized(report: EvaluationSummary) -> Markup:
    """The answer of a training example that was also given where another was right."""
    memorized = next((finding for finding in report.findings if finding.kind == "memorized"), None)
    if memorized is None:
        return components.EMPTY
    quoted = components.text(f"Given as an answer to other questions too: {memorized.example}", "quoted")
    return components.fold("A memorized example", quoted, key="memorized")


def _confusion(report: EvaluationSummary) -> Markup:
    """How often each label was answered for each expected one."""
    table = report.systems[TUNED].confusion
    if not table:
        return components.EMPTY
    labels = sorted({label for row in table.values() for label in row} | set(table))
    lines = [(expected, *(str(row.get(label, "")) for label in labels)) for expected, row in sorted(table.items())]
    caption = "Expected labels (rows) and what your model answered (columns)"
    return components.fold(
        "Which labels it confuses (confusion matrix)",
        components.text(f"{caption}.", "small"),
        tables.table(("Expected", *labels), lines, caption),
        key="confusion",
    )


def instruction(report: Measured) -> Markup:
    """The best prompt, to use or to doubt."""
    prompted = report.systems.get(PROMPT)
    if prompted is None or not prompted.instruction:
        return components.EMPTY
    return components.fold("The best prompt", components.text(prompted.instruction, "quoted"))


def how(report: Measured) -> str:
    """How the answers were scored."""
    once = ""
    if report.clusters < report.items:
        once = (
            " Answers that depend on each other (near-copies, or turns of one conversation) count once, which leaves "
            f"{report.clusters}."
        )
    asked = fmt.count(report.items, "text" if report.main_measure == "perplexity" else "question")
    return f"{_scored(report.main_measure)} {asked}.{once} Answered by {report.engine}."


def _scored(measure: str) -> str:
    if measure == "preference":
        return "A pair counts as right if the model finds the better answer likelier."
    if measure == "perplexity":
        return (
            "Perplexity: how many words the model is choosing between at each step, on average (lower is better). "
            "Each text counts once."
        )
    return f"A good answer {verdicts.MEASURES[measure]}; this was chosen before any answer was seen."
