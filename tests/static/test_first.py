"""The finished apprentice in static/first: what a first visit shows of it, and how good
it is.
"""

import json
from pathlib import Path

import pytest

from backend.chat.client import Chat
from backend.chat.engine import TUNED
from backend.settings import SAMPLES, Workspace
from ui.services.results.first import FOLDER, first


def test_it_is_small_and_its_recorded_answers_are_of_held_out_messages() -> None:
    assert (FOLDER / "adapter_model.safetensors").stat().st_size < 5_000_000
    made = first()
    assert made.right > made.asked / 2 > made.base_right
    trained = (SAMPLES / "orders.jsonl").read_text("utf-8")
    held_out = (SAMPLES / "orders.held_out.jsonl").read_text("utf-8")
    assert len(made.answers) == 4
    for answers in made.answers:
        message = json.dumps(answers.question)
        assert message in held_out
        assert message not in trained
        assert set(json.loads(answers.tuned)) == {
            "intent",
            "order_id",
            "item",
            "quantity",
        }
        assert not answers.base.startswith("{")


@pytest.mark.slow
def test_it_answers_most_held_out_messages_right(
    bundled_model: Path, workspace_with_model: Workspace
) -> None:
    lines = (SAMPLES / "orders.held_out.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line)["messages"] for line in lines]
    chat = Chat(workspace_with_model)
    try:
        assert chat.open(bundled_model, FOLDER).ok
        right = 0
        for asked, expected in rows:
            chunks = chat.ask([asked], panes=[TUNED], max_new_tokens=80)
            right += (
                "".join(chunk.text for chunk in chunks).strip() == expected["content"]
            )
    finally:
        chat.close()
    assert right > 0.5 * len(rows)
