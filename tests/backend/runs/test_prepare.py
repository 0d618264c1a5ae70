"""The trainer receives long documents in exactly the windows that the settings, the
counts and the page show.
"""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from backend.datasets.dataset import CheckedDataset, check_and_fix
from backend.datasets.info import DatasetInfo
from backend.datasets.read.load import load
from backend.records.encoded import IGNORED
from backend.records.lengths import LengthLimits
from backend.records.rows import Dataset, Row
from backend.records.specs import ModelRef, TrainSettings
from backend.runs.prepare import prepare_run
from backend.runs.token_rows import read_rows
from backend.settings import SAMPLES
from backend.tokens.token_counts import TokenCounter
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.datasets.builders import load_text
from tests.backend.families import BUNDLED, CATALOGUE, OWN, tokenizer_for

SETTINGS = TrainSettings(
    max_length=64, window_overlap=10, validation_fraction=0.3, seed=4
)


def stories(count: int) -> list[str]:
    """Random texts, from a few dozen to some hundred words."""
    draw = random.Random(7)
    words = [
        "lamp",
        "river",
        "<|im_end|>",
        "café",
        "mountain",
        "thread",
        "seven",
        "glass,",
        "walked.",
        "🎉",
    ]
    return [
        f"Story {i}. " + " ".join(draw.choices(words, k=60 + 40 * i))
        for i in range(count)
    ]


def checked_for(
    texts: list[str], model: Path, settings: TrainSettings
) -> CheckedDataset:
    dataset = load_text("\n".join(json.dumps({"text": text}) for text in texts))
    return check_and_fix(
        "", DatasetInfo("stories"), dataset, TokenCounter(ChatTokenizer.load(model)),
        LengthLimits.from_settings(settings),
    )  # fmt: skip


def trained_rows(
    checked: CheckedDataset, model: Path, settings: TrainSettings, run: Path
) -> list[list[list[int]]]:
    """The ids of both sides, as the trainer reads them; all of them are learned."""
    parts = checked.split_at(settings.validation_fraction, settings.seed)
    prepared = prepare_run(
        checked.rows, checked.original.source, parts, ChatTokenizer.load(model), ModelRef(id="m", path=model),
        settings, "r",
    )  # fmt: skip
    prepared.write(run)
    sides = read_rows(run)
    assert all(row.learned == row.tokens for side in sides for row in side)
    assert prepared.spec.data.train_rows == len(sides[0])
    return [[row.input_ids.tolist() for row in side] for side in sides]


def test_the_trainer_receives_exactly_the_windows(
    bundled_model: Path, tmp_path: Path
) -> None:
    texts = [text.replace("<|im_end|>", "lamp") for text in stories(9)]
    checked = checked_for(texts, bundled_model, SETTINGS)
    tokenizer = Tokenizer.from_file(str(bundled_model / "tokenizer.json"))
    end = tokenizer.token_to_id(ChatTokenizer.load(bundled_model).eos_token)
    expected = []
    for text in texts:
        ids, windows = [*tokenizer.encode(text).ids, end], []
        while len(ids) > 64:
            windows.append(ids[:64])
            ids = ids[64 - 10 :]
        expected.append([*windows, ids])
    train, validation = trained_rows(checked, bundled_model, SETTINGS, tmp_path)
    parts = checked.split_at(0.3, 4)
    assert validation == [window for i in parts.validation for window in expected[i]]
    assert train == [window for i in parts.train for window in expected[i]]
    tokens = checked.report.tokens
    assert (tokens.documents, tokens.pieces) == (9, len(train) + len(validation))
    assert tokens.total == tokens.learned == sum(map(len, train + validation))
    assert (checked.pieces(parts.train), checked.pieces(parts.validation)) == (
        len(train),
        len(validation),
    )
    assert f"{tokens.pieces} pieces of at most 64 tokens" in tokens.sentence


def test_the_preview_of_a_document_shows_the_windows_that_are_trained(
    bundled_model: Path, tmp_path: Path
) -> None:
    texts, lengths = stories(6), LengthLimits.from_settings(SETTINGS)
    checked = checked_for(texts, bundled_model, SETTINGS)
    tokenizer = ChatTokenizer.load(bundled_model)
    train, validation = trained_rows(checked, bundled_model, SETTINGS, tmp_path)
    rows = checked.rows
    shown = [piece for row in rows for piece in tokenizer.document_pieces(row, lengths)]
    assert sorted(piece.tokens for piece in shown) == sorted(
        map(len, train + validation)
    )
    for row, text in zip(rows, texts, strict=True):
        first = tokenizer.document_pieces(row, lengths)[0]
        assert (text + tokenizer.eos_token).startswith(first.text.replace("\ufffd", ""))


@pytest.mark.parametrize("mode", ["windows", "truncate"])
def test_a_document_is_truncated_only_if_the_settings_say_so(
    mode: str, bundled_model: Path, tmp_path: Path
) -> None:
    settings = SETTINGS.changed(long_documents=mode)
    texts = stories(5)
    checked = checked_for(texts, bundled_model, settings)
    train, validation = trained_rows(checked, bundled_model, settings, tmp_path)
    long = sum(len(ids) == 64 for ids in train + validation)
    assert (len(train) + len(validation) == 5) == (mode == "truncate")
    kinds = {p.kind for p in checked.report.problems if p.row} & {
        "too_long",
        "answer_vanishes",
    }
    assert kinds == ({"too_long"} if mode == "truncate" else set())
    assert long >= 5


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 12])
@pytest.mark.parametrize("name", [BUNDLED, *CATALOGUE, *OWN])
def test_the_trainer_receives_the_tokens_of_the_preview_and_the_counts(
    name: str, every: int, bundled_model: Path, sample_rows: Dataset, tmp_path: Path
) -> None:
    tokenizer = (
        ChatTokenizer.load(bundled_model)
        if name == BUNDLED
        else tokenizer_for(name, bundled_model)[0]
    )
    settings = TrainSettings(max_length=90)
    some = replace(sample_rows, rows=sample_rows.rows[::every])
    about = DatasetInfo("samples", accepted={"answer_vanishes": "all"})
    checked = check_and_fix(
        "", about, some, TokenCounter(tokenizer), LengthLimits.from_settings(settings)
    )
    parts, reference = checked.split_at(0.1, 0), ModelRef(id="m", path=bundled_model)
    prepare_run(
        checked.rows, sample_rows.source, parts, tokenizer, reference, settings, "r"
    ).write(tmp_path)
    train, validation = read_rows(tmp_path)
    tokens = checked.fixed_report.tokens
    assert tokens is not None
    judging = (
        [] if parts.judging == parts.validation else parts.judging
    )  # conversations, without tokens on disk
    rows = [checked.rows[position] for position in judging]
    judged = [
        LengthLimits(90).pieces(row, tokenizer.encode(row.messages))[0] for row in rows
    ]
    everything = [*train, *validation, *judged]
    assert tokens.total == sum(row.tokens for row in everything)
    assert tokens.learned == sum(row.learned for row in everything)
    assert tokens.pieces == len(checked.rows) == len(everything)
    for positions, received in ((parts.train, train), (parts.validation, validation)):
        for position, row in zip(positions, received, strict=True):
            shown = tokenizer.pieces(checked.rows[position].messages, max_length=90)
            kinds = [
                piece.kind == "learned" for piece in shown for _ in range(piece.tokens)
            ]
            assert kinds == [label != IGNORED for label in row.labels.tolist()]
            learned = "".join(piece.text for piece in shown if piece.kind == "learned")
            assert (
                tokenizer.decode(
                    [i for i in row.labels.tolist() if i != IGNORED], False
                )
                == learned
            )


@pytest.fixture(scope="module")
def sample_rows() -> Dataset:
    """All rows of the sample datasets, as one dataset."""
    orders, support = (
        load(SAMPLES / f"{name}.jsonl") for name in ("orders", "support")
    )
    rows = [
        Row(i, i, row.messages)
        for i, row in enumerate([*orders.rows, *support.rows], 1)
    ]
    return Dataset(orders.source, rows, [], len(rows))
