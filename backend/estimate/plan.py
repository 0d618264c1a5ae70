"""The parts of the settings that decide memory and time of a training step."""

from typing import Literal

from pydantic import Field

from backend.records.base import Record
from backend.records.specs import ALL_LINEAR, Method, Precision, TrainSettings

Attention = Literal["eager", "sdpa", "flash_attention_2"]
Optimizer = Literal["adamw", "adamw_8bit"]

# Layer names of some families in the estimate's terms: fused layers (Phi, GLM, Granite
# 4.0), or other names (LFM2).
_LAYERS = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
    "input_linear": ("gate_proj", "up_proj"),
    "output_linear": ("down_proj",),
    "w1": ("gate_proj",),
    "w2": ("down_proj",),
    "w3": ("up_proj",),
}

# Up to this many tokens per row, eager attention is faster on a processor than torch's
# fused one, whose backward pass is slow there (rows of 95 tokens, batch 8, bundled
# model: 2.28 instead of 2.54 processor-ms per token).
EAGER_ATTENTION_LIMIT = 256


def adapted(targets: tuple[str, ...]) -> frozenset[str]:
    """The layers that get an adapter for the given target modules, under the estimate's
    names.
    """
    return frozenset(layer for name in targets for layer in _LAYERS.get(name, (name,)))


class Plan(Record):
    """How a model is trained; names and defaults are those of the command `estimate`.
    learned_share: the share of the tokens that the loss is computed for (the answers);
    1 is the safe choice. fp32_norms: norms, embeddings and head in fp32, as
    `prepare_model_for_kbit_training` does (QLoRA). full_logits: trains like a plain
    script: no autocast, adapters in fp32, AdamW tensor by tensor, the loss over all
    positions in fp32, and the logits stay in memory. Otherwise like backend/training.
    """

    method: Method = "lora"
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
    def tokens(self) -> int:
        """Tokens of one micro batch, including padding."""
        return self.batch * self.max_tokens

    @property
    def widened(self) -> bool:
        """Whether all weights are stored and trained in fp32, and cast to 16 bits for
        each product.
        """
        return (
            self.method == "full" and not self.full_logits and self.precision != "fp32"
        )

    @property
    def width(self) -> int:
        """Bytes per number in the chosen precision."""
        return 4 if self.precision == "fp32" else 2


def plan_from(
    settings: TrainSettings,
    precision: Precision,
    *,
    longest: int | None = None,
    learned_share: float | None = None,
) -> Plan:
    """The plan for `settings`, whose longest row has `longest` tokens; packed rows
    always reach `max_length`.
    """
    full_length = longest is None or settings.packing
    rows = 1 if settings.packing else settings.per_device_train_batch_size
    return Plan(
        method=settings.method,
        rank=settings.lora_rank,
        targets=settings.target_modules,
        batch=rows * (2 if settings.trainer == "dpo" else 1),  # both answers
        learned_share=min(1.0, learned_share or 1.0),
        max_tokens=settings.max_length
        if full_length
        else max(1, min(longest or 1, settings.max_length)),
        precision=precision,
        checkpointing=settings.gradient_checkpointing,
        optimizer="adamw" if settings.optim == "adamw" else "adamw_8bit",
    )
