"""The verdict of an evaluation as HTML: the scores with their intervals, and how they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from ui.text import format as fmt
from ui.text import verdicts
from ui.web.html import components, tables

TONES = {"better": "good", "no_difference_shown": "calm", "worse": "bad"}


def alert(report: Mapping[str, Any]) -> Markup:
    """The verdict in one colored box, with what to do next."""
    return components.alert(tone(report), verdicts.title(report), verdicts.detail(report), report["next"])


def tone(report: Mapping[str, Any], verdict: str = "verdict") -> str:
    """Green only for answers that are right: wording that is alike may say something false. verdict: which one of the
    report."""
    found = TONES.get(report[verdict], "calm")
    return "calm" if found == "good" and report["main_measure"] == "chrf" else found


def verdict(report: Mapping[str, Any]) -> Markup:
    """The verdict, the score of each system with its interval, and how it was measured."""
    parts = (
        alert(report),
        against_parent(report),
        systems(report),
        _phrases(report),
        _memorized(report),
        _confusion(report),
        instruction(report),
        _forgetting(report),
        components.text(how(report), "small"),
    )
    return components.join(parts)


def against_parent(report: Mapping[str, Any]) -> Markup:
    """How the model compares with the previous version; empty for a first version."""
    found = verdicts.against_parent(report)
    return components.alert(tone(report, "against_parent"), *found) if found else components.EMPTY


def systems(report: Mapping[str, Any]) -> Markup:
    """The score of each system with its interval."""
    return components.rows(
        (verdicts.SYSTEMS[name], verdicts.score(name, report), f"95% interval: {verdicts.interval(name, report)}")
        for name in ("tuned", "base", "prompt", "few_shot", "facts")
        if name in report["systems"]
    )


def _phrases(report: Mapping[str, Any]) -> Markup:
    """How often the person's own phrases occur in the trained model's answers."""
    phrases = report["systems"]["tuned"].get("phrases")
    if not phrases:
        return components.EMPTY
    base = report["systems"]["base"].get("phrases", {})
    lines = [(f"“{phrase}”", f"in {share:.0%} of the answers", f"the base model: {base.get(phrase, 0):.0%}")
             for phrase, share in phrases.items()]  # fmt: skip
    return components.fold("Your own phrases", components.rows(lines), key="phrases")


def _forgetting(report: Mapping[str, Any]) -> Markup:
    """How much general knowledge is left, with the questions that the model lost."""
    words = verdicts.forgetting(report)
    lost = report["general"]["lost"]
    said = components.alert("warn", words) if report["general"]["dropped"] else components.text(words, "small")
    if not lost:
        return said
    return said + components.fold(
        "What it no longer gets right", components.rows([(question, "", "") for question in lost]), key="forgotten"
    )


def _memorized(report: Mapping[str, Any]) -> Markup:
    """A training answer that was given where another was right."""
    found = next((one for one in report["findings"] if one["kind"] == "memorized"), None)
    if found is None:
        return components.EMPTY
    words = components.text(f"Given as an answer to other questions too: {found['example']}", "quoted")
    return components.fold("A memorized example", words, key="memorized")


def _confusion(report: Mapping[str, Any]) -> Markup:
    """How often each label was answered for each expected one."""
    table = report["systems"]["tuned"].get("confusion")
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


def instruction(report: Mapping[str, Any]) -> Markup:
    """The best prompt, to use or to doubt."""
    found = report["systems"].get("prompt", {}).get("instruction")
    return components.fold("The best prompt", components.text(found, "quoted")) if found else components.EMPTY


def how(report: Mapping[str, Any]) -> str:
    """How the answers were scored."""
    independent = report["clusters"]
    once = ""
    if independent < report["items"]:
        once = (
            " Answers that depend on each other (near-copies, or turns of one conversation) count once, which leaves "
            f"{independent}."
        )
    return f"{_scored(report['main_measure'])} {_asked(report)}.{once} Answered by {report['engine']}."


def _asked(report: Mapping[str, Any]) -> str:
    return fmt.count(report["items"], "text" if report["main_measure"] == "perplexity" else "question")


def _scored(measure: str) -> str:
    if measure == "preference":
        return "A pair counts as right if the model finds the better answer likelier."
    if measure == "perplexity":
        return (
            "Perplexity: how many words the model is choosing between at each step, on average (lower is better). "
            "Each text counts once."
        )
    return f"A good answer {verdicts.MEASURES[measure]}; this was chosen before any answer was seen."
