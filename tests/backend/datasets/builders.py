"""Small datasets for the tests of backend.datasets: clean rows, texts as files, and a
tokenizer of words.
"""

import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from backend.datasets.read.load import load
from backend.errors import ApprenticeError, BadInput
from backend.records.encoded import Encoded
from backend.records.reading import ReadOptions
from backend.records.rows import Dataset, Row, Source
from backend.tokens.token_counts import TokenCount

SOURCE = Source("rows.jsonl", "jsonl", "messages", "utf-8", "0" * 64)
ROW = '{"messages": [{"role": "user", "content": "%s?"}, {"role": "assistant", "content": "%s"}]}\n'  # of a file
SYSTEM = "You answer for a shop."
_WORDS = (
    *(
        "order",
        "parcel",
        "window",
        "garden",
        "bicycle",
        "invoice",
        "refund",
        "yellow",
        "morning",
        "carpet",
    ),
    *(
        "kettle",
        "ladder",
        "museum",
        "notebook",
        "orange",
        "pencil",
        "quarter",
        "ribbon",
        "saddle",
        "ticket",
    ),
    *(
        "umbrella",
        "village",
        "walnut",
        "zipper",
        "anchor",
        "basket",
        "candle",
        "dinner",
        "engine",
        "feather",
    ),
    *(
        "guitar",
        "hammer",
        "island",
        "jacket",
        "kitchen",
        "lantern",
        "mirror",
        "needle",
        "oyster",
        "pepper",
    ),
)


def chat(row: int, *turns: tuple[str, str]) -> Row:
    """A conversation at line and row `row`."""
    return Row(
        row, row, [{"role": role, "content": content} for role, content in turns]
    )


def question(row: int) -> tuple[str, str]:
    """A question unlike that of any other row."""
    return "user", f"Where can I find the {' '.join(_words(row)[:9])}?"


def answer(row: int) -> tuple[str, str]:
    """An answer unlike that of any other row."""
    words = _words(row)
    return (
        "assistant",
        f"You will find it beside the {' '.join(words[9:25])}. Ask there for the {' '.join(words[25:])}.",
    )


def clean_row(row: int) -> Row:
    """A row without a fault, unlike any other."""
    return chat(row, ("system", SYSTEM), question(row), answer(row))


def _words(row: int) -> list[str]:
    return random.Random(row).choices(_WORDS, k=40)


def clean_rows(count: int) -> list[Row]:
    """`count` rows without a fault."""
    return [clean_row(i) for i in range(1, count + 1)]


def dataset(rows: Iterable[Row]) -> Dataset:
    """`rows` as if read from a file."""
    rows = list(rows)
    return Dataset(SOURCE, rows, [], len(rows))


def load_text(
    text: str, name: str = "pasted text", options: ReadOptions | None = None
) -> Dataset:
    """What `load` makes of a file with this text, in UTF-8."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return load(
            path, name=name, options=replace(options or ReadOptions(), encoding="utf-8")
        )


class WordTokenizer:
    """One token per word and per role; answers are learned. Rejects a system message
    after the first turn.
    """

    REASON = "The template accepts a system message only at the start."
    boxed = property(lambda self: self)
    control_markers = ("<|im_end|>", "[MARK]")

    def count_rows(self, rows: Sequence[Row]) -> list[TokenCount | ApprenticeError]:
        encoded = map(self._encode, rows)
        return [
            row if isinstance(row, ApprenticeError) else TokenCount.of(row)
            for row in encoded
        ]

    def _encode(self, row: Row) -> Encoded | ApprenticeError:
        labels: list[int] = []
        for number, message in enumerate(row.messages):
            if number and message["role"] == "system":
                return BadInput("The model rejects this row.", self.REASON)
            words = len(message["content"].split())
            learned = (
                message["role"] == "assistant"
                and "unlearnable" not in message["content"]
            )
            labels += [-100, *([7] * words if learned else [-100] * words)]
        labels += [7] * len((row.text or "").split())
        return Encoded([7] * len(labels), labels)
