"""Share: take the model away as a file, each with the proof that it is the same model."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

import gradio as gr

from ui import cards, messages, present, rent_card
from ui.choice import Choice
from ui.messages import handler
from ui.parts import LISTEN, Given, Kept, Updates, drawn, primary
from ui.try_it import no_model

KINDS = {
    "gguf:Q8_0": (
        "One file for any computer",
        "Runs in LM Studio, Ollama and llama.cpp, without a graphics card. (GGUF, Q8_0)",
    ),
    "adapter": ("Only what it learned", "Small; needs the model it came from beside it. (adapter, safetensors)"),
    "merged": ("The whole model", "For servers and for further training. (merged, safetensors)"),
    "script": (
        "The recipe",
        "A Python file with your examples that trains the same thing elsewhere. (script)",
    ),
}


@dataclass
class ShareTab:
    services: Any
    line: gr.HTML
    kind: gr.Radio
    make: gr.Button
    why_not: gr.HTML
    exports: gr.HTML
    rent: rent_card.RentCard

    @property
    def outputs(self) -> list[Any]:
        return [self.line, self.kind, self.make, self.why_not, self.exports, *self.rent.outputs]

    def show(self, choice: Choice) -> Updates:
        if not choice.run_id:
            return {
                self.line: cards.guide(5, "There is nothing to take away yet.", "Train a model first."),
                self.make: gr.update(interactive=False),
                self.why_not: no_model(self.services, choice),
                self.exports: "",
                **self.rent.show(choice),
            }
        only_script = no_model(self.services, choice)
        ways = choices({}, ("script",)) if only_script else choices(self.services.export_sizes(choice.run_id))
        jobs = self.services.exports(choice.run_id)
        busy = any(job.active for job in jobs)
        now = "The model can be taken when it is trained." if only_script else "Choose how to take it with you."
        return {
            self.line: cards.guide(5, now, "Each file comes with the proof that it is the same."),
            self.kind: gr.update(choices=ways, **({"value": "script"} if only_script else {})),
            self.make: gr.update(interactive=not busy),
            self.why_not: "One file is being made; the next can be started when it is done." if busy else "",
            self.exports: made(jobs),
            **self.rent.show(choice),
        }

    def signature(self, choice: Choice) -> Hashable:
        if not choice.run_id:
            return ""
        return no_model(self.services, choice), repr(
            [(job.id, job.state, job.progress) for job in self.services.exports(choice.run_id)]
        )


def build(services: Any, kept: Kept) -> ShareTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(cards.guide(5, "One moment.", ""), elem_classes="guide")
    kind = gr.Radio(
        choices({}),
        value="gguf:Q8_0",
        label="How do you want to take it?",
        elem_classes="choices four",
        elem_id="export-kind",
    )
    with gr.Row(elem_classes="actions"):
        make = primary("Make the file", interactive=False, elem_id="export")
        why_not = drawn(elem_classes="reason")
    exports = drawn()
    tab = ShareTab(services, line, kind, make, why_not, exports, rent_card.build(services, kept))

    @handler
    def start(given: Given) -> Updates:
        choice = kept.choice(given)
        services.start_export(choice.run_id, given[kind])
        return tab.show(choice)

    make.click(start, kept.inputs(kind), tab.outputs, **LISTEN)
    return tab


def choices(sizes: dict[str, float], keys: Iterable[str] = tuple(KINDS)) -> list[tuple[str, str]]:
    """The ways to take it, with the size each will have where it is known (MiB)."""
    made = []
    for key in keys:
        title, said = KINDS[key]
        size = f"\nAbout {present.size(sizes[key])}, computed" if key in sizes else ""
        made.append((f"{title}\n{said}{size}", key))
    return made


def made(jobs: Iterable[Any]) -> str:
    """Every export of this run: how far it is, or its files and proofs."""
    return "".join(_export(job) for job in jobs)


def _export(job: Any) -> str:
    title = KINDS.get(job.to, (job.to, ""))[0]
    word, tone = present.state(str(job.state.value))
    badge = cards.badge(word, tone)
    if job.failure:
        return cards.card(
            title, messages.alert("bad", job.failure.what, job.failure.why, job.failure.next), badges=badge
        )
    if job.active:
        progress = job.progress
        phase = progress.phase if progress else "Waiting for its turn"
        done = present.percent(progress.done, progress.total) if progress and progress.total else None
        return cards.card(title, cards.progress(done, phase), badges=badge, lead=f"{phase}.")
    files = "".join(
        f'<a class="btn firm" href="{link(file.path)}" download="{escape(file.name)}">Download {escape(file.name)}'
        f" <span>{present.size(file.size_mib)}</span></a>"
        for file in job.files
    )
    return cards.card(title, cards.steps_done(job.proofs), f'<div class="files">{files}</div>', badges=badge)


def link(path: Any) -> str:
    """Where the page serves a finished export; only paths that the services built come here."""
    return escape("/gradio_api/file=" + quote(str(path)))
