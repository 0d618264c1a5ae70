"""Several processes train the exported script by accelerate's engines, with the losses
of one process.
"""

import json
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from backend.export import script
from backend.records.events import EvalEvent
from backend.settings import Workspace, child_environment
from tests.backend.export.test_script import exported, losses_in
from tests.backend.tiny_run import make_pairs_run, make_run, weights
from tests.browser.conftest import free_port
from ui.services.app import App

KINDS: dict[str, dict[str, Any]] = {
    "lora": {}, "full": {"method": "full", "learning_rate": 1e-3}, "qlora": {"method": "qlora"}, "pairs": {},
}  # fmt: skip
PYTHON = (sys.executable,)
TORCHRUN = (*PYTHON, "-m", "torch.distributed.run", "--nproc-per-node", "2")
ACCELERATE = (*PYTHON, "-m", "accelerate.commands.launch", "--config_file")
# FSDP and DeepSpeed run on a processor too, over gloo, where accelerate takes it for a
# GPU.
AS_GPU = """
import os, runpy, sys
os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType
torch.accelerator.is_available = lambda: True
PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def scripts(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The exported script of each kind of run, after one process has trained it."""
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in made:
            made[kind] = make_script(tmp_path_factory.mktemp(kind), tiny_model, kind)
            finished(started(made[kind], tiny_model, "one", *PYTHON))
        return made[kind]

    return of


def make_script(folder: Path, model: Path, kind: str) -> Path:
    """The exported script of a run with the toy task."""
    workspace = Workspace.open(folder / "workspace")
    # One example is left for the last step, and one for validation: the second process
    # has none.
    work = (make_pairs_run if kind == "pairs" else make_run)(
        workspace.runs / "toy", model, rows=17, validation=1, lora_dropout=0.0, num_train_epochs=2,
        per_device_train_batch_size=3, gradient_accumulation_steps=2, early_stopping=False, **KINDS[kind],
    )  # fmt: skip
    (work.folder / "spec.json").write_text(json.dumps(work.spec), "utf-8")
    return exported(workspace)[1]


def started(
    folder: Path, model: Path, out: str, *command: str, gpus: str = "", engine: str = ""
) -> subprocess.Popen[str]:
    """Starts the script in `folder`. command: what starts it, up to the file. gpus:
    those that it may use.
    """
    environment = {
        **child_environment(),
        "PYTHONPATH": "",
        "CUDA_VISIBLE_DEVICES": gpus,
        "OMP_NUM_THREADS": "1",
    }
    options = [
        "--model",
        str(model),
        "--out",
        str(folder / out),
        *(["--engine", engine] if engine else []),
    ]
    return subprocess.Popen(
        [*command, str(folder / "train.py"), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=folder, env={**environment, "HF_HUB_OFFLINE": "1", "DS_ACCELERATOR": "cpu"},
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> str:
    """What a process printed. It must succeed."""
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    return printed


def check_same_losses(folder: Path, out: str, tolerance: float = 1e-6) -> None:
    one, several = losses_in(folder / "one"), losses_in(folder / out)
    assert len(one["loss"]) == 6
    for kind, values in one.items():
        assert several[kind] == pytest.approx(values, abs=tolerance)
    names, expected = (
        {path.name for path in (folder / made).iterdir()} for made in (out, "one")
    )
    assert names == expected


def check_import(here: Path, folder: Path, out: str, model: Path) -> None:
    """Imports a result on another computer, and checks that it is the run as exported,
    with that result.
    """
    shutil.copytree(model, here / "models" / "tests--tiny")
    app = App(Workspace.open(here))
    imported = app.model_imports.add(folder / f"{out}.zip")
    losses, [shown] = losses_in(folder / out), app.runs.all()
    validation = losses["validation_loss"]
    assert shown.losses.saved_step == min(
        list(validation)[1:], key=validation.__getitem__
    )
    assert shown.losses.initial == EvalEvent(0, validation[0])
    assert shown.losses.final == EvalEvent(
        shown.losses.saved_step, validation[shown.losses.saved_step]
    )
    assert {
        step.step: step.loss for step in app.runs.curve(imported.run_id).steps
    } == losses["loss"]
    assert app.results.has_model(imported.run_id)
    assert (
        weights(app.results.model_folder(imported.run_id)).keys()
        == weights(folder / out).keys()
    )


LAUNCHERS = {
    "torchrun": (*TORCHRUN, "--standalone"),
    "accelerate": (*ACCELERATE, "engines/ddp.yaml"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "kind"),
    [
        *(("torchrun", kind) for kind in KINDS),
        *(("accelerate", kind) for kind in ("lora", "full")),
    ],
)
def test_two_processes_have_the_losses_of_one_and_their_result_is_imported(
    scripts: Callable[[str], Path],
    tiny_model: Path,
    tmp_path: Path,
    launcher: str,
    kind: str,
) -> None:
    folder = scripts(kind)
    printed = finished(started(folder, tiny_model, launcher, *LAUNCHERS[launcher]))
    check_same_losses(folder, launcher)
    assert printed == (folder / launcher / "losses.jsonl").read_text("utf-8"), (
        "only one process logs"
    )
    check_import(tmp_path / "here", folder, launcher, tiny_model)


@pytest.mark.slow
def test_two_computers_have_the_losses_of_one_process(
    scripts: Callable[[str], Path], tiny_model: Path
) -> None:
    folder = scripts("lora")
    port = str(free_port())
    launch = (
        *ACCELERATE,
        "engines/ddp.yaml",
        "--num_machines",
        "2",
        "--main_process_ip",
        "127.0.0.1",
    )
    nodes = [
        started(
            folder,
            tiny_model,
            "nodes",
            *launch,
            "--main_process_port",
            port,
            "--machine_rank",
            rank,
        )
        for rank in ("0", "1")
    ]
    assert [bool(finished(node)) for node in nodes] == [True, False], (
        "only the first one logs"
    )
    check_same_losses(folder, "nodes")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "kind"),
    [
        ("fsdp2", "lora"), ("fsdp2", "full"), ("fsdp2", "pairs"), ("fsdp_qlora", "qlora"), ("zero2", "lora"),
        ("zero3", "lora"), ("zero2", "full"), ("zero3", "full"),
    ],
)  # fmt: skip
def test_a_divided_model_has_the_losses_and_weights_of_one_process(
    scripts: Callable[[str], Path],
    tiny_model: Path,
    tmp_path: Path,
    engine: str,
    kind: str,
) -> None:
    if engine.startswith("zero"):
        pytest.importorskip("deepspeed")
    as_gpu = tmp_path / "as_gpu.py"
    as_gpu.write_text(AS_GPU, "utf-8")
    folder = scripts(kind)
    finished(
        started(
            folder,
            tiny_model,
            engine,
            *ACCELERATE,
            f"engines/{engine}.yaml",
            str(as_gpu),
        )
    )
    check_same_losses(folder, engine)
    one, divided = weights(folder / "one"), weights(folder / engine)
    assert one.keys() == divided.keys()
    assert all(
        value.sub(divided[name]).abs().max() < 1e-4 for name, value in one.items()
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_ends_all_with_its_reason(
    scripts: Callable[[str], Path], tiny_model: Path
) -> None:
    launcher = started(scripts("lora"), tiny_model, "killed", *TORCHRUN, "--standalone")
    assert "validation_loss" in launcher.stdout.readline()
    workers = psutil.Process(launcher.pid).children()
    workers[-1].send_signal(signal.SIGKILL)
    _, errors = launcher.communicate(timeout=60)
    assert launcher.returncode == 1
    assert f"Signal 9 (SIGKILL) received by PID {workers[-1].pid}" in errors
    assert not any(worker.is_running() for worker in workers)


CONFIGURATIONS = {path.stem: path for path in sorted(script.ENGINES.glob("*.yaml"))}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_accelerate_reads_each_configuration(name: str) -> None:
    """Every key of a file is one that accelerate knows; FSDP is the second one, and
    DeepSpeed has its stage.
    """
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import (
        _validate_launch_command,
        launch_command_parser,
    )

    config = load_config_from_file(str(CONFIGURATIONS[name]))
    args, _, _ = _validate_launch_command(
        launch_command_parser().parse_args(
            ["--config_file", str(CONFIGURATIONS[name]), "train.py"]
        )
    )
    assert (config.num_processes, config.num_machines) == (2, 1)
    assert (args.multi_gpu, args.use_fsdp, args.use_deepspeed) == (
        name == "ddp", name.startswith("fsdp"), name.startswith("zero"),
    )  # fmt: skip
    if args.use_fsdp:
        assert args.fsdp_version == 2
        assert args.fsdp_state_dict_type == "FULL_STATE_DICT", (
            "the result is saved in one piece"
        )
    if args.use_deepspeed:
        assert args.zero_stage == int(name[-1])
    if name == "zero3":
        assert args.zero3_save_16bit_model, "the result is saved in one piece"


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED"])
def test_an_engine_that_accelerate_passes_over_is_an_error(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Without GPUs accelerate trains with the whole model in each process, and says
    nothing.
    """
    without = SimpleNamespace(
        Accelerator=lambda **_: SimpleNamespace(
            distributed_type="MULTI_CPU", num_processes=2
        )
    )
    monkeypatch.setitem(sys.modules, "accelerate", without)
    monkeypatch.setenv(f"ACCELERATE_USE_{kind}", "true")
    with pytest.raises(SystemExit, match=f"{kind} needs GPUs"):
        runpy.run_path(str(script.TEMPLATE))["connect"](script.TEMPLATE.parent)


@pytest.mark.parametrize(
    ("kind", "plugin", "settings", "needs"),
    [
        ("FSDP", {"cpu_ram_efficient_loading": True}, {"OPTIM": "adamw_8bit"}, "OPTIM"),
        ("DEEPSPEED", {"zero_stage": 2}, {"OPTIM": "paged_adamw_8bit"}, "OPTIM"),
        (
            "FSDP",
            {"cpu_ram_efficient_loading": True},
            {"METHOD": "qlora"},
            "fsdp_qlora",
        ),
        ("DEEPSPEED", {"zero_stage": 2}, {"METHOD": "qlora"}, "fsdp_qlora"),
        ("DEEPSPEED", {"zero_stage": 3}, {}, "without the folder start"),
    ],
)
def test_an_engine_that_cannot_train_this_run_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, plugin: dict[str, Any], settings: dict[str, str],
    needs: str,
) -> None:  # fmt: skip
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "model.safetensors").touch()
    plugins = SimpleNamespace(**plugin)
    engine = SimpleNamespace(
        distributed_type=kind,
        deepspeed_plugin=plugins,
        state=SimpleNamespace(fsdp_plugin=plugins),
    )
    monkeypatch.setitem(
        sys.modules, "accelerate", SimpleNamespace(Accelerator=lambda **_: engine)
    )
    connect = runpy.run_path(str(script.TEMPLATE))["connect"]
    connect.__globals__.update(settings)
    with pytest.raises(SystemExit, match=needs):
        connect(tmp_path)


def test_an_engine_starts_one_process_for_each_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(
        subprocess, "call", lambda command, env: calls.append((command, env)) or 7
    )
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.delenv("RANK", raising=False)
    shutil.copytree(script.ENGINES, tmp_path / "engines")
    monkeypatch.setattr(
        sys,
        "argv",
        ["train.py", "--model", "m", "--folder", str(tmp_path), "--engine", "fsdp2"],
    )
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script.TEMPLATE), run_name="__main__")
    assert ended.value.code == 7
    [(command, environment)] = calls
    assert command[2:7] == [
        "accelerate.commands.launch", "--config_file", str(tmp_path / "engines" / "fsdp2.yaml"), "--num_processes",
        "4",
    ]  # fmt: skip
    assert command[8:] == [
        "--model",
        "m",
        "--folder",
        str(tmp_path),
        "--engine",
        "fsdp2",
    ]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "accelerate.utils", None)
    with pytest.raises(
        ImportError
    ):  # it begins to train, also where accelerate sets no RANK
        runpy.run_path(str(script.TEMPLATE), run_name="__main__")


def test_an_engine_without_its_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="There is no file"):
        runpy.run_path(str(script.TEMPLATE))["launch"](
            SimpleNamespace(folder=tmp_path, engine="other")
        )
