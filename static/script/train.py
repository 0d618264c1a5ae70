# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = []
# ///
"""Trains a language model on the examples in the folder data next to this file.

    uv run train.py                      installs the packages in the header, then trains
    python train.py                      where those packages are installed
    python train.py --model FOLDER       from a copy of the model on this computer
    accelerate launch --multi_gpu --num_processes 2 train.py
                                         on two GPUs: they share the examples of each step, so the result is the same
                                         (several machines: copy this folder to each, and see its --num_machines)
    deepspeed --no_local_rank --num_gpus 2 train.py
                                         the same, started by DeepSpeed's launcher (not tried); without ZeRO,
                                         which needs DeepSpeed's own engine: each GPU holds the whole model

Each example has its text for people, its tokens (input_ids), and the spans of them to learn (learn: from, to). For
DPO each example has two answers, a better and a worse one, and the difference between them is learned.
If there is a folder start, training continues from the weights of the earlier version in it.
If there is an instruction.txt, most examples start with that text as their system message; so should every question.
The result is saved in the folder out, with the loss of every step in losses.jsonl.
"""

import argparse
import json
import os
import random
import shutil
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

# settings
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
USE_RSLORA = False
USE_DORA = False
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
RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))  # set by accelerate and torchrun


def arguments():
    parser = argparse.ArgumentParser(description="Train as the settings at the top of this file say.")
    parser.add_argument("--model", default=MODEL, help="a folder, or a name on the Hugging Face hub")
    parser.add_argument("--train", type=Path, default=HERE / "data" / "train.jsonl")
    parser.add_argument("--validation", type=Path, default=HERE / "data" / "validation.jsonl")
    parser.add_argument("--tokenizer", type=Path, nargs="*", default=sorted(HERE.glob("tokenizer/*")))
    parser.add_argument("--start", type=Path, nargs="*", default=sorted(HERE.glob("start/*.safetensors")))
    parser.add_argument("--out", type=Path, default=HERE / "out")
    parser.add_argument("--steps", type=int, default=TOTAL_STEPS, help="stop after this many steps")
    options = parser.parse_args()
    if not options.model:
        parser.error("the base model is not on the Hugging Face hub: give its folder with --model FOLDER")
    return options


def read(path):
    """The examples, each a list of its sequences: one, or for DPO the better and the worse one."""
    lines = path.read_text("utf-8").split("\n") if path.is_file() else ()
    rows = [json.loads(line) for line in lines if line]
    return [
        [sequence(row["better"]), sequence(row["worse"])] if TRAINER == "dpo" else [sequence(row)] for row in rows
    ]


def sequence(row):
    """The tokens of an example (input_ids), and its labels, -100 where a token is not learned."""
    labels = [-100] * len(row["input_ids"])
    for start, end in row["learn"]:
        labels[start:end] = row["input_ids"][start:end]
    return {"input_ids": row["input_ids"], "labels": labels}


def longest(row):
    """The number of tokens of an example's longest sequence."""
    return max(len(sequence["input_ids"]) for sequence in row)


def epoch_batches(lengths, batch, seed, epoch):
    """Every row once, as batches of row numbers: shuffled, similar lengths together, the batches shuffled again."""
    draw = random.Random(f"{seed}/{epoch}")  # noqa: S311 (no secret)
    order = list(range(len(lengths)))
    draw.shuffle(order)
    pool = batch * max(1, min(50, len(order) // (4 * batch)))
    batches = []
    for start in range(0, len(order), pool):
        alike = sorted(order[start : start + pool], key=lambda row: lengths[row])
        batches += [alike[i : i + batch] for i in range(0, len(alike), batch)]
    draw.shuffle(batches)
    return batches


def steps(rows):
    """The rows of each step, epoch after epoch, until TOTAL_STEPS."""
    lengths = [longest(row) for row in rows]
    done, epoch = 0, 0
    while done < TOTAL_STEPS:
        for numbers in epoch_batches(lengths, EFFECTIVE_BATCH, SEED, epoch)[: TOTAL_STEPS - done]:
            yield [rows[number] for number in numbers]
            done += 1
        epoch += 1


def own_rows(rows):
    """This process's share of `rows`: all of them, unless several processes train together."""
    return rows[RANK::WORLD]


def micro_batches(rows):
    """A step's rows in parts that fit into memory, the longest first."""
    ordered = sorted(rows, key=lambda row: -longest(row))
    return [ordered[i : i + MICRO_BATCH] for i in range(0, len(ordered), MICRO_BATCH)]


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
    return bitsandbytes.optim.AdamW(groups, lr=LEARNING_RATE, optim_bits=8, is_paged=paged)


def language_part(name, revision):
    """The configuration of the language part of a model that also sees or hears."""
    from transformers import AutoConfig

    whole = AutoConfig.from_pretrained(name, revision=revision)
    part = whole.get_text_config()
    part.tie_word_embeddings = whole.tie_word_embeddings
    return part


def build(name, device, dtype):
    """The model with its trainable weights in float32: an adapter (on a 4-bit base for QLoRA), or all of it."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    options = {"dtype": torch.float32 if METHOD == "full" else dtype}
    if name == MODEL and REVISION:
        options["revision"] = REVISION
    if METHOD == "qlora":
        four_bit = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        options |= {"quantization_config": four_bit, "device_map": {"": device}}
    if RENAMED:
        options |= {"config": language_part(name, options.get("revision")), "key_mapping": RENAMED}
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
            use_rslora=USE_RSLORA,
            use_dora=USE_DORA,
        )
        model = get_peft_model(model, adapter)
    if GRADIENT_CHECKPOINTING:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    for module in model.modules():  # bitsandbytes on a processor: keep 4-bit weights in the form that has gradients
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model if METHOD == "qlora" else model.to(device)


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
        raise ValueError(f"These weights do not fit this model: {loaded.unexpected_keys[0]}, and perhaps others.")


def token_losses(model, sequences, device):
    """The loss of each learned token in `sequences`, padded on the right, and the number of its sequence."""
    import torch

    shape = (len(sequences), longest(sequences))
    ids, labels = torch.full(shape, PAD_ID), torch.full(shape, -100)
    mask = torch.zeros(shape, dtype=torch.long)
    for index, sequence in enumerate(sequences):
        length = len(sequence["input_ids"])
        ids[index, :length] = torch.tensor(sequence["input_ids"])
        labels[index, : length - 1] = torch.tensor(sequence["labels"][1:])  # each position predicts the next token
        mask[index, :length] = 1
    learned = (labels != -100).to(device)
    # Only learned positions reach the output layer, which would otherwise take most of the time and memory.
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0][learned][None],))
    try:
        logits = model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits[0]
    finally:
        hook.remove()
    losses = torch.nn.functional.cross_entropy(logits.float(), labels.to(device)[learned], reduction="none")
    return losses, learned.nonzero()[:, 0]


def summed_loss(model, rows, device):
    """The sum of the losses of the learned tokens in `rows`. For DPO, of the pairs (arXiv:2305.18290, equation 7):
    from the gain in log-probability of the better answer over the base model, minus that of the worse answer."""
    import torch

    if TRAINER == "sft":
        return token_losses(model, [row[0] for row in rows], device)[0].sum()
    reference = torch.tensor([[sequence["reference"] for sequence in row] for row in rows], device=device).T
    better, worse = answer_logprobs(model, rows, device) - reference
    return -torch.nn.functional.logsigmoid(BETA * (better - worse)).sum()


def answer_logprobs(model, pairs, device):
    """The log-probabilities of the better answers of `pairs`, and of the worse ones."""
    import torch

    losses, owners = token_losses(model, [row[0] for row in pairs] + [row[1] for row in pairs], device)
    return torch.zeros(2 * len(pairs), device=device).index_add(0, owners, -losses).view(2, -1)


def count(rows):
    """The number of items that the loss is the mean of: learned tokens of `rows`, for DPO pairs."""
    if TRAINER == "dpo":
        return len(rows)
    return max(1, sum(label != -100 for row in rows for label in row[0]["labels"]))


def init_processes(device):
    """Connects to the other processes, if any; returns the device to train on, a GPU of its own for each."""
    import torch

    if WORLD == 1:
        return device
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group("nccl")
        return device
    torch.distributed.init_process_group("gloo")
    return "cpu"


def all_reduce(number, device):
    """The sum of `number` over all processes."""
    import torch

    if WORLD == 1:
        return number
    total = torch.tensor(number, dtype=torch.float64, device=device)
    torch.distributed.all_reduce(total)
    return total.item()


def reduce_gradients(weights):
    """Gives every process the sum of all gradients; one that had no examples in this step adds zeros."""
    import torch

    for weight in weights if WORLD > 1 else ():
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        torch.distributed.all_reduce(weight.grad)


def main():
    options = arguments()

    import torch
    from transformers import get_scheduler

    device = init_processes(
        "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    )
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[PRECISION]

    def autocast():
        return nullcontext() if PRECISION == "fp32" else torch.autocast(device, dtype=dtype)

    train, validation = read(options.train), read(options.validation)
    options.out.mkdir(parents=True, exist_ok=True)
    log_file = (options.out / "losses.jsonl").open("w", encoding="utf-8") if RANK == 0 else None
    model = build(options.model, device, dtype)
    if options.start:
        load_start(model, options.start)
    trainable = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    no_decay = [name for name in trainable if name.endswith("bias") or "norm" in name]
    groups = [
        {"params": [trainable[name] for name in trainable if name not in no_decay], "weight_decay": WEIGHT_DECAY},
        {"params": [trainable[name] for name in no_decay], "weight_decay": 0.0},
    ]
    optimizer = adamw(model, groups)
    kind = "constant_with_warmup" if LR_SCHEDULER_TYPE == "constant" else LR_SCHEDULER_TYPE
    schedule = get_scheduler(kind, optimizer, WARMUP_STEPS, TOTAL_STEPS)
    scaler = torch.amp.GradScaler(device, enabled=PRECISION == "fp16")
    scaler.scale(torch.zeros(1, device=device))  # initializes it even without an example in the first step

    def log(**line):
        if RANK > 0:
            return
        print(json.dumps(line), flush=True)
        log_file.write(json.dumps(line) + "\n")
        log_file.flush()

    def evaluate():
        model.eval()
        with torch.no_grad(), autocast():
            loss = sum(summed_loss(model, part, device).item() for part in micro_batches(own_rows(validation)))
        return all_reduce(loss, device) / count(validation)

    def save():
        if RANK > 0:
            return
        model.save_pretrained(options.out)
        for file in options.tokenizer:
            shutil.copyfile(file, options.out / file.name)

    def compute_reference_logprobs(pairs):
        """Stores the log-probabilities of both answers of each pair before training."""
        model.eval()
        with torch.no_grad(), autocast():
            for part in micro_batches(pairs):
                for row, logprobs in zip(part, answer_logprobs(model, part, device).T.tolist(), strict=True):
                    row[0]["reference"], row[1]["reference"] = logprobs

    planned = list(islice(steps(train), options.steps))
    if TRAINER == "dpo":
        compute_reference_logprobs(
            [*{id(row): row for rows in planned for row in own_rows(rows)}.values(), *own_rows(validation)]
        )
    if validation:
        log(step=0, validation_loss=evaluate())
    best, stale = float("inf"), 0
    for step, rows in enumerate(planned, start=1):
        model.train()
        counted, loss = count(rows), 0.0
        for part in micro_batches(own_rows(rows)):
            with autocast():
                part_loss = summed_loss(model, part, device) / counted
            scaler.scale(part_loss).backward()
            loss += part_loss.item()
        reduce_gradients(trainable.values())
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(trainable.values(), MAX_GRAD_NORM).item()
        log(step=step, loss=all_reduce(loss, device), grad_norm=norm, learning_rate=schedule.get_last_lr()[0])
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        optimizer.zero_grad()
        if validation and step in EVAL_STEPS:
            validation_loss = evaluate()
            log(step=step, validation_loss=validation_loss)
            if SAVE_BEST and validation_loss < best:
                best, stale = validation_loss, 0
                save()
            elif SAVE_BEST:
                stale += 1
                if PATIENCE and stale >= PATIENCE:
                    break
    if best == float("inf"):  # the last step is saved
        save()
    if WORLD > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
