"""Start: what the model should learn, what this computer can do, and which model to
use.
"""

import json
from collections.abc import Hashable
from typing import Any

import gradio as gr

from backend.advice.recommend import Recommendation
from backend.hosting.policy import Feature
from backend.models import local
from backend.models.catalogue import TASKS
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import action_bar, clickable, clicked, details, html, primary
from ui.web.html import components
from ui.web.start import download_card, models_table
from ui.web.start import views as start_views
from ui.web.try_it.first_card import FirstCard, begin_button


class StartTab:
    """chosen: the event by which the shown model becomes the chosen one, even if it is
    only the recommended one.
    """

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        new = app.is_newcomer(Choice())
        self.line = html(start_views.guide(Choice(), new), elem_classes="guide")
        self.first = FirstCard(app, state, new)
        with gr.Column(visible=not new) as self.setup:
            self.language = clickable(elem_id="language")
            tasks = [
                ("\n".join(lines), key) for key, lines in start_views.TASKS.items()
            ]
            self.task = gr.Radio(
                tasks,
                label="What should it learn?",
                elem_classes="choices four",
                elem_id="task",
            )
            self.facts = gr.Checkbox(
                label="The right answers change often, such as prices or stock"
            )
            self.advice = html()
            self.here = html()
            with details("computer-and-models") as self.details:
                self.model = clickable(
                    components.card("The model", lead="Working out which one fits.")
                )
                self.machine = clickable(
                    components.card("Your computer", lead="Looking at what it can do.")
                )
                self.others = clickable()
                self.another = clickable()
        with action_bar():
            self.begin = begin_button(new)
            self.forward = primary(
                "Continue to your examples", visible=not new, elem_id="to-data"
            )
            self.reason = html(elem_classes="reason")
        clicks = [self.model, self.others, self.another]
        cards = [
            self.language,
            self.advice,
            self.here,
            self.details,
            self.machine,
            *clicks,
        ]
        bar = [self.begin, self.forward, self.reason]
        self.outputs: list[Any] = [
            self.line,
            self.setup,
            *self.first.outputs,
            *cards,
            *bar,
        ]
        answers = [self.task, self.facts]
        state.on_load(
            f"(...given) => apprentice.answers({json.dumps(TASKS)}, ...given)",
            answers,
            answers,
        )
        state.listen(
            self.task.input,
            lambda inputs: self._changed(inputs, task=inputs[self.task]),
            self.outputs,
            self.task,
        )
        state.listen(self.facts.input, self._choose_facts, self.outputs, self.facts)
        leave = state.acting(
            lambda choice: choice.replace(model_id=self._chosen(choice)[0].model.id)
        )
        self.chosen = state.listen(self.forward.click, leave, [])
        begun = state.listen(
            self.begin.click,
            lambda inputs: self._changed(inputs, begun=True),
            self.outputs,
        )
        begun.success(
            None,
            None,
            None,
            js="() => apprentice.address.toTop('start', '#task input')",
            **PRIVATE,
        )
        state.listen(self.machine.click, self._probe, self.outputs)
        for card in (self.language, *clicks):
            state.listen(card.click, self._choose_model, self.outputs)

    def show(self, choice: Choice) -> Updates:
        new = self.app.is_newcomer(choice)
        shown = {
            self.setup: gr.update(visible=not new),
            self.begin: gr.update(visible=new),
            **self.first.show(new),
        }
        shown[self.line] = start_views.guide(choice, new)
        if new:
            return {**shown, self.forward: gr.update(visible=False), self.reason: ""}
        return {**shown, **self._setup(choice)}

    def _setup(self, choice: Choice) -> Updates:
        """What to learn, and on which model."""
        chosen, recommended = self._chosen(choice)
        options = self.app.advice.options(choice)
        names = {
            option.model.id for option in options or (chosen,)
        } & self.app.models.available()
        ready = {name for name in names if self.app.models.is_ready(name)}
        preparing = self.app.models.unpacking()
        simulated = bool(self.app.models.simulated)
        here = simulated or chosen.model.id in ready or preparing
        waiting = "" if here else self.app.models.why_not_ready(chosen.model.id)
        why_not = start_views.TOO_BIG if chosen.fit == "no" else waiting
        size = (
            local.size(self.app.workspace, chosen.model.id)
            if self.app.models.is_ready(chosen.model.id)
            else None
        )
        downloads = self.app.models.downloads()
        better, more, refused = (
            None,
            "",
            self.app.policy.why_not(Feature.DOWNLOAD) or simulated,
        )
        if size is None and not chosen.model.bundled and not simulated:
            more = download_card.fetching(self.app.downloads.status(chosen.model.id))
        elif recommended and (better := self.app.advice.better(choice)):
            more = start_views.suggestion(better, chosen)
        return {
            self.language: start_views.language_alert(
                self.app.advice.unknown_language(choice)
            ),
            self.advice: start_views.RETRIEVAL if choice.facts_change else "",
            self.machine: start_views.machine_card(self.app.models.probe(), simulated),
            self.model: start_views.model_card(
                chosen, recommended, size, more, better is not None
            ),
            self.others: models_table.others_table(
                options, chosen.model.id, ready, downloads
            ),
            self.another: ""
            if refused
            else download_card.another(self.app.models.looked_up(), downloads),
            self.here: start_views.fit_line(
                chosen, size is not None, preparing, better
            ),
            **(
                {self.details: gr.update(open=True)}
                if why_not and not preparing
                else {}
            ),
            self.forward: gr.update(interactive=not why_not, visible=True),
            self.reason: why_not,
        }

    def _chosen(self, choice: Choice) -> tuple[Recommendation, bool]:
        """The model that was chosen, else the recommended one, and whether it is that
        one.
        """
        recommended = self.app.advice.recommendation(choice)
        if choice.model_id in ("", recommended.model.id):
            return recommended, True
        return self.app.advice.recommendation(choice, choice.model_id), False

    def signature(self, choice: Choice) -> Hashable:
        if self.app.is_newcomer(choice):
            return self.first.signature(True)
        job = self.app.models.unpacking()
        compared = self.app.advice.options(choice) is not None
        better = self.app.advice.better(choice)
        downloads = [
            (each.id, each.state, each.progress)
            for each in self.app.models.downloads().values()
        ]
        ready = self.app.models.is_ready(choice.model_id)
        unknown = self.app.advice.unknown_language(choice)
        unpacking = job and (job.state, job.progress)
        read = self.app.datasets.change_token(choice.data_id)
        return repr(
            (
                unknown,
                compared,
                better and better.model.id,
                unpacking,
                downloads,
                ready,
                read,
            )
        )

    def _changed(self, inputs: Inputs, **changes: Any) -> Updates:
        before = self._state.choice(inputs)
        choice = before.replace(**changes)
        return {**self._state.change(before, choice), **self.show(choice)}

    def _choose_facts(self, inputs: Inputs) -> Updates:
        return self._changed(inputs, facts_change=inputs[self.facts] is True)

    def _choose_model(self, event: gr.EventData, inputs: Inputs) -> Updates:
        """Chooses a model, or does something about its download."""
        action, value = clicked(event)
        download_card.act(self.app, action, value)
        chooses = (
            action in ("model", "download")
            and value != self._state.choice(inputs).model_id
        )
        return (
            self._changed(inputs, model_id=value, settings={})
            if chooses
            else self._changed(inputs)
        )

    def _probe(self, event: gr.EventData, inputs: Inputs) -> Updates:
        """Looks at the computer again."""
        if clicked(event)[0] == "probe":
            self.app.models.probe_again()
        return self.show(self._state.choice(inputs))
