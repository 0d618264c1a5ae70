"""Rows that keep what the base model knew: which they are, how they are spread, and
what a run says of them.
"""

import json
import math
from pathlib import Path

import pytest

from backend import training
from backend.records.specs import RunSpec, TrainSettings
from backend.runs import own_answers
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import sampler, samples
from tests.backend.tiny_run import TEMPLATE, FakeWork, make_model, make_run


def known(work: FakeWork, answer: str = "w30 w31 w32") -> None:
    """Stores an answer of the base model to every prompt that a run may ask."""
    own_answers.write(work.folder, dict.fromkeys(own_answers.prompts("en", 0), answer))


@pytest.mark.parametrize(
    ("rows", "share", "expected"),
    [(60, 0.2, 15), (30, 0.2, 8), (60, 0.0, 0), (1, 0.2, 0)],
)
def test_the_share_is_of_all_rows(rows: int, share: float, expected: int) -> None:
    assert TrainSettings(keep_general=share).general_rows(rows) == expected
    assert TrainSettings(keep_general=share, trainer="dpo").general_rows(rows) == 0


@pytest.mark.parametrize(
    ("examples", "general", "batch"),
    [(60, 15, 8), (52, 13, 8), (7, 2, 8), (300, 75, 16), (5, 35, 8)],
)
def test_general_rows_are_spread_over_the_batches(
    examples: int, general: int, batch: int
) -> None:
    lengths = [10 + number % 90 for number in range(examples)] + [200] * general
    batches = sampler.epoch_batches(lengths, batch, 3, 0, general)
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    full = [rows for rows in batches if len(rows) == batch] or batches
    assert all(
        row < examples for rows in batches if rows not in full for row in rows
    )  # none is alone in a step
    counts = [sum(row >= examples for row in rows) for rows in full]
    assert max(counts) - min(counts) <= 1
    assert max(map(len, batches)) == min(batch, len(lengths))


def test_they_lengthen_a_run_so_that_the_examples_keep_their_steps(
    tmp_path: Path, tiny_model: Path
) -> None:
    work = make_run(tmp_path / "run", tiny_model, keep_general=0.2, num_train_epochs=2)
    known(work)
    assert training.run(work).steps == 2 * math.ceil((40 + 10) / 8)
    assert work.spec["data"]["train_rows"] == 40


def test_the_loss_is_of_the_examples_and_the_other_is_apart(
    tmp_path: Path, tiny_model: Path
) -> None:
    whole = {"per_device_train_batch_size": 64, "max_steps": 1, "lora_dropout": 0.0}
    plain = make_run(tmp_path / "plain", tiny_model, **whole)
    training.run(plain)
    work = make_run(tmp_path / "run", tiny_model, keep_general=0.2, **whole)
    known(work)
    training.run(work)
    (step,), (alone,) = work.events_of("step"), plain.events_of("step")
    assert step["loss"] == pytest.approx(alone["loss"], rel=1e-4)
    assert (
        min(step["general_loss"], step["loss"])
        < step["mean_loss"]
        < max(step["general_loss"], step["loss"])
    )
    assert step["general_loss"] != pytest.approx(step["loss"], rel=1e-3)
    assert "general_loss" not in alone


def test_a_base_model_that_never_ends_an_answer_is_trained_without(
    tmp_path: Path, tiny_model: Path
) -> None:
    work = make_run(tmp_path / "run", tiny_model, keep_general=0.2, max_steps=1)
    own_answers.write(work.folder, dict.fromkeys(own_answers.prompts("en", 0), ""))
    training.run(work)
    assert "general_loss" not in work.events_of("step")[0]
    assert work.events_of("note")  # says so


def test_an_unknown_base_model_is_asked(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(
        net: object, tokenizer: object, device: object, prompts: list[str]
    ) -> list[str]:
        asked.extend(prompts)
        return ["w1 w2" if number % 2 else "" for number in range(len(prompts))]

    monkeypatch.setattr(samples, "usable_answers", answer)
    work = make_run(tmp_path / "run", tiny_model, keep_general=0.2, max_steps=1)
    training.run(work)
    assert (
        len(asked) == len(set(asked)) == 32
    )  # ten are wanted, half of sixteen can be used
    assert own_answers.read(work.folder).keys() == set(asked)
    asked.clear()
    again = make_run(tmp_path / "again", tiny_model, keep_general=0.2, max_steps=1)
    own_answers.write(again.folder, own_answers.read(work.folder))
    training.run(again)
    assert asked == []


def test_few_usable_answers_are_trained_in_turn(
    tmp_path: Path, tiny_model: Path
) -> None:
    work = make_run(tmp_path / "run", tiny_model, keep_general=0.2, max_steps=1)
    own_answers.write(work.folder, {"Hi!": "w1", "Who?": "", "Bye!": "w2"})
    rows = own_answers.rows(
        work.folder, RunSpec.model_validate(work.spec), ChatTokenizer.load(tiny_model)
    )
    assert (len(rows), len({tuple(row.input_ids) for row in rows})) == (10, 2)


def test_answers_are_stored_for_later_runs_with_the_same_model_and_language(
    tmp_path: Path, tiny_model: Path
) -> None:
    workspace = Workspace.open(tmp_path / "home")
    first = make_run(tmp_path / "first", tiny_model, keep_general=0.2)
    spec = RunSpec.model_validate(first.spec)
    german = spec.model_copy(
        update={"data": spec.data.model_copy(update={"general_language": "de"})}
    )
    second = make_run(tmp_path / "second", tiny_model, keep_general=0.2)
    for run, answers in ((german, {"Hallo!": "w1"}), (spec, {"Hi!": "w1"})):
        own_answers.fetch(workspace, second.folder, spec)
        assert own_answers.read(second.folder) == {}
        own_answers.write(first.folder, answers)
        own_answers.store(workspace, first.folder, run)
    own_answers.fetch(workspace, second.folder, spec)
    assert own_answers.read(second.folder) == {"Hi!": "w1"}
    own_answers.fetch(
        workspace, second.folder, spec.model_copy(update={"settings": TrainSettings()})
    )
    assert own_answers.read(second.folder) == {"Hi!": "w1"}
    (second.folder / "data" / own_answers.FILE).write_text("[1]", "utf-8")
    assert own_answers.read(second.folder) == {}, "damaged"


@pytest.mark.parametrize("thought", ["", "w1 w2 "])
def test_an_answer_is_asked_for_after_an_empty_thought(
    tmp_path: Path, thought: str
) -> None:
    model = make_model(tmp_path / "model")
    template = TEMPLATE.replace(
        "{{ m['content'] }}",
        "{{ '" + thought + "' if m['role'] == 'assistant' else '' }}{{ m['content'] }}",
    )
    (model / "chat_template.jinja").write_text(template, "utf-8")
    tokenizer = ChatTokenizer.load(model)
    assert (
        tokenizer.decode(tokenizer.opening(), skip_special_tokens=False).split()
        == thought.split()
    )
    assert not tokenizer.can_skip_thought, "the template has no switch"


def test_prompts_are_enough_and_in_the_language_of_the_examples() -> None:
    assert own_answers.language_for("de", ("en", "de")) == "de"
    assert own_answers.language_for("de", ("en",)) == "en"
    assert own_answers.language_for(None, ("en", "de")) == "en"
    assert own_answers.language_for("tlh", ("tlh",)) == "en"
    by_language = json.loads(own_answers.PROMPTS.read_text("utf-8"))
    assert "en" in by_language
    for prompts in by_language.values():
        assert len(set(prompts)) == len(prompts) >= 100
