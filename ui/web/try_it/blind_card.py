"""A blind test: which answer is better, without knowing whose it is. Names come at the
end.
"""

from collections.abc import Hashable, Sequence

import gradio as gr
from markupsafe import Markup

from backend.evaluation.blind_test import Outcome, Question
from backend.statistics import VERDICT_AT
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.text import verdicts
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked
from ui.web.html import components
from ui.web.try_it.evaluation_card import EvaluationCard
from ui.web.try_it.ready_models import no_model

TITLE = "Which answer do you like better?"
BLIND = (
    "You see two answers to the same question and choose, without knowing whose they "
    "are. At the end you learn who wrote which, and whether your choices show that one "
    "is better. (blind test)"
)
NO_ANSWERS = "Check your model first (above). Its answers are then shown here."
SEEN = "Start before you read the answers above, which carry names. They are hidden while you choose."
KEYS = "On the keyboard: 1 for the left one, 2 for the right one, 3 for no difference, U to undo."
_CHOICES = (
    ("left", "1 · Left is better"),
    ("right", "2 · Right is better"),
    ("same", "3 · No difference"),
)


class BlindCard:
    """evaluation: the card whose answers are hidden during a test."""

    def __init__(
        self, app: App, state: BrowserState, evaluation: EvaluationCard
    ) -> None:
        self.app, self._state, self._evaluation = app, state, evaluation
        self.card = clickable(elem_id="blind-test")
        self.outputs = [self.card]
        # A quick voter's next click is not dropped while the one before is answered;
        # both carry their question's number.
        state.listen(
            self.card.click,
            self._act,
            [self.card, evaluation.answers],
            trigger_mode="multiple",
        )

    def show(self, choice: Choice) -> Updates:
        if no_model(self.app, choice):
            return {self.card: components.EMPTY}
        state = self.app.blind_tests.state(choice.run_id)
        if isinstance(state, Question):
            return {self.card: question(state)}
        systems = self.app.blind_tests.systems(choice.run_id)
        return {self.card: outcome(state, systems) if state else before(systems)}

    def signature(self, choice: Choice) -> Hashable:
        return (
            self.app.blind_tests.change_token(choice.run_id) if choice.run_id else None
        )

    def _act(self, event: gr.EventData, inputs: Inputs) -> Updates:
        choice, tests = self._state.choice(inputs), self.app.blind_tests
        do, value = clicked(event)
        if do == "start-blind":
            chosen = components.fields(value)
            tests.start(
                choice.run_id, chosen.get("first", ""), chosen.get("second", "")
            )
        elif do == "end-blind":
            tests.end(choice.run_id)
        elif do in ("vote", "undo-vote"):
            at, _, vote = value.partition(" ")
            number = int(at) if at.isascii() and at.isdigit() and len(at) < 5 else 0
            if do == "vote":
                tests.vote(choice.run_id, number, vote)
            else:
                tests.undo(choice.run_id, number)
        answers = self._evaluation.answers
        return {**self.show(choice), answers: self._evaluation.show(choice)[answers]}


def before(systems: Sequence[str]) -> Markup:
    """The card before a blind test, with the two to choose. systems: those that
    answered the questions.
    """
    if not systems:
        return components.card(TITLE, components.text(NO_ANSWERS, "small"), lead=BLIND)
    return components.card(
        TITLE,
        components.text(SEEN, "small"),
        _start(systems, "Start"),
        lead=BLIND,
    )


def _start(systems: Sequence[str], label: str) -> Markup:
    names = [
        (name, verdicts.SYSTEMS[name]) for name in verdicts.SYSTEMS if name in systems
    ]
    select = Markup(
        '<label><span>{0}</span><select name="{1}" aria-label="{0}">{2}</select></label>'
    )
    return components.form(
        "start-blind",
        select.format("Compare", "first", components.options(names, "tuned")),
        select.format("with", "second", components.options(names, "base")),
        Markup('<button type="submit" class="btn firm">{}</button>').format(label),
        kind="choose-two",
    )


def question(now: Question) -> Markup:
    """The current question with its two answers, and the choices."""
    both = components.answers(
        now.question, [("Left", "", now.left), ("Right", "", now.right)]
    )
    choices = [
        components.button(label, "vote", f"{now.at} {vote}", kind="firm")
        for vote, label in _CHOICES
    ]
    more = [components.button("End now", "end-blind")]
    if now.can_undo:
        more.insert(0, components.button("Undo", "undo-vote", now.at))
    counted = f"Question {fmt.number(now.at)} of {fmt.number(now.total)}."
    early = "It ends earlier if your choices are clear. Some questions come twice."
    return components.card(
        TITLE,
        Markup('<p class="small" role="status">{} {}</p>').format(counted, early),
        Markup('<div class="samples report">{}</div>').format(both),
        components.acts(*choices),
        components.acts(*more),
        components.text(KEYS, "small"),
    )


def outcome(ended: Outcome, systems: Sequence[str]) -> Markup:
    """The verdict, the counts, and every answer with its name. systems: as in `before`,
    for a new test.
    """
    first, second = verdicts.voted_on(ended)
    lines = [
        (first, f"preferred {fmt.count(ended.wins[0], 'time')}", ""),
        (second, f"preferred {fmt.count(ended.wins[1], 'time')}", ""),
        ("No difference", fmt.count(ended.same, "time"), ""),
        (
            "Evidence",
            f"{ended.e_value:.1f}",
            f"e-value; {VERDICT_AT:.0f} or more shows a difference",
        ),
    ]
    if ended.repeated:
        consistent = f"{ended.consistent} of {ended.repeated}"
        lines.append(
            (
                "Questions asked twice",
                consistent,
                "answered the same way, with the sides swapped",
            )
        )
    answers, preferred = components.EMPTY, components.badge("your choice", "good")
    for shown in ended.questions:
        both = enumerate(zip((first, second), shown.answers, strict=True))
        panes = [
            (name, preferred if shown.preferred == at else "", answer)
            for at, (name, answer) in both
        ]
        answers += components.answers(shown.question, panes)
    fold = components.fold(
        f"Who wrote which, {fmt.count(len(ended.questions), 'question')}",
        Markup('<div class="samples report">{}</div>').format(answers),
        key="blind-answers",
    )
    again = _start(systems, "Start another") if systems else components.EMPTY
    return components.card(TITLE, _verdict(ended), components.rows(lines), fold, again)


def _verdict(ended: Outcome) -> Markup:
    names = verdicts.voted_on(ended)
    if ended.better is None:
        more = "Your choices may still be chance. With more examples set aside, a test has more questions."
        return components.alert("calm", "No difference shown", more)
    tone = "bad" if ended.systems[1 - ended.better] == "tuned" else "good"
    chosen, other = (
        fmt.times(ended.wins[at]) for at in (ended.better, 1 - ended.better)
    )
    wins = f"You preferred its answer {chosen}, and the other one {other}."
    return components.alert(
        tone, f"{names[ended.better]} is better, by your choices", wins
    )
