"""The report card of an evaluation as HTML: every held-out answer, the worst first."""

import json
import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from backend.evaluation.measures import fields, parse_json
from backend.records.evaluation import PARENT, TUNED, Answered, ReportedAnswer
from ui.text import format as fmt
from ui.text import verdicts
from ui.web.html import components
from ui.web.try_it import verdict_card

SHOWN = 300  # answers; more would slow the page down
_ALIKE = 0.5  # of two answers, from which on single words are marked and not nearly all
_MOST_WORDS = 400  # of two answers together
_HEADS = {
    TUNED: verdicts.SYSTEMS[TUNED],
    PARENT: "The previous version",
    **verdicts.SYSTEMS,
}  # in this order
_ONLY_MISTAKES = Markup(
    '<label class="only-mistakes"><input type="checkbox" autocomplete="off"> Show only mistakes of {}</label>'
)

Below = Callable[
    [int, ReportedAnswer], Markup
]  # what comes below an answer, from its number in the report on


def answers(report: Answered, below: Below | None = None) -> Markup:
    """A fold with each question, the expected answer, and what each system answered."""
    count, judged = len(report.answers), report.judged
    mistakes = any(answer.scores[judged] < 1 for answer in report.answers)
    more = f"The {SHOWN} worst of {count} are shown." if count > SHOWN else ""
    shown, whose = (
        enumerate(report.answers[:SHOWN]),
        _HEADS[judged][:1].lower() + _HEADS[judged][1:],
    )
    articles = (
        _article(answer, report, below(at, answer) if below else components.EMPTY)
        for at, answer in shown
    )
    fold = components.fold(
        f"All {fmt.count(count, 'text' if report.main_measure == 'perplexity' else 'answer')}, the worst first",
        _ONLY_MISTAKES.format(whose)
        if mistakes and not report.graded
        else components.EMPTY,
        components.text(more, "small"),
        Markup('<div class="samples report">{}</div>').format(
            components.join(articles)
        ),
        key="answers",
    )
    return Markup('<section class="card slim">{}</section>').format(fold)


def _article(answer: ReportedAnswer, report: Answered, below: Markup) -> Markup:
    systems = [
        name for name in _HEADS if name in answer.scores
    ]  # not all questions compare two versions
    as_json, texts = report.main_measure == "json", report.main_measure == "perplexity"
    wanted = parse_json(answer.expected) if as_json else None
    expected = Markup("<p>{}</p>").format(answer.expected)
    if isinstance(wanted, dict):
        expected = _fields([(name, part, "") for name, part in wanted.items()])
    return Markup(
        '<article class="{}"><p class="asked">{}</p><div class="versus">{}{}</div>{}</article>'
    ).format(
        "right" if answer.scores[report.judged] >= 1 else "mistake",
        f"{answer.question} …" if texts else answer.question,
        _pane(
            "The text goes on" if texts else "Your examples say",
            components.EMPTY,
            expected,
            "expected-answer",
        ),
        components.join(
            _pane(
                _HEADS[name],
                verdict_card.mark(answer.scores[name], report),
                _given(answer.expected, answer.texts[name], as_json, texts),
                name,
            )
            for name in systems
        ),
        below,
    )


def _pane(head: str, mark: Markup, body: Markup, kind: str) -> Markup:
    return Markup('<div class="{}"><h3>{}{}</h3>{}</div>').format(
        kind, head, mark, body
    )


def _given(expected: str, given: str, as_json: bool, texts: bool) -> Markup:
    """An answer with the words marked that differ; one in JSON field by field, with
    those marked that are wrong, missing or not expected. texts: it continues a plain
    text, of which no continuation is expected.
    """
    wanted, actual = (
        (parse_json(expected), parse_json(given)) if as_json else (None, None)
    )
    if not given.strip():
        return components.text("No answer.", "small")
    if not isinstance(wanted, dict) or not isinstance(actual, dict):
        return Markup("<p>{}</p>").format(given if texts else _marked(expected, given))
    right = fields(expected, given)
    fault = {
        name: "wrong" if name in actual else "missing"
        for name, ok in right.items()
        if not ok
    }
    lines = [(name, actual.get(name), fault.get(name, "")) for name in right]
    return _fields(
        [
            *lines,
            *(
                (name, part, "not expected")
                for name, part in actual.items()
                if name not in right
            ),
        ]
    )


def _marked(expected: str, given: str) -> Markup:
    """A given answer with its words marked that are not in the expected one, where the
    two are mostly alike.
    """
    wanted, given_words = expected.split(), re.findall(r"\s*\S+", given.rstrip())
    matcher = fmt.compared(wanted, [word.lstrip() for word in given_words])
    if len(wanted) + len(given_words) > _MOST_WORDS or matcher.ratio() < _ALIKE:
        return Markup("{}").format(given)
    plain, marked = Markup("{}"), Markup("<mark>{}</mark>")
    return components.join(
        (plain if kind == "equal" else marked).format("".join(given_words[start:end]))
        for kind, _, _, start, end in matcher.get_opcodes()
        if end > start
    )


def _fields(lines: list[tuple[str, Any, str]]) -> Markup:
    cells = (
        Markup('<div class="{}"><dt>{}</dt><dd>{}{}</dd></div>').format(
            "fault" if fault else "",
            name,
            ""
            if fault == "missing"
            else part
            if isinstance(part, str)
            else json.dumps(part, ensure_ascii=False),
            Markup(' <span class="small">({})</span>').format(fault) if fault else "",
        )
        for name, part, fault in lines
    )
    return Markup('<dl class="cells">{}</dl>').format(components.join(cells))
