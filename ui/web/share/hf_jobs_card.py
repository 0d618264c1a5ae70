"""The section of Share that trains a run on a rented GPU. Nothing is looked up or sent before a button is clicked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.export.hf_jobs import MAX_HOURS, MIN_HOURS, Computer, SubmittedJob, max_cost
from backend.hosting.policy import Feature
from backend.records.units import MIB
from ui.services.app import App
from ui.services.results.hf_jobs import ACCESS_NOTE
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, html
from ui.web.errors import handler
from ui.web.html import components

LEAD = (
    "For a run that is too big for this computer: Hugging Face rents out larger ones by the minute (Hugging Face "
    "Jobs). You need an account there with a payment method. Nothing is sent until you agree."
)
NO_SCRIPT = "First create the training script above. That is what will be sent."


@dataclass
class HfJobsCard:
    """The components of the section."""

    app: App
    look: gr.Button
    computer: gr.Dropdown
    hours: gr.Number
    agreed: gr.Checkbox
    send: gr.Button
    offer: gr.HTML
    sent: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        return [self.look, self.computer, self.hours, self.agreed, self.send, self.offer, self.sent]

    def show(self, choice: Choice) -> Updates:
        """The section as it is now, except for fields in which the person types."""
        if why_not := self.app.policy.why_not(Feature.RENT):
            return {self.look: gr.update(interactive=False), self.offer: components.text(why_not), **self._hidden()}
        has_script = bool(choice.run_id and self.app.hf_jobs.script_folder(choice.run_id))
        submitted = self.app.hf_jobs.submitted(choice.run_id) if choice.run_id else []
        updates = {self.look: gr.update(interactive=has_script), self.sent: jobs(submitted)}
        if has_script:
            return updates
        return {**updates, **self._hidden(), self.offer: components.text(NO_SCRIPT, "small")}

    def _hidden(self) -> Updates:
        return {part: gr.update(visible=False) for part in (self.computer, self.hours, self.agreed, self.send)}

    def offered(self, choice: Choice, flavor: str, hours: Any, agreed: bool) -> Updates:
        """The cost of the chosen computer, the files to upload, and whether they can be sent."""
        hf_jobs = self.app.hf_jobs
        computer, amount = hf_jobs.find_computer(flavor), float(hours or 0)
        cost = max_cost(computer, amount)
        return {
            self.offer: offer(
                computer, amount, cost, hf_jobs.uploads(choice.run_id), hf_jobs.sends_token(choice.run_id)
            ),
            self.send: gr.update(visible=True, interactive=bool(agreed)),
        }


def build(app: App, state: BrowserState) -> HfJobsCard:
    """Draws the section."""
    with gr.Accordion("Train on a rented GPU", open=False, elem_classes="fold-block"):
        html(components.text(LEAD))
        look = button("Check prices", interactive=False, elem_id="rent-look")
        with gr.Row(elem_classes="actions"):
            computer = gr.Dropdown([], label="Computer", visible=False, elem_id="rent-computer")
            hours = gr.Number(
                1, label="Maximum hours", minimum=MIN_HOURS, maximum=MAX_HOURS, visible=False, elem_id="rent-hours"
            )
        offer_html = html()
        agreed = gr.Checkbox(label="I agree to this upload and this cost", visible=False, elem_id="rent-agree")
        send = button("Send it", interactive=False, visible=False, elem_id="rent-send")
        sent = html()
    card = HfJobsCard(app, look, computer, hours, agreed, send, offer_html, sent)

    @handler
    def look_up(inputs: Inputs) -> Updates:
        choice = state.choice(inputs)
        computers = app.hf_jobs.look_up_computers()
        names = [(f"{one.name}, {one.memory or 'no GPU'}: ${one.cost:.2f} per hour", one.flavor) for one in computers]
        first = computers[0].flavor
        return {
            computer: gr.update(choices=names, value=first, visible=True),
            hours: gr.update(visible=True),
            agreed: gr.update(value=False, visible=True),
            **card.offered(choice, first, inputs[hours], False),
        }

    @handler
    def chosen(inputs: Inputs) -> Any:
        """A changed choice withdraws the agreement: the person must agree to the new offer."""
        if not inputs[computer]:
            return gr.skip()
        return {**card.offered(state.choice(inputs), inputs[computer], inputs[hours], False), agreed: False}

    @handler
    def agree(inputs: Inputs) -> Updates:
        return {send: gr.update(interactive=bool(inputs[agreed] and inputs[computer]))}

    @handler
    def hand_over(inputs: Inputs) -> Updates:
        choice = state.choice(inputs)
        app.hf_jobs.submit(choice.run_id, inputs[computer], float(inputs[hours] or 0), bool(inputs[agreed]))
        return {**card.show(choice), agreed: False, send: gr.update(interactive=False)}

    state.listen(look.click, look_up, card.outputs, hours)
    for part in (computer, hours):
        state.listen(part.input, chosen, card.outputs, computer, hours)
    state.listen(agreed.input, agree, card.outputs, agreed, computer)
    state.listen(send.click, hand_over, card.outputs, computer, hours, agreed)
    return card


def offer(computer: Computer, hours: float, cost: float, uploads: dict[str, int], sends_token: bool) -> Markup:
    """The cost, and everything that leaves this computer."""
    files = fmt.listed([f"{name} ({fmt.size(size / MIB)})" for name, size in uploads.items()])
    lines = [
        (
            "Cost",
            f"${computer.cost:.2f} per hour, at most ${cost:.2f}",
            f"it is stopped after {hours:g} h",
        ),
        ("What is uploaded", files, "to a private place in your own account, including every example"),
        (
            "Base model",
            "downloaded there from the hub",
            "the original, which may differ slightly",
        ),
    ]
    if sends_token:
        lines.append(("Also sent", "your Hugging Face access token", ACCESS_NOTE))
    return components.rows(lines)


def jobs(sent: Iterable[SubmittedJob]) -> Markup:
    """The jobs that were started, each with a link to watch it and the place of its result."""
    if not (lines := [_job(one) for one in sent if one.url.startswith("https://")]):
        return components.EMPTY
    return Markup('<ul class="sent">{}</ul>').format(components.join(lines))


def _job(one: SubmittedJob) -> Markup:
    watch = components.external_link(one.url, "watch it on Hugging Face")
    return Markup("<li>{}, at most ${:.2f}: {}. The result will be saved in <code>{}</code>.</li>").format(
        one.flavor, one.at_most, watch, one.learned
    )
