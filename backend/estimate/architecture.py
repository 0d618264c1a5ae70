"""What a model is made of, as far as its memory goes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from backend.errors import BadInput
from backend.specs import Record

# The kinds of models (model_type) that are decoders as this describes them.
MODELLED = frozenset(
    "gemma gemma2 gemma3_text granite lfm2 llama mistral olmo2 phi3 qwen2 qwen3 smollm3".split()  # noqa: SIM905
)


class Architecture(Record):
    """A decoder-only transformer with rotary positions and RMSNorm.

    num_params counts tied embeddings once; 0 where it is not known. attention_layers: the blocks that attend, where
    the others are gated short convolutions over conv_kernel tokens (LFM2); None: all. The last four fields default to
    what the name says of the family (Gemma's wide norms and capped logits, Qwen3's norms of queries and keys).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    num_params: int = 0
    hidden_size: int
    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool
    attention_layers: tuple[int, ...] | None = None
    conv_kernel: int = 3
    gated_mlp: bool | None = None
    qk_norm: bool | None = None
    norms_per_layer: int | None = None
    capped_logits: bool | None = None

    @property
    def is_gemma(self) -> bool:
        return "gemma" in self.name.lower()

    @property
    def has_qk_norm(self) -> bool:
        """Whether queries and keys are normalised, as in Qwen3, Gemma 3, OLMo 2 and LFM2."""
        named = re.search(r"qwen-?3|olmo-?2|lfm-?2", self.name.lower()) is not None or self._gemma in ("3", "4")
        return named if self.qk_norm is None else self.qk_norm

    @property
    def layer_norms(self) -> int:
        """Norms in a block: before attention and MLP, and in Gemma from the second on after them too."""
        return self.norms_per_layer or (4 if self._gemma else 2)

    @property
    def caps_logits(self) -> bool:
        """Whether logits pass through a tanh, as in Gemma 2."""
        return self._gemma == "2" if self.capped_logits is None else self.capped_logits

    @property
    def _gemma(self) -> str:
        """The generation of a Gemma from the second on; the "2" of "gemma-2b" is its size."""
        found = re.search(r"gemma[-_ ]?([2-4])(?!\.?\d*b)", self.name.lower())
        return found.group(1) if found else ""

    @property
    def attending(self) -> int:
        """How many blocks attend."""
        return sum(self.attends(index) for index in range(self.num_layers))

    def attends(self, index: int) -> bool:
        """Whether block `index` attends, or is a gated short convolution."""
        return self.attention_layers is None or index in self.attention_layers

    def matrices(self, index: int) -> dict[str, tuple[int, int]]:
        """The linear layers of block `index`: name to (outputs, inputs)."""
        hidden, between = self.hidden_size, self.intermediate_size
        wide, narrow = self.num_attention_heads * self.head_dim, self.num_kv_heads * self.head_dim
        if self.attends(index):
            shapes = {
                "q_proj": (wide, hidden),
                "k_proj": (narrow, hidden),
                "v_proj": (narrow, hidden),
                "o_proj": (hidden, wide),
            }
        else:
            shapes = {"conv_in": (3 * hidden, hidden), "conv_out": (hidden, hidden)}
        if self.gated_mlp is not False:
            shapes["gate_proj"] = (between, hidden)
        return {**shapes, "up_proj": (between, hidden), "down_proj": (hidden, between)}

    @property
    def linear_params(self) -> int:
        """Parameters of all linear layers in all blocks: what 4-bit loading packs."""
        shapes = [shape for index in range(self.num_layers) for shape in self.matrices(index).values()]
        return sum(outputs * inputs for outputs, inputs in shapes)

    @property
    def embedding_params(self) -> int:
        """Parameters of the token embedding, and of the output head where it is a matrix of its own."""
        return self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)

    @property
    def counted_params(self) -> int:
        """Parameters by the formula: linear layers, embeddings, norms, convolutions (biases left out)."""
        norms = (self.layer_norms * self.num_layers + 1) * self.hidden_size
        if self.has_qk_norm:
            norms += 2 * self.attending * self.head_dim
        convolutions = (self.num_layers - self.attending) * self.hidden_size * self.conv_kernel
        return self.linear_params + self.embedding_params + norms + convolutions

    @property
    def bias_params(self) -> int:
        """What is left of num_params beside `counted_params`: biases, where it is little."""
        rest = self.num_params - self.counted_params
        return rest if 0 < rest < self.counted_params // 50 else 0

    @property
    def params(self) -> int:
        return self.num_params or self.counted_params


def read(path: Path) -> Architecture:
    """The architecture in a JSON file: our own field names, or a transformers config.json.

    Raises BadInput in plain words.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"The file {path.name} can't be read.", f"The system says: {error.strerror}.") from error
    except ValueError as error:
        raise BadInput(f"The file {path.name} is not JSON.", "", "Give a file with one JSON object.") from error
    if not isinstance(values, dict):
        raise BadInput(f"The file {path.name} holds no JSON object.", "", "Give a file with one JSON object.")
    return from_values(values.get("model_config", values), path.name)


def from_values(values: dict[str, Any], source: str) -> Architecture:
    """The architecture from our own field names or from those of a transformers config. Raises BadInput."""
    if "num_hidden_layers" in values or "text_config" in values:
        values = _from_config({**values, **(values.get("text_config") or {})})
    try:
        return Architecture.model_validate(values)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "something"
        raise BadInput(
            f"The model description {source} can't be used.",
            f"Its {field} is missing or not a usable value.",
            "It needs hidden_size, num_layers, num_attention_heads, num_kv_heads, head_dim, intermediate_size, "
            "vocab_size and tie_word_embeddings.",
        ) from error


def _from_config(config: dict[str, Any]) -> dict[str, Any]:
    _must_be_understood(config)
    heads = config.get("num_attention_heads")
    head_dim = config.get("head_dim")
    if not head_dim and isinstance(heads, int) and heads and isinstance(config.get("hidden_size"), int):
        head_dim = config["hidden_size"] // heads
    kind = str(config.get("model_type", ""))
    if kind == "lfm2":
        config = {**config, **_lfm2(config)}
    return {
        "name": str(config.get("_name_or_path") or kind),
        "hidden_size": config.get("hidden_size"),
        "num_layers": config.get("num_hidden_layers"),
        "num_attention_heads": heads,
        "num_kv_heads": config.get("num_key_value_heads") or heads,
        "head_dim": head_dim,
        "intermediate_size": config.get("intermediate_size"),
        "vocab_size": config.get("vocab_size"),
        "tie_word_embeddings": config.get("tie_word_embeddings", kind.startswith("gemma")),
        "attention_layers": config.get("attention_layers"),
        "conv_kernel": config.get("conv_L_cache", 3),
        "qk_norm": kind.startswith(("qwen3", "gemma3", "gemma4", "olmo2", "lfm2")),
        "norms_per_layer": 4 if kind.startswith(("gemma2", "gemma3", "gemma4")) else 2,
        "capped_logits": bool(config.get("final_logit_softcapping")),
    }


def _must_be_understood(config: dict[str, Any]) -> None:
    """Raises BadInput for a kind of model, or of layers, whose memory is not modelled."""
    kind = str(config.get("model_type", ""))
    known = {"attention", "full_attention", "sliding_attention", "conv" if kind == "lfm2" else ""}
    strange = sorted({str(kind) for kind in config.get("layer_types") or []} - known)
    strange += ["experts"] if config.get("num_local_experts") or config.get("num_experts") else []
    if strange or kind not in MODELLED:
        parts = ", ".join(strange).replace("_", " ")
        why = f"parts of it are {parts}" if strange else f"its kind is {kind or 'not named'}"
        raise BadInput(
            "This model is of a kind that can't be taught here yet.",
            f"What it needs is not known: {why}.",
            "Choose a model of another family, such as one of the catalogue.",
        )


def _lfm2(config: dict[str, Any]) -> dict[str, Any]:
    """What transformers' configuration_lfm2.py and modeling_lfm2.py make of an LFM2 config."""
    kinds = config.get("layer_types") or []
    attending = [index for index, kind in enumerate(kinds) if kind == "full_attention"]
    width = config.get("block_ff_dim", config.get("intermediate_size"))
    if isinstance(width, int) and config.get("block_auto_adjust_ff_dim", True):
        step = config.get("block_multiple_of", 256)
        width = int(config.get("block_ffn_dim_multiplier", 1.0) * int(2 * width / 3))
        width = step * -(-width // step)
    return {
        "attention_layers": attending if kinds else config.get("full_attn_idxs"),
        "intermediate_size": width,
        "tie_word_embeddings": config.get("tie_embedding", config.get("tie_word_embeddings", True)),
    }
