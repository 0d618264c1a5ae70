"""The probe with simulated drivers, containers and hosts: it never raises, and it
reports problems.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from backend.errors import BadInput
from backend.hardware import container, gpu_choice, load_hardware, probe
from backend.hardware.process import lower_priority
from backend.records.machine import Hardware
from backend.settings import PROJECT_ROOT
from tests.backend.hardware.simulated import (
    CALLS,
    T4,
    Card,
    NVMLError,
    NVMLErrorLibraryNotFound,
    ampere,
    nvml,
)
from tests.cases import cases

UNKNOWN_PID = 2**22 + 1  # above the system's highest process id
LOSE_THE_CARD = (
    "nvmlInit",
    "nvmlDeviceGetCount",
    "nvmlDeviceGetHandleByIndex",
    "nvmlDeviceGetMemoryInfo",
)


@pytest.fixture
def with_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Installs a driver with these GPUs."""
    monkeypatch.setattr(gpu_choice, "built_for", lambda: "13.0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(*cards: Card, **options: Any) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", nvml(cards, **options))

    return install


def test_a_machine_without_a_driver_has_no_gpu_and_no_problem(
    with_gpus: Any, tmp_path: Path
) -> None:
    with_gpus(broken="nvmlInit", error=NVMLErrorLibraryNotFound)
    found = probe(tmp_path)
    assert found.hardware.gpus == found.problems == ()
    assert "processor does the work" in found.sentences[0]


@pytest.mark.parametrize("call", CALLS)
def test_a_driver_that_fails_at_any_call_is_reported(
    with_gpus: Any, tmp_path: Path, call: str
) -> None:
    error = (
        NVMLError if call == "nvmlInit" else NVMLErrorLibraryNotFound
    )  # then it went away
    with_gpus(ampere(), broken=call, error=error)
    found = probe(tmp_path)
    lost = call in LOSE_THE_CARD
    assert len(found.hardware.gpus) == (0 if lost else 1)
    assert bool(found.problems) == lost
    if lost:
        assert "driver" in found.problems[0].what
        assert found.problems[0].blocks_training


def test_two_gpus_are_both_found_the_one_that_trains_first(
    with_gpus: Any, tmp_path: Path
) -> None:
    with_gpus(T4(), ampere())
    found = probe(tmp_path)
    gpus = [
        (gpu.name, gpu.memory_total_mib, gpu.compute_capability, gpu.index)
        for gpu in found.hardware.gpus
    ]
    assert gpus == [
        ("NVIDIA GeForce RTX 3090", 24576, (8, 6), 1),
        ("Tesla T4", 15360, (7, 5), 0),
    ]
    assert "Training uses the NVIDIA GeForce RTX 3090 (number 1)." in found.sentences
    assert ["fp16" in sentence for sentence in found.sentences[:2]] == [False, True], (
        "Turing knows nothing better"
    )


def test_gpu_memory_used_by_another_program_is_reported(
    with_gpus: Any, tmp_path: Path
) -> None:
    with_gpus(
        replace(ampere(), free=4000, users={UNKNOWN_PID: 20000, UNKNOWN_PID + 1: None})
    )
    found = probe(tmp_path)
    assert found.hardware.gpus[0].memory_free_mib == 4000
    (problem,) = found.problems
    assert "19.5 GB of the memory of NVIDIA GeForce RTX 3090" in problem.what
    assert f"(process {UNKNOWN_PID}) 19.5 GB" in problem.what


def test_gpu_programs_come_largest_first(
    with_gpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {
        7: ("ollama", ["ollama", "serve"]),
        8: ("python", ["python", "-m", "jobs.worker", "id"]),
    }
    by_id = {
        pid: SimpleNamespace(name=lambda n=n: n, cmdline=lambda c=c: c)
        for pid, (n, c) in programs.items()
    }
    monkeypatch.setattr("psutil.Process", by_id.__getitem__)
    with_gpus(
        replace(ampere(), users={8: 2048, 7: 9216}), replace(T4(), users={7: 100})
    )
    problems = probe(tmp_path).problems
    assert len(problems) == 1, "a little on the second GPU is not worth reporting"
    assert problems[0].what.endswith(
        ": ollama 9.0 GB, a training run of this app 2.0 GB."
    )


def test_zero_gpu_has_no_usable_gpu(
    with_gpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpus(ampere())
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setenv("SPACE_ID", "someone/demo")
    found = probe(tmp_path)
    assert (found.hardware.hosted, found.hardware.gpus) == ("zero_gpu", ())
    assert "ZeroGPU" in found.problems[0].what


@pytest.mark.parametrize(
    ("name", "hosted"), [("SPACE_ID", "space"), ("COLAB_RELEASE_TAG", "colab")]
)
def test_hosts_are_recognized(
    with_gpus: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    hosted: str,
) -> None:
    with_gpus()
    monkeypatch.setenv(name, "x")
    found = probe(tmp_path)
    assert found.hardware.hosted == hosted
    assert any("commands" in sentence for sentence in found.sentences) == (
        hosted == "colab"
    )


@pytest.mark.parametrize(("files", "memory", "cores"), cases("hardware", "containers"))
def test_a_containers_limits_count(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    memory: Any,
    cores: int,
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(container, "_ROOT", tmp_path)
    monkeypatch.setattr(
        container.os, "sched_getaffinity", lambda _: set(range(8)), raising=False
    )
    assert (container.memory(), container.cores()) == (
        memory and container.Limit(*memory),
        cores,
    )


def test_a_probe_can_be_read_back_and_missing_fields_get_defaults(
    with_gpus: Any, tmp_path: Path
) -> None:
    with_gpus(T4())
    found = probe(tmp_path)
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(found.model_dump(mode="json")))
    assert load_hardware(path) == found.hardware
    path.write_text('{"memory_total_mib": 4096}')
    assert load_hardware(path) == Hardware(memory_total_mib=4096)


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"cpu": {"cores": "many"}}', '{"gpu": []}', "[" * 100_000]
)
def test_an_invalid_file_is_rejected(tmp_path: Path, text: str) -> None:
    path = tmp_path / "machine.json"
    path.write_text(text)
    with pytest.raises(BadInput) as invalid:
        load_hardware(path)
    assert "machine.json" in invalid.value.what
    assert "doctor --json" in invalid.value.next
    with pytest.raises(BadInput):
        load_hardware(tmp_path / "none.json")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has one level")
def test_a_process_that_computes_comes_last_but_not_in_tests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = Mock(nice=Mock(return_value=0))
    monkeypatch.setattr("psutil.Process", lambda: process)
    lower_priority(9)
    process.nice.assert_called_once_with()
    monkeypatch.delenv("APPRENTICE_NICENESS")
    lower_priority(9)
    process.nice.assert_called_with(9)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_the_pages_threads_share_two_arenas(tmp_path: Path) -> None:
    code = f"""if True:
        import ctypes, threading
        from backend.hardware.process import share_arenas
        share_arenas()
        meet = threading.Barrier(9)
        for _ in range(8):
            threading.Thread(target=lambda: (bytes(100_000), meet.wait())).start()
        meet.wait()
        libc = ctypes.CDLL(None)
        libc.fopen.restype = ctypes.c_void_p
        file = ctypes.c_void_p(libc.fopen({str(tmp_path / "info")!r}.encode(), b"w"))
        libc.malloc_info(0, file), libc.fclose(file)
    """
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True)
    assert (tmp_path / "info").read_text().count("<heap ") == 2
