"""Chooses the settings for one model, machine and dataset by the guide's rules, each
with its reason.

Measured on the bundled model (135 M parameters, 200 rows, a processor): adapters on all
linear layers at 5e-4 gave 40 of 40 validation answers exactly, attention only at 2e-4
gave 30 of 40. docs/recipes.md has what its answers scored after the guide's epochs and
after more steps. Larger models can't be measured here: they use the guide's rate, what
others published (all linear layers, small batches for few rows), and the steps that the
bundled model needs at that rate.
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

from backend.datasets.split import AT_LEAST, FRACTION, split_sizes
from backend.estimate import Estimate, Rates, estimate, plan_from
from backend.models.catalogue import Entry, Task
from backend.records.base import Record
from backend.records.machine import Hardware, nvidia_gpu
from backend.records.specs import (
    ASKING_TOKENS,
    GENERAL_TOKENS,
    Method,
    Precision,
    Trainer,
    TrainSettings,
)
from backend.records.units import MIB, format_decimal, format_sizes

_NOT_MEASURED = "Not measured by us on a model of this size."
SMALL_MODEL = 500_000_000  # parameters; below it a higher learning rate
MANY_ROWS = 1000
KEEP_GENERAL = 0.2  # docs/recipes.md
LONG = 8192  # tokens; longer rows often fail on home computers (the guide)
WINDOW = 4096
_WINDOW_PER_OVERLAP = 8  # the guide's ratio: 512 of 4,096 tokens
ASSUMED_TOKENS = (
    512  # of the longest example, about 380 words, while there are no examples yet
)
FULL_TUNING_MIB = 44_000  # a GPU sold as "48 GB"
_DPO_RATE, _DPO_RATE_SMALL = (
    1e-5,
    5e-5,
)  # ten times TRL's default, which is for full fine-tuning
_FULL_BYTES = 16  # a parameter in fp32, its gradient and the two moments of AdamW
_GUIDE_EPOCHS = 3  # for about 500 examples
_GUIDE_MOST_EPOCHS = 5  # more risk overfitting, says the guide
_MOST_EPOCHS = 20  # of a handful of examples
_RATE, _RATE_SMALL = 2e-4, 5e-4  # the guide's; measured on the bundled model


class Data(Record):
    """The known facts about the examples; None where unknown. train_rows: as trained,
    where documents are divided. longest: tokens of the longest row. documents: plain
    texts, of which long ones are split into windows. tokens: of all rows.
    learned_share: the part of them that the loss is computed for. language: ISO 639-1.
    """

    task: Task | None = None
    rows: int | None = None
    longest: int | None = None
    documents: bool = False
    train_rows: int | None = None
    tokens: int | None = None
    learned_share: float | None = None
    trainer: Trainer = "sft"
    language: str | None = None


NOTHING_KNOWN = Data()


class ChosenSettings(Record):
    """Settings, the memory and time they need on this machine, and the reason for each
    (setting name to sentence).
    """

    settings: TrainSettings
    estimate: Estimate
    why: dict[str, str]


def least_steps(rate: float) -> int:
    """The optimizer steps that adapters need at a learning rate: a lower one needs more
    (docs/recipes.md).
    """
    return 60 if rate >= _RATE_SMALL else 120


def words_in(tokens: int) -> int:
    """The approximate number of English words in so many tokens (three words to four
    tokens), rounded to tens.
    """
    return round(tokens * 0.075) * 10


def precision_for(hardware: Hardware) -> Precision:
    """bf16 where it is native (compute capability 8 and up, Apple, some processors),
    fp16 on older GPUs.
    """
    gpu = nvidia_gpu(hardware)
    if gpu is not None:
        return (
            "bf16"
            if gpu.compute_capability is None or gpu.compute_capability >= (8, 0)
            else "fp16"
        )
    return "bf16" if hardware.unified_memory or hardware.cpu.bf16 else "fp32"


def choose_settings(
    entry: Entry, hardware: Hardware, data: Data, rates: Rates | None = None
) -> ChosenSettings:
    """The best settings: the largest batch that fits; memory is saved only if needed.
    If nothing fits, the settings that need the least memory, with a fit of "no".
    """
    why: dict[str, str] = {}
    base = _base(entry, hardware, data, why)
    by_method = (base.changed(method=method) for method in _methods(hardware))
    for chosen in chain.from_iterable(
        _from_largest(each, entry, hardware, data, rates) for each in by_method
    ):
        needs = _needs(entry, chosen, hardware, data, rates)
        if needs.fit.badge in ("yes", "unknown"):
            break
    return ChosenSettings(
        settings=chosen, estimate=needs, why=_explain(why, chosen, needs, hardware)
    )


def least_memory(
    entry: Entry, hardware: Hardware, data: Data, rates: Rates | None = None
) -> ChosenSettings:
    """The settings that need the least memory, found quickly: can the model be trained
    here at all? Lengths are rounded up to a power of two, so that a change of the data
    rarely needs a new simulation.
    """
    if data.longest is not None:
        data = data.model_copy(
            update={
                "longest": 1 << (data.longest - 1).bit_length(),
                "learned_share": None,
            }
        )
    settings = _smallest(
        _base(entry, hardware, data, {}).changed(method=_methods(hardware)[-1])
    )
    needs = _needs(entry, settings, hardware, data, rates, quick=True)
    return ChosenSettings(settings=settings, estimate=needs, why={})


def weights_mib(entry: Entry, hardware: Hardware) -> float:
    """MiB of the weights in the smallest form possible here: a lower limit for
    training.
    """
    architecture = entry.architecture
    linear_bytes = 0.5 if "qlora" in _methods(hardware) else 2
    return (
        architecture.linear_params * linear_bytes + architecture.embedding_params * 2
    ) / MIB


def full_fine_tuning(entry: Entry, hardware: Hardware, data: Data) -> Estimate | None:
    """An estimate of full fine-tuning; None unless there is a GPU with 48 GB or more
    that can hold it (the guide).
    """
    gpu = nvidia_gpu(hardware)
    if gpu is None or gpu.memory_total_mib < FULL_TUNING_MIB:
        return None
    if entry.parameters * _FULL_BYTES > gpu.memory_total_mib * MIB:
        return None
    settings = _smallest(_base(entry, hardware, data, {}).changed(method="full"))
    return _needs(entry, settings, hardware, data, None, quick=True)


def _base(
    entry: Entry, hardware: Hardware, data: Data, why: dict[str, str]
) -> TrainSettings:
    many = data.rows is not None and data.rows > MANY_ROWS
    small = entry.parameters < SMALL_MODEL
    rate = _RATE_SMALL if small else _RATE
    rank, batch = (16, 16) if many else (8, 8)
    train = data.train_rows or split_sizes(data.rows or MANY_ROWS)[0]
    small_batch = not small and _GUIDE_EPOCHS * train < least_steps(rate) * batch
    if small_batch:
        batch = 4
    length, why["max_length"] = _length(entry, data)
    windows: dict[str, Any] = {}
    if data.documents and data.longest is not None and data.longest > length:
        windows["window_overlap"] = length // _WINDOW_PER_OVERLAP
        why["window_overlap"] = (
            "Each piece starts with the last eighth of the one before, so no context is lost."
        )
    epochs, why["num_train_epochs"] = _epochs(data, train, batch, rate)
    if data.rows is not None and data.rows * FRACTION < AT_LEAST:
        few = round(AT_LEAST / FRACTION)
        why["validation_fraction"] = (
            f"A tenth, but of fewer than {few} examples a quarter, up to {AT_LEAST}, "
            "because fewer would show little. A validation file of your own replaces "
            "this."
        )
    examples = (
        f"{data.rows} examples" if data.rows is not None else "up to 1,000 examples"
    )
    why["lora_rank"] = (
        f"Rank {rank} suits {examples}; with a higher rank the model memorizes small datasets."
    )
    why["per_device_train_batch_size"] = (
        "Each step uses 4 examples: there are few, and others found that adapters learn "
        "less in large batches (Schulman et al. 2025, LoRA Without Regret; Lee and Lee "
        f"2026, arXiv:2602.09492). {_NOT_MEASURED}"
        if small_batch
        else f"Each step uses {batch} examples; 8 to 16 is the usual range."
    )
    if small:
        why["target_modules"] = (
            "Adapters on all linear layers: a model this small needs them to learn a format."
        )
        why["learning_rate"] = "5e-4 gave the best results on a model of this size."
    else:
        why["target_modules"] = (
            "Adapters on all linear layers: others found that on the attention alone a "
            "model learns less (Schulman et al. 2025, LoRA Without Regret). "
            f"{_NOT_MEASURED}"
        )
        why["learning_rate"] = (
            f"2e-4 is the usual starting point for adapters. {_NOT_MEASURED}"
        )
    if data.trainer == "dpo":
        rate = _DPO_RATE_SMALL if small else _DPO_RATE
        why["learning_rate"] = (
            f"{format_decimal(rate)}: learning from comparisons needs much smaller steps."
        )
        why["beta"] = (
            "0.1 is the usual value; it keeps the model close to the base model."
        )
    keeps = data.trainer == "sft"
    if keeps:
        why["keep_general"] = (
            "One in five rows is an everyday question with the base model's own "
            "answer. In our tests a model kept most of what it knew that way, and "
            "hardly anything without."
        )
    return TrainSettings(
        trainer=data.trainer,
        keep_general=KEEP_GENERAL if keeps else 0.0,
        lora_rank=rank,
        lora_alpha=2 * rank,
        target_modules=entry.all_linear_targets,
        learning_rate=rate,
        num_train_epochs=epochs,
        per_device_train_batch_size=batch,
        max_length=length,
        **windows,
        precision=precision_for(hardware) if nvidia_gpu(hardware) else "auto",
    )


def _epochs(data: Data, train: int, batch: int, rate: float) -> tuple[float, str]:
    """The number of epochs, with its reason.

    train: rows as trained, of which a document has many
    batch: rows for each step
    rate: the learning rate of SFT for a model of this size
    """
    rows = data.rows
    if rows is None:
        until = "Three passes over the examples (epochs), the guide's number, until the examples are known."
        return _GUIDE_EPOCHS, until
    if rows > 10_000:
        return 1.0, f"One pass (epoch) is enough with {rows:,} examples."
    if rows > 2000:
        return 2.0, f"Two passes (epochs) are enough with {rows:,} examples."
    steps = math.ceil(max(1, train) / batch)
    least = least_steps(rate)
    wanted = max(_GUIDE_EPOCHS, math.ceil(least / steps))
    if wanted == _GUIDE_EPOCHS:
        return (
            _GUIDE_EPOCHS,
            "Three passes over the examples (epochs), the guide's number.",
        )
    guide = f"The guide's {_GUIDE_EPOCHS} passes (epochs) would be only {_GUIDE_EPOCHS * steps} steps"
    if data.trainer == "dpo":
        most = min(_GUIDE_MOST_EPOCHS, wanted)
        return (
            most,
            f"{guide}; {most} are its most. More was not measured on a run like this one.",
        )
    passes = min(_MOST_EPOCHS, wanted)
    steps *= passes
    if steps < least:
        reason = (
            f"{guide}. In our tests with a model of 135 million parameters that was too "
            f"few; {passes} passes ({steps} steps) come nearer to the {least} steps "
            "that gave good answers at this learning rate."
        )
    else:
        reason = (
            f"{guide}. In our tests with a model of 135 million parameters that was too "
            f"few, and {least} steps gave better answers at this learning rate: "
            f"{passes} passes are {steps} steps."
        )
    return passes, reason if rate == _RATE_SMALL else f"{reason} {_NOT_MEASURED}"


def _length(entry: Entry, data: Data) -> tuple[int, str]:
    window = min(WINDOW, entry.context_length)
    if data.documents and data.longest is not None and data.longest > window:
        return (
            window,
            f"Long documents are split into overlapping pieces of {window:,} tokens.",
        )
    if data.longest is None:
        words = words_in(ASSUMED_TOKENS)
        return ASSUMED_TOKENS, (
            f"{ASSUMED_TOKENS} tokens, about {words} words, until the examples are "
            "known."
        )
    needed = -(-max(16, data.longest) // 64) * 64
    if needed <= min(LONG, entry.context_length):
        return needed, f"The longest example has {data.longest:,} tokens."
    return window, (
        f"The longest example has {data.longest:,} tokens, too many to train on at "
        f"once: it is cut off after {window:,}. Split long texts into overlapping parts "
        "instead."
    )


def _methods(hardware: Hardware) -> tuple[Method, ...]:
    """The methods, most memory first. 4-bit weights need bitsandbytes, which does not
    support Apple GPUs.
    """
    return ("lora",) if hardware.unified_memory else ("lora", "qlora")


def _from_largest(
    base: TrainSettings,
    entry: Entry,
    hardware: Hardware,
    data: Data,
    rates: Rates | None,
) -> Iterator[TrainSettings]:
    """The guide's order: smaller batches, then checkpointing, then at most 1,024
    tokens. Ends with the smallest.
    """
    smallest = _smallest(base)
    if base.method == "lora" and nvidia_gpu(
        hardware
    ):  # the guide uses 4 bits unless 16 leave half of a GPU free
        least = _needs(entry, smallest, hardware, data, rates, quick=True).fit
        if 2 * least.needs_mib > least.has_mib:
            return
    short = smallest.changed(max_length=min(1024, smallest.max_length))
    if data.documents:
        short = short.changed(window_overlap=short.max_length // _WINDOW_PER_OVERLAP)
    if _needs(entry, smallest, hardware, data, rates).fit.badge not in (
        "yes",
        "unknown",
    ):
        yield smallest
        if short != smallest:
            yield short
        return
    batch = base.per_device_train_batch_size
    for checkpointing in (False, True):
        micro = batch
        while micro >= 1:
            parts = {
                "per_device_train_batch_size": micro,
                "gradient_accumulation_steps": batch // micro,
            }
            yield base.changed(**parts, gradient_checkpointing=checkpointing)
            micro //= 2
            if (
                not checkpointing
                and micro < 4
                and (nvidia_gpu(hardware) or hardware.unified_memory)
            ):
                break  # on a GPU, checkpointing is faster than one or two rows at a time


def _smallest(settings: TrainSettings) -> TrainSettings:
    batch = {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": settings.effective_batch,
    }
    return settings.changed(**batch, gradient_checkpointing=True)


def _needs(
    entry: Entry,
    settings: TrainSettings,
    hardware: Hardware,
    data: Data,
    rates: Rates | None,
    quick: bool = False,
) -> Estimate:
    plan = plan_from(
        settings,
        precision_for(hardware),
        longest=data.longest,
        learned_share=data.learned_share,
    )
    tokens = trained_tokens(entry, data, settings)
    return estimate(
        entry.architecture, plan, hardware, tokens=tokens, rates=rates, quick=quick
    )


def trained_tokens(entry: Entry, data: Data, settings: TrainSettings) -> float | None:
    """Tokens that training with `settings` reads in all epochs, general rows included,
    and those of asking the base model for them; None where unknown.
    """
    if data.tokens is None:
        return None
    rows = data.train_rows or data.rows or 1
    train = rows if data.train_rows else split_sizes(rows)[0]
    general = settings.general_rows(train)
    asking = 0 if entry.bundled else general * ASKING_TOKENS
    return (
        data.tokens * train / rows + general * GENERAL_TOKENS
    ) * settings.num_train_epochs + asking


def _explain(
    why: dict[str, str], settings: TrainSettings, needed: Estimate, hardware: Hardware
) -> dict[str, str]:
    why = dict(why)
    needs, has = format_sizes(needed.fit.needs_mib, needed.fit.has_mib)
    where = "the GPU" if needed.memory.device == "cuda" else "this computer"
    if settings.method == "qlora":
        least = "at least " if needed.fit.badge == "unknown" else ""
        why["method"] = (
            f"QLoRA: the model is in 4-bit, so that training fits {where} ({least}{needs} of {has})."
        )
    else:
        why["method"] = (
            "LoRA: small adapters are trained; the model itself does not change."
        )
    micro, steps = (
        settings.per_device_train_batch_size,
        settings.gradient_accumulation_steps,
    )
    if steps > 1:
        why["gradient_accumulation_steps"] = (
            f"{micro} at a time, {steps} times per step: what fits in memory."
        )
    if settings.gradient_checkpointing:
        why["gradient_checkpointing"] = (
            "On: it saves memory, but makes training about a fifth slower."
        )
    elif needed.fit.badge == "unknown":
        why["gradient_checkpointing"] = "Off, unless a dry run finds too little memory."
    else:
        why["gradient_checkpointing"] = (
            "Off: there is enough memory, and training is faster without it."
        )
    why["precision"] = {
        "bf16": "bf16: 16-bit numbers with a wide range.",
        "fp16": "fp16: this GPU does not support bf16.",
        "fp32": "fp32: 16-bit numbers are not faster on this processor.",
    }[precision_for(hardware)]
    return why
