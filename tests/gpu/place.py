"""Where the proofs run, and their sizes: an NVIDIA card, or tiny on the processor, to
see that they are whole.
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.files.json_file import read_json
from backend.hardware import gpu_memory
from backend.records.encoded import IGNORED, Encoded
from backend.records.specs import Precision
from backend.settings import PROJECT_ROOT
from backend.training.device import Device
from tests.backend.tiny_run import make_model

Record = Callable[..., None]  # takes the fields of a Figure (conftest.py)
ENVIRONMENT = dict(os.environ)  # as it was before a proof chose a card in this process

# The config.json of Llama-3.2-1B and -3B and of Llama-3.1-8B.
SHAPES = read_json(PROJECT_ROOT / "tests" / "data" / "llama_models.json")
# Llama-3.2-1B with 4 of its 16 layers: the kernels and the head of the real one, in a
# third of its memory.
LLAMA_1B = {**SHAPES["1B"], "num_hidden_layers": 4}


@dataclass(frozen=True)
class Place:
    """kind: "cuda" or "cpu". layer: rows, inputs and outputs of a linear layer. logits:
    rows, vocabulary. tokens: of a long row. shape: of the middle model. micro: rows in
    its micro batch.
    """

    kind: str
    layer: tuple[int, int, int]
    logits: tuple[int, int]
    tokens: int
    shape: dict[str, int]
    micro: int

    @property
    def is_card(self) -> bool:
        return self.kind == "cuda"

    def precision(self) -> Precision:
        """The 16-bit precision that training uses here."""
        import torch

        return (
            "fp16"
            if self.is_card and torch.cuda.get_device_capability() < (8, 0)
            else "bf16"
        )

    def device(self) -> Device:
        return Device(self.kind, self.precision())

    def clean(self) -> None:
        """Frees what is no longer used, and starts to measure the peak."""
        import torch

        gpu_memory.release(self.kind)
        if self.is_card:
            torch.cuda.reset_peak_memory_stats()

    def milliseconds(self, work: Callable[[], object], repeat: int = 10) -> float:
        """Of one call: the best of three timings of `repeat` calls; a single call on
        the processor.
        """
        device, times = Device(self.kind, "fp32"), []
        work()
        for _ in range(3 if self.is_card else 1):
            device.wait()
            start = time.perf_counter()
            for _ in range(repeat if self.is_card else 1):
                work()
            device.wait()
            times.append(
                (time.perf_counter() - start) / (repeat if self.is_card else 1) * 1000
            )
        return min(times)

    def rows(self, count: int, shortest: int = 0) -> list[Encoded]:
        """Rows of random tokens, `shortest` (0: a fifth of `tokens`) to `tokens` long;
        the second half is learned.
        """
        return random_rows(
            count, shortest or self.tokens // 5, self.tokens, self.shape["vocab_size"]
        )


CARD = Place("cuda", (4096, 2048, 8192), (1024, 128_256), 1024, LLAMA_1B, 8)
TINY = Place(
    "cpu", (16, 64, 96), (16, 100), 40,
    {
        "vocab_size": 128, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
    },
    4,
)  # fmt: skip


def random_llama(folder: Path, kind: str, shape: dict[str, int]) -> Path:
    """A Llama with random weights (seed 0), made on the device `kind` and saved in
    bf16.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    make_model(folder)  # for its tokenizer
    torch.manual_seed(0)
    with torch.device(
        kind
    ):  # in bf16 from the start: in float32 a model of 3B would not fit into 12 GB
        net = LlamaForCausalLM._from_config(
            LlamaConfig(**shape, tie_word_embeddings=True), dtype=torch.bfloat16
        )
    net.save_pretrained(folder)
    return folder


def random_rows(
    count: int, shortest: int, longest: int, vocabulary: int
) -> list[Encoded]:
    draw, made = random.Random(0), []
    for _ in range(count):
        ids = [
            draw.randrange(5, vocabulary)
            for _ in range(draw.randint(shortest, longest))
        ]
        half = len(ids) // 2
        made.append(Encoded(ids, [IGNORED] * half + ids[half:]))
    return made


def distance(found: Any, exact: Any) -> float:
    """Of two tensors, relative to the second (Euclidean)."""
    found, exact = found.detach().double(), exact.detach().double()
    return float((found - exact).norm() / exact.norm().clamp(min=1e-12))
