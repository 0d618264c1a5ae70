"""From checked examples, or pairs, to a run: split and tokenize them, and record all
that defines the training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path

from backend.datasets.split import Split
from backend.errors import ApprenticeError, BadInput
from backend.records.encoded import Encoded, unlearned
from backend.records.lengths import LengthLimits
from backend.records.rows import Row, Source, rejected_side, shared_prompt
from backend.records.specs import DataRef, ModelRef, RunSpec, TrainSettings
from backend.runs.token_rows import sizes, write_rows
from backend.tokens.tokenizer import ChatTokenizer

SAMPLED_PROMPTS = 3  # validation examples whose answers are shown during training
VERSIONED = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "tokenizers",
)


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
    """Tokenizes the rows of a dataset for a run. Raises BadInput, naming the first such
    row, when a row can't be tokenized or has nothing to learn.

    source: the file of the training rows
    """
    train = pieces([rows[i] for i in split.train], tokenizer, settings)
    validation = pieces([rows[i] for i in split.validation], tokenizer, settings)
    sampled = [
        [
            {"role": str(m["role"]), "content": str(m.get("content") or "")}
            for m in rows[i].messages
        ]
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
    spec = RunSpec(
        name=name, model=model, data=data, settings=settings, versions=versions()
    )
    return PreparedRun(spec, train, validation)


def pieces(
    rows: Sequence[Row], tokenizer: ChatTokenizer, settings: TrainSettings
) -> list[Encoded]:
    """`rows` for the trainer: pairs for DPO, long documents as windows. Raises BadInput
    like `checked`.
    """
    lengths = LengthLimits.from_settings(settings)
    pairs = settings.trainer == "dpo"
    encoded = (
        encode_pairs(tokenizer, rows, settings.max_length)
        if pairs
        else tokenizer.encode_rows(rows)
    )
    return [
        piece
        for row, result in zip(rows, encoded, strict=True)
        for piece in checked(row, result, lengths)
    ]


def checked(
    row: Row, result: Encoded | ApprenticeError, lengths: LengthLimits
) -> list[Encoded]:
    """The pieces of an encoded row. Raises BadInput, naming the row, when there is
    nothing to learn.
    """
    if isinstance(result, ApprenticeError):
        raise BadInput(
            f"Row {row.row} ({row.place}) can't be used. {result.what}",
            result.why,
            result.next,
        )
    parts = lengths.pieces(row, result)
    if not all(piece.learned for piece in parts):
        raise BadInput(
            f"Row {row.row} ({row.place}) has nothing to learn.",
            "Its answer starts beyond the maximum length."
            if result.learned
            else "It has no answer.",
            "Remove the row, or raise the maximum length (max_length).",
        )
    return parts


def versions(packages: tuple[str, ...] = VERSIONED) -> dict[str, str]:
    """The installed version of each package, "" where it is not installed."""
    return {
        name: next((each.version for each in distributions(name=name)), "")
        for name in packages
    }


_Side = Encoded | ApprenticeError


def encode_pairs(
    tokenizer: ChatTokenizer, rows: Sequence[Row], max_length: int | None = None
) -> list[_Side]:
    """Each of `rows` with its worse answer as `rejected`, both cut to `max_length`
    tokens. A row that is not a usable pair gives its error in its place.
    """
    both = [
        tokenizer.encode_rows(side)
        for side in (rows, [rejected_side(row) for row in rows])
    ]
    return [
        _pair(tokenizer, LengthLimits(max_length), *pair)
        for pair in zip(rows, *both, strict=True)
    ]


def _pair(
    tokenizer: ChatTokenizer,
    lengths: LengthLimits,
    row: Row,
    better: _Side,
    worse: _Side,
) -> _Side:
    roles = [message["role"] for message in row.rejected or ()]
    if (
        row.text is not None
        or not roles
        or roles != [message["role"] for message in row.messages[-len(roles) :]]
    ):
        return BadInput(
            "It has no second, worse answer.",
            "To learn the difference, every example needs a better and a worse answer to the same question.",
            "Add both answers (columns prompt, chosen, rejected), or train on the good answers only (trainer sft).",
        )
    if isinstance(better, ApprenticeError):
        return better
    if isinstance(worse, ApprenticeError):
        return worse
    (better,), (worse,) = lengths.pieces(row, better), lengths.pieces(row, worse)
    if better.input_ids == worse.input_ids:
        return BadInput(
            "Its two answers are the same to the model.",
            "They differ only beyond the maximum length."
            if better.truncated
            else "They become the same tokens.",
            "Change one of them, remove the row, or raise the maximum length (max_length).",
        )
    question = len(tokenizer.prompt_ids(shared_prompt(row), row.tools))
    better, worse = (  # the question is not learned
        replace(
            side, labels=unlearned(min(question, side.tokens)) + side.labels[question:]
        )
        for side in (better, worse)
    )
    if better.learned and not worse.learned:
        return BadInput(
            "Its worse answer starts beyond the maximum length.",
            "",
            "Raise the maximum length (max_length).",
        )
    return replace(better, rejected=worse)
