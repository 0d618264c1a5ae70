"""The fold for a text of facts on the card "Is it better?": does looking them up do as well as training?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.datasets.read.document import SUFFIXES, read_document
from backend.evaluation.facts import LONGEST
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import sent_file
from ui.web.errors import handler

TITLE = "Are the answers in a text you already have? (retrieval)"


@dataclass
class FactsFields:
    """fold: holds both. text: the facts, which a file fills too."""

    fold: gr.Accordion
    text: gr.Textbox
    file: gr.UploadButton

    def typed(self, inputs: Inputs) -> str:
        return str(inputs[self.text] or "").strip()[: LONGEST + 1]


def build(state: BrowserState) -> FactsFields:
    """Draws the fold inside the current column."""
    with gr.Accordion(TITLE, open=False, elem_classes="fold-block", elem_id="facts") as fold:
        text = gr.Textbox(
            label="Your facts",
            info="Such as prices or opening hours. The base model also answers with the passages that match each "
            "question in its prompt. If it does as well as your model, facts can change without training again.",
            placeholder="Paste them here, with an empty line between two subjects",
            lines=3,
            max_lines=12,
            elem_id="facts-text",
        )
        file = gr.UploadButton(
            "Load a text file", file_types=list(SUFFIXES), size="md", min_width=0, scale=0, elem_id="facts-file"
        )

    @handler
    def load(inputs: Inputs) -> Updates:
        path = sent_file(inputs[file])
        found: dict[Any, Any] = {text: read_document(path), file: None}
        return found

    state.listen(file.upload, load, [text, file], file)
    return FactsFields(fold, text, file)
