"""The parts of the memory estimate in plain words, each with the source of its formula in backend.estimate."""

from typing import NamedTuple

MODEL, TRAINED, READING, SCORES, PROGRAMS = (
    "the model", "what is trained", "reading your examples", "scoring answers", "programs",
)  # fmt: skip


class Part(NamedTuple):
    """group: its segment of the memory bar. name: in plain words. source: the formula, and where it is from."""

    group: str
    name: str
    source: str


PARTS: dict[str, Part] = {
    "weights": Part(
        MODEL,
        "The model's weights",
        "2 bytes each in 16 bits, 4 in 32 bits, half a byte in 4 bits (bitsandbytes NF4).",
    ),
    "quantization scales": Part(
        MODEL,
        "Scales of the 4-bit weights",
        "One for every 64 weights (Dettmers et al., QLoRA, 2023, section 3).",
    ),
    "fp32 leftovers": Part(
        MODEL, "Layers that stay in 32 bits", "4 bytes each for norms, embeddings and head (peft, k-bit preparation)."
    ),
    "model file": Part(MODEL, "The model's file", "2 bytes for each weight, while it is loaded."),
    "adapter": Part(TRAINED, "The adapter", "4 bytes x rank x (inputs + outputs) per layer (Hu et al., LoRA, 2021)."),
    "gradients": Part(TRAINED, "Gradients", "One for each trained weight, as torch's autograd stores them."),
    "optimizer": Part(
        TRAINED,
        "The optimizer's state",
        "Two numbers for each trained weight (AdamW, Loshchilov and Hutter, 2019).",
    ),
    "activations": Part(
        READING,
        "Activations: what is stored of each example while it is read",
        "One training step is simulated, tensor by tensor, as torch's autograd stores them; grows with batch size x "
        "length.",
    ),
    "logits and loss": Part(
        SCORES, "A score for every possible next word", "Learned tokens in a batch x words in the vocabulary."
    ),
    "programs": Part(PROGRAMS, "Python and the training libraries", "Measured in training runs on a processor."),
    "CUDA context": Part(
        PROGRAMS,
        "The GPU's own programs",
        "141 MB measured on a T4 in 49 runs; 450 MB allowed for newer GPUs.",
    ),
    "cuBLAS workspace": Part(
        PROGRAMS,
        "Workspace for matrix multiplication",
        "8 MB per direction, 32 MB on Hopper (ATen, CublasHandlePool.cpp).",
    ),
    "fragmentation": Part(
        PROGRAMS,
        "Gaps between blocks of memory",
        "torch's memory allocator is simulated (CUDACachingAllocator.cpp).",
    ),
}
MEMORY: dict[str, tuple[str, ...]] = {
    group: tuple(name for name, part in PARTS.items() if part.group == group)
    for group in (MODEL, TRAINED, READING, SCORES, PROGRAMS)
}
