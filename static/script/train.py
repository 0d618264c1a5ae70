# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = []
# ///
"""Trains a language model on the examples in the folder data next to this file.

    uv run train.py                      installs the packages in the header, then trains
    python train.py                      where those packages are installed
    python train.py --model FOLDER       from a copy of the model on this computer
    python train.py --engine ddp         on all GPUs of this computer, as the file engines/ddp.yaml says

The steps are the same on any number of GPUs and computers: each process learns from its
share of a step's examples. Which file in engines to take, and the lines for a cluster,
are in engines/README.md. accelerate does the work.

Each example has its text for people, its tokens (input_ids), and the spans of them to
learn (learn: from, to). For DPO each example has two answers, a better and a worse one,
and the difference between them is learned.
The rows in data/general.jsonl are everyday questions with the base model's own answers,
so that it keeps those. If there is a folder start, training continues from the weights
of the earlier version in it.
If there is an instruction.txt, most examples start with that text as their system
message; so should every question. The result is saved in the folder out, with the loss
of every step in losses.jsonl. Apprentice imports out.zip.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import time
import zipfile
from itertools import islice
from pathlib import Path

# settings
NAME = "run"
MODEL = ""
REVISION = ""
RENAMED = {}
TRAINER = "sft"
BETA = 0.1
METHOD = "lora"
PRECISION = "fp32"
LORA_RANK = 8
LORA_ALPHA = 16
LORA_DROPOUT = 0.0
TARGET_MODULES = ()
LEARNING_RATE = 2e-4
LR_SCHEDULER_TYPE = "cosine"
WARMUP_STEPS = 0
OPTIM = "adamw"
WEIGHT_DECAY = 0.0
MAX_GRAD_NORM = 1.0
TOTAL_STEPS = 1
EFFECTIVE_BATCH = 8
MICRO_BATCH = 8
GRADIENT_CHECKPOINTING = False
SEED = 0
EVAL_STEPS = ()
SAVE_BEST = True
PATIENCE = 0
PAD_ID = 0
# end of settings

HERE = Path(__file__).resolve().parent
LAUNCHED = "APPRENTICE_LAUNCHED"  # accelerate sets RANK in most of the processes that it starts, but not in all

from backend.training.sampler import epoch_batches  # noqa: E402 (an export has its source here)


def arguments():
    parser = argparse.ArgumentParser(
        description="Train as the settings at the top of this file say."
    )
    parser.add_argument(
        "--model", default=MODEL, help="a folder, or a name on the Hugging Face hub"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=HERE,
        help="where data, tokenizer, start and engines are",
    )
    parser.add_argument(
        "--out", type=Path, help="a folder for the result (default: out in that folder)"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=TOTAL_STEPS,
        help="stop after this many; a trial makes no zip",
    )
    parser.add_argument(
        "--engine",
        help="a file in engines, without .yaml: train on all GPUs of this computer",
    )
    options = parser.parse_args()
    if not options.model:
        parser.error(
            "the base model is not on the Hugging Face hub: give its folder with --model FOLDER"
        )
    options.out = options.out or options.folder / "out"
    return options


def launch(options):
    """Starts a process for each GPU of this computer; returns their exit code."""
    import torch

    config = options.folder / "engines" / f"{options.engine}.yaml"
    if not config.is_file():
        raise SystemExit(f"There is no file {config}.")
    count = str(max(1, torch.cuda.device_count()))
    start = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        str(config),
    ]
    return subprocess.call(
        [*start, "--num_processes", count, *sys.argv], env={**os.environ, LAUNCHED: "1"}
    )


def connect(folder):
    """The engine that connects this process with the others, if any, and moves the
    model and its gradients.

    folder: where start is.
    """
    import torch
    from accelerate import Accelerator

    engine = Accelerator(
        cpu=not torch.accelerator.is_available(),
        mixed_precision="no" if PRECISION == "fp32" else PRECISION,
    )
    for kind in (
        "FSDP",
        "DEEPSPEED",
    ):  # without GPUs accelerate leaves them out without a word
        if (
            os.environ.get(f"ACCELERATE_USE_{kind}") == "true"
            and engine.distributed_type != kind
        ):
            raise SystemExit(
                f"{kind} needs GPUs, and found none. Take the file ddp.yaml in engines, or none."
            )
    fsdp, deepspeed = (
        engine.distributed_type == kind for kind in ("FSDP", "DEEPSPEED")
    )
    whole_first = fsdp and not engine.state.fsdp_plugin.cpu_ram_efficient_loading
    zero3 = deepspeed and engine.deepspeed_plugin.zero_stage == 3
    needs = {
        'OPTIM = "adamw" at the top of this file': (fsdp or deepspeed)
        and OPTIM != "adamw",
        "another file for QLoRA: ddp or fsdp_qlora": METHOD == "qlora"
        and (deepspeed or (fsdp and not whole_first)),
        "a run without the folder start; take fsdp2": zero3
        and any(folder.glob("start/*.safetensors")),
    }
    for need, missing in needs.items():
        if missing:
            raise SystemExit(f"This engine needs {need}.")
    engine.gradient_accumulation_steps = math.ceil(
        math.ceil(EFFECTIVE_BATCH / engine.num_processes) / MICRO_BATCH
    )
    if (
        engine.distributed_type == "DEEPSPEED"
    ):  # which can't read them from a data loader
        engine.deepspeed_plugin.deepspeed_config.update(
            train_micro_batch_size_per_gpu=MICRO_BATCH,
            gradient_accumulation_steps=engine.gradient_accumulation_steps,
            gradient_clipping=MAX_GRAD_NORM,
        )
    return engine


def read(path):
    """The examples, each a list of its sequences: one, or for DPO the better and the
    worse one.
    """
    lines = path.read_text("utf-8").split("\n") if path.is_file() else ()
    rows = [json.loads(line) for line in lines if line]
    return [
        [sequence(row["better"]), sequence(row["worse"])]
        if TRAINER == "dpo"
        else [sequence(row)]
        for row in rows
    ]


def sequence(row):
    """The tokens of an example (input_ids), and its labels, -100 where a token is not
    learned.
    """
    labels = [-100] * len(row["input_ids"])
    for start, end in row["learn"]:
        labels[start:end] = row["input_ids"][start:end]
    return {"input_ids": row["input_ids"], "labels": labels}


def longest(row):
    """The number of tokens of an example's longest sequence."""
    return max(len(sequence["input_ids"]) for sequence in row)


def steps(rows, general):
    """The rows of each step, epoch after epoch, until TOTAL_STEPS. general: how many of
    the last are general rows.
    """
    lengths = [longest(row) for row in rows]
    done, epoch = 0, 0
    while done < TOTAL_STEPS:
        for numbers in epoch_batches(lengths, EFFECTIVE_BATCH, SEED, epoch, general)[
            : TOTAL_STEPS - done
        ]:
            yield [rows[number] for number in numbers]
            done += 1
        epoch += 1


def micro_batches(rows, engine, least=0):
    """This process's share of `rows` in parts that fit into memory, the longest first,
    each with its weight.

    All processes have the same number of parts, at least `least`, since they pass
    through the model together. One that lacks rows repeats the shortest, which then
    counts for nothing.
    """
    ordered = sorted(rows, key=lambda row: -longest(row))
    own = ordered[engine.process_index :: engine.num_processes]
    parts = [(own[i : i + MICRO_BATCH], 1.0) for i in range(0, len(own), MICRO_BATCH)]
    most = math.ceil(math.ceil(len(rows) / engine.num_processes) / MICRO_BATCH)
    return parts + [(ordered[-1:], 0.0)] * (max(most, least) - len(parts))


def adamw(model, groups):
    import torch

    if OPTIM == "adamw":
        return torch.optim.AdamW(groups, lr=LEARNING_RATE)
    import bitsandbytes

    for module in model.modules():  # embeddings keep their state in 32 bits
        if isinstance(module, torch.nn.Embedding):
            bitsandbytes.optim.GlobalOptimManager.get_instance().register_module_override(
                module, "weight", {"optim_bits": 32}
            )
    paged = OPTIM == "paged_adamw_8bit" and torch.cuda.is_available()
    return bitsandbytes.optim.AdamW(
        groups, lr=LEARNING_RATE, optim_bits=8, is_paged=paged
    )


def language_part(name, revision):
    """The configuration of the language part of a model that also sees or hears."""
    from transformers import AutoConfig

    whole = AutoConfig.from_pretrained(name, revision=revision)
    part = whole.get_text_config()
    part.tie_word_embeddings = whole.tie_word_embeddings
    return part


def build(name, device, dtype, kind="NO"):
    """The model with its trainable weights in float32: an adapter (on a 4-bit base for
    QLoRA), or all of it.

    kind: accelerate's name of the engine. DeepSpeed keeps a copy in float32 by itself;
        FSDP divides 4-bit weights only where they are stored as numbers with a
        fraction.
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    options = {
        "dtype": torch.float32 if METHOD == "full" and kind != "DEEPSPEED" else dtype
    }
    if name == MODEL and REVISION:
        options["revision"] = REVISION
    if METHOD == "qlora":
        four_bit = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_quant_storage=dtype if kind == "FSDP" else torch.uint8,
        )
        options |= {"quantization_config": four_bit, "device_map": {"": device}}
    if RENAMED:
        options |= {
            "config": language_part(name, options.get("revision")),
            "key_mapping": RENAMED,
        }
    model = AutoModelForCausalLM.from_pretrained(name, use_safetensors=True, **options)
    model.config.use_cache = False
    torch.manual_seed(SEED)
    if METHOD != "full":
        from peft import LoraConfig, get_peft_model

        adapter = LoraConfig(
            task_type="CAUSAL_LM",
            r=LORA_RANK,
            lora_alpha=LORA_ALPHA,
            lora_dropout=LORA_DROPOUT,
            target_modules=list(TARGET_MODULES),
        )
        model = get_peft_model(model, adapter)
        model.peft_config["default"].base_model_name_or_path = MODEL or name
    if GRADIENT_CHECKPOINTING:
        model.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
        model.enable_input_require_grads()
    for weight in model.parameters():
        if weight.requires_grad and kind != "DEEPSPEED":
            weight.data = weight.data.float()
    for module in (
        model.modules()
    ):  # bitsandbytes on a processor: keep 4-bit weights in the form that has gradients
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def load_start(model, files):
    """Loads the weights that training goes on from."""
    from safetensors.torch import load_file

    weights = {name: value for file in files for name, value in load_file(file).items()}
    if METHOD == "full":
        loaded = model.load_state_dict(weights, strict=False)
    else:
        from peft import set_peft_model_state_dict

        loaded = set_peft_model_state_dict(model, weights)
    if loaded.unexpected_keys:
        raise ValueError(
            f"These weights do not fit this model: {loaded.unexpected_keys[0]}, and perhaps others."
        )


def token_losses(model, sequences, engine):
    """The loss of each learned token in `sequences`, padded on the right, and the
    number of its sequence.
    """
    import torch

    shape = (len(sequences), longest(sequences))
    ids, labels = torch.full(shape, PAD_ID), torch.full(shape, -100)
    mask = torch.zeros(shape, dtype=torch.long)
    for index, sequence in enumerate(sequences):
        length = len(sequence["input_ids"])
        ids[index, :length] = torch.tensor(sequence["input_ids"])
        labels[index, : length - 1] = torch.tensor(
            sequence["labels"][1:]
        )  # each position predicts the next token
        mask[index, :length] = 1
    ids, labels, mask = (tensor.to(engine.device) for tensor in (ids, labels, mask))
    learned = labels != -100
    # Only learned positions reach the output layer, which would otherwise take most of
    # the time and memory.
    output_layer = engine.unwrap_model(model).get_output_embeddings()
    hook = output_layer.register_forward_pre_hook(
        lambda _, inputs: (inputs[0][learned][None],)
    )
    try:
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[0]
    finally:
        hook.remove()
    losses = torch.nn.functional.cross_entropy(
        logits.float(), labels[learned], reduction="none"
    )
    return losses, learned.nonzero()[:, 0]


def summed_loss(model, rows, engine):
    """The sum of the losses of the learned tokens in `rows`. For DPO, of the pairs
    (arXiv:2305.18290, equation 7): from the gain in log-probability of the better
    answer over the base model, minus that of the worse answer.
    """
    import torch

    if TRAINER == "sft":
        return token_losses(model, [row[0] for row in rows], engine)[0].sum()
    reference = torch.tensor(
        [[sequence["reference"] for sequence in row] for row in rows],
        device=engine.device,
    ).T
    better, worse = answer_logprobs(model, rows, engine) - reference
    return -torch.nn.functional.logsigmoid(BETA * (better - worse)).sum()


def answer_logprobs(model, pairs, engine):
    """The log-probabilities of the better answers of `pairs`, and of the worse ones."""
    import torch

    losses, owners = token_losses(
        model, [row[0] for row in pairs] + [row[1] for row in pairs], engine
    )
    return (
        torch.zeros(2 * len(pairs), device=engine.device)
        .index_add(0, owners, -losses)
        .view(2, -1)
    )


def count(rows):
    """The number of items that the loss is the mean of: learned tokens of `rows`, for
    DPO pairs.
    """
    if TRAINER == "dpo":
        return len(rows)
    return max(1, sum(label != -100 for row in rows for label in row[0]["labels"]))


def save(model, engine, options):
    """Saves what was learned, and the tokenizer, in the folder for the result."""
    weights = engine.get_state_dict(model)
    if engine.is_main_process:
        model = engine.unwrap_model(model)
        once = {name for name, _ in model.named_parameters()}
        for name, _ in model.named_parameters(
            remove_duplicate=False
        ):  # an engine may give a shared weight twice
            if name not in once:
                weights.pop(name, None)
        choices = (
            {"save_original_format": not RENAMED}
            if METHOD == "full"
            else {"save_embedding_layers": False}
        )
        model.save_pretrained(options.out, state_dict=weights, **choices)
        for file in (options.folder / "tokenizer").glob("*"):
            shutil.copyfile(file, options.out / file.name)
    engine.wait_for_everyone()


def last_changes(folder):
    """When each file in a folder was last changed, in nanoseconds."""
    return {
        file: file.stat().st_mtime_ns for file in folder.iterdir() if file.is_file()
    }


def finite(numbers):
    """`numbers` with None for NaN and infinity, which JSON does not have."""
    return {
        name: number if math.isfinite(number) else None
        for name, number in numbers.items()
    }


def pack(options, before, saved, rows, seconds):
    """Writes the zip file that Apprentice imports: the run as it was exported, what it
    has learned, and its losses.

    before: last_changes of the result's folder before training; what is unchanged is
        not of this result
    saved: the step whose weights are in the result
    rows: the number of examples it learned from
    """
    lines = [
        json.loads(line)
        for line in (options.out / "losses.jsonl").read_text("utf-8").splitlines()
    ]
    losses = [line["loss"] for line in lines if "loss" in line]
    checked = {
        line["step"]: line["validation_loss"]
        for line in lines
        if "validation_loss" in line
    }
    epoch = math.ceil(rows / EFFECTIVE_BATCH)
    recent = losses[(len(losses) - 1) // epoch * epoch :]
    result = {
        "steps": len(losses),
        "best_step": saved,
        "train_loss": sum(recent) / len(recent),
        "seconds": seconds,
    }
    if checked:
        at = max(step for step in checked if step <= saved)
        result |= {
            "first_eval_loss": checked[0],
            "eval_loss": checked[at],
            "eval_step": at,
        }
    events = [
        {
            "time": time.time(),
            "attempt": 1,
            "kind": "step",
            "data": {**line, "epoch": line["step"] / epoch},
        }
        if "loss" in line
        else {
            "time": time.time(),
            "attempt": 1,
            "kind": "eval",
            "data": {**line, "loss": line["validation_loss"]},
        }
        for line in map(finite, lines)
    ]
    run = {
        file.name: file.read_bytes()
        for file in (options.folder / "apprentice").iterdir()
    }
    run["run.json"] = json.dumps(
        json.loads(run["run.json"]) | {"result": finite(result)}
    ).encode()
    run["events.jsonl"] = b"".join(
        json.dumps(event).encode() + b"\n" for event in events
    )
    learned = f"{NAME}-{'merged' if METHOD == 'full' else 'adapter'}"
    with zipfile.ZipFile(
        options.out.with_name(f"{options.out.name}.zip"), "w"
    ) as archive:
        listed = {}
        for name, data in run.items():
            archive.writestr(f"{NAME}/apprentice/{name}", data)
            listed[f"apprentice/{name}"] = {"sha256": hashlib.sha256(data).hexdigest()}
        for file in sorted(
            file
            for file, at in last_changes(options.out).items()
            if before.get(file) != at
        ):
            archive.write(file, f"{NAME}/{learned}/{file.name}")
            with file.open("rb") as opened:
                listed[f"{learned}/{file.name}"] = {
                    "sha256": hashlib.file_digest(opened, "sha256").hexdigest()
                }
        archive.writestr(f"{NAME}/MANIFEST.json", json.dumps({"files": listed}))


def main():
    options = arguments()
    if options.engine and not {"RANK", LAUNCHED} & os.environ.keys():
        sys.exit(launch(options))

    import torch
    from accelerate.utils import gather_object
    from transformers import get_scheduler

    began = time.monotonic()
    engine = connect(options.folder)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[
        PRECISION
    ]
    parts = ("train", "validation", "general")
    train, validation, general = (
        read(options.folder / "data" / f"{part}.jsonl") for part in parts
    )
    train += general
    options.out.mkdir(parents=True, exist_ok=True)
    before = last_changes(options.out)
    log_file = (
        (options.out / "losses.jsonl").open("w", encoding="utf-8")
        if engine.is_main_process
        else None
    )
    model = build(options.model, engine.device, dtype, engine.distributed_type)
    if weights := sorted(options.folder.glob("start/*.safetensors")):
        load_start(model, weights)
    if engine.process_index:
        torch.manual_seed(
            SEED + engine.process_index
        )  # a dropout of its own; the weights are those of the first
    trainable = {
        name: weight
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }
    no_decay = [name for name in trainable if name.endswith("bias") or "norm" in name]
    groups = [
        {
            "params": [trainable[name] for name in trainable if name not in no_decay],
            "weight_decay": WEIGHT_DECAY,
        },
        {"params": [trainable[name] for name in no_decay], "weight_decay": 0.0},
    ]
    optimizer = adamw(
        model, [group for group in groups if group["params"]]
    )  # DeepSpeed leaves out an empty one
    kind = (
        "constant_with_warmup" if LR_SCHEDULER_TYPE == "constant" else LR_SCHEDULER_TYPE
    )
    schedule = get_scheduler(
        kind, optimizer, WARMUP_STEPS, TOTAL_STEPS
    )  # counts steps, so it is not prepared
    model, optimizer = engine.prepare(model, optimizer)
    share = (
        engine.gradient_accumulation_steps * engine.num_processes
    )  # by which the engine divides gradients

    def log(**line):
        if engine.is_main_process:
            print(json.dumps(line), flush=True)
            log_file.write(json.dumps(line) + "\n")
            log_file.flush()

    def evaluate():
        model.eval()
        with torch.no_grad():
            parts = micro_batches(validation, engine)
            losses = [
                weight * summed_loss(model, part, engine).item()
                for part, weight in parts
            ]
        return sum(gather_object(losses)) / count(validation)

    def compute_reference_logprobs(pairs):
        """Stores the log-probabilities of both answers of each pair before training."""
        numbers = {id(row): number for number, row in enumerate(pairs)}
        computed = []
        model.eval()
        with torch.no_grad():
            for part, weight in micro_batches(pairs, engine):
                logprobs = answer_logprobs(model, part, engine).T.tolist()
                computed += (
                    zip([numbers[id(row)] for row in part], logprobs, strict=True)
                    if weight
                    else []
                )
        for number, logprobs in gather_object(computed):
            pairs[number][0]["reference"], pairs[number][1]["reference"] = logprobs

    planned = list(islice(steps(train, len(general)), options.steps))
    if TRAINER == "dpo":
        compute_reference_logprobs(
            [*{id(row): row for rows in planned for row in rows}.values(), *validation]
        )
    if validation:
        log(step=0, validation_loss=evaluate())
    best, stale, saved = float("inf"), 0, 0
    for step, rows in enumerate(planned, start=1):
        model.train()
        counted, losses = count(rows), []
        for part, weight in micro_batches(
            rows, engine, engine.gradient_accumulation_steps
        ):
            with engine.accumulate(model):
                loss = weight * summed_loss(model, part, engine) / counted
                engine.backward(share * loss)
                losses.append(loss.item())
                if engine.sync_gradients:
                    norm = engine.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
                optimizer.step()
                optimizer.zero_grad()
        rate = schedule.get_last_lr()[0]
        log(
            step=step,
            loss=sum(gather_object(losses)),
            grad_norm=float(norm),
            learning_rate=rate,
        )
        if not engine.optimizer_step_was_skipped:
            schedule.step()
        if validation and step in EVAL_STEPS:
            validation_loss = evaluate()
            log(step=step, validation_loss=validation_loss)
            if SAVE_BEST and validation_loss < best:
                best, stale, saved = validation_loss, 0, step
                save(model, engine, options)
            elif SAVE_BEST:
                stale += 1
                if PATIENCE and stale >= PATIENCE:
                    break
    if not saved:  # the last step is saved
        saved = len(planned)
        save(model, engine, options)
    if (
        engine.is_main_process
        and options.steps >= TOTAL_STEPS
        and (options.folder / "apprentice").is_dir()
    ):
        log_file.close()
        pack(options, before, saved, len(train), time.monotonic() - began)
    engine.wait_for_everyone()  # gloo deadlocks if it is destroyed while its thread frees what was gathered last
    engine.end_training()


if __name__ == "__main__":
    main()
