"""Examples that a person writes about a text, passage by passage."""

from collections import Counter

from backend.datasets.documents.passages import passages
from backend.datasets.editing import Editor
from backend.datasets.store import DatasetStore
from backend.datasets.stored_files import RecentCache
from backend.errors import BadInput
from backend.records.rows import Row
from ui.records.data import Writing

LONGEST = 200_000  # characters of an example


class WritingService:
    """The passages of a text are computed, so they never change; what was written is edits like any other."""

    def __init__(self, store: DatasetStore) -> None:
        self._store, self._editor = store, Editor(store)
        self._passages: RecentCache[list[str]] = RecentCache()

    def is_text(self, data_id: str) -> bool:
        """Whether a dataset is a text, about which examples can be written."""
        rows = self._store.original(data_id).rows
        return bool(rows) and rows[0].text is not None

    def is_written(self, data_id: str) -> bool:
        """Whether its examples are written about a text."""
        return self._store.info.read(data_id).written

    def start(self, data_id: str) -> str:
        """The id of the dataset for examples about this text. Raises BadInput for one that is no text."""
        return self._store.add_written(data_id)

    def at(self, data_id: str, number: int) -> Writing:
        """The passage with this number, or the nearest, and what was written about it. Raises BadInput."""
        texts = self._all(data_id)
        number = min(max(number, 1), len(texts))
        rows = self._store.original(data_id).rows
        counts = Counter(row.passage for row in rows)
        written = [(row.row, str(row.messages[-2]["content"])) for row in rows if row.passage == number]
        return Writing(number, len(texts), texts[number - 1], written, len(rows), len(counts.keys() - {0}))

    def save(self, data_id: str, number: int, question: str, answer: str) -> int:
        """Adds an example about a passage and returns its number. Raises BadInput, changing nothing.
        number: of the passage, from 1. question: that it answers. answer: to be learned."""
        if not 1 <= number <= len(self._all(data_id)):
            raise BadInput(f"There is no passage {number:,}.", "", "Reload the page.")
        if not question.strip() or not answer.strip():
            missing = "question" if not question.strip() else "answer"
            raise BadInput(f"The {missing} is empty.", "An example needs both.", f"Write the {missing}.")
        if len(question) + len(answer) > LONGEST:
            raise BadInput("This example is too long.", f"It has over {LONGEST:,} characters.", "Shorten it.")
        messages = [{"role": "user", "content": question.strip()}, {"role": "assistant", "content": answer.strip()}]
        return self._editor.add(data_id, Row(0, 0, messages, passage=number))

    def _all(self, data_id: str) -> list[str]:
        all_passages = self._passages.get((data_id,))
        if all_passages is None:
            if not self.is_written(data_id):
                raise BadInput("No examples are written about these.", "", "Open the text, then begin to write.")
            all_passages = [passage for text in self._store.texts(data_id) for passage in passages(text)]
            self._passages.put((data_id,), all_passages, len(all_passages))
        return all_passages
