"""The fold for a long text from a file on Try: both models answer its pieces one after another."""

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from backend.datasets.read.document import SUFFIXES, read_document
from ui.web.browser_state import Inputs
from ui.web.components import html
from ui.web.html import components

TITLE = "Ask about a long text"
HOW = (
    "It is split into pieces as long as your longest examples; your question is asked about each piece. A model that "
    "learned to answer one message at a time gives one answer to a piece that holds several. Answers in JSON "
    "become one list, others follow each other."
)


class Document(NamedTuple):
    """A text file."""

    name: str
    text: str


class DocumentFields:
    """The fold with a file."""

    def __init__(self) -> None:
        with gr.Accordion(TITLE, open=False, elem_classes="fold-block", elem_id="document"):
            html(components.text(HOW, "small"))
            kind = "A text file (.txt or .md)"
            self.file = gr.File(label=kind, file_types=list(SUFFIXES), height=120, elem_id="document-file")
        self.inputs: list[Any] = [self.file]

    def document(self, inputs: Inputs) -> Document | None:
        """The chosen file; None without one. Raises BadInput, naming it, when it can't be read."""
        if not inputs[self.file]:
            return None
        path = Path(str(inputs[self.file]))
        return Document(path.name, read_document(path))
