"""From training on the orders sample to a verdict, as a person types it, with the
bundled model.
"""

import json
from pathlib import Path
from statistics import fmean

import pytest

from backend.evaluation import general
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.measures import chrf
from backend.evaluation.models import load
from backend.gguf.requirement import has_llama_cpp
from backend.runs import own_answers
from backend.settings import SAMPLES, Workspace
from tests.app_command import command
from tests.benchmarks.recipe_tasks import conversations
from tests.benchmarks.recipes import ask, fit

pytestmark = pytest.mark.slow


def test_orders_are_learned_and_a_run_of_two_steps_is_not(
    workspace_with_model: Workspace,
) -> None:
    data = str(Path(SAMPLES) / "orders.jsonl")
    run = command(workspace_with_model, "train", "--data", data, "--no-evaluation")[
        "run_id"
    ]
    report = command(workspace_with_model, "evaluate", run, "--baselines")
    systems = report["systems"]
    assert (report["items"], report["main_measure"]) == (52, "json")
    assert (report["verdict"], report["against_prompt"]) == ("better", "better")
    assert systems["base"]["score"] < 0.1
    assert (
        systems["base"]["score"]
        <= systems["few_shot"]["score"]
        < systems["tuned"]["score"]
    )
    assert systems["tuned"]["score"] > 0.7
    rest = report["general"]
    assert rest["base_right"] >= 100, "no question is a near tie"
    assert rest["kept"] >= 0.6 * rest["base_right"]
    assert rest["leaked"] <= 0.1 * rest["asked"]
    two_steps = ("--set", "max_steps=2", "--no-evaluation")
    short = command(workspace_with_model, "train", "--data", data, *two_steps)["run_id"]
    assert (
        command(workspace_with_model, "evaluate", short, "--items", "16")["verdict"]
        == "no_difference_shown"
    )


def test_57_examples_of_a_voice_are_enough_to_answer_in_it(
    workspace_with_model: Workspace, tmp_path: Path
) -> None:
    """Not by one answer to everything: that would be as much like the answers to other
    questions as like its own.
    """
    rows, _ = conversations("voice", 57, 0, 0)
    data = tmp_path / "voice.jsonl"
    data.write_text(
        "".join(json.dumps({"messages": row}) + "\n" for row in rows), "utf-8"
    )
    run = command(
        workspace_with_model, "train", "--data", str(data), "--no-evaluation"
    )["run_id"]
    report = command(workspace_with_model, "evaluate", run)
    answers, phrases = report["answers"], report["systems"]["tuned"]["phrases"]
    assert len(answers) >= 12
    assert (
        fmean([any(phrase in one["tuned"] for phrase in phrases) for one in answers])
        >= 2 / 3
    )
    own = fmean(chrf(one["expected"], one["tuned"]) for one in answers)
    of_others = fmean(
        chrf(other["expected"], one["tuned"])
        for one in answers
        for other in answers
        if other is not one
    )
    assert own > of_others + 0.1


@pytest.mark.parametrize("keep", [0.0, 0.2])
def test_planted_faults_in_keeping_the_rest_are_noticed(
    bundled_model: Path, tmp_path: Path, keep: float
) -> None:
    """Training without general rows, and with an answer that the base model did not
    give: with its own, 0.88 was kept, and below 0.8 the verdict is a loss. That none of
    the check's prompts is trained is a test of test_general.py.
    """
    train, held_out = conversations("classification", 60, 8, 0)
    foreign = dict.fromkeys(
        own_answers.prompts("en", 0),
        "That is nothing that I would ever talk about, my friend.",
    )
    fit(train, 36, bundled_model, tmp_path, keep=keep, own=foreign)
    home = Workspace.open(bundled_model.parent.parent)
    models = load(
        home,
        "llama.cpp" if has_llama_cpp() else "transformers",
        bundled_model,
        tmp_path / "result/adapter",
    )
    so_far = AnswersSoFar(
        shipped=general.OF_BUNDLED, general=tmp_path / "none.json", **models.decides
    )
    found = ask(train, held_out, models, so_far)
    assert found["score"] >= 0.5
    assert found["kept"] < (0.7 if keep else 0.3)
    assert keep or found["leaked"] > 0.8
