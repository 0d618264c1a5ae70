"""The cards of the evaluation and of a trial of prompts: before, during and after."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from backend.evaluation import answers_so_far
from backend.evaluation.facts import read_facts
from backend.records.evaluation import EvaluationReport, TrialReport
from backend.runs.conversations import write_conversations, write_texts
from jobs.folder import JobFolder
from jobs.records import Failure, Progress, State
from tests.measured_speed import store_speed
from tests.ui.conftest import answer
from tests.ui.fake_records import (
    DATA,
    against_parent,
    job,
    report,
    report_json,
    trial_report,
)
from tests.ui.made_up_app import MadeUpApp
from ui.services.selection import Choice
from ui.text import verdicts
from ui.web.page import Page
from ui.web.try_it import evaluation_card, prompt_card, report_card, verdict_card

DONE = Choice(data_id=DATA, run_id="run-a")
EVIL = '"><img src=x onerror=alert(1)>'
TONES = [("better", "good"), ("no_difference_shown", "calm"), ("worse", "bad")]


def evaluated(state: State, **changes: Any) -> Any:
    return job("evaluate-1", state, kind="evaluate", parent="run-a", **changes)


class TestTab:
    def card(self, page: Page) -> evaluation_card.EvaluationCard:
        found: evaluation_card.EvaluationCard = page.tabs["try"].evaluation
        return found

    @pytest.mark.parametrize(
        "choice", [Choice(), Choice(run_id="run-b"), Choice(run_id="run-c")]
    )
    def test_without_a_model_both_buttons_are_disabled_with_a_reason(
        self, page: Page, choice: Choice
    ) -> None:
        card = self.card(page)
        shown = card.show(choice)
        assert [shown[one]["interactive"] for one in (card.check, card.compare)] == [
            False,
            False,
        ]
        assert shown[card.why_not]

    def test_without_held_out_examples_too(self, app: MadeUpApp, page: Page) -> None:
        card = self.card(page)
        write_conversations(app.runs.folder("run-a"), "held_out", [])
        shown = card.show(DONE)
        assert [shown[one]["interactive"] for one in (card.check, card.compare)] == [
            False,
            False,
        ]
        assert shown[card.why_not] == evaluation_card.NO_QUESTIONS
        train = page.tabs["train"]
        shown = train.show(DONE)[train.running.outcome]
        assert evaluation_card.NO_QUESTIONS in shown
        assert "<button" not in shown, "nobody is sent to Try"

    def test_with_a_model_it_says_how_many_questions_it_asks(self, page: Page) -> None:
        card = self.card(page)
        shown = card.show(DONE)
        assert "8 examples" in shown[card.card]
        assert (
            shown[card.check]["interactive"],
            shown[card.why_not],
            shown[card.answers],
        ) == (True, "", "")

    @pytest.mark.parametrize(
        ("part", "baselines"), [("check", False), ("compare", True)]
    )
    def test_a_click_starts_it_and_a_tick_ends(
        self, app: MadeUpApp, page: Page, part: str, baselines: bool
    ) -> None:
        card = self.card(page)
        before = page.signature_of("try", DONE)
        shown = answer(page, getattr(card, part), "click", DONE)
        assert 'role="progressbar"' in shown[card.card]
        assert (shown[card.check]["visible"], shown[card.cancel]["visible"]) == (
            False,
            True,
        )
        during = page.signature_of("try", DONE)
        app.work()
        assert len({before, during, page.signature_of("try", DONE)}) == 3
        shown = card.show(DONE)
        assert 'class="alert good"' in shown[card.card]
        assert ("The best prompt" in shown[card.card]) is baselines
        assert shown[card.answers].count("<article") == 8
        assert (
            page.tabs["runs"]
            .show(DONE)[page.tabs["runs"].listing]
            .count("6 of 8 right")
            == 1
        )

    def test_a_training_is_continued_where_it_was_stopped(
        self, app: MadeUpApp, page: Page
    ) -> None:
        found = report(next="Continue it first.", next_kind="continue")
        app.evaluations.latest_report = lambda run_id: found  # type: ignore[method-assign]
        assert "Continue" not in self.card(page).show(DONE)[self.card(page).card], (
            "it came from another computer"
        )
        app.end("run-a", State.STOPPED)
        assert (
            'data-do="resume-evaluated"'
            in self.card(page).show(DONE)[self.card(page).card]
        )
        shown = answer(
            page, self.card(page).card, "click", DONE, clicked=("resume-evaluated", "")
        )
        assert (shown[page.opens], app.runs.state("run-a")) == ("train", "queued")

    def test_a_second_click_does_not_start_another(
        self, app: MadeUpApp, page: Page
    ) -> None:
        card = self.card(page)
        answer(page, card.compare, "click", DONE)
        answer(page, card.check, "click", DONE)
        (started,) = app.runner.jobs(kind="evaluate")
        assert JobFolder(app.runner.folder(started.id)).spec()["baselines"] is True

    def test_facts_are_tried_too_from_the_box_or_a_file(
        self, app: MadeUpApp, page: Page, tmp_path: Path
    ) -> None:
        card = self.card(page)
        (tmp_path / "prices.txt").write_text("Rye bread costs 4.20.\n")
        loaded = answer(
            page,
            card.facts_file,
            "upload",
            DONE,
            {card.facts_file: str(tmp_path / "prices.txt")},
        )
        assert loaded[card.facts_text] == "Rye bread costs 4.20.\n"
        answer(
            page, card.check, "click", DONE, {card.facts_text: loaded[card.facts_text]}
        )
        (started,) = app.runner.jobs(kind="evaluate")
        facts = read_facts(app.runner.folder(started.id))
        assert facts.passages == ["Rye bread costs 4.20."]

    def test_a_file_of_facts_that_is_no_text_is_named(
        self, page: Page, tmp_path: Path
    ) -> None:
        file = self.card(page).facts_file
        (tmp_path / "prices.pdf").write_bytes(b"%PDF-1.4")
        with pytest.raises(gr.Error, match=r"prices\.pdf"):
            answer(page, file, "upload", DONE, {file: str(tmp_path / "prices.pdf")})

    def test_plain_texts_have_no_prompts_to_compare_with(
        self, app: MadeUpApp, page: Page
    ) -> None:
        card, folder = self.card(page), app.runs.folder("run-a")
        write_conversations(folder, "held_out", [])
        write_texts(folder, ["We bake at night."])
        shown = card.show(DONE)
        assert (shown[card.compare]["visible"], shown[card.facts]["visible"]) == (
            False,
            False,
        )
        assert shown[card.check]["interactive"]

    def test_it_can_be_cancelled(self, app: MadeUpApp, page: Page) -> None:
        card = self.card(page)
        answer(page, card.check, "click", DONE)
        shown = answer(page, card.cancel, "click", DONE)
        assert shown[card.check]["interactive"]
        assert 'class="alert calm"' in shown[card.card]
        assert evaluation_card.SAVED not in shown[card.card]
        (app.runs.folder("run-a") / answers_so_far.FILE).touch()
        assert evaluation_card.SAVED in card.show(DONE)[card.card]

    def test_a_check_that_fails_does_not_hide_an_earlier_result(
        self, app: MadeUpApp, page: Page
    ) -> None:
        card = self.card(page)
        failure = Failure(
            what="It failed.", why="There is no memory.", next="Close other programs."
        )
        app.evaluations.start("run-a")
        app.work()
        failed = JobFolder(app.runner.folder(app.evaluations.start("run-a")))
        failed.write_status(failed.status().ended_as(State.FAILED, failure))
        shown = card.show(DONE)
        assert all(
            part in shown[card.card]
            for part in (failure.what, failure.why, failure.next)
        )
        assert 'class="alert bad"' in shown[card.card]
        assert 'class="alert good"' in shown[card.card]
        assert shown[card.answers].count("<article") == 8


class TestViews:
    def test_progress_has_a_phase_a_count_and_a_bar(self) -> None:
        progress = Progress(phase="Asking your model", done=6, total=24)
        html = evaluation_card.running(evaluated(State.RUNNING, progress=progress))
        assert 'aria-valuenow="25"' in html
        assert "Asking your model. 6 of 24." in html

    @pytest.mark.parametrize("state", [State.QUEUED, State.STARTING])
    def test_before_it_reports_anything_the_bar_has_no_end(self, state: State) -> None:
        html = evaluation_card.running(evaluated(state, progress=None))
        assert "aria-valuenow" not in html
        assert ("Waiting" in html) is (state is State.QUEUED)

    def test_a_process_that_died_is_reported(self) -> None:
        died = evaluated(State.INTERRUPTED)
        killed = died.model_copy(
            update={"failure": Failure(what="Killed.", next="Resume the training.")}
        )
        for one in (died, killed):
            html = evaluation_card.failure(one)
            assert 'class="alert bad"' in html
            assert "Resume the training" not in html, "a check has no checkpoints"

    @pytest.mark.parametrize(("verdict", "tone"), TONES)
    def test_each_verdict_has_its_tone(self, verdict: str, tone: str) -> None:
        html = verdict_card.verdict(report(verdict=verdict))
        assert (
            html.partition("</h2>")[2]
            .partition("</p>")[2]
            .startswith(f'<div class="alert {tone}"')
        )
        assert "It kept the rest" in html
        assert html.count('class="alert') == 3, "the two halves and the next step"

    @pytest.mark.parametrize(("verdict", "tone"), TONES)
    def test_a_later_version_is_compared_with_the_one_before(
        self, verdict: str, tone: str
    ) -> None:
        shown = verdict_card.against_parent(report(**against_parent(verdict)))
        assert shown in verdict_card.verdict(report(**against_parent(verdict)))
        assert f'class="alert {tone}"' in shown
        assert "version 1" in shown
        assert "6 of 7 right" in shown
        assert "4 of 7 right" in shown
        assert "1 of the questions" in shown

    def test_why_there_is_no_comparison_is_shown(self) -> None:
        gone = {"run": "run-x", "why_not": "It was deleted."}
        assert "It was deleted." in verdict_card.verdict(
            report(against_parent="not_measured", parent=gone)
        )
        assert "version" not in verdict_card.verdict(
            report(against_parent="not_measured", parent=None)
        )

    def test_three_typical_answers_stand_before_and_after(self) -> None:
        html = verdict_card.pairs(report())
        assert re.findall("<strong>(.*?)</strong>", html) == [
            "Best",
            "Typical",
            "Worst",
        ]
        assert html.count("<h3>Before") == html.count("<h3>After") == 3
        assert html.count('class="badge good"') == 2, "the worst is wrong"
        few = verdict_card.pairs(report(answers=report_json()["answers"][:2]))
        assert re.findall("<strong>(.*?)</strong>", few) == ["Best", "Worst"]

    def test_the_next_step_is_one_button_and_what_was_verified_is_behind_a_tick(
        self,
    ) -> None:
        html = verdict_card.verdict(report())
        assert re.findall('data-do="(.*?)"', html) == ["examples"]
        assert "95% interval" not in html.partition('<details class="fold verified"')[0]
        retry = verdict_card.verdict(report(retry={"num_train_epochs": 6.0}))
        assert re.findall('data-do="(.*?)"', retry) == ["retry-evaluated"]

    def test_a_voice_is_judged_by_what_the_examples_have_in_common(self) -> None:
        systems = report_json()["systems"]
        systems["tuned"]["voice"] = {
            "in_voice": 5,
            "signed": True,
            "faults": {"loop": 2, "sign_off": 1},
        }
        systems["base"]["voice"] = {"in_voice": 0, "signed": True}
        found = report(main_measure="chrf", systems=systems)
        words = "5 of 8 in your voice; 2 get stuck in a loop; 1 doesn&#39;t end as yours do; the base model: 0"
        html = verdict_card.verdict(found)
        sure = "likely 31% to 86% would be in your voice. Of the base model&#39;s answers, 0% to 32%."
        assert f"<h2>{words}</h2>" in html
        assert sure in html.partition("<div")[0], "beside the headline"
        systems["tuned"]["voice"]["in_voice"] = 3
        few = report(main_measure="chrf", systems=systems)
        assert "learned" in verdicts.title(found)
        assert "learned" not in verdicts.title(few)

    def test_every_system_has_its_score_and_interval(self) -> None:
        html = verdict_card.verdict(report(baselines=True))
        assert (html.count("0% to 32%"), html.count("41% to 93%")) == (4, 2)
        assert "transformers" in html

    def test_near_copies_that_count_once_are_named(self) -> None:
        assert "leaves 5" in verdict_card.verdict(report(clusters=5))


class TestReportCard:
    def test_right_and_wrong_answers_are_marked_and_can_be_filtered(self) -> None:
        html = report_card.answers(report())
        assert [
            html.count(f'<article class="{kind}"') for kind in ("mistake", "right")
        ] == [2, 6]
        assert html.index('class="mistake"') < html.index('class="right"')
        assert (html.count('class="badge good"'), html.count('class="badge bad"')) == (
            6,
            2 + 8,
        )
        assert 'type="checkbox"' in html
        right = [answer for answer in report().answers if answer.scores["tuned"]]
        assert "checkbox" not in report_card.answers(report(answers=right)), (
            "without mistakes there is no filter"
        )

    def test_faulty_fields_are_marked(self) -> None:
        worst = report_json()["answers"][0]
        extra = {**worst, "tuned": worst["tuned"].replace("{", '{"color": "red", ', 1)}
        html = report_card.answers(report(answers=[extra]))
        assert html.count('class="fault"') == 3  # quantity, the missing name, and color
        assert html.count("<dt>quantity</dt>") == 2

    def test_differing_words_are_marked_where_answers_are_mostly_alike(self) -> None:
        one = {"question": "Open?", "expected": "We do, love. At six. Rosie x", "cluster": 0,
               "tuned": "We do, love. At seven. Rosie x", "base": "Yes. I am an assistant."}  # fmt: skip
        found = report(
            main_measure="chrf",
            answers=[{**one, "scores": {"tuned": 0.8, "base": 0.1}}],
        )
        assert re.findall("<mark>(.*?)</mark>", report_card.answers(found)) == [
            " seven."
        ]

    def test_likeness_is_a_number_and_has_no_mistakes_to_filter(self) -> None:
        html = report_card.answers(report(main_measure="chrf"))
        assert "similarity 1.00" in html
        assert "similarity" not in verdict_card.pairs(report(main_measure="chrf"))
        assert "checkbox" not in html
        assert "badge bad" not in html

    def test_a_pair_is_not_marked_as_a_right_or_wrong_answer(self) -> None:
        pairs = report(main_measure="preference")
        html = report_card.answers(pairs)
        assert [
            html.count(f"Prefers the better answer: {word}") for word in ("yes", "no")
        ] == [6, 10]
        assert 'class="badge' not in html
        assert "A pair counts as right" in verdict_card.verdict(pairs)

    def test_an_empty_answer_is_named(self) -> None:
        empty = {**report_json()["answers"][0], "tuned": "  "}
        assert report_card.answers(report(answers=[empty])) != report_card.answers(
            report(answers=[])
        )
        assert "No answer." in report_card.answers(report(answers=[empty]))

    def test_only_so_many_answers_are_shown(self) -> None:
        many = report().answers[:1] * (report_card.SHOWN + 1)
        html = report_card.answers(report(answers=many))
        assert html.count("<article") == report_card.SHOWN
        assert str(len(many)) in html

    @pytest.mark.parametrize("measure", ["json", "label", "chrf"])
    def test_text_from_people_and_models_is_escaped(self, measure: str) -> None:
        quoted = EVIL.replace('"', '\\"')
        whole = report_json(baselines=True)
        hostile = {
            **whole["answers"][0], "question": EVIL, "expected": f'{{"{quoted}": "{quoted}"}}',
            "tuned": f'{{"{quoted}": "other", "more {quoted}": ["{quoted}"]}}', "base": EVIL,
        }  # fmt: skip
        whole["systems"]["prompt"]["instruction"] = EVIL
        changes = {
            "main_measure": measure,
            "answers": [hostile],
            "next": EVIL,
            "engine": EVIL,
        }
        found = EvaluationReport.model_validate({**whole, **changes})
        html = report_card.answers(found) + verdict_card.verdict(found)
        assert "<img" not in html
        assert html.count("&lt;img") >= 7


def test_what_is_beside_the_answers() -> None:
    asked, *others = report_json()["answers"]
    both = {
        **asked,
        "parent": "An old answer.",
        "scores": {**asked["scores"], "parent": 0.0},
    }
    html = report_card.answers(report(answers=[both, *others]))
    assert html.count('class="parent"') == html.count("An old answer.") == 1
    systems = report_json()["systems"]
    systems["tuned"]["confusion"] = {
        "late": {"late": 3, "broken": 1},
        "broken": {"broken": 4},
    }
    html = verdict_card.verdict(report(systems=systems))
    assert html.count("<tr") == 3
    assert "<table" not in verdict_card.verdict(report())
    finding = {
        "kind": "memorized",
        "share": 0.4,
        "item": 0,
        "example": "At nine, dear.",
    }
    assert "At nine, dear." in verdict_card.verdict(report(findings=[finding]))


CHOICE = Choice(data_id=DATA)


@pytest.fixture
def trial(app: MadeUpApp) -> Callable[..., None]:
    """Makes a trial that ends in this state."""
    app.fix()

    def ended(state: State, failure: Failure | None = None) -> None:
        folder = JobFolder(app.runner.folder(app.prompt_trials.start(CHOICE)))
        folder.write_status(folder.status().ended_as(state, failure))

    return ended


def prompts_of(page: Page) -> prompt_card.PromptCard:
    found: prompt_card.PromptCard = page.tabs["train"].planning.prompts
    return found


def test_a_click_tries_prompts_and_the_tick_shows_the_result(
    app: MadeUpApp, page: Page
) -> None:
    card, tab = prompts_of(page), "train"
    app.fix()
    store_speed(app.workspace)
    shown = page.tabs[tab].show(CHOICE)
    assert f"{app.prompt_trials.ahead(CHOICE)[0]} questions" in shown[card.card]
    assert re.search(r"\d (s|min)", shown[card.card])
    assert shown[card.begin]["interactive"]
    before = page.signature_of(tab, CHOICE)
    shown = answer(page, card.begin, "click", CHOICE)
    assert 'role="progressbar"' in shown[card.card]
    assert (shown[card.begin]["visible"], shown[card.cancel]["visible"]) == (
        False,
        True,
    )
    during = page.signature_of(tab, CHOICE)
    app.work()
    assert len({before, during, page.signature_of(tab, CHOICE)}) == 3
    shown = page.tabs[tab].show(CHOICE)
    assert 'class="alert good"' in shown[card.card]
    assert "6 of 8 right" in shown[card.card]
    assert shown[card.answers].count("<article") == 8


def test_a_trial_can_be_cancelled(app: MadeUpApp, page: Page) -> None:
    card = prompts_of(page)
    app.fix()
    answer(page, card.begin, "click", CHOICE)
    shown = answer(page, card.cancel, "click", CHOICE)
    assert shown[card.begin]["interactive"]
    assert 'class="alert calm"' in shown[card.card]


def test_a_trial_is_never_called_a_check(
    page: Page, trial: Callable[..., None]
) -> None:
    for state in (State.STOPPED, State.INTERRUPTED):
        trial(state)
        shown = str(prompts_of(page).show(CHOICE)[prompts_of(page).card])
        assert 'class="alert' in shown
        assert "trial" in shown
        assert "check" not in shown.lower()


def test_without_examples_the_button_says_why(page: Page) -> None:
    card = prompts_of(page)
    shown = page.tabs["train"].show(Choice())
    assert card.begin not in shown or not shown[card.begin]["interactive"]


def test_a_result_of_other_examples_says_so(app: MadeUpApp, page: Page) -> None:
    card = prompts_of(page)
    app.fix()
    answer(page, card.begin, "click", CHOICE)
    app.work()
    assert prompt_card.OLD not in card.show(CHOICE)[card.card]
    app.edits.set_instruction(DATA, "Be brief.")
    assert prompt_card.OLD in card.show(CHOICE)[card.card]


def test_a_failure_is_named(page: Page, trial: Callable[..., None]) -> None:
    card, failure = (
        prompts_of(page),
        Failure(what="It failed.", why="No memory.", next="Close programs."),
    )
    trial(State.FAILED, failure)
    shown = card.show(CHOICE)
    assert all(
        part in shown[card.card] for part in (failure.what, failure.why, failure.next)
    )
    assert shown[card.begin]["interactive"]


def test_a_trial_that_is_not_enough_and_escaped_texts() -> None:
    found = TrialReport.model_validate(
        {**trial_report(), "next_kind": "train", "next": "Train the model."}
    )
    assert 'class="alert calm"' in prompt_card.ended(found, True)
    found = trial_report()
    found["systems"]["prompt"]["instruction"] = "<img src=x>"
    assert "<img" not in prompt_card.ended(TrialReport.model_validate(found), True)
