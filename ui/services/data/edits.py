"""Examples edited as forms: replaced, added, deleted, given an instruction; each edit
can be undone.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from backend.datasets.check_dataset import row_problems
from backend.datasets.checks.issues import QUESTIONS
from backend.datasets.dataset import CheckedDataset
from backend.datasets.editing import Editor
from backend.datasets.read.load import load
from backend.datasets.store import DatasetStore
from backend.errors import BadInput
from ui.records.data import EditableExample, Instruction
from ui.services.data.datasets import DatasetService
from ui.services.data.edited_examples import blank, fields, to_edit, with_texts
from ui.services.machine.models import ModelService
from ui.services.selection import Choice


class EditService:
    """The edits of the datasets of a workspace."""

    def __init__(
        self, store: DatasetStore, datasets: DatasetService, models: ModelService
    ) -> None:
        self._store, self._datasets, self._models = store, datasets, models
        self._editor = editor = Editor(store)
        self.delete, self.undo = editor.delete, editor.undo
        self.set_instruction = editor.set_instruction

    def editable(self, choice: Choice) -> EditableExample:
        """The selected example as fields. Raises BadInput when there is none, or it is
        too long for the page.
        """
        return EditableExample(
            choice.row, tuple(fields(to_edit(self._whole(choice), choice.row)))
        )

    def new(self, choice: Choice) -> EditableExample:
        """An empty example of the same kind as the others."""
        dataset = self._store.original(choice.data_id)
        return EditableExample(
            dataset.highest + 1, tuple(fields(blank(dataset))), is_new=True
        )

    def save(self, choice: Choice, row: int, texts: dict[str, str]) -> None:
        """Replaces an example by one with these texts, by field. Raises BadInput,
        changing nothing.
        """
        self._editor.replace(
            choice.data_id, row, with_texts(to_edit(self._whole(choice), row), texts)
        )

    def add(self, data_id: str, texts: dict[str, str]) -> int:
        """Adds an example with these texts and returns its number. Raises BadInput,
        changing nothing.
        """
        return self._editor.add(
            data_id, with_texts(blank(self._store.original(data_id)), texts)
        )

    def add_text(self, data_id: str, text: str) -> int:
        """Adds pasted or typed examples as one edit; returns how many. Raises BadInput,
        adding none, for a bad one.
        """
        with TemporaryDirectory() as folder:
            (file := Path(folder) / "pasted").write_bytes(
                text.encode("utf-8", "surrogatepass")
            )
            pasted = load(file, name="Pasted text")
        problems = (*pasted.problems, *row_problems(pasted.rows))
        blocking = (
            it for it in problems if it.severity == "error" or it.kind in QUESTIONS
        )
        why = next(
            (
                f"{it.message} ({it.place})" if it.line else it.message
                for it in blocking
            ),
            "",
        )
        if why or not pasted.rows:
            raise BadInput(
                "These examples can't be added.",
                why,
                "Correct them, or untick the box above the button.",
            )
        self._editor.add_together(data_id, pasted.rows)
        return len(pasted.rows)

    def instruction(self, choice: Choice) -> Instruction:
        """The instruction that most examples carry. Waits until the dataset is checked."""
        counts, tokenizer = (
            self._whole(choice).instructions,
            self._models.tokenizer(choice.model_id),
        )
        [(text, most)] = counts.most_common(1) or [("", 0)]
        different = counts.total() - most - (counts[""] if text else 0)
        default = tokenizer.default_instruction if tokenizer else ""
        return Instruction(
            text, most if text else 0, different, counts.total(), default
        )

    def _whole(self, choice: Choice) -> CheckedDataset:
        return self._datasets.checked(choice.data_id, choice.model_id)
