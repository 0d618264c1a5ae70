"""The parts of training by themselves: optimized code computes the same numbers as
plain code.
"""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backend.errors import BadSetting, UnusableGpu
from backend.models import model_folder
from backend.records.encoded import Encoded
from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow, list_files, read_rows, write_rows
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import device, fused_lora, model, sampler
from backend.training.collate import MIN_SHARED_PREFIX, Collator, common_prefix
from backend.training.device import Device, choose
from backend.training.loss import token_losses, with_prefix_sharing
from backend.training.samples import answer_prompts, sample_answers, time_limit
from backend.training.schedule import schedule
from tests.backend.hardware.simulated import T4, Simulated


def rows(*lengths: int, seed: int = 0, prefix: int = 0) -> list[TokenRow]:
    """Random rows, half of their tokens learned; each starts with the same `prefix`
    tokens, not learned.
    """
    common = (4 + np.arange(prefix) % 40).astype(np.int32)
    draw = np.random.default_rng(seed)
    made = []
    for length in lengths:
        ids = draw.integers(4, 44, length).astype(np.int32)
        labels = np.where(draw.random(length) < 0.5, ids, -100).astype(np.int32)
        labels[0], labels[-1] = -100, ids[-1]
        labels = np.concatenate([np.full(prefix, -100, dtype=np.int32), labels])
        made.append(
            TokenRow(np.concatenate([common, ids]), labels, int((labels != -100).sum()))
        )
    return made


def plain_loss(net: Any, some: list[TokenRow]) -> Any:
    """The sum of the losses that transformers itself computes for each row alone."""
    import torch

    total: Any = 0.0
    for row in some:
        ids, labels = (
            torch.as_tensor(row.input_ids)[None].long(),
            torch.as_tensor(row.labels)[None].long(),
        )
        total = total + net(input_ids=ids, labels=labels).loss * row.learned
    return total


def gradients(net: Any, loss: Any) -> dict[str, Any]:
    net.zero_grad()
    loss.backward()
    return {
        name: parameter.grad.clone() for name, parameter in model.trainable(net).items()
    }


def lora(
    folder: Path,
    *,
    fused: bool,
    place: Device = Device("cpu", "fp32"),  # noqa: B008
    **settings: Any,
) -> Any:
    import torch

    net = model.build(folder, "tiny", TrainSettings(**settings), place)
    model.prepare_trainable(net, place)
    torch.manual_seed(1)
    for name, parameter in model.trainable(net).items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)  # as after some training
    assert fused_lora.fuse(net) == 14 if fused else True
    return net


@pytest.mark.parametrize(
    "how", [{}, {"masked": True}, {"packed": True}, {"share_prefix": True}], ids=str
)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_batches_give_loss_and_gradients_of_each_row(
    tiny_model: Path, attention: str, how: dict[str, bool]
) -> None:
    net, some = (
        lora(tiny_model, fused=False),
        rows(9, 4, 17, 2, prefix=MIN_SHARED_PREFIX),
    )
    net.set_attn_implementation(attention)
    batch = Collator(0, "cpu", **how)(some)
    assert (batch.prefix is not None) == ("share_prefix" in how)
    ours = token_losses(net, batch).sum()
    assert ours.item() == pytest.approx(plain_loss(net, some).item(), rel=1e-5)
    one, other = gradients(net, ours), gradients(net, plain_loss(net, some))
    assert all(one[name].allclose(other[name], rtol=1e-3, atol=1e-5) for name in other)


@pytest.mark.parametrize(
    ("ids", "labels", "shared"),
    [
        (
            [[5, 6, 7, 8], [5, 6, 9, 8]],
            [[-100, -100, 7, 8], [-100, -100, 9, 8]],
            1,
        ),  # the 6 predicts a learned token
        (
            [[5, 6, 7, 8], [5, 6, 9, 8]],
            [[-100, -100, -100, 8], [-100, -100, -100, 8]],
            2,
        ),
        (
            [[5, 6, 7, 8], [4, 6, 7, 8]],
            [[-100, -100, -100, 8], [-100, -100, -100, 8]],
            0,
        ),
        ([[5, 6, 7], [5, 6, 7]], [[-100, 6, 7], [-100, -100, 7]], 0),
        ([[5, 6, 7, 8]], [[-100, -100, -100, 8]], 0),
    ],
)
def test_a_shared_prefix_ends_before_answers(
    ids: list[list[int]], labels: list[list[int]], shared: int
) -> None:
    made = [
        TokenRow(
            np.array(one, dtype=np.int32),
            np.array(two, dtype=np.int32),
            sum(label != -100 for label in two),
        )
        for one, two in zip(ids, labels, strict=True)
    ]
    assert common_prefix(made) == shared


def test_prefixes_are_shared_only_where_that_is_exact(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, plain, some = (
        Device("cpu", "fp32"),
        Collator(0, "cpu"),
        rows(9, 4, prefix=MIN_SHARED_PREFIX),
    )
    net = lora(tiny_model, fused=True)
    assert with_prefix_sharing(plain, net, some, TrainSettings(), place).share_prefix
    assert not with_prefix_sharing(
        plain, net, rows(9, 4), TrainSettings(), place
    ).share_prefix
    assert not with_prefix_sharing(
        plain, net, some, TrainSettings(lora_dropout=0.1), place
    ).share_prefix
    assert not with_prefix_sharing(
        plain, net, some, TrainSettings(gradient_checkpointing=True), place
    ).share_prefix
    forward = net.get_base_model().forward
    monkeypatch.setattr(
        net.get_base_model(), "forward", lambda *a, cache=None, **k: forward(*a, **k)
    )
    assert not with_prefix_sharing(
        plain, net, some, TrainSettings(), place
    ).share_prefix


@pytest.mark.parametrize(
    "settings",
    [{}, {"lora_alpha": 4}, {"method": "qlora"}],
    ids=str,
)
def test_the_fused_layers_give_the_same_loss_and_gradients(
    tiny_model: Path, settings: dict[str, Any]
) -> None:
    some = Collator(0, "cpu")(rows(9, 4, 17))
    fused, plain = (
        lora(tiny_model, fused=fused, **settings) for fused in (True, False)
    )
    ours, theirs = token_losses(fused, some).sum(), token_losses(plain, some).sum()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    one, other = gradients(fused, ours), gradients(plain, theirs)
    assert all(one[name].allclose(other[name], rtol=1e-4, atol=1e-6) for name in other)


@pytest.mark.parametrize("four_bit", ["", "fp32"])
def test_on_4_bit_weights_16_bit_products_are_those_of_the_layers_alone(
    tiny_model: Path, four_bit: Any
) -> None:
    place, some = Device("cpu", "bf16", four_bit), Collator(0, "cpu")(rows(9, 4, 17))
    fused, plain = (
        lora(tiny_model, fused=fused, place=place, method="qlora")
        for fused in (True, False)
    )
    with place.autocast():
        ours, theirs = token_losses(fused, some).sum(), token_losses(plain, some).sum()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-3)
    one, other = gradients(fused, ours), gradients(plain, theirs)
    assert {gradient.dtype.itemsize for gradient in one.values()} == {4}
    for name, expected in other.items():
        assert float((one[name] - expected).norm()) <= 0.05 * float(expected.norm()), (
            name
        )


def test_the_fused_layers_can_be_turned_off(tiny_model: Path) -> None:
    import torch

    net, ids = lora(tiny_model, fused=True), torch.arange(4, 12)[None]
    with net.disable_adapter():
        off = net(input_ids=ids).logits
    assert torch.equal(
        off, model_folder.load(tiny_model, torch.float32)(input_ids=ids).logits
    )
    assert not torch.equal(off, net(input_ids=ids).logits)


def test_bf16_gives_nearly_the_same_loss_with_float32_gradients(
    tiny_model: Path,
) -> None:
    place, some = Device("cpu", "bf16"), Collator(0, "cpu")(rows(9, 4, 17))
    net, exact = lora(tiny_model, fused=True, place=place), lora(tiny_model, fused=True)
    with place.autocast():
        loss = token_losses(net, some).sum()
    assert loss.item() == pytest.approx(
        token_losses(exact, some).sum().item(), rel=0.02
    )
    assert {gradient.dtype.itemsize for gradient in gradients(net, loss).values()} == {
        4
    }


def test_layers_with_dropout_are_not_fused(tiny_model: Path) -> None:
    assert fused_lora.fuse(lora(tiny_model, fused=False, lora_dropout=0.1)) == 0


@pytest.mark.parametrize(
    ("capability", "built_for", "precision"),
    [
        ((7, 5), ["sm_75", "sm_80"], "fp16"),  # older GPUs report support for bf16 but emulate it
        ((8, 9), ["sm_75", "sm_80", "sm_86"], "bf16"),  # code of its generation
        ((12, 1), ["sm_90", "compute_120"], "bf16"),  # compiled when it is loaded
        ((10, 3), ["sm_90a", "sm_100"], "bf16"), ((6, 1), ["sm_75", "sm_80"], ""), ((12, 0), ["sm_50", "sm_90"], ""),
    ],
)  # fmt: skip
def test_a_gpu_trains_in_the_precision_of_its_hardware_if_torch_has_code_for_it(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    built_for: list[str],
    precision: Any,
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built_for)
    with nullcontext() if precision else pytest.raises(UnusableGpu):
        assert choose(TrainSettings()) == Device("cuda", precision)
        assert choose(TrainSettings(precision="fp32")) == Device("cuda", "fp32")


def test_training_does_not_fall_back_to_the_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Simulated([T4()], "580.65").install(monkeypatch, tmp_path)
    with pytest.raises(UnusableGpu, match="T4"):
        choose(TrainSettings())


@pytest.mark.parametrize(
    ("speed", "precision"), [(4.0, "bf16"), (1.1, "fp32"), (0.2, "fp32")]
)
def test_processors_train_in_bf16_if_faster(
    monkeypatch: pytest.MonkeyPatch, speed: float, precision: str
) -> None:
    monkeypatch.setattr(device, "bf16_speedup", lambda: speed)
    assert choose(TrainSettings()).precision == precision
    with pytest.raises(BadSetting, match="fp16"):
        choose(TrainSettings(precision="fp16"))


def test_samples_stay_a_small_part_of_the_run() -> None:
    assert time_limit(600.0, 6) == pytest.approx(
        10.0
    )  # six times, a tenth of ten minutes together
    assert (
        0 < time_limit(0.0, 6) < 10
    )  # before the first step nothing is known of the run's pace
    assert 0 < time_limit(1.0, 6) < 2


def test_an_answer_is_cut_at_its_time(tiny_model: Path) -> None:
    cpu = Device("cpu", "fp32")
    net, tokenizer = (
        model.load(tiny_model, TrainSettings(), cpu),
        ChatTokenizer.load(tiny_model),
    )
    cut, whole = (
        answer_prompts(net, tokenizer, cpu, [[5, 6]], 9, longest)[0]
        for longest in (0.0, None)
    )
    assert len(cut.ids) == 1 < len(whole.ids)
    asked = SimpleNamespace(
        held_out_prompts=[[{"role": "user", "content": "w2"}]], held_out_answers=[]
    )
    [sample] = sample_answers(net, tokenizer, cpu, asked, longest=0.0)  # type: ignore[arg-type]
    assert sample.answer.endswith(" …")


def test_an_epoch_has_every_row_once_in_batches_of_similar_length_drawn_by_seed_and_epoch() -> (
    None
):
    lengths = [5 + (i * 37) % 200 for i in range(403)]
    made = sampler.epoch_batches(lengths, 8, seed=3, epoch=1)
    assert sorted(row for batch in made for row in batch) == list(range(403))
    assert len(made) == 51
    assert sum(
        len(batch) * max(lengths[row] for row in batch) for batch in made
    ) < 1.1 * sum(lengths)
    lengths = [i % 50 for i in range(100)]
    same = [sampler.epoch_batches(lengths, 8, seed=1, epoch=2) for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != sampler.epoch_batches(lengths, 8, seed=1, epoch=3)
    assert same[0] != sampler.epoch_batches(lengths, 8, seed=2, epoch=2)


@pytest.mark.parametrize(
    ("count", "settings", "steps", "tested"),
    [
        (216, {"num_train_epochs": 3}, 81, [14, 27, 40, 54, 68, 81]),
        (216, {"num_train_epochs": 1}, 27, [5, 11, 16, 22, 27]),
        (216, {"num_train_epochs": 8}, 216, [27, 54, 81, 108, 135, 162, 189, 216]),
        (9000, {"num_train_epochs": 1, "per_device_train_batch_size": 2}, 4500, [900, 1800, 2700, 3600, 4500]),
        (216, {"max_steps": 3}, 3, [1, 2, 3]), (4, {"num_train_epochs": 2}, 2, [1, 2]),
    ],
)  # fmt: skip
def test_evaluations_are_spread_evenly(
    count: int, settings: dict[str, Any], steps: int, tested: list[int]
) -> None:
    plan = schedule(count, 10, TrainSettings(**settings))
    assert (plan.total, sorted(plan.evaluations)) == (steps, tested)


@pytest.mark.parametrize(
    ("rows", "epochs", "tests"),
    [(2000, 3, 6), (20_000, 1, 10), (20_000, 3, 20), (900_000, 1, 20)],
)
def test_larger_datasets_are_evaluated_more_often_within_a_limit(
    rows: int, epochs: int, tests: int
) -> None:
    plan = schedule(rows, 10, TrainSettings(num_train_epochs=epochs))
    assert tests <= len(plan.evaluations) <= tests + 1
    assert {
        plan.steps_per_epoch * epoch for epoch in range(1, epochs + 1)
    } <= plan.evaluations


def test_rows_are_mapped_from_the_file_also_as_the_trainers_dataset(
    tmp_path: Path,
) -> None:
    import pyarrow as pa

    from backend.training import trainer

    made = [
        Encoded([70_000 + number] * 5000, [-100, *[70_000 + number] * 4999])
        for number in range(200)
    ]
    write_rows(tmp_path, made, [])
    before = pa.total_allocated_bytes()
    train, validation = read_rows(tmp_path)
    dataset = trainer.dataset(train)
    assert pa.total_allocated_bytes() - before < 200 * 5000
    assert (train[7].learned, len(dataset[7]["labels"]), len(validation)) == (
        4999,
        5000,
        0,
    )
    assert (
        train[-1].input_ids.tolist() == dataset[-1]["input_ids"] == made[-1].input_ids
    )
    assert train[-1].labels.tolist() == made[-1].labels


def test_rows_that_an_earlier_version_wrote_are_read(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_rows(tmp_path, [Encoded([1, 2, 3], [-100, 2, 3])], [])
    for rows, name in zip(read_rows(tmp_path), ("train", "validation"), strict=True):
        pq.write_table(rows.table, tmp_path / "data" / f"{name}.parquet")
        (tmp_path / "data" / f"{name}.arrow").unlink()
    list_files(tmp_path)
    train, validation = read_rows(tmp_path)
    assert ([row.input_ids.tolist() for row in train], len(validation)) == (
        [[1, 2, 3]],
        0,
    )
