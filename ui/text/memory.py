"""The parts of a memory estimate, as a person reads them."""

from collections.abc import Mapping

# By segment of the memory bar, the parts of the estimate: its name in plain words, and
# the formula in backend.estimate with where that is from.
_SEGMENTS = {
    "the model": {
        "weights": (
            "The model's weights",
            "2 bytes each in 16 bits, 4 in 32 bits, half a byte in 4 bits "
            "(bitsandbytes NF4).",
        ),
        "quantization scales": (
            "Scales of the 4-bit weights",
            "One for every 64 weights (Dettmers et al., QLoRA, 2023, section 3).",
        ),
        "fp32 leftovers": (
            "Layers that stay in 32 bits",
            "4 bytes each for norms, embeddings and head (peft, k-bit preparation).",
        ),
        "model file": (
            "The model's file",
            "2 bytes for each weight, while it is loaded.",
        ),
    },
    "what is trained": {
        "adapter": (
            "The adapter",
            "4 bytes x rank x (inputs + outputs) per layer (Hu et al., LoRA, 2021).",
        ),
        "gradients": (
            "Gradients",
            "One for each trained weight, as torch's autograd stores them.",
        ),
        "optimizer": (
            "The optimizer's state",
            "Two numbers for each trained weight (AdamW, Loshchilov and Hutter, 2019).",
        ),
    },
    "reading your examples": {
        "activations": (
            "Activations: what is stored of each example while it is read",
            "One training step is simulated, tensor by tensor, as torch's autograd "
            "stores them; grows with batch size x length.",
        ),
    },
    "scoring answers": {
        "logits and loss": (
            "A score for every possible next word",
            "Learned tokens in a batch x words in the vocabulary.",
        ),
    },
    "programs": {
        "programs": (
            "Python and the training libraries",
            "Measured in training runs on a processor.",
        ),
        "CUDA context": (
            "The GPU's own programs",
            "141 MB measured on a T4 in 49 runs; 450 MB allowed for newer GPUs.",
        ),
        "cuBLAS workspace": (
            "Workspace for matrix multiplication",
            "8 MB per direction, 32 MB on Hopper (ATen, CublasHandlePool.cpp).",
        ),
        "fragmentation": (
            "Gaps between blocks of memory",
            "torch's memory allocator is simulated (CUDACachingAllocator.cpp).",
        ),
    },
}
PARTS = {name: texts for parts in _SEGMENTS.values() for name, texts in parts.items()}


def memory_parts(parts: Mapping[str, float]) -> list[tuple[str, float]]:
    """The parts of an estimate (MiB) summed by segment of the bar; parts without one
    come last, under their own names.
    """
    sums = {
        segment: sum(parts.get(name, 0) for name in names)
        for segment, names in _SEGMENTS.items()
    }
    sums |= {name: mib for name, mib in parts.items() if name not in PARTS}
    return [(name, mib) for name, mib in sums.items() if mib > 0]
