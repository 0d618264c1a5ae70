"""From checked examples to a run: split and tokenize them, and record everything that defines the training."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from backend.datasets.split import Split
from backend.errors import ApprenticeError, BadInput
from backend.records.encoded import Encoded
from backend.records.lengths import LengthLimits
from backend.records.rows import Row, Source
from backend.records.specs import DataRef, ModelRef, RunSpec, TrainSettings
from backend.runs.token_rows import sizes, write_rows
from backend.tokens.preference_pairs import encode_pairs
from backend.tokens.tokenizer import ChatTokenizer

SAMPLED_PROMPTS = 3  # validation examples whose answers are shown during training
VERSIONED = ("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "tokenizers")


@dataclass(frozen=True)
class PreparedRun:
    """A run ready for the queue: its spec, and its rows as `input_ids` and `labels`."""

    spec: RunSpec
    train: list[Encoded]
    validation: list[Encoded]

    def write(self, folder: Path) -> None:
        """Writes the rows into the run's folder, for the trainer to read."""
        write_rows(folder, self.train, self.validation)


def prepare_run(
    rows: Sequence[Row],
    source: Source,
    split: Split,
    tokenizer: ChatTokenizer,
    model: ModelRef,
    settings: TrainSettings,
    name: str,
    data_id: str = "",
    general_language: str = "en",
) -> PreparedRun:
    """Tokenizes the rows of a dataset for a run. Raises BadInput, naming the first such row, when a row can't be
    tokenized or has nothing to learn.

    source: the file of the training rows"""
    train = pieces([rows[i] for i in split.train], tokenizer, settings)
    validation = pieces([rows[i] for i in split.validation], tokenizer, settings)
    sampled = [
        [{"role": str(m["role"]), "content": str(m.get("content") or "")} for m in rows[i].messages]
        for i in split.judging[:SAMPLED_PROMPTS]
        if rows[i].messages
    ]
    data = DataRef(
        name=source.name,
        sha256=source.sha256,
        data_id=data_id,
        edits=len(source.edits),
        **sizes(train, validation),
        validation_chooses=split.chooses,
        general_language=general_language,
        held_out_prompts=tuple(tuple(chat[:-1]) for chat in sampled),
        held_out_answers=tuple(chat[-1]["content"] for chat in sampled),
    )
    spec = RunSpec(name=name, model=model, data=data, settings=settings, versions=versions())
    return PreparedRun(spec, train, validation)


def pieces(rows: Sequence[Row], tokenizer: ChatTokenizer, settings: TrainSettings) -> list[Encoded]:
    """`rows` for the trainer: pairs for DPO, long documents as windows. Raises BadInput like `checked`."""
    lengths = LengthLimits.from_settings(settings)
    pairs = settings.trainer == "dpo"
    encoded = encode_pairs(tokenizer, rows, settings.max_length) if pairs else tokenizer.encode_rows(rows)
    return [piece for row, result in zip(rows, encoded, strict=True) for piece in checked(row, result, lengths)]


def checked(row: Row, result: Encoded | ApprenticeError, lengths: LengthLimits) -> list[Encoded]:
    """The pieces of an encoded row. Raises BadInput, naming the row, when there is nothing to learn."""
    if isinstance(result, ApprenticeError):
        raise BadInput(f"Row {row.row} ({row.place}) can't be used. {result.what}", result.why, result.next)
    parts = lengths.pieces(row, result)
    if not all(piece.learned for piece in parts):
        raise BadInput(
            f"Row {row.row} ({row.place}) has nothing to learn.",
            "Its answer starts beyond the maximum length." if result.learned else "It has no answer.",
            "Remove the row, or raise the maximum length (max_length).",
        )
    return parts


def versions(packages: tuple[str, ...] = VERSIONED) -> dict[str, str]:
    """The installed version of each package, "" where it is not installed."""
    return {name: next((each.version for each in distributions(name=name)), "") for name in packages}
