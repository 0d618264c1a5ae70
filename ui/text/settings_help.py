"""The name of each training setting, what it does, and which way to turn it: the only place for these words."""

from __future__ import annotations

from typing import NamedTuple


class Help(NamedTuple):
    """label: the field's term, as a heading. says: what it does and which way to turn it, for a beginner."""

    label: str
    says: str

    @property
    def term(self) -> str:
        """The label inside a sentence: "learning rate", "LoRA rank"."""
        return self.label[0].lower() + self.label[1:] if self.label[1:2].islower() else self.label


METHODS = {  # what is trained, and the field's term
    "lora": ("a small addition to the model", "LoRA"),
    "qlora": ("a small addition to the model, compressed to 4 bits", "QLoRA"),
    "full": ("the whole model", "full fine-tuning"),
}

GOAL = "What it learns"  # shown with the plan, where the examples are pairs

GROUPS: dict[str, tuple[str, ...]] = {
    GOAL: ("trainer",),
    "Duration and learning rate": (
        "num_train_epochs",
        "max_steps",
        "learning_rate",
        "lr_scheduler_type",
        "warmup_ratio",
        "early_stopping",
        "early_stopping_patience",
    ),
    "Examples": (
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "max_length",
        "long_documents",
        "window_overlap",
        "packing",
        "validation_fraction",
    ),
    "Method": (
        "method",
        "lora_rank",
        "lora_alpha",
        "lora_dropout",
        "target_modules",
        "use_rslora",
        "use_dora",
    ),
    "Technical settings": (
        "precision",
        "gradient_checkpointing",
        "optim",
        "weight_decay",
        "max_grad_norm",
        "beta",
        "seed",
    ),
}

SETTINGS: dict[str, Help] = {
    "trainer": Help(
        "What to learn from your pairs",
        "From the good answers (SFT), it learns to answer like them and never sees the bad ones. From the difference "
        "(DPO), it learns to prefer the good answer to the bad one. That suits a model that is almost right already "
        "and needs the right tone, length or manners.",
    ),
    "beta": Help(
        "Beta",
        "Only for DPO: how closely the model stays to the base model. Lower it to 0.05 when its answers hardly "
        "change; raise it to 0.3 when they go off track.",
    ),
    "method": Help(
        "Training method",
        "LoRA trains a small addition, an adapter, and leaves the model itself unchanged. QLoRA does the same with "
        "the model compressed to 4 bits: a quarter of the memory, a little slower. Full trains the whole model and "
        "needs far more memory.",
    ),
    "lora_rank": Help(
        "LoRA rank",
        "The size of the adapter. 8 suits up to about 1,000 examples, 16 suits more. A higher rank learns finer "
        "detail, but with few examples it memorizes them.",
    ),
    "lora_alpha": Help(
        "LoRA alpha",
        "How strongly the adapter counts. Usually twice the rank; raise both together.",
    ),
    "lora_dropout": Help(
        "Dropout",
        "The share of the adapter that is switched off at random during training. Raise it to 0.05 when the model "
        "memorizes your examples; 0 is right for most.",
    ),
    "target_modules": Help(
        "Target modules",
        "The layers that get an adapter. All layers learn more at the same rank; attention only is smaller and a "
        "little faster.",
    ),
    "use_rslora": Help(
        "Rank-stabilized LoRA (rsLoRA)",
        "Keeps a large adapter from losing its effect. Turn it on from rank 32; at rank 8 it makes the adapter "
        "almost three times as strong.",
    ),
    "use_dora": Help(
        "Weight-decomposed LoRA (DoRA)",
        "Comes a little closer to full training, most of all with a small adapter. Training takes noticeably longer "
        "and needs more memory; the finished model is as fast as any.",
    ),
    "learning_rate": Help(
        "Learning rate",
        "How far each step changes the model. Halve it when the loss jumps up; raise it by half when the loss hardly "
        "moves after 100 steps.",
    ),
    "lr_scheduler_type": Help(
        "Learning rate schedule",
        "Cosine and linear lower the learning rate toward the end, so that the model settles. Constant does not.",
    ),
    "warmup_ratio": Help(
        "Warmup ratio",
        "The share of steps over which the learning rate rises from zero. 0.1 is a tenth. Raise it when the loss "
        "jumps at the very beginning.",
    ),
    "optim": Help(
        "Optimizer",
        "AdamW keeps two more numbers for every trained one. In 8 bits these take a quarter of the memory, which "
        "counts when all weights are trained; paged, they can move to the computer's memory while a graphics card is "
        "short of its own. Needs the package bitsandbytes. Tested on a processor, not yet on a graphics card.",
    ),
    "weight_decay": Help(
        "Weight decay",
        "Keeps the trained numbers small. Raise it to 0.01 when the model memorizes your examples; 0 is right for "
        "most.",
    ),
    "max_grad_norm": Help(
        "Gradient clipping",
        "Limits how far one step can change the model, so that a single odd example can't throw it off. Lower is "
        "steadier.",
    ),
    "num_train_epochs": Help(
        "Epochs",
        "How many times training goes through all your examples. 3 suits about 500 examples. Fewer examples need "
        "more: a model of less than 500 million parameters takes at least 60 steps, up to 20 epochs; larger "
        "models take up to 5. With more than that, the model may memorize them.",
    ),
    "max_steps": Help(
        "Maximum steps",
        "Ends training after this many steps, whatever the epochs say. -1 means no limit. Useful for a quick try.",
    ),
    "per_device_train_batch_size": Help(
        "Batch size",
        "How many examples are read at once. More is faster and needs more memory. When memory runs out, halve it "
        "and double the gradient accumulation.",
    ),
    "gradient_accumulation_steps": Help(
        "Gradient accumulation",
        "How many batches are read for one step. Multiplied by the batch size, this gives the effective batch "
        "size. 8 to 16 is right for most; above 32 the model learns less from each example.",
    ),
    "max_length": Help(
        "Maximum length",
        "The longest example in tokens; anything beyond it is cut off. A token is about three quarters of an English "
        "word. Longer needs more memory.",
    ),
    "long_documents": Help(
        "Long documents",
        "Windows divide a long plain text into overlapping pieces, so that all of it is learned. Truncate keeps only "
        "the beginning. Conversations are never divided.",
    ),
    "window_overlap": Help(
        "Window overlap",
        "How many tokens each piece of a long document repeats from the one before. More keeps long trains of "
        "thought together and takes longer. A number above half the maximum length counts as that half. "
        "Conversations, and texts that fit into one piece, are not affected.",
    ),
    "packing": Help(
        "Packing",
        "Joins short examples into rows of the maximum length, so that no time is lost on empty space. They can't "
        "see each other. Worth it on a graphics card; a processor is faster with examples of similar length "
        "together.",
    ),
    "gradient_checkpointing": Help(
        "Gradient checkpointing",
        "Uses a third less memory and takes about a fifth longer. Turn it on when memory is short.",
    ),
    "precision": Help(
        "Precision",
        "Auto picks what is fastest and safe on this computer: bf16 where the hardware has it, otherwise fp16 or "
        "fp32.",
    ),
    "seed": Help(
        "Random seed",
        "The same seed gives the same run. Another one shuffles the examples differently.",
    ),
    "early_stopping": Help(
        "Early stopping",
        "Checks the model on the validation examples. When it stops improving, training ends and the best "
        "version is saved. With fewer than 24 examples set aside, the last version is saved.",
    ),
    "early_stopping_patience": Help(
        "Early stopping patience",
        "How many checks in a row may pass without improvement before training stops. Raise it for a bumpy curve.",
    ),
    "validation_fraction": Help(
        "Validation fraction",
        "The share of your examples set aside for validation. They are never trained on and show whether it "
        "really learned. 0.1 is a tenth. Whatever the share, at least 24 examples are set aside, or a quarter "
        "where there are fewer than 96, because fewer would show little. 0 sets none aside. It has no effect with "
        "a validation file of your own.",
    ),
}
