"""The fold for a long text from a file on Try: both models answer its pieces one after another."""

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from backend.chat.documents import COMBINE, Combine
from backend.datasets.read.document import SUFFIXES, read_document
from ui.web.browser_state import Inputs
from ui.web.components import html
from ui.web.html import components

TITLE = "Ask about a long text"
HOW = (
    "It is split into pieces as long as your longest examples; your question is asked about each piece. A model that "
    "learned to answer one message at a time gives one answer to a piece that holds several."
)
_WAYS = {
    "auto": "Automatic: JSON answers become one list",
    "join": "One after another",
    "merge": "One JSON list",
    "summarize": "Summarized once more",
}


class Document(NamedTuple):
    """A text file and how the answers to its pieces are put together."""

    name: str
    text: str
    how: Combine


class DocumentFields:
    """The fold, with a file and how the answers to its pieces are put together."""

    def __init__(self) -> None:
        with gr.Accordion(TITLE, open=False, elem_classes="fold-block", elem_id="document"):
            html(components.text(HOW, "small"))
            self.file = gr.File(
                label="A text file (.txt or .md)", file_types=list(SUFFIXES), height=120, elem_id="document-file"
            )
            self.how = gr.Radio(
                [(label, way) for way, label in _WAYS.items()],
                value="auto",
                label="How the answers are put together",
                elem_classes="choices inline",
                elem_id="combine",
            )
        self.inputs: list[Any] = [self.file, self.how]

    def document(self, inputs: Inputs) -> Document | None:
        """The chosen file; None without one. Raises BadInput, naming it, when it can't be read."""
        if not inputs[self.file]:
            return None
        path = Path(str(inputs[self.file]))
        how: Combine = next((way for way in COMBINE if way == inputs[self.how]), "auto")
        return Document(path.name, read_document(path), how)
