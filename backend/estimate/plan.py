"""A training step as far as memory and time go."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.records.specs import ALL_LINEAR, Method, Precision, Record, TrainSettings

Attention = Literal["eager", "sdpa", "flash_attention_2"]
Optimizer = Literal["adamw", "adamw_8bit"]


# What families call the layers that the estimate knows: joined into one (Phi, GLM), or by other names (LFM2).
_LAYERS = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
    "w1": ("gate_proj",),
    "w2": ("down_proj",),
    "w3": ("up_proj",),
}

# Up to this many tokens a row, plain attention is faster on a processor than torch's fused one, whose backward pass
# is slow there: rows of 95 tokens, batch 8, embedded model: 2.28 instead of 2.54 processor-ms a token.
EAGER_ATTENTION_LIMIT = 256


def adapted(targets: tuple[str, ...]) -> frozenset[str]:
    """The layers, as the estimate names them, that get an adapter when `targets` are named."""
    return frozenset(layer for name in targets for layer in _LAYERS.get(name, (name,)))


class Plan(Record):
    """How a model is trained; the names and defaults are those of the command `estimate`.

    learned_share: the part of the tokens that the loss is computed for (the answers); 1 is the safe guess.
    fp32_norms: norms, embeddings and head widened to fp32, as `prepare_model_for_kbit_training` does (QLoRA).
    full_logits: as a plain script trains: no autocast, adapters in fp32, AdamW tensor by tensor, the loss over all
    positions in fp32 and its logits kept. Without it, as backend/training does.
    """

    method: Method = "lora"
    dora: bool = False
    rank: int = Field(8, ge=1, le=1024)
    targets: tuple[str, ...] = ALL_LINEAR
    batch: int = Field(1, ge=1, le=4096)
    max_tokens: int = Field(1024, ge=1, le=1_048_576)
    precision: Precision = "bf16"
    attention: Attention = "sdpa"
    checkpointing: bool = True
    optimizer: Optimizer = "adamw"
    double_quant: bool = True
    fp32_norms: bool = False
    full_logits: bool = False
    learned_share: float = Field(1.0, gt=0, le=1)

    @property
    def adapted(self) -> frozenset[str]:
        """The layers that get an adapter."""
        return adapted(self.targets)

    @property
    def tokens(self) -> int:
        """Tokens of one micro batch, padding counted."""
        return self.batch * self.max_tokens

    @property
    def widened(self) -> bool:
        """Whether all weights are kept and trained in fp32 and narrowed for each product."""
        return self.method == "full" and not self.full_logits and self.precision != "fp32"

    @property
    def width(self) -> int:
        """Bytes of a number in the chosen precision."""
        return 4 if self.precision == "fp32" else 2


def plan_from(settings: TrainSettings, precision: Precision, *, longest: int | None = None) -> Plan:
    """The plan that `settings` make; `longest` (tokens) counts where it is below `max_length`, unless rows are packed
    until they have as many."""
    filled = longest is None or settings.packing
    rows = 1 if settings.packing else settings.per_device_train_batch_size
    return Plan(
        method=settings.method,
        dora=settings.use_dora and settings.method != "full",
        rank=settings.lora_rank,
        targets=settings.target_modules,
        batch=rows * (2 if settings.trainer == "dpo" else 1),  # both answers
        max_tokens=settings.max_length if filled else max(1, min(longest or 1, settings.max_length)),
        precision=precision,
        checkpointing=settings.gradient_checkpointing,
    )
