"""How close the memory estimate for the processor comes to real training there.

Ours: `backend.estimate`, against the peak resident memory of real runs of three
optimizer steps each, in a process of its own: of the bundled model in CONFIGURATIONS,
and of a model of each type in the catalogue in OF_A_TYPE, which has random weights, and
fewer and narrower layers than the real one. The memory of the programs was read from
the first 14 configurations of the bundled model; all others were measured afterwards
and changed nothing. Peer: nobody publishes numbers for the processor, so a rule of
thumb takes their place: four times the size of the weights, and the programs.

    python -m tests.benchmarks.memory_on_processor [NUMBER ...] [MODEL_TYPE ...]
    [--smoke]

All of it takes about sixteen minutes on two cores. The last line is JSON: mean absolute
errors in percent, for the bundled model and for the `families`; ratio is peer / ours.
--smoke: a short run of two tiny models instead.
"""

import random
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from backend.estimate import Architecture, plan_from
from backend.estimate.memory import PROGRAMS_MIB, memory
from backend.models import bundled, catalogue
from backend.records.machine import Hardware
from backend.records.specs import ATTENTION, TrainSettings
from backend.settings import Workspace
from tests.benchmarks.measuring import in_fresh_process, print_result

STEPS = 3
LEARNED = 0.5  # of each row's tokens


def sized(batch: int, length: int, **changes: Any) -> dict[str, Any]:
    return {"per_device_train_batch_size": batch, "max_length": length, **changes}


SHORT = sized(2, 64)
CONFIGURATIONS = (
    sized(8, 128), sized(8, 256), sized(8, 512), sized(4, 1024), sized(1, 2048), sized(2, 256),
    sized(8, 512, gradient_checkpointing=True), sized(4, 1024, gradient_checkpointing=True),
    sized(8, 256, lora_rank=64), sized(8, 256, target_modules=ATTENTION), sized(4, 256, precision="fp32"),
    sized(8, 128, method="full"), sized(4, 256, method="qlora"), sized(16, 64), sized(3, 384), sized(6, 768, gradient_checkpointing=True),
    sized(2, 1536), sized(4, 200, lora_rank=32, target_modules=ATTENTION), sized(2, 320, method="full"),
    sized(8, 96, method="qlora", gradient_checkpointing=True), sized(2, 512, precision="fp32"),
)  # fmt: skip
FITTED = 14  # the memory of the programs was read from the first configurations only

SHAPE: dict[str, Any] = {
    "vocab_size": 16384, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8,
    "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64, "max_position_embeddings": 4096,
    "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
}
FULL_EVERY_FOURTH = [
    kind for _ in range(2) for kind in (*["sliding_attention"] * 3, "full_attention")
]
MODEL_TYPES: dict[str, dict[str, Any]] = {
    "llama": {}, "qwen3": {}, "olmo2": {}, "olmo3": {"layer_types": FULL_EVERY_FOURTH, "sliding_window": 256},
    "exaone4": {"layer_types": FULL_EVERY_FOURTH, "sliding_window": 256}, "hunyuan_v1_dense": {}, "ernie4_5": {},
    "glm4": {"num_key_value_heads": 2},
    "qwen3_5_text": {"head_dim": 128, "linear_num_key_heads": 8, "linear_num_value_heads": 8},
}  # fmt: skip
OF_A_TYPE = (
    sized(4, 512), sized(8, 192), sized(8, 768, gradient_checkpointing=True), sized(2, 512, method="full"),
    sized(2, 640, precision="fp32"),
)  # fmt: skip

Errors = tuple[float, float]  # ours and the rule of thumb's, in percent


def make(model_type: str, folder: Path, changes: dict[str, Any]) -> int:
    """Saves a model with random weights, and a tokenizer; imports torch. Returns the
    number of parameters. changes: to SHAPE.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tests.backend.tiny_run import make_model

    make_model(folder)
    config = CONFIG_MAPPING[model_type](
        **{**SHAPE, **MODEL_TYPES[model_type], **changes}
    )
    config.save_pretrained(folder)
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    return int(model.num_parameters())


def train(model: Path, settings: TrainSettings) -> dict[str, float]:
    """Trains on rows of random tokens; imports torch."""
    from backend import training
    from backend.models import catalogue
    from backend.records.encoded import Encoded
    from tests.backend.tiny_run import run_of

    vocabulary = catalogue.from_folder(model).architecture.vocab_size
    learned = int(settings.max_length * LEARNED)
    draw = random.Random(0)
    rows = []
    for _ in range(settings.per_device_train_batch_size * STEPS):
        ids = [
            draw.randrange(min(100, vocabulary // 2), vocabulary)
            for _ in range(settings.max_length)
        ]
        rows.append(
            Encoded(ids, [-100] * (settings.max_length - learned) + ids[-learned:])
        )
    with tempfile.TemporaryDirectory() as folder:
        result = training.run(
            run_of(Path(folder), model, rows, [], **settings.model_dump())
        )
    return {
        "mib": result.peak_memory_mib,
        "tokens_per_second": result.tokens_per_second,
    }


def errors(
    name: str,
    model: Path,
    architecture: Architecture,
    parameters: int = 0,
    **configuration: Any,
) -> Errors:
    """Trains the model in this folder, and compares the peak with both estimates.
    parameters: as counted, if so.
    """
    settings = TrainSettings.model_validate(
        {"precision": "bf16", **configuration, "max_steps": STEPS}
    )
    plan = plan_from(settings, "fp32" if settings.precision == "fp32" else "bf16")
    expected = memory(
        architecture, plan.model_copy(update={"learned_share": LEARNED}), Hardware()
    ).total_mib
    rule_of_thumb = PROGRAMS_MIB + 4 * (parameters or architecture.params) * 2 / 2**20
    run = in_fresh_process(train, model, settings)
    ours, peer = (
        100 * (estimate / run["mib"] - 1) for estimate in (expected, rule_of_thumb)
    )
    print(
        f"{name} {configuration}: measured {run['mib']:.0f} MiB, expected {expected:.0f} ({ours:+.1f} %), "
        f"{run['tokens_per_second']:.0f} tokens/s",
        flush=True,
    )
    return ours, peer


def bundled_model(numbers: list[int], smoke: bool) -> list[Errors]:
    """The errors for the bundled model, or for a tiny one."""
    from tests.backend.tiny_run import make_model

    with tempfile.TemporaryDirectory() as home:
        if smoke:
            model = make_model(Path(home) / "tiny")
            return [
                errors(
                    "tiny", model, catalogue.from_folder(model).architecture, **SHORT
                )
            ]
        model, architecture = (
            bundled.ensure(Workspace.open(Path(home))),
            catalogue.default().architecture,
        )
        found = [
            errors("bundled", model, architecture, **CONFIGURATIONS[number])
            for number in numbers
        ]
    unfitted = [
        abs(ours)
        for number, (ours, _) in zip(numbers, found, strict=True)
        if number >= FITTED
    ]
    if unfitted:
        print(
            f"not fitted: mean error {mean(unfitted):.2f} %, worst {max(unfitted):.1f} %"
        )
    return found


def families(model_types: list[str], smoke: bool) -> list[Errors]:
    """The errors for a model of each of these types."""
    found = []
    for model_type in model_types:
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / "model"
            parameters = in_fresh_process(
                make, model_type, folder, SMALL if smoke else {}
            )
            entry = catalogue.from_folder(folder)
            targets = entry.all_linear_targets
            for configuration in (SHORT,) if smoke else OF_A_TYPE:
                configuration = {**configuration, "target_modules": targets}
                found.append(
                    errors(
                        model_type,
                        folder,
                        entry.architecture,
                        parameters,
                        **configuration,
                    )
                )
    return found


def summary(errors: list[Errors]) -> dict[str, float]:
    ours, peer = (mean(map(abs, column)) for column in zip(*errors, strict=True))
    worst = max(abs(error) for error, _ in errors)
    return {
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "ratio": round(peer / ours, 1),
        "worst": round(worst, 1),
    }


def main(numbers: list[int], model_types: list[str], smoke: bool) -> None:
    groups = {
        "bundled": bundled_model(numbers, smoke),
        "families": families(model_types, smoke),
    }
    measured = {name: summary(errors) for name, errors in groups.items() if errors}
    figures: dict[str, Any] = {**next(iter(measured.values())), **measured}
    print_result(
        "memory_on_processor",
        "mean absolute error in percent of the process's peak memory",
        **figures,
    )


if __name__ == "__main__":
    smoke = "--smoke" in sys.argv
    typed = [argument for argument in sys.argv[1:] if argument != "--smoke"]
    numbers = [int(argument) for argument in typed if argument.isdecimal()]
    model_types = [argument for argument in typed if not argument.isdecimal()]
    if smoke or not typed:
        numbers, model_types = (
            list(range(len(CONFIGURATIONS))),
            list(MODEL_TYPES)[: 1 if smoke else None],
        )
    main(numbers, model_types, smoke)
