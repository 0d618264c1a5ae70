"""The first half of Train: the plan of a run, its settings, and the button that starts
it.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.advice.settings import KEEP_GENERAL
from backend.errors import ApprenticeError
from backend.records.specs import TrainSettings
from backend.runs.division import Changes, NextVersion
from ui.records.runs import Plan
from ui.services.app import App
from ui.services.selection import Choice
from ui.services.training.overrides import apply_overrides
from ui.services.training.planning import default_name
from ui.text import format as fmt
from ui.web import at_work
from ui.web import errors as web_errors
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import (
    action_bar,
    button,
    clickable,
    clicked,
    details,
    html,
    primary,
)
from ui.web.html import components
from ui.web.start import download_card
from ui.web.start import views as start_views
from ui.web.train import plan_view, settings_form
from ui.web.train.settings_form import SettingsForm
from ui.web.try_it import prompt_card


def why_disabled(
    plan: Plan | None, problem: str = "", faults: Iterable[ApprenticeError] = ()
) -> str:
    """Why "Start training" is disabled: the first reason that applies, "" where it is
    enabled.

    plan: of the run; None without examples, or where no plan can be made
    problem: why no plan can be made, or why the version before can't be continued; ""
        for neither
    faults: what is wrong with the settings that the person changed
    """
    wrong = (f"{fault.what} {fault.why}" for fault in faults)
    blocked = plan.blocked if plan else "Add examples first, in step 2."
    return problem or next(wrong, blocked)


class Planning:
    """line: above both halves of the tab. column: all that is drawn here. back: resets
    the settings.
    """

    def __init__(self, app: App, state: BrowserState, line: gr.HTML) -> None:
        self.app, self.line = app, line
        with gr.Column() as self.column:
            self.version = clickable()
            with gr.Column(visible=False) as self.goal:
                trainer = settings_form.goal()
            self.plan = clickable(components.card(plan_view.PLAN, lead="One moment."))
            with details(
                "try-a-prompt", "You may not need any training: try a prompt first"
            ):
                self.prompts = prompt_card.PromptCard(app, state)
            with details("advanced", "All settings"):
                self.called = gr.Textbox(
                    label="A name for your model", max_lines=1, elem_id="run-name"
                )
                fields = {"trainer": trainer, **settings_form.build()}
                answer = gr.JSON(visible=False)
                self.back = button(
                    "Back to the recommended settings", elem_id="reset-settings"
                )
            with action_bar():
                self.start = primary(
                    "Start training", interactive=False, elem_id="start-training"
                )
                self.why_not = html(elem_classes="reason")
        self.form = SettingsForm(app, fields, answer)
        planned = [
            self.version,
            self.goal,
            self.plan,
            self.called,
            self.start,
            self.why_not,
        ]
        self.outputs: list[Any] = [self.column, *planned, *self.prompts.outputs, answer]

    def show(self, choice: Choice) -> Updates:
        """All but the settings, in which the person may be typing:
        `SettingsForm.restore` fills those.
        """
        plan = start = components.EMPTY
        unnamed, why_not, asks = "", why_disabled(None), False
        now, then = "There is nothing to train on yet.", ""
        if choice.data_id:
            now, then = (
                "Ready to train.",
                self._first() or "You can close the page while it trains.",
            )
            try:
                advice = self.form.recommended(choice)
                read = apply_overrides(choice.settings, advice.settings)
                version = self._version(choice)
                ahead = self.app.planning.plan(
                    choice.data_id, choice.model_id, read.settings, version
                )
                asks = ahead.has_pairs or ahead.settings.trainer == "dpo"
                plan = plan_view.plan(
                    ahead, advice.why, read.changed, self.app.policy.demo
                )
                unnamed, cant = default_name(ahead.data_name), ""
                if version:
                    start, unnamed, cant = self._start(
                        choice, version, read.settings, ahead.changes
                    )
                plan += self._fetching(choice) + self._better(choice)
                self.app.ask_ahead(choice)
                why_not = why_disabled(ahead, cant, read.faults.values())
            except Exception as error:
                problem = web_errors.in_words(error)
                plan, why_not = (
                    components.problem_alert(problem),
                    why_disabled(None, problem.what),
                )
        return {
            self.line: components.guide(3, now, then),
            self.version: start,
            self.goal: gr.update(visible=asks),
            self.plan: plan,
            self.called: gr.update(placeholder=unnamed),
            **self.prompts.show(choice),
            self.start: gr.update(interactive=not why_not),
            self.why_not: why_not,
        }

    def _version(self, choice: Choice) -> NextVersion | None:
        return (
            self.app.versions.next(choice.parent, from_base=choice.from_base)
            if choice.parent
            else None
        )

    def _start(
        self,
        choice: Choice,
        version: NextVersion,
        settings: TrainSettings,
        changes: Changes | None,
    ) -> tuple[Markup, str, str]:
        """The card about where the planned version starts, its name, and why it can't
        start there.
        """
        name = self.app.runs.info(choice.parent).name
        why_not = self.app.versions.why_not_continue(
            choice.parent, choice.model_id, settings
        )
        number = self.app.runs.spec(choice.parent).version
        card = before(name, version.number, number, choice.from_base, why_not, changes)
        return (
            card,
            name,
            ""
            if choice.from_base or not why_not
            else f"{why_not} Or start from the base model again.",
        )

    def _first(self) -> str:
        """The runs that are trained before one that begins now, in words; "" if there
        are none.
        """
        first = self.app.runs.unfinished()
        if len(first) > 1:
            return f"{len(first)} other runs go first, one at a time."
        return (
            f"{at_work.name(self.app, first[0].id)} is trained first; this one begins after it."
            if first
            else ""
        )

    def _fetching(self, choice: Choice) -> Markup:
        """How to get the chosen model, if it is not on this computer yet."""
        if (
            not choice.model_id
            or self.app.models.simulated
            or self.app.models.is_ready(choice.model_id)
        ):
            return components.EMPTY
        status = self.app.downloads.status(choice.model_id)
        if status.model.bundled:
            return components.EMPTY
        return components.card(
            f"{status.model.name} is not on this computer yet",
            download_card.fetching(status),
        )

    def _better(self, choice: Choice) -> Markup:
        """The model to train instead of the best one on this computer, after a
        download; empty without any.
        """
        best = self.app.advice.recommendation(choice)
        better = self.app.advice.better(choice)
        if (
            better is None
            or self.app.policy.demo
            or choice.parent
            or choice.model_id not in ("", best.model.id)
        ):
            return components.EMPTY
        return components.card(
            "A better model", start_views.suggestion(better, best, "Use")
        )

    def signature(self, choice: Choice) -> Hashable:
        downloads = [
            (job.state, job.progress) for job in self.app.models.downloads().values()
        ]
        ready = self.app.models.is_ready(choice.model_id)
        better = choice.data_id and self.app.advice.better(choice) is not None
        return (
            ready,
            repr(downloads),
            self._first(),
            better,
            self.prompts.signature(choice),
        )

    def listen(
        self, state: BrowserState, show: Callable[[Choice], Updates], outputs: list[Any]
    ) -> None:
        """show: the whole tab, whose components are `outputs`."""

        def show_all(choice: Choice) -> Updates:
            return {**show(choice), **self.form.restore(choice)}

        def changed(inputs: Inputs, choice: Choice) -> Updates:
            return {**state.change(state.choice(inputs), choice), **show_all(choice)}

        def fetch(event: gr.EventData, inputs: Inputs) -> Updates:
            """Chooses another model, or does something about the download of the chosen
            one.
            """
            (do, value), choice = clicked(event), state.choice(inputs)
            if do == "recommended":
                return reset(inputs)
            if do == "general":
                settings = {
                    name: set_to
                    for name, set_to in choice.settings.items()
                    if name != "keep_general"
                }
                usual = self.form.recommended(choice).settings.keep_general
                if (value == "on") != (usual > 0):
                    settings["keep_general"] = KEEP_GENERAL if value == "on" else 0.0
                return changed(inputs, choice.replace(settings=settings))
            if do == "fewer":
                settings = {**choice.settings, "num_train_epochs": float(value)}
                return changed(inputs, choice.replace(settings=settings))
            if do == "model":
                return changed(inputs, choice.replace(model_id=value, settings={}))
            download_card.act(self.app, do, value)
            return show(choice)

        def reset(inputs: Inputs) -> Updates:
            choice = state.choice(inputs)
            goal = {
                name: value
                for name, value in choice.settings.items()
                if name == "trainer"
            }
            return changed(inputs, choice.replace(settings=goal))

        def begin(inputs: Inputs) -> Updates:
            choice = state.choice(inputs)
            name = (inputs[self.called] or "").strip()
            settings, version = self.form.settings(choice), self._version(choice)
            self.app.versions.check(version, choice.model_id, settings)
            run_id = self.app.planning.start(
                choice.data_id, choice.model_id, settings, name, version=version
            )
            started = choice.replace(run_id=run_id, parent="", from_base=False)
            return {
                **state.change(choice, started),
                **show(started),
                self.called: "",
            }  # the name is for this run only

        def choose_start(event: gr.EventData, inputs: Inputs) -> Updates:
            """Where the next version starts, or that there is to be none."""
            do, choice = clicked(event)[0], state.choice(inputs)
            if do == "no-version":
                return changed(inputs, choice.replace(parent="", from_base=False))
            starts = do in ("continue", "from-base")
            return (
                changed(inputs, choice.replace(from_base=do == "from-base"))
                if starts
                else {}
            )

        # One at a time, so that the last answer belongs to the last click.
        in_turn: dict[str, Any] = {"concurrency_id": "settings", "concurrency_limit": 1}
        judge = state.acting(
            lambda choice: None, show_all
        )  # a field reports what is wrong with it, the plan follows
        self.form.listen(state, judge, outputs, **in_turn)
        state.listen(self.plan.click, fetch, outputs)
        state.listen(self.back.click, reset, outputs, **in_turn)
        begun = state.listen(self.start.click, begin, outputs, self.called, **in_turn)
        begun.success(
            None, None, None, js="() => apprentice.address.toTop('train')", **PRIVATE
        )
        state.listen(self.version.click, choose_start, outputs, **in_turn)


def before(
    name: str,
    number: int,
    before_it: int,
    from_base: bool,
    why_not: str,
    changes: Changes | None = None,
) -> Markup:
    """Where the planned version starts.

    number: of the planned version
    before_it: the number of the version before
    from_base: whether it is to start from the base model
    why_not: why it can't continue the one before; "" when it can
    changes: of the examples since then; None where they are not known
    """
    lines = (
        _start(
            "continue",
            f"Continue version {before_it}",
            "It starts with what that version learned, and learns your examples as "
            "they are now. It keeps its habits, including mistakes, unless your "
            "examples correct them. (continues the trained weights)",
            why_not,
            chosen=not from_base,
        ),
        _start(
            "from-base",
            "Start from the base model again",
            "It learns all your examples from scratch and takes nothing from version "
            f"{before_it}. Choose this if you changed or deleted many of them.",
            "",
            chosen=from_base,
        ),
    )
    return components.card(
        f"Version {number} of {name}",
        Markup('<ul class="ready">{}</ul>').format(components.join(lines)),
        components.acts(components.button("Train a new model instead", "no-version")),
        lead=compared(changes, before_it) if changes else "",
    )


def compared(changes: Changes, before_it: int) -> str:
    """How the examples differ from those of version `before_it`, and on which the two
    versions can be compared.
    """
    parts = []
    if changes.new:
        parts.append(
            f"{fmt.number(changes.new)} of your examples {_are(changes.new)} new or changed"
        )
    if changes.gone:
        parts.append(
            f"{fmt.number(changes.gone)} of its examples {_are(changes.gone)} gone or changed"
        )
    if changes.moved:
        was = "was" if changes.moved == 1 else "were"
        parts.append(
            f"{fmt.count(changes.moved, 'example')} that {was} set aside {_are(changes.moved)} now learned"
        )
    since = (
        f"Since version {before_it}, {fmt.listed(parts)}."
        if parts
        else "It learned from these same examples."
    )
    if changes.judging:
        some = fmt.count(changes.judging, "example that judged", "examples that judged")
        return f"{since} The {some} version {before_it} stay set aside, so that the two can be compared."
    return (
        f"{since} None of your examples judged version {before_it}: the two are "
        f"compared on those that are set aside now and that version {before_it} has not "
        "learned from."
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _start(do: str, title: str, meaning: str, why_not: str, *, chosen: bool) -> Markup:
    mark = components.button("Choose", do, kind="firm", label=f"Choose: {title}")
    if chosen:
        mark = components.badge("chosen", "good")
    elif why_not:
        mark = components.badge("not possible", "calm")
    return Markup("<li><div><strong>{}</strong>{}{}</div>{}</li>").format(
        title, components.text(meaning), components.text(why_not, "small"), mark
    )
