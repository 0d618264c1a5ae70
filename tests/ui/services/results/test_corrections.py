"""Wrong answers of a run, corrected and added to its examples."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.datasets.split import split
from backend.datasets.store import DatasetStore
from backend.errors import BadInput
from backend.runs import division
from backend.runs.conversations import write_conversations
from tests.backend.datasets.builders import SYSTEM, clean_rows
from ui.services.results.corrections import CorrectionService, copied_examples

ASKED = [{"role": "user", "content": "Do you have rye?"}]
RUN = "run-a"


class Runs:
    """One run of these rows, in a folder."""

    def __init__(self, folder: Path, data_id: str) -> None:
        self._folder, self.data_id = folder, data_id

    def spec(self, run_id: str) -> Any:
        return SimpleNamespace(
            data=SimpleNamespace(data_id=self.data_id, name="orders.jsonl")
        )

    def folder(self, run_id: str) -> Path:
        return self._folder


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    (tmp_path / "datasets").mkdir()
    return DatasetStore(tmp_path / "datasets")


@pytest.fixture
def runs(store: DatasetStore, tmp_path: Path) -> Runs:
    rows = clean_rows(30)
    data_id = store.add(
        "".join(json.dumps({"messages": row.messages}) + "\n" for row in rows),
        "orders.jsonl",
    )
    folder, parts = tmp_path / "run", split(rows)
    for part, positions in (("train", parts.train), ("held_out", parts.judging)):
        write_conversations(folder, part, [rows[i].messages for i in positions])  # type: ignore[arg-type]
    division.write(folder, division.divided(rows, parts))
    return Runs(folder, data_id)


@pytest.fixture
def service(store: DatasetStore, runs: Runs) -> CorrectionService:
    return CorrectionService(store, runs)  # type: ignore[arg-type]


def test_a_corrected_answer_becomes_an_example(
    service: CorrectionService, store: DatasetStore, runs: Runs
) -> None:
    found = service.add(RUN, ASKED, "On Fridays.", "I'm sorry.")
    assert (found.data_id, found.row, found.restored) == (runs.data_id, 31, False)
    row = store.open(runs.data_id, None).dataset.rows[-1]
    assert [message["content"] for message in row.messages] == [
        SYSTEM,
        "Do you have rye?",
        "On Fridays.",
    ]
    assert service.all(RUN) == {"Do you have rye?": "On Fridays."}


def test_a_held_out_question_is_corrected_in_its_conversation(
    service: CorrectionService, runs: Runs
) -> None:
    held_out = clean_rows(30)[split(clean_rows(30)).judging[0]].messages
    question, expected = held_out[-2]["content"], held_out[-1]["content"]
    assert service.held_out(RUN, question, expected) == (held_out[:-1], False)
    assert service.held_out(RUN, question, "another") == (
        [{"role": "user", "content": question}],
        False,
    )


def test_a_corrected_tool_call_is_added_as_one(
    service: CorrectionService, store: DatasetStore, runs: Runs
) -> None:
    right = '{"name": "stock", "arguments": {"bread": "rye"}}'
    service.add(RUN, ASKED, right, "I'm sorry.", calls=True)
    (call,) = (
        store.open(runs.data_id, None).original.rows[-1].messages[-1]["tool_calls"]
    )
    assert (call["function"], service.all(RUN)) == (
        json.loads(right),
        {"Do you have rye?": right},
    )
    with pytest.raises(BadInput) as refused:
        service.add(RUN, ASKED, right[:-1], "I'm sorry.", calls=True)
    assert "ends too early" in refused.value.why


@pytest.mark.parametrize("answer", ["", " \n", "x" * 20_001])
def test_no_answer_and_a_too_long_one_are_refused(
    service: CorrectionService, answer: str
) -> None:
    with pytest.raises(BadInput):
        service.add(RUN, ASKED, answer, "I'm sorry.")
    assert service.all(RUN) == {}


def test_deleted_examples_return_only_when_asked(
    service: CorrectionService, store: DatasetStore, runs: Runs
) -> None:
    store.remove(runs.data_id)
    assert (service.has_examples(RUN), service.all(RUN)) == (False, {})
    with pytest.raises(BadInput, match="deleted"):
        service.add(RUN, ASKED, "On Fridays.", "I'm sorry.")
    assert service.add(RUN, ASKED, "On Fridays.", "I'm sorry.", restore=True).restored
    rows = store.open(runs.data_id, None).dataset.rows
    stored, before = (
        [json.dumps(row.messages) for row in some]
        for some in (rows[:-1], clean_rows(30))
    )
    assert sorted(stored) == sorted(before)
    assert not service.add(
        RUN, ASKED, "Every Friday.", "I'm sorry.", restore=True
    ).restored, "now they are here"
    assert service.all(RUN) == {"Do you have rye?": "Every Friday."}


def test_a_refused_answer_restores_no_examples(
    service: CorrectionService, store: DatasetStore, runs: Runs
) -> None:
    store.remove(runs.data_id)
    with pytest.raises(BadInput):
        service.add(RUN, ASKED, "A NUL \0 byte.", "I'm sorry.", restore=True)
    assert not store.has(runs.data_id)


def test_a_run_of_unknown_examples_is_named(
    service: CorrectionService, runs: Runs
) -> None:
    runs.data_id = ""
    with pytest.raises(BadInput, match="which examples"):
        service.add(RUN, ASKED, "On Fridays.", "I'm sorry.", restore=True)


def test_the_copy_keeps_pairs_texts_and_tools(tmp_path: Path) -> None:
    tools: list[dict[str, Any]] = [{"type": "function", "function": {"name": "open"}}]
    rows = clean_rows(3)
    rows[0].rejected = [{"role": "assistant", "content": "No."}]
    rows[1].messages, rows[1].text = [], "A text."
    rows[2].tools = tools
    (tmp_path / "data").mkdir()
    division.write(tmp_path, [division.Divided("train", row) for row in rows])
    pair, text, chat = (
        json.loads(line) for line in copied_examples(tmp_path).splitlines()
    )
    assert (pair["rejected"], text, chat["tools"]) == (
        rows[0].rejected,
        {"text": "A text."},
        tools,
    )


def test_a_damaged_copy_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        copied_examples(tmp_path)
