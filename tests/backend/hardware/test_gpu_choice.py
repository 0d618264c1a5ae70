"""Which GPU trains: machines with made-up drivers and torch builds, and what their
owners are told.
"""

import inspect
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backend.errors import MissingPart, UnusableGpu
from backend.hardware import Probe, gpu_choice, probe, process
from backend.settings import child_environment
from tests.backend.hardware.simulated import (
    CALLS,
    PROBE,
    T4,
    Card,
    Simulated,
    ampere,
    nvml,
)

PASCAL = Card("NVIDIA GeForce GTX 1080 Ti", (6, 1), 11264, 11000)
BLACKWELL = Card("NVIDIA GeForce RTX 5090", (12, 0), 32607, 32000)
A100 = Card("NVIDIA A100", (8, 0), 40960, 40000, slices=(4864, 9856))


def on(machine: Simulated, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Probe:
    machine.install(monkeypatch, folder)
    return probe(folder)


def test_the_simulated_driver_has_the_calls_of_the_real_one() -> None:
    import pynvml

    for name in CALLS:
        arguments = inspect.signature(getattr(nvml([]), name)).parameters
        inspect.signature(getattr(pynvml, name)).bind(*arguments)
    for name in (
        "NVMLError_NotSupported",
        "NVMLError_LibraryNotFound",
        "NVMLError_GpuIsLost",
    ):
        assert issubclass(getattr(pynvml, name), pynvml.NVMLError)


def test_in_a_space_nobody_is_told_to_install_a_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Simulated([ampere()], "535.104", cuda="13.2").install(monkeypatch, tmp_path)
    monkeypatch.setattr(PROBE, "_hosted", lambda: "space")
    (problem,) = probe(tmp_path).problems
    assert problem.blocks_training
    assert "settings" in problem.next
    assert "install it" not in problem.next.lower()


def test_without_pytorch_a_part_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = on(Simulated([ampere()], "580.65", cuda=None), monkeypatch, tmp_path)
    assert found.blocked
    assert sys.executable in found.problems[0].next
    with pytest.raises(MissingPart):
        found.require_training()


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        (Simulated([ampere()], "580.65", cuda=""), "processor only"),
        (Simulated([ampere()], "535.104", cuda="13.2"), "newer driver"),
        (Simulated([PASCAL], "580.65", cuda="13.2"), "no code"),
        (Simulated([BLACKWELL], "576.02", system="Windows", cuda="12.6"), "no code"),
        (Simulated([ampere()], "470.256"), "driver 525"), (Simulated([BLACKWELL], "565.57"), "570"),
        (Simulated([ampere()], "580.65", visible="7"), "0 (NVIDIA GeForce RTX 3090)"),
        (Simulated([ampere()], "580.65", broken="nvmlInit"), "Unknown Error"),
        (Simulated([replace(ampere(), lost=True)], "580.65"), "lost"),
        (Simulated([replace(A100, slices=())], "580.65"), "MIG"),
    ],
)  # fmt: skip
def test_a_gpu_that_could_train_and_does_not_blocks_training(
    machine: Simulated, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = on(machine, monkeypatch, tmp_path)
    assert found.hardware.gpus == ()
    (problem,) = found.problems
    assert why in problem.why
    assert "CUDA_VISIBLE_DEVICES to -1" in problem.next, "the way to the processor"
    assert found.blocked
    assert not any("processor does" in sentence for sentence in found.sentences)
    with pytest.raises(UnusableGpu):
        gpu_choice.require_usable_gpu()
    process.show_one_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1", "nothing runs on it by accident"


def test_the_cure_names_this_python_versions_and_index(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = on(Simulated([PASCAL], "580.65", cuda="13.2"), monkeypatch, tmp_path)
    assert (
        '-m pip install --force-reinstall "torch>=2.10,<2.14" --index-url'
        in found.problems[0].next
    )
    assert found.problems[0].next.count("cu126") == 1


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (Simulated([ampere()], "580.65", visible="-1"), "see the GPU"),
        (Simulated([ampere()], "580.65", visible=""), "see the GPU"),
        (Simulated([ampere()], "580.65", visible="NoDevFiles"), "see the GPU"),
        (Simulated([ampere()], "580.65", visible="-1", broken="nvmlInit"), "driver"),
        (Simulated([PASCAL], "580.65", visible="-1", cuda="13.2"), "see the GPU"),
        (Simulated([Card("Tesla K80", (3, 7), 11441, 11400)], "470.256"), "K80"), (Simulated(amd=True), "AMD"),
        (Simulated(system="Darwin", processor="arm64", macos="13.6", chip="Apple M1"), "macOS 14"),
        (Simulated([Card("Orin (nvgpu)", (8, 7), None)], "540.4", processor="arm64", jetson=True), "Orin"),
    ],
)  # fmt: skip
def test_where_only_the_processor_can_train_the_person_is_told_and_may_train(
    machine: Simulated, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = on(machine, monkeypatch, tmp_path)
    assert found.hardware.gpus == ()
    assert not found.hardware.unified_memory
    assert told in found.problems[0].what
    assert not found.blocked


@pytest.mark.parametrize(
    ("cards", "visible", "best"),
    [
        ([T4(), ampere()], None, 1),
        ([replace(ampere(), lost=True), T4()], None, 1),  # numbers are the driver's
        (
            [PASCAL, replace(T4(), free=6000)],
            None,
            1,
        ),  # torch has no code for the first
        ([replace(ampere(), free=900), ampere()], None, 1),
        ([ampere(), replace(ampere(), free=24010)], None, 0),  # equal cards: the first
        ([T4(), ampere()], "0", 0),
        ([T4(), ampere()], "1,0", 1),
        ([T4(), ampere()], "0,1", 1),
        ([T4(), ampere()], "GPU-0", 0),
        (
            [T4(), ampere()],
            "0,-1,1",
            0,
        ),  # CUDA reads up to the first name that it does not know
    ],
)
def test_the_best_visible_gpu_trains_alone(
    cards: list[Card],
    visible: str | None,
    best: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    found = on(Simulated(cards, "580.65", visible=visible), monkeypatch, tmp_path)
    assert found.hardware.gpus[0].index == best
    assert not found.blocked
    names = process.show_one_gpu()
    assert len(names) == len(found.hardware.gpus)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == names[0] == f"GPU-{best}0000000-uuid"
    assert process.show_one_gpu() == names[:1], (
        "a child of this process uses the same one"
    )


def test_on_zero_gpu_the_processor_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Simulated([ampere()], "580.65", visible="0").install(monkeypatch, tmp_path)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert child_environment()["SPACES_ZERO_GPU"] == "true", "a worker asks too"
    gpu_choice.require_usable_gpu()
    assert (process.show_one_gpu(), os.environ["CUDA_VISIBLE_DEVICES"]) == (
        (),
        gpu_choice.HIDDEN,
    )


def test_an_old_large_card_comes_after_one_with_tensor_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    p40, rtx3060 = (
        Card("Tesla P40", (6, 1), 24576, 24000),
        Card("NVIDIA GeForce RTX 3060", (8, 6), 12288, 11000),
    )
    found = on(Simulated([p40, rtx3060], "560.35"), monkeypatch, tmp_path)
    assert [gpu.name for gpu in found.hardware.gpus] == [rtx3060.name, p40.name]


def test_a_card_that_is_left_out_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = on(Simulated([PASCAL, ampere()], "580.65"), monkeypatch, tmp_path)
    assert [gpu.name for gpu in found.hardware.gpus] == ["NVIDIA GeForce RTX 3090"]
    assert PASCAL.name in found.problems[0].what  # type: ignore[operator]
    assert not found.blocked


def test_a_divided_card_counts_as_its_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = on(Simulated([A100], "580.65"), monkeypatch, tmp_path)
    assert [gpu.memory_total_mib for gpu in found.hardware.gpus] == [9856, 4864]
    assert process.show_one_gpu()[0] == "MIG-9856-uuid"


@pytest.mark.parametrize("total", [None, 0])
def test_a_gpu_without_memory_of_its_own_has_the_computers(
    total: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spark = Card("NVIDIA GB10", (12, 1), total)
    found = on(
        Simulated([spark], "580.95", processor="arm64", memory=122_880),
        monkeypatch,
        tmp_path,
    )
    (gpu,) = found.hardware.gpus
    assert (gpu.memory_total_mib, gpu.memory_free_mib, gpu.shares_memory) == (
        122_880,
        107_520,
        True,
    )
    assert found.problems == ()


@pytest.mark.parametrize(
    ("system", "release", "machine", "variables", "grows"),
    [
        ("linux", "6.8.0", "x86_64", {}, True),
        ("linux", "6.8.0", "x86_64", {"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:64"}, False),
        ("linux", "6.8.0", "x86_64", {"PYTORCH_ALLOC_CONF": "max_split_size_mb:64"}, False),
        ("linux", "5.15.0-microsoft-standard-WSL2", "x86_64", {}, False),
        ("linux", "5.15.0-tegra", "aarch64", {}, False), ("win32", "10", "AMD64", {}, False),
    ],
)  # fmt: skip
def test_segments_grow_where_the_driver_supports_it(
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    release: str,
    machine: str,
    variables: dict[str, str],
    grows: bool,
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.release", lambda: release)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(os, "environ", dict(variables))
    process._let_segments_grow()
    assert (os.environ.get("PYTORCH_ALLOC_CONF") == "expandable_segments:True") is grows
