"""How long the way from an adapter to a Q8_0 GGUF file takes, against the same steps by
hand.

Ours: the export job in a process of its own, from the start of that process to the
files, before their checks. Peer: peft's merge_and_unload and save_pretrained,
llama.cpp's converter to F16 and llama.cpp's quantizer, each in a process of its own as
one would type them, without checks. They take turns, so that other work on the computer
disturbs both alike; the figures are medians in seconds, `steps` those of each step.
`checks`: what our checks take
afterwards (of the merge, the tokens, the template, the answers, the loss of the file),
once.

    python -m tests.benchmarks.export_speed [--smoke]

Goal: at most 1.1 times the peer, and checks under a minute. A smoke run uses a model of
two narrow layers and no checks. The last line is JSON.
"""

import io
import json
import multiprocessing
import runpy
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backend.settings import PROJECT_ROOT, Workspace, child_environment, new_id
from tests.benchmarks.measuring import in_fresh_process, print_result

ROUNDS = 3
_MERGE = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, out = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="float16"), adapter)
model.merge_and_unload().save_pretrained(out)
AutoTokenizer.from_pretrained(base).save_pretrained(out)
"""
_QUANTIZE = """
import ctypes, sys
import llama_cpp
options = llama_cpp.llama_model_quantize_default_params()
options.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0
sys.exit(llama_cpp.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(options)))
"""


@dataclass
class Work:
    """Replaces the worker's context. stops: as soon as the files are made and their
    checks begin.
    """

    workspace: Workspace
    spec: dict[str, Any]
    stops: bool
    phases: list[tuple[str, float]] = field(
        default_factory=list
    )  # each with the time when it began

    def __post_init__(self) -> None:
        self.folder = self.workspace.runs / new_id()
        self.folder.mkdir()

    def progress(
        self,
        phase: str,
        done: int = 0,
        total: int = 0,
        seconds_left: float | None = None,
    ) -> None:
        if not self.phases or self.phases[-1][0] != phase:
            self.phases.append((phase, time.time()))

    @property
    def made(self) -> bool:
        return "Checking" in [phase for phase, _ in self.phases]

    def should_stop(self) -> bool:
        return self.stops and self.made


def main(rounds: int, smoke: bool) -> None:
    from tests.backend.synthetic import make_adapter, make_finished_run
    from tests.linked_model import bundled_in

    with TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder) / "workspace")
        model = bundled_in(workspace)
        if smoke:
            model = _narrow(model, Path(folder) / "narrow")
        run = workspace.runs / new_id()
        adapter = make_adapter(make_finished_run(run, model, "tests/model"), model)
        times = [
            (
                _ours(workspace, run.name),
                _by_hand(model, adapter, Path(folder) / str(number)),
            )
            for number in range(rounds)
        ]
        ours, peer = (
            {
                step: round(statistics.median(seconds[step] for seconds in way), 2)
                for step in way[0]
            }
            for way in zip(*times, strict=True)
        )
        checks = (
            None
            if smoke
            else round(_ours(workspace, run.name, stops=False)["checks"], 1)
        )
    mine, theirs = sum(ours.values()), sum(peer.values())
    figures = round(mine, 2), round(theirs, 2), round(mine / theirs, 2)
    print_result(
        "export_speed", "s", *figures, steps={"ours": ours, "peer": peer}, checks=checks
    )


def _ours(workspace: Workspace, run: str, stops: bool = True) -> dict[str, float]:
    """Seconds of each step of the job, in a process of its own; with its checks unless
    it `stops` before them.
    """
    until = "stop" if stops else "check"
    began = time.time()
    printed = _run(
        [
            "-m",
            "tests.benchmarks.export_speed",
            "--job",
            str(workspace.root),
            run,
            until,
        ]
    )
    phases = json.loads(printed.splitlines()[-1])
    made = [phase for phase, _ in phases].index("Checking")
    ends = [at for _, at in phases[1 : made + 1]]
    steps = {"start": phases[0][1] - began}
    steps |= {
        phase: end - at for (phase, at), end in zip(phases[:made], ends, strict=True)
    }
    return steps if stops else {"checks": phases[-1][1] - phases[made][1]}


def _job(root: str, run: str, until: str) -> None:
    from backend.export import job

    work = Work(
        Workspace.open(Path(root)),
        {"run": run, "to": "gguf:Q8_0", "name": "model"},
        until == "stop",
    )
    job.run(work)
    print(json.dumps([*work.phases, ("end", time.time())]))


def _by_hand(model: Path, adapter: Path, folder: Path) -> dict[str, float]:
    from backend.gguf.convert import converter

    folder.mkdir()
    merged, f16, q8 = (
        folder / "merged",
        folder / "model-F16.gguf",
        folder / "model-Q8_0.gguf",
    )
    steps = {
        "merge": ["-c", _MERGE, str(model), str(adapter), str(merged)],
        "convert": [
            str(converter()),
            str(merged),
            "--outfile",
            str(f16),
            "--outtype",
            "f16",
        ],
        "quantize": ["-c", _QUANTIZE, str(f16), str(q8)],
    }
    seconds = {}
    for name, arguments in steps.items():
        began = time.time()
        _run(arguments)
        seconds[name] = time.time() - began
    assert q8.stat().st_size > 0
    return seconds


def _run(arguments: Sequence[str]) -> str:
    """What Python prints in a process of its own. In a smoke run that is a fork, which
    has imported torch already.
    """
    if (
        multiprocessing.parent_process() and arguments[1] != _QUANTIZE
    ):  # llama.cpp needs a process without torch
        return in_fresh_process(_interpret, arguments)
    environment = {**child_environment(), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout.decode()


def _interpret(arguments: Sequence[str]) -> str:
    """What the interpreter prints with these arguments."""
    option, program = arguments[0], arguments[1]
    with redirect_stdout(io.StringIO()) as printed:
        if option == "-c":
            sys.argv = ["-c", *arguments[2:]]
            exec(program, {"__name__": "__main__"})
        elif option == "-m":
            sys.argv = [program, *arguments[2:]]
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(arguments)
            runpy.run_path(option, run_name="__main__")
    return printed.getvalue()


def _narrow(model: Path, folder: Path) -> Path:
    """A model of two narrow layers with the bundled model's tokenizer, which the
    converter knows.
    """
    import shutil

    from transformers import AutoConfig, AutoModelForCausalLM

    from backend.models.model_folder import TOKENIZER_FILES

    config = AutoConfig.from_pretrained(model)
    for name, value in {
        "hidden_size": 288,
        "head_dim": 32,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
    }.items():
        setattr(config, name, value)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (model / name).is_file():
            shutil.copyfile(model / name, folder / name)
    return folder


if __name__ == "__main__":
    if "--job" in sys.argv:
        _job(*sys.argv[2:])
    else:
        smoke_run = "--smoke" in sys.argv
        main(1 if smoke_run else ROUNDS, smoke_run)
