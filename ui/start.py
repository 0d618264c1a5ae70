"""Start: what should it learn, what can this computer do, and which model to take."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from backend.hardware import Probe
from backend.recommend import Option
from jobs.models import Job
from ui import cards, messages, present
from ui.choice import Choice
from ui.messages import handler
from ui.parts import LISTEN, Given, Kept, Updates, drawn, pressable, pressed, primary

TASKS = {
    "voice": ("Answer in our voice", "Customers ask, it answers the way your team would."),
    "extract": ("Pull data out of text", "Messages, orders or invoices become tidy fields."),
    "write": ("Write in a style", "It writes or rewrites notes and drafts your way."),
    "other": ("Something else", "Anything that you can show by examples."),
}
CHANGING = "Yes, prices, stock and the like"
STABLE = "No, or hardly ever"
RETRIEVAL = messages.alert(
    "warn",
    "For facts that change, looking them up works better than learning them",
    "A trained model goes on saying the prices it was taught after they have changed. The better tool for that is "
    "retrieval: with each question the model is handed the current facts to read.",
    "Train it here for tone and form, and hand it the facts with each question.",
)


@dataclass
class StartTab:
    services: Any
    line: gr.HTML
    task: gr.Radio
    facts: gr.Radio
    advice: gr.HTML
    machine: gr.HTML
    model: gr.HTML
    others: gr.HTML
    forward: gr.Button
    reason: gr.HTML
    taken: Any = None  # the event by which the shown model becomes the chosen one

    @property
    def outputs(self) -> list[Any]:
        return [self.line, self.advice, self.machine, self.model, self.others, self.forward, self.reason]

    def show(self, choice: Choice) -> Updates:
        recommended = self.services.recommendation(choice.task, choice.data_id)
        options: list[Option] = [recommended, *recommended.others]
        chosen = chosen_of(options, choice)
        ready = {option.model.id for option in options if self.services.model_ready(option.model.id)}
        preparing = self.services.preparing()
        waiting = "" if chosen.model.id in ready or preparing else self.services.not_ready(chosen.model.id)
        why_not = reason(chosen, waiting)
        return {
            self.line: guide(choice, not preparing),
            self.advice: RETRIEVAL if choice.facts_change else "",
            self.machine: machine_card(self.services.hardware()),
            self.model: model_card(chosen, chosen is recommended, chosen.model.id in ready, preparing),
            self.others: others_table(options, chosen.model.id, ready),
            self.forward: gr.update(interactive=not why_not),
            self.reason: why_not,
        }

    def signature(self, choice: Choice) -> Hashable:
        job = self.services.preparing()
        return repr((job.state, job.progress)) if job else self.services.model_ready(choice.model_id)

    def restore(self, choice: Choice) -> Updates:
        return {self.task: choice.task or None, self.facts: CHANGING if choice.facts_change else STABLE}


def build(services: Any, kept: Kept) -> StartTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(cards.guide(1, "Say what it should learn.", "Then you bring examples of it."), elem_classes="guide")
    task = gr.Radio(
        [("\n".join(words), key) for key, words in TASKS.items()],
        label="What should it learn?",
        elem_classes="choices four",
    )
    facts = gr.Radio(
        [STABLE, CHANGING], value=STABLE, label="Do the right answers change often?", elem_classes="choices inline"
    )
    advice = drawn()
    machine = drawn(cards.card("Your computer", lead="Looking at what it can do."))
    model = drawn(cards.card("The model", lead="Working out which one fits."))
    with gr.Accordion("Other models", open=False, elem_classes="fold-block"):
        others = pressable()
    with gr.Row(elem_classes="actions"):
        forward = primary("Go on to your examples", elem_id="to-data")
        reason = drawn(elem_classes="reason")

    tab = StartTab(services, line, task, facts, advice, machine, model, others, forward, reason)

    def changed(given: Given, **changes: Any) -> Updates:
        before = kept.choice(given)
        choice = before.but(**changes)
        return {**kept.keep(before, choice), **tab.show(choice)}

    @handler
    def choose_task(given: Given) -> Updates:
        return changed(given, task=given[task])

    @handler
    def choose_facts(given: Given) -> Updates:
        return changed(given, facts_change=given[facts] == CHANGING)

    @handler
    def choose_model(event: gr.EventData, given: Given) -> Updates:
        do, value = pressed(event)
        return changed(given, model_id=value, settings={}) if do == "model" else gr.skip()

    @handler
    def take(given: Given) -> Updates:
        """Going on keeps the model that is shown, also when it is only the recommended one."""
        before = kept.choice(given)
        recommended = services.recommendation(before.task, before.data_id)
        model_id = chosen_of([recommended, *recommended.others], before).model.id
        return kept.keep(before, before.but(model_id=model_id)) or gr.skip()

    outputs = [*kept.outputs, *tab.outputs]
    task.input(choose_task, kept.inputs(task), outputs, **LISTEN)
    facts.input(choose_facts, kept.inputs(facts), outputs, **LISTEN)
    tab.taken = forward.click(take, kept.inputs(), kept.outputs, **LISTEN)
    others.click(choose_model, kept.inputs(), outputs, **LISTEN)
    return tab


def guide(choice: Choice, ready: bool) -> str:
    if not ready:
        return cards.guide(1, "The model is being made ready, once.", "You can go on meanwhile.")
    if not choice.task:
        return cards.guide(1, "Say what it should learn.", "Then you bring examples of it.")
    return cards.guide(1, "The model is chosen.", "Next you bring examples of how you want things answered.")


def chosen_of(options: list[Option], choice: Choice) -> Option:
    """The model that was chosen, else the recommended one, which stands first."""
    return next((option for option in options if option.model.id == choice.model_id), options[0])


def reason(chosen: Option, waiting: str) -> str:
    """Why one can't go on with this model, "" when one can; waiting: why it is not ready."""
    if chosen.fit == "no":
        return "This model is too big for this computer. Choose a smaller one above."
    return waiting


def machine_card(probe: Probe) -> str:
    """The computer in plain words."""
    hardware = probe.hardware
    free, total = present.size(hardware.memory_available_mib), present.size(hardware.memory_total_mib)
    numbers = [(free, f"memory free of {total}"), (present.size(hardware.disk_free_mib), "free on the disk")]
    cards_found = [gpu for gpu in hardware.gpus if not hardware.unified_memory]
    for gpu in cards_found[:1]:
        numbers.insert(
            0, (present.size(gpu.memory_free_mib), f"free on the card of {present.size(gpu.memory_total_mib)}")
        )
    numbers.append(
        (present.number(hardware.cpu.cores), "processor cores" if hardware.cpu.cores != 1 else "processor core")
    )
    problems = "".join(messages.alert("warn", one.what, one.why, one.next) for one in probe.problems)
    lead = probe.sentences[0] if probe.sentences else ""
    return cards.card("Your computer", cards.facts(numbers), problems, lead=lead)


def model_card(option: Option, recommended: bool, ready: bool, preparing: Job | None) -> str:
    """The chosen model: why, what it needs against what is here, its licence and size."""
    model, memory = option.model, option.memory
    badges = cards.badge("Recommended") if recommended else cards.badge("Your choice", "calm")
    badges += cards.badge("Ready on this computer") if ready else ""
    needs, have = present.size(memory.total_mib), present.size(option.have_mib)
    numbers = [
        (needs, f"memory needed of {have}, computed"),
        (present.size(model.download_mib), "on the disk" if ready else "to download"),
    ]
    bar = cards.memory_bar(present.memory_parts(memory.parts), option.have_mib, f"Needs {needs}, you have {have}.")
    waiting = ""
    if preparing and not ready:
        progress = preparing.progress
        done = present.percent(progress.done, progress.total) if progress else 0
        waiting = cards.text(f"Making it ready: {done} %") + cards.progress(done, "Making the model ready")
    reads = f"reads up to {present.number(model.context_length)} tokens at once"
    use = "may be used commercially" if model.commercial_use else "not for commercial use"
    small = f"{present.short_number(model.parameters)} parameters, {reads}. Licence: {model.licence}; {use}."
    lead = " ".join(option.reasons) or model.note
    return cards.card(
        model.name, cards.facts(numbers), bar, waiting, cards.text(small, "small"), badges=badges, lead=lead
    )


FITS = {"yes": ("Fits", "good"), "tight": ("Just fits", "warn"), "no": ("Too big", "bad")}


def others_table(options: list[Option], chosen_id: str, ready: set[str]) -> str:
    """All models as a sortable table with what each needs here."""
    headers = ("Model", "Here", "Needs", "Download", "Licence", "")
    lines = [_line(option, chosen_id, option.model.id in ready) for option in options]
    return cards.table(headers, lines, "Models and whether they fit this computer", sortable=True, kind="models")


def _line(option: Option, chosen_id: str, ready: bool) -> tuple[str, ...]:
    model = option.model
    if model.id == chosen_id:
        act = cards.badge("Chosen", "calm")
    elif option.fit == "no":
        act = ""
    elif ready:
        act = cards.button("Choose", "model", model.id, label=f"Choose {model.name}")
    else:
        act = cards.text("not on this computer", "small")
    return (
        f"<strong>{escape(model.name)}</strong>{cards.text(' '.join(option.reasons[:1]), 'small')}",
        cards.sort_key(list(FITS).index(option.fit)) + cards.badge(*FITS[option.fit]),
        cards.sort_key(option.memory.total_mib) + present.size(option.memory.total_mib),
        cards.sort_key(model.download_mib) + present.size(model.download_mib),
        escape(model.licence),
        act,
    )
