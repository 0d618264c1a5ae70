"""How close the memory estimate for the processor comes to real training there.

Ours: `backend.estimate`, against the peak resident memory of real runs of the bundled model (three optimizer steps
each, in a process of its own), in the configurations below. The memory of the programs was read from the first 14;
the others were measured afterwards and changed nothing. Peer: nobody publishes numbers for the processor, so a rule
of thumb takes their place: four times the size of the weights, and the programs.

    python -m tests.benchmarks.memory_on_processor [NUMBER ...] [--smoke]

All configurations take about six minutes on two cores. The last line is JSON: mean absolute errors in percent; ratio
is peer / ours. --smoke: one short run of a tiny model instead.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from backend.models import catalogue
from backend.records.specs import ATTENTION
from tests.benchmarks.peak_memory import estimated, measured, rule_of_thumb, settings_of, summary

CONFIGURATIONS: tuple[dict[str, Any], ...] = (
    {"per_device_train_batch_size": 8, "max_length": 128},
    {"per_device_train_batch_size": 8, "max_length": 256},
    {"per_device_train_batch_size": 8, "max_length": 512},
    {"per_device_train_batch_size": 4, "max_length": 1024},
    {"per_device_train_batch_size": 1, "max_length": 2048},
    {"per_device_train_batch_size": 2, "max_length": 256},
    {"per_device_train_batch_size": 8, "max_length": 512, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 4, "max_length": 1024, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 8, "max_length": 256, "lora_rank": 64},
    {"per_device_train_batch_size": 8, "max_length": 256, "target_modules": ATTENTION},
    {"per_device_train_batch_size": 4, "max_length": 256, "precision": "fp32"},
    {"per_device_train_batch_size": 8, "max_length": 128, "method": "full"},
    {"per_device_train_batch_size": 4, "max_length": 256, "method": "qlora"},
    {"per_device_train_batch_size": 16, "max_length": 64},
    {"per_device_train_batch_size": 8, "max_length": 256, "use_dora": True},
    {"per_device_train_batch_size": 2, "max_length": 128, "use_dora": True},
    {"per_device_train_batch_size": 4, "max_length": 512, "use_dora": True, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 4, "max_length": 256, "use_dora": True, "method": "qlora"},
    {"per_device_train_batch_size": 3, "max_length": 384},
    {"per_device_train_batch_size": 6, "max_length": 768, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 2, "max_length": 1536},
    {"per_device_train_batch_size": 4, "max_length": 200, "lora_rank": 32, "target_modules": ATTENTION},
    {"per_device_train_batch_size": 2, "max_length": 320, "method": "full"},
    {"per_device_train_batch_size": 8, "max_length": 96, "method": "qlora", "gradient_checkpointing": True},
    {"per_device_train_batch_size": 2, "max_length": 512, "precision": "fp32"},
)
FITTED = 14  # the memory of the programs was read from the first configurations only
SHORT: dict[str, Any] = {"per_device_train_batch_size": 2, "max_length": 64}


def prepare(folder: Path, smoke: bool) -> Path:
    """The folder of the bundled model, or of a tiny one; imports torch."""
    from backend.models import bundled
    from backend.settings import Workspace
    from tests.backend.tiny_run import make_model

    return make_model(folder / "tiny") if smoke else bundled.ensure(Workspace.open(folder))


def main(numbers: list[int], smoke: bool) -> None:
    configurations = [SHORT] if smoke else [CONFIGURATIONS[number] for number in numbers]
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as home:
        model = prepare(Path(home), smoke)
        architecture = catalogue.from_folder(model).architecture if smoke else catalogue.default().architecture
        for configuration in configurations:
            settings = settings_of(**configuration)
            found = measured(model, settings)
            expected = estimated(architecture, settings)
            ours.append(100 * (expected / found["mib"] - 1))
            peer.append(100 * (rule_of_thumb(architecture.params) / found["mib"] - 1))
            print(
                f"{configuration}: measured {found['mib']:.0f} MiB, expected {expected:.0f} ({ours[-1]:+.1f} %), "
                f"{found['tokens_per_second']:.0f} tokens/s",
                flush=True,
            )
    unfitted = [abs(one) for number, one in zip(numbers, ours, strict=False) if number >= FITTED]
    if unfitted:
        print(f"not fitted: mean error {mean(unfitted):.2f} %, worst {max(unfitted):.1f} %")
    print(summary("memory_on_processor", ours, peer))


if __name__ == "__main__":
    options = {"--smoke"} & {*sys.argv[1:]}
    chosen = [int(argument) for argument in sys.argv[1:] if argument not in options]
    main([0] if options else chosen or list(range(len(CONFIGURATIONS))), smoke=bool(options))
