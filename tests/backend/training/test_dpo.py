"""DPO learns the difference between a better and a worse answer: the pairs as tokens,
the loss, whole runs.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.datasets.split import Split
from backend.errors import BadInput
from backend.records.encoded import IGNORED, Encoded
from backend.records.rows import Message, Row, Source
from backend.records.specs import ModelRef, TrainSettings
from backend.runs.prepare import encode_pairs, prepare_run
from backend.runs.token_rows import TokenRow, read_rows, sides
from backend.settings import PROJECT_ROOT, Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import dpo
from backend.training.collate import Collator
from backend.training.loss import answer_logprobs, preference_loss
from tests.backend.evaluation.test_evaluate_bundled import command
from tests.backend.tiny_run import make_pairs_run, pairs, saved


def message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def pair(*, better: str = "w2 w1", worse: str = "w1 w2") -> Row:
    return Row(
        7,
        3,
        [message("user", "w1 w2"), message("assistant", better)],
        [message("assistant", worse)],
    )


# The pairs as tokens


def test_only_the_answers_are_learned(tiny_model: Path) -> None:
    tokenizer = ChatTokenizer.load(tiny_model)
    question = [
        message("user", "w1"),
        message("assistant", "w9"),
        message("user", "w2"),
    ]
    row = Row(
        1, 1, [*question, message("assistant", "w3 w4")], [message("assistant", "w5")]
    )
    (encoded,) = encode_pairs(tokenizer, [row])
    assert isinstance(encoded, Encoded)
    labels = [
        [label for label in side.labels if label != IGNORED]
        for side in sides([encoded])
    ]
    assert [tokenizer.decode(ids, skip_special_tokens=False) for ids in labels] == [
        "w3 w4 <|end|>",
        "w5 <|end|>",
    ]
    prompt = tokenizer.prompt_ids(question)
    assert all([*side.input_ids][: len(prompt)] == prompt for side in sides([encoded]))


def prepared(model: Path, rows: Sequence[Row], **settings: Any) -> Any:
    source = Source("pairs.jsonl", "jsonl", "preference", "utf-8", "")
    chosen = TrainSettings(trainer="dpo", **settings)
    split = Split(list(range(len(rows))), [], [], False, "")
    return prepare_run(
        rows,
        source,
        split,
        ChatTokenizer.load(model),
        ModelRef(id="t", path=model),
        chosen,
        "x",
    )


NO_ANSWER = [message("assistant", "w1"), message("user", "w2")]


@pytest.mark.parametrize(
    ("row", "settings", "words"),
    [
        (pair(worse="w2   w1"), {}, "same to the model"),
        (pair(better="w2 " * 12 + "w1", worse="w2 " * 12 + "w3"), {"max_length": 16}, "beyond the maximum length"),
        *((row, {}, "no second, worse answer") for row in (
            Row(7, 3, pair().messages), Row(7, 3, text="w1 w2"), Row(7, 3, pair().messages, NO_ANSWER)
        )),
    ],
)  # fmt: skip
def test_rows_without_difference_are_named(
    tiny_model: Path, row: Row, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match="Row 3 \\(line 7\\)") as caught:
        prepared(tiny_model, [*pairs(2), row], **settings)
    assert words in f"{caught.value.what} {caught.value.why}"


def test_both_sides_are_counted_and_saved(tiny_model: Path, tmp_path: Path) -> None:
    ready = prepared(tiny_model, pairs(5))
    ready.write(tmp_path)
    train, _ = read_rows(tmp_path)
    assert ready.spec.data.train_tokens == sum(side.tokens for side in sides(train))
    assert ready.spec.data.learned_tokens == sum(side.learned for side in sides(train))
    stored = [row.rejected.input_ids.tolist() for row in train if row.rejected]
    assert stored == [row.rejected.input_ids.tolist() for row in ready.train]


# The loss


@pytest.mark.parametrize("how", [{}, {"masked": True}, {"packed": True}], ids=str)
def test_the_loss_equals_trls(
    tiny_model: Path, tmp_path: Path, how: dict[str, bool]
) -> None:
    """TRL's own trainer, tokens and template with the same weights give the same loss,
    accuracy and margin.
    """
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    rows = pairs(6)
    base, tuned = (
        AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
        for _ in range(2)
    )
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    theirs = DPOTrainer(
        model=tuned,
        ref_model=base,
        args=DPOConfig(
            output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", per_device_train_batch_size=6,
            gradient_checkpointing=False, beta=0.3, disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(
            [{"prompt": row.messages[:1], "chosen": row.messages[1:], "rejected": row.rejected} for row in rows]
        ),
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
    )  # fmt: skip
    tuned.eval()
    inputs = next(iter(theirs.get_eval_dataloader(theirs.train_dataset)))
    with torch.no_grad():
        expected = float(theirs._compute_loss(tuned, inputs, False))
    metrics = {name: values[-1] for name, values in theirs._metrics["eval"].items()}
    made = [
        token_row(row) for row in encode_pairs(ChatTokenizer.load(tiny_model), rows)
    ]
    batch = Collator(0, "cpu", **how)(sides(made))
    with torch.no_grad():
        reference = answer_logprobs(base, batch)
        found = answer_logprobs(tuned, batch)
    both = reference.view(2, -1).t().tolist()
    with_references = [
        with_reference(row, *one) for row, one in zip(made, both, strict=True)
    ]
    loss, rewards = preference_loss(tuned, batch, with_references, beta=0.3)
    assert found.std() > 1
    assert loss.item() / 6 == pytest.approx(expected, rel=1e-4)
    assert rewards["reward_accuracy"] / 6 == pytest.approx(
        metrics["rewards/accuracies"]
    )
    assert rewards["reward_margin"] / 6 == pytest.approx(
        metrics["rewards/margins"], rel=1e-3
    )


def token_row(row: Any) -> TokenRow:
    import numpy as np

    worse = None if row.rejected is None else token_row(row.rejected)
    ids, labels = (
        np.array(values, dtype=np.int32) for values in (row.input_ids, row.labels)
    )
    return TokenRow(ids, labels, row.learned, worse)


def with_reference(row: TokenRow, better: float, worse: float) -> TokenRow:
    from dataclasses import replace

    return replace(
        row,
        reference_logprob=better,
        rejected=replace(row.rejected, reference_logprob=worse),
    )


# Whole runs


def test_a_run_whose_validation_does_not_choose_reports_its_latest_rewards(
    tiny_model: Path, tmp_path: Path
) -> None:
    work = make_pairs_run(tmp_path / "run", tiny_model, max_steps=2)
    work.spec["data"]["validation_chooses"] = False
    assert (
        training.run(work).reward_accuracy
        == work.events_of("eval")[-1]["reward_accuracy"]
    )


@pytest.mark.parametrize(
    "settings",
    [
        {
            "packing": True,
            "lora_dropout": 0.0,
        },  # the others differ from it as they do without pairs
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in ({}, {"method": "full", "learning_rate": 1e-3})
        ),
    ],
    ids=str,
)
def test_a_run_learns_and_resumes_exactly(
    tiny_model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    whole, halved = (
        make_pairs_run(tmp_path / name, tiny_model, **settings)
        for name in ("whole", "halved")
    )
    result = training.run(whole)
    evals, steps = whole.events_of("eval"), whole.events_of("step")
    assert result.first_eval_loss == pytest.approx(
        math.log(2), abs=1e-4
    )  # no answer has gained yet
    assert result.eval_loss < result.first_eval_loss
    assert (
        result.reward_accuracy == max(event["reward_accuracy"] for event in evals) > 0.7
    )
    assert steps[-1]["reward_margin"] > steps[0]["reward_margin"]
    assert dpo.PHASE in whole.phases
    for stop_at in (2, 5):
        halved.stop_at = stop_at
        training.run(halved)
    halved.stop_at = None
    halved.phases.clear()
    training.run(halved)
    assert dpo.PHASE not in halved.phases  # saved by the first attempt
    assert halved.losses() == whole.losses()
    assert saved(halved) == saved(whole)


def test_a_smaller_micro_batch_changes_nothing(
    tiny_model: Path, tmp_path: Path
) -> None:
    plain = make_pairs_run(
        tmp_path / "plain", tiny_model, max_steps=4, lora_dropout=0.0
    )
    batches = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    small = make_pairs_run(
        tmp_path / "small", tiny_model, max_steps=4, lora_dropout=0.0, **batches
    )
    small.stop_at = 0
    assert (training.run(small).steps, (small.folder / "result").exists()) == (
        0,
        False,
    ), "stopped at once"
    small.stop_at = None
    training.run(plain)
    training.run(small)
    assert small.losses() == pytest.approx(plain.losses(), rel=1e-4)
    margins, expected = (
        [event["reward_margin"] for event in run.events_of("step")]
        for run in (small, plain)
    )
    assert margins == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.slow
def test_it_learns_pairs_from_the_command_line(workspace_with_model: Workspace) -> None:
    """In fp32: in 16 bits an answer's log-probability depends on its batch, so that the
    first loss is about ln 2.
    """
    settings = (
        "trainer=dpo",
        "max_steps=10",
        "precision=fp32",
        "learning_rate=2e-4",
        "per_device_train_batch_size=4",
    )
    file = str(PROJECT_ROOT / "tests" / "data" / "pairs.jsonl")
    answer = command(workspace_with_model, "train", "--data", file, "--set", *settings)
    assert (answer["state"], answer["reward_accuracy"], answer["weights_changed"]) == (
        "completed",
        1.0,
        True,
    )
    assert answer["first_eval_loss"] == pytest.approx(0.6931, abs=1e-3)
    assert answer["eval_loss"] < 0.5
