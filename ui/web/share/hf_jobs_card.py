"""The section of Share that trains a run on a rented GPU. Nothing is looked up or sent before a button is clicked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.export.hf_jobs import MAX_HOURS, MIN_HOURS, Computer, SubmittedJob, max_cost
from backend.records.units import MIB
from ui.services.app import App
from ui.services.hf_jobs import ACCESS_NOTE
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.components import LISTEN, Given, Kept, Updates, button, drawn
from ui.web.errors import handler
from ui.web.html import components

LEAD = (
    "For a run that is too much for this computer: Hugging Face rents larger ones by the minute (Hugging Face Jobs). "
    "It needs an account there with a way to pay. Nothing is sent before you agree."
)


@dataclass
class RentCard:
    """The fold's components."""

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
        """As it stands, but for what is being typed."""
        has_script = bool(choice.run_id and self.app.hf_jobs.script_folder(choice.run_id))
        said = (
            "" if has_script else components.text("First make the recipe above: it is what would be sent.", "small")
        )
        rented = self.app.hf_jobs.submitted(choice.run_id) if choice.run_id else []
        updates = {self.look: gr.update(interactive=has_script), self.sent: jobs(rented)}
        return updates if has_script else {**updates, **self._hidden(), self.offer: said}

    def _hidden(self) -> Updates:
        return {part: gr.update(visible=False) for part in (self.computer, self.hours, self.agreed, self.send)}

    def offered(self, choice: Choice, flavor: str, hours: Any, agreed: bool) -> Updates:
        """What the chosen computer costs and what would be uploaded, and whether it can be sent."""
        renting = self.app.hf_jobs
        computer, amount = renting.find_computer(flavor), float(hours or 0)
        cost = max_cost(computer, amount)
        return {
            self.offer: offer(
                computer, amount, cost, renting.uploads(choice.run_id), renting.sends_token(choice.run_id)
            ),
            self.send: gr.update(visible=True, interactive=bool(agreed)),
        }


def build(app: App, kept: Kept) -> RentCard:
    """Draws the fold."""
    with gr.Accordion("Train it on a rented computer", open=False, elem_classes="fold-block"):
        drawn(components.text(LEAD))
        look = button("Look up what it costs", interactive=False, elem_id="rent-look")
        with gr.Row(elem_classes="actions"):
            computer = gr.Dropdown([], label="Computer", visible=False, elem_id="rent-computer")
            hours = gr.Number(
                1, label="Hours at most", minimum=MIN_HOURS, maximum=MAX_HOURS, visible=False, elem_id="rent-hours"
            )
        offer_drawn = drawn()
        agreed = gr.Checkbox(label="I agree to this upload and to this cost", visible=False, elem_id="rent-agree")
        send = button("Send it", interactive=False, visible=False, elem_id="rent-send")
        sent = drawn()
    card = RentCard(app, look, computer, hours, agreed, send, offer_drawn, sent)

    @handler
    def look_up(given: Given) -> Updates:
        choice = kept.choice(given)
        computers = app.hf_jobs.look_up_computers()
        names = [(f"{one.name}, {one.memory or 'no card'}: ${one.cost:.2f} an hour", one.flavor) for one in computers]
        first = computers[0].flavor
        return {
            computer: gr.update(choices=names, value=first, visible=True),
            hours: gr.update(visible=True),
            agreed: gr.update(value=False, visible=True),
            **card.offered(choice, first, given[hours], False),
        }

    @handler
    def chosen(given: Given) -> Updates:
        """Another computer or other hours are another offer, to be agreed to anew."""
        if not given[computer]:
            return {}
        return {**card.offered(kept.choice(given), given[computer], given[hours], False), agreed: False}

    @handler
    def agree(given: Given) -> Updates:
        return {send: gr.update(interactive=bool(given[agreed] and given[computer]))}

    @handler
    def hand_over(given: Given) -> Updates:
        choice = kept.choice(given)
        app.hf_jobs.submit(choice.run_id, given[computer], float(given[hours] or 0), bool(given[agreed]))
        return {**card.show(choice), agreed: False, send: gr.update(interactive=False)}

    look.click(look_up, kept.inputs(hours), card.outputs, **LISTEN)
    for part in (computer, hours):
        part.input(chosen, kept.inputs(computer, hours), card.outputs, **LISTEN)
    agreed.input(agree, kept.inputs(agreed, computer), card.outputs, **LISTEN)
    send.click(hand_over, kept.inputs(computer, hours, agreed), card.outputs, **LISTEN)
    return card


def offer(computer: Computer, hours: float, cost: float, uploads: dict[str, int], sends_token: bool) -> Markup:
    """What it costs and what leaves this computer."""
    files = fmt.listed([f"{name} ({fmt.size(size / MIB)})" for name, size in uploads.items()])
    lines = [
        (
            "Cost",
            f"${computer.cost:.2f} an hour, at most ${cost:.2f}",
            f"it is ended after {hours:g} h at the latest",
        ),
        ("What is uploaded", files, "to a private place of your own account, with every example in it"),
        (
            "What it learns from",
            "the base model, fetched from the hub there",
            "its original, which may differ a little",
        ),
    ]
    if sends_token:
        lines.append(("What goes along", "your access token for Hugging Face", ACCESS_NOTE))
    return components.rows(lines)


def jobs(sent: Iterable[SubmittedJob]) -> Markup:
    """The jobs that were started, each with a link to watch it and the place of its result."""
    if not (lines := [_job(one) for one in sent if one.url.startswith("https://")]):
        return components.EMPTY
    return Markup('<ul class="sent">{}</ul>').format(components.join(lines))


def _job(one: SubmittedJob) -> Markup:
    watch = components.external_link(one.url, "watch it on Hugging Face")
    return Markup("<li>{}, at most ${:.2f}: {}. What it learns will lie in <code>{}</code>.</li>").format(
        one.flavor, one.at_most, watch, one.learned
    )
