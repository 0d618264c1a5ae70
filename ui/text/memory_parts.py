"""What takes memory, in plain words: the parts that backend.estimate counts, and where each formula is from."""

from __future__ import annotations

from typing import NamedTuple

MODEL, LEARNS, READING, ANSWERS, PROGRAMS = (
    "the model", "what is trained", "reading your examples", "comparing answers", "programs",
)  # fmt: skip


class Part(NamedTuple):
    """group: the colour of the bar that it is in. words: what it is. source: its formula and where that is from."""

    group: str
    words: str
    source: str


PARTS: dict[str, Part] = {
    "weights": Part(
        MODEL,
        "The model's own numbers",
        "2 bytes each in 16 bits, 4 in 32; half a byte in 4 bits (bitsandbytes NF4).",
    ),
    "quantisation scales": Part(
        MODEL, "Scales of the 4-bit numbers", "One for each 64 numbers (Dettmers et al., QLoRA, 2023, section 3)."
    ),
    "fp32 leftovers": Part(
        MODEL, "Parts kept in 32 bits", "4 bytes each for norms, embeddings and head (peft, k-bit preparation)."
    ),
    "model file": Part(MODEL, "The model's file beside it", "2 bytes for each number, while it is read."),
    "adapter": Part(
        LEARNS, "The addition that learns", "4 bytes x rank x (inputs + outputs) a layer (Hu et al., LoRA, 2021)."
    ),
    "gradients": Part(
        LEARNS, "What each number should change", "One for each number that learns, as torch's autograd keeps them."
    ),
    "optimizer": Part(
        LEARNS,
        "The memory of earlier corrections",
        "Two for each number that learns (AdamW, Loshchilov and Hutter, 2019).",
    ),
    "activations": Part(
        READING,
        "What is kept of each example while it is read",
        "One training step is played through, tensor by tensor, as torch's autograd keeps them; grows with examples "
        "read at once x their length.",
    ),
    "logits and loss": Part(
        ANSWERS, "A score for every word it could say", "Learned tokens read at once x words of the vocabulary."
    ),
    "programs": Part(PROGRAMS, "Python and the training libraries", "Measured in runs on a processor."),
    "CUDA context": Part(
        PROGRAMS,
        "The graphics card's own programs",
        "141 MiB measured on a T4 in 49 runs; 450 MiB allowed for newer cards.",
    ),
    "cuBLAS workspace": Part(
        PROGRAMS, "Room for multiplying on the card", "8 MiB a direction, 32 on Hopper (ATen, CublasHandlePool.cpp)."
    ),
    "fragmentation": Part(
        PROGRAMS, "Gaps between the pieces", "torch's memory allocator is played through (CUDACachingAllocator.cpp)."
    ),
}
MEMORY: dict[str, tuple[str, ...]] = {
    group: tuple(name for name, part in PARTS.items() if part.group == group)
    for group in (MODEL, LEARNS, READING, ANSWERS, PROGRAMS)
}
