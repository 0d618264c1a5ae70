"""From checked examples to a run: split, tokenise, and state everything that defines the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
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

WATCHED = 3  # held-back examples whose answers are shown while the model learns
VERSIONED = ("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "tokenizers")


@dataclass(frozen=True)
class PreparedRun:
    """A run ready to be queued: its spec, and its rows as `input_ids` and `labels`."""

    spec: RunSpec
    train: list[Encoded]
    validation: list[Encoded]

    def write(self, folder: Path) -> None:
        """Puts the rows into the run's folder, as the trainer reads them."""
        write_rows(folder, self.train, self.validation)


def prepare_run(
    rows: Sequence[Row],
    source: Source,
    split: Split,
    tokenizer: ChatTokenizer,
    model: ModelRef,
    settings: TrainSettings,
    name: str,
) -> PreparedRun:
    """Tokenises the rows on both sides of `split` for `model`. source: the file that the practice rows are from.

    Raises BadInput, naming the first row, when a row can't be turned into tokens or has nothing to learn.
    """
    train, validation = (
        pieces([rows[i] for i in side], tokenizer, settings) for side in (split.train, split.validation)
    )
    watched = [texts(rows[i]) for i in split.validation[:WATCHED] if rows[i].messages]
    data = DataRef(
        name=source.name,
        sha256=source.sha256,
        **sizes(train, validation),
        held_out_prompts=tuple(tuple(chat[:-1]) for chat in watched),
        held_out_answers=tuple(chat[-1]["content"] for chat in watched),
    )
    spec = RunSpec(name=name, model=model, data=data, settings=settings, versions=versions())
    return PreparedRun(spec, train, validation)


def pieces(rows: Sequence[Row], tokenizer: ChatTokenizer, settings: TrainSettings) -> list[Encoded]:
    """What the trainer gets of `rows`: pairs for DPO; long documents as windows. Raises BadInput like `checked`."""
    lengths = LengthLimits.from_settings(settings)
    pairs = settings.trainer == "dpo"
    encoded = encode_pairs(tokenizer, rows, settings.max_length) if pairs else tokenizer.encode_rows(rows)
    return [piece for row, result in zip(rows, encoded, strict=True) for piece in checked(row, result, lengths)]


def checked(row: Row, result: Encoded | ApprenticeError, lengths: LengthLimits) -> list[Encoded]:
    """The pieces of an encoded row. Raises BadInput naming the row when there is none, or nothing to learn."""
    if isinstance(result, ApprenticeError):
        raise BadInput(f"Row {row.row} (line {row.line}) can't be used. {result.what}", result.why, result.next)
    found = lengths.pieces(row, result)
    if not all(piece.learned for piece in found):
        raise BadInput(
            f"Row {row.row} (line {row.line}) has nothing to learn.",
            "No part of its answer is within the longest length." if result.learned else "It has no answer.",
            "Leave the row out, or raise the longest length (max_length).",
        )
    return found


def texts(row: Row) -> list[dict[str, str]]:
    """The conversation of `row` as plain texts."""
    return [{"role": str(m["role"]), "content": str(m.get("content") or "")} for m in row.messages]


def versions(packages: tuple[str, ...] = VERSIONED) -> dict[str, str]:
    """The installed version of each package, "" where it is not installed."""

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return ""

    return {name: installed(name) for name in packages}
