"""What every number of the recipe is called, does, and which way to turn it: the one source of these words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Help:
    """label: plain words. term: the field's name for it. says: what it does and which way to turn it."""

    label: str
    term: str
    says: str


GOAL = "What it learns"  # asked beside the plan, where the examples are pairs

GROUPS: dict[str, tuple[str, ...]] = {
    GOAL: ("trainer",),
    "How long and how fast it learns": (
        "num_train_epochs",
        "max_steps",
        "learning_rate",
        "lr_scheduler_type",
        "warmup_ratio",
        "early_stopping",
        "early_stopping_patience",
    ),
    "How much it reads at once": (
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "max_length",
        "long_documents",
        "window_overlap",
        "packing",
        "validation_fraction",
    ),
    "What is trained": (
        "method",
        "lora_rank",
        "lora_alpha",
        "lora_dropout",
        "target_modules",
        "use_rslora",
        "use_dora",
    ),
    "Numbers behind the numbers": (
        "precision",
        "gradient_checkpointing",
        "num_processes",
        "sharding",
        "weight_decay",
        "max_grad_norm",
        "beta",
        "seed",
    ),
}

SETTINGS: dict[str, Help] = {
    "trainer": Help(
        "What to learn from your pairs",
        "trainer: SFT or DPO",
        "From the good answers it learns to answer like them, and never sees the bad ones. From the difference it "
        "learns to prefer the one to the other, which suits a model that can nearly do it: tone, length, manners.",
    ),
    "beta": Help(
        "Hold on what it was",
        "beta, for DPO",
        "Only for learning the difference: how strongly the model is kept near the one it came from. Lower it, to "
        "0.05, when it hardly changes; raise it, to 0.3, when its answers go astray.",
    ),
    "method": Help(
        "How the model is trained",
        "method",
        "LoRA trains a small addition and leaves the model as it is. QLoRA does the same on a model squeezed to "
        "4 bits: a quarter of the memory, a little slower. Full trains everything and needs far more memory.",
    ),
    "lora_rank": Help(
        "Size of the addition",
        "LoRA rank, r",
        "How much the addition can hold. 8 suits up to about 1,000 examples, 16 more. Higher learns finer detail "
        "and remembers single examples too readily when there are few.",
    ),
    "lora_alpha": Help(
        "Weight of the addition",
        "LoRA alpha",
        "How strongly the addition speaks. Usually twice the size above. Raise both together.",
    ),
    "lora_dropout": Help(
        "Forgetting on purpose",
        "LoRA dropout",
        "The share of the addition that is switched off at random in practice. Raise to 0.05 when it learns your "
        "examples by heart; 0 is right for most.",
    ),
    "target_modules": Help(
        "Parts that get an addition",
        "target modules",
        "All layers learn more for the same size. Attention only is smaller and a little faster.",
    ),
    "use_rslora": Help(
        "Steady weight at any size",
        "rank-stabilised LoRA, rsLoRA",
        "Keeps a large addition from growing faint: its weight falls with the square root of its size instead of its "
        "size. Switch on with sizes of 32 and more; at 8 it speaks almost three times as loudly.",
    ),
    "use_dora": Help(
        "Learn strength and direction apart",
        "weight-decomposed LoRA, DoRA",
        "Comes a little closer to training everything, above all with a small addition. Training takes clearly "
        "longer and more memory; the finished model is as fast as any.",
    ),
    "learning_rate": Help(
        "Size of each correction",
        "learning rate",
        "How far one step moves the model. Halve it when the curve jumps up; raise it by half when the curve "
        "hardly moves after 100 steps.",
    ),
    "lr_scheduler_type": Help(
        "How corrections shrink",
        "learning-rate schedule",
        "Cosine and linear make the corrections smaller towards the end, so that it settles. Constant does not.",
    ),
    "warmup_ratio": Help(
        "Gentle start",
        "warm-up ratio",
        "The share of steps in which the corrections grow from nothing. 0.1 is a tenth. Raise it when the curve "
        "jumps at the very beginning.",
    ),
    "num_processes": Help(
        "Cards that learn together",
        "number of processes",
        "Several equal graphics cards share out the examples of each step. It learns the same and is faster. At most "
        "as many as there are cards; 1 is right for most.",
    ),
    "sharding": Help(
        "How cards share the model",
        "sharding: FSDP, ZeRO-2",
        "For a model that is too much for one card. Divided, each card keeps a part of the model and gets the rest "
        "while it is needed: slower, far less memory. With ZeRO-2, only for full training, each card works with the "
        "whole model, and what the corrections need waits in the computer's memory. It learns the same. For each "
        "card the whole model is first loaded into the computer's memory. Tested with two processes on a processor, "
        "not yet on cards.",
    ),
    "weight_decay": Help(
        "Pull towards zero",
        "weight decay",
        "Keeps the trained numbers small. Raise to 0.01 when it learns your examples by heart; 0 is right for most.",
    ),
    "max_grad_norm": Help(
        "Limit of one correction",
        "gradient clipping",
        "Cuts a correction that is larger than this, so that one odd example can't throw it off. Lower is calmer.",
    ),
    "num_train_epochs": Help(
        "Practice rounds",
        "epochs",
        "How often it goes through all your examples. 3 suits about 500 examples; more than 5 and it may learn "
        "them by heart.",
    ),
    "max_steps": Help(
        "Stop after so many steps",
        "maximum steps, max_steps",
        "Ends early after this many steps, whatever the rounds say. -1 means no limit. Useful for a quick try.",
    ),
    "per_device_train_batch_size": Help(
        "Examples read at once",
        "micro batch size",
        "More is faster and needs more memory. Lower it when memory runs out and raise the next number as much.",
    ),
    "gradient_accumulation_steps": Help(
        "Readings per correction",
        "gradient accumulation",
        "How many readings are gathered before the model is corrected once. Times the number above, this makes "
        "the effective batch; 8 to 16 is right for most, above 32 it learns less from each example.",
    ),
    "max_length": Help(
        "Longest example",
        "maximum length in tokens",
        "What is beyond this is cut off. A token is about three quarters of an English word. Longer needs more "
        "memory.",
    ),
    "long_documents": Help(
        "Documents longer than that",
        "sliding windows or truncation",
        "Windows divide a long plain text into pieces that overlap, so that all of it is learned, each piece by "
        "itself. Truncate keeps its beginning only. Conversations are never divided.",
    ),
    "window_overlap": Help(
        "What two pieces share",
        "overlap of the windows, in tokens",
        "Each piece of a long document begins with the end of the one before: so many tokens, at most half a piece. "
        "More keeps longer threads of thought and takes longer.",
    ),
    "packing": Help(
        "Fill the rows up",
        "packing",
        "Joins short examples into rows of the longest length, so that no time is spent on empty room. They do not "
        "see each other. Pays on a graphics card; a processor is faster with examples of similar length together.",
    ),
    "gradient_checkpointing": Help(
        "Save memory by working twice",
        "gradient checkpointing",
        "Uses a third less memory and takes about a fifth longer. Switch on when memory is short.",
    ),
    "precision": Help(
        "Exactness of the arithmetic",
        "precision",
        "Auto takes what this computer does fastest and safely: bf16 where the processor has it, else fp16 or fp32.",
    ),
    "seed": Help(
        "Number that chance begins with",
        "random seed",
        "The same number gives the same run. Another one shuffles the examples differently.",
    ),
    "early_stopping": Help(
        "Stop when it gets no better",
        "early stopping",
        "Watches the examples that were kept back. When they stop improving it stops and keeps the best version.",
    ),
    "early_stopping_patience": Help(
        "Tests to wait",
        "patience, in evaluations",
        "How many tests in a row may bring nothing before it stops. Raise it when the curve is restless.",
    ),
    "validation_fraction": Help(
        "Share kept back for testing",
        "validation fraction",
        "These examples are never practised on; they show whether it really learned. 0.1 is a tenth.",
    ),
}
