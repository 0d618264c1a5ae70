"""What people wrote or chose in an annotation tool becomes the answer, and a draft that they corrected does not."""

from __future__ import annotations

import json
from typing import Any

from backend.records.rows import Dataset
from tests.backend.datasets.builders import load_text


def rows(*records: dict[str, Any]) -> Dataset:
    return load_text(json.dumps(list(records)))


def texts(data: Dataset) -> list[list[str]]:
    return [[message["content"] for message in row.messages] for row in data.rows]


def task(*results: dict[str, Any], cancelled: bool = False, **data: Any) -> dict[str, Any]:
    """A task of Label Studio with one annotation."""
    return {"id": 1, "data": data, "annotations": [{"result": list(results), "was_cancelled": cancelled}]}


def written(text: str, name: str = "reply") -> dict[str, Any]:
    return {"from_name": name, "type": "textarea", "value": {"text": [text]}}


def test_a_choice_is_an_answer_too() -> None:
    chosen = {"from_name": "mood", "type": "choices", "value": {"choices": ["Angry"]}}
    assert texts(rows(*[task(chosen, text=f"Where is it, {n}?") for n in range(3)]))[0] == [
        "Where is it, 0?",
        "Angry",
    ]


def test_the_answer_to_a_conversation_ends_it() -> None:
    chat = [
        {"author": "user", "text": "Open?"},
        {"author": "bot", "text": "Yes"},
        {"author": "user", "text": "Till?"},
    ]
    assert texts(rows(task(written("Till six."), dialogue=chat))) == [["Open?", "Yes", "Till?", "Till six."]]


def test_a_skipped_task_is_named_and_not_learned() -> None:
    done, skipped = task(written("On its way."), mail="Where?"), task(mail="Who?", cancelled=True)
    data = rows(done, task(written("Yes."), mail="Open?"), skipped)
    assert texts(data) == [["Where?", "On its way."], ["Open?", "Yes."]]
    assert [p.row for p in data.problems if p.severity == "error"] == [3]


def test_a_correction_is_learned_and_not_the_draft() -> None:
    def record(status: str) -> dict[str, Any]:
        fields = {"instruction": "Which tea is mild?", "output": "Black tea."}
        return {"fields": fields, "responses": [{"status": status, "values": {"better": {"value": "White tea."}}}]}

    assert texts(rows(*[record("submitted")] * 3)) == [["Which tea is mild?", "White tea."]] * 3
    assert "Black tea." not in str(texts(rows(record("submitted"), record("submitted"), record("discarded"))))


def test_a_question_without_an_answer_in_squad_is_named() -> None:
    answered = {"question": "Which?", "id": "1", "answers": [{"text": "White", "answer_start": 0}]}
    impossible = {"question": "Who?", "id": "2", "answers": [], "is_impossible": True}
    data = load_text(
        json.dumps({"data": [{"paragraphs": [{"context": "White tea.", "qas": [answered, impossible]}]}]})
    )
    assert texts(data) == [["Which?\n\nWhite tea.", "White"]]
    assert [p.row for p in data.problems if p.severity == "error"] == [2]


def test_what_gemini_did_besides_answering_is_named() -> None:
    def entry(title: str) -> dict[str, Any]:
        return {"title": title, "products": ["Gemini Apps"], "safeHtmlItem": [{"html": "<p>White tea.</p>"}]}

    data = rows(entry("Prompted Which tea is mild?"), entry("Gave feedback"))
    assert texts(data) == [["Which tea is mild?", "White tea."]]
    assert [p.row for p in data.problems if p.severity == "error"] == [2]


def test_ordinary_rows_stay_as_they_are() -> None:
    record = {"question": "Open?", "answers": "Yes", "context": "A shop."}
    assert texts(rows(record, record))[0] == ["Open?\n\nA shop.", "Yes"]
