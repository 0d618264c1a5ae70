"""How long the way from an adapter to a Q8_0 GGUF file takes, against the same steps by hand.

Ours: the export job, up to its checks. Peer: peft's merge_and_unload and save_pretrained, llama.cpp's converter to
F16 and llama.cpp's quantizer, each in a process of its own as one would type them, without checks. They take turns,
so that other work on the computer disturbs both alike; the figures are medians in seconds.

    python -m tests.benchmarks.export_speed [--smoke]

Goal: at most 1.1 times the peer, and checks under a minute (`checks`, seconds). A smoke run uses a model of two
narrow layers and no checks. The last line is JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backend.settings import PROJECT_ROOT, Workspace, child_environment, new_id

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
    """Replaces the worker's context. stops: as soon as the files are made and their checks begin."""

    workspace: Workspace
    spec: dict[str, Any]
    stops: bool
    checking: list[float] = field(default_factory=list)  # when each phase "Checking" began

    def __post_init__(self) -> None:
        self.folder = self.workspace.runs / new_id()
        self.folder.mkdir()

    def progress(self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None) -> None:
        if phase == "Checking":
            self.checking.append(time.perf_counter())

    def should_stop(self) -> bool:
        return self.stops and len(self.checking) == 2  # the first one looks at disk and parts


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
        spec = {"run": run.name, "to": "gguf:Q8_0", "name": "model"}
        times = [
            (_ours(Work(workspace, spec, stops=True)), _by_hand(model, adapter, Path(folder) / str(number)))
            for number in range(rounds)
        ]
        ours, peer = (statistics.median(one) for one in zip(*times, strict=True))
        checks = None if smoke else _checks(Work(workspace, spec, stops=False))
    figures = {"ours": round(ours, 2), "peer": round(peer, 2), "ratio": round(ours / peer, 2), "checks": checks}
    print(json.dumps({"name": "export_speed", **figures, "unit": "s"}))


def _ours(work: Work) -> float:
    from backend.export import job

    began = time.perf_counter()
    job.run(work)
    return work.checking[1] - began


def _checks(work: Work) -> float:
    from backend.export import job

    job.run(work)
    return round(time.perf_counter() - work.checking[1], 2)


def _by_hand(model: Path, adapter: Path, folder: Path) -> float:
    from backend.gguf.convert import converter

    folder.mkdir()
    merged, f16, q8 = folder / "merged", folder / "model-F16.gguf", folder / "model-Q8_0.gguf"
    began = time.perf_counter()
    for arguments in (
        ["-c", _MERGE, str(model), str(adapter), str(merged)],
        [str(converter()), str(merged), "--outfile", str(f16), "--outtype", "f16"],
        ["-c", _QUANTIZE, str(f16), str(q8)],
    ):
        environment = {**child_environment(), "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=PROJECT_ROOT, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert q8.stat().st_size > 0
    return time.perf_counter() - began


def _narrow(model: Path, folder: Path) -> Path:
    """A model of two narrow layers with the bundled model's tokenizer, which the converter knows."""
    import shutil

    from transformers import AutoConfig, AutoModelForCausalLM

    from backend.models.model_folder import TOKENIZER_FILES

    config = AutoConfig.from_pretrained(model)
    for name, value in {"hidden_size": 288, "head_dim": 32, "intermediate_size": 96, "num_hidden_layers": 2}.items():
        setattr(config, name, value)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (model / name).is_file():
            shutil.copyfile(model / name, folder / name)
    return folder


if __name__ == "__main__":
    smoke_run = "--smoke" in sys.argv
    main(1 if smoke_run else ROUNDS, smoke_run)
