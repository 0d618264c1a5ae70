"""Reads a model's architecture from a JSON file: a transformers config.json, or our own
field names.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.errors import BadInput
from backend.estimate.architecture import Architecture
from backend.files.json_file import read_json
from backend.records.base import read_given

# Every model_type that `Architecture` can describe, and how it differs from Llama.
_MODEL_TYPES: dict[str, dict[str, Any]] = read_json(Path(__file__).with_suffix(".json"))
SUPPORTED = frozenset(_MODEL_TYPES)
_OTHER_LAYERS = {"lfm2": "conv", "qwen3_5_text": "linear_attention"}
# Multimodal types of which the text part is loaded alone (`models.causal_lm.load`).
_MULTIMODAL = frozenset({"qwen3_5", "gemma3", "mistral3"})


def read(path: Path) -> Architecture:
    """The architecture in a JSON file. Raises BadInput."""
    values = read_given(path, "Use a file with one JSON object.")
    return from_values(values.get("model_config", values), path.name)


def from_values(values: dict[str, Any], source: str) -> Architecture:
    """The architecture from our own field names or from those of a transformers config.
    Raises BadInput.
    """
    if "num_hidden_layers" in values or "text_config" in values:
        values = _from_config(values)
    try:
        return Architecture.model_validate(values)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "content"
        raise BadInput(
            f"The model description {source} can't be used.",
            f"Its {field} is missing or invalid.",
            "Required: hidden_size, num_layers, num_attention_heads, num_kv_heads, head_dim, intermediate_size, "
            "vocab_size and tie_word_embeddings.",
        ) from error


def _from_config(config: dict[str, Any]) -> dict[str, Any]:
    if why := why_not_modeled(config):
        raise BadInput(
            "The memory of this model can't be computed.",
            why,
            "A dry run measures it before training.",
        )
    config = {**config, **_text_part(config)}
    heads = config.get("num_attention_heads")
    head_dim = config.get("head_dim")
    if (
        not head_dim
        and isinstance(heads, int)
        and heads
        and isinstance(config.get("hidden_size"), int)
    ):
        head_dim = config["hidden_size"] // heads
    model_type = str(config.get("model_type", ""))
    layer_types = config.get("layer_types") or []
    attention = [
        index
        for index, layer_type in enumerate(layer_types)
        if layer_type == "full_attention"
    ]
    return {
        "name": str(config.get("_name_or_path") or model_type),
        "hidden_size": config.get("hidden_size"),
        "num_layers": config.get("num_hidden_layers"),
        "num_attention_heads": heads,
        "num_kv_heads": config.get("num_key_value_heads") or heads,
        "head_dim": head_dim,
        "intermediate_size": config.get(
            "shared_intermediate_size", config.get("intermediate_size")
        ),
        "vocab_size": config.get("vocab_size"),
        "tie_word_embeddings": config.get(
            "tie_word_embeddings", model_type.startswith("gemma")
        ),
        "attention_layers": attention
        if model_type in _OTHER_LAYERS and layer_types
        else None,
        "qk_norm": False,
        "wide_norms": False,
        "norms_per_layer": 2,
        "capped_logits": bool(config.get("final_logit_softcapping")),
        "eager_only": bool(config.get("attn_logit_softcapping"))
        and model_type == "gemma2",
        **_MODEL_TYPES[model_type],
        **(
            _lfm2(config)
            if model_type == "lfm2"
            else _qwen3_5(config)
            if model_type == "qwen3_5_text"
            else {}
        ),
    }


def why_not_modeled(config: dict[str, Any]) -> str:
    """Why the memory of a model with this config.json can't be computed; "" if it can."""
    other_parts = (
        bool(_text_part(config))
        and str(config.get("model_type", "")) not in _MULTIMODAL
    )
    config = {**config, **_text_part(config)}
    model_type = str(config.get("model_type", ""))
    modeled = {
        "attention",
        "full_attention",
        "sliding_attention",
        _OTHER_LAYERS.get(model_type, ""),
    }
    unknown = sorted(
        {str(layer_type) for layer_type in config.get("layer_types") or []} - modeled
    )
    unknown += (
        ["experts"]
        if config.get("num_local_experts") or config.get("num_experts")
        else []
    )
    unknown += ["parts for pictures or sound"] if other_parts else []
    if unknown:
        return f"It contains {', '.join(unknown).replace('_', ' ')}."
    return (
        ""
        if model_type in SUPPORTED
        else f"Its model type is {model_type or 'missing'}."
    )


def unmodeled(
    config: dict[str, Any], params: int, blocks: int, layers: dict[str, tuple[int, int]]
) -> Architecture:
    """Known facts about a model whose memory can't be computed, with the linear
    `layers` of one of its `blocks`.
    """
    config = {**config, **_text_part(config)}

    def number(*names: str) -> int:
        return next(
            (
                value
                for name in names
                if isinstance(value := config.get(name), int) and value > 0
            ),
            1,
        )

    heads, width = (
        number("num_attention_heads", "n_head"),
        number("hidden_size", "n_embd", "d_model"),
    )
    return Architecture(
        name=str(config.get("_name_or_path") or config.get("model_type") or ""),
        num_params=params,
        hidden_size=width,
        num_layers=blocks,
        num_attention_heads=heads,
        num_kv_heads=number("num_key_value_heads", "num_attention_heads", "n_head"),
        head_dim=max(1, width // heads),
        intermediate_size=number("intermediate_size", "n_inner"),
        vocab_size=number("vocab_size"),
        tie_word_embeddings=True,
        linear_layers=tuple((path, *shape) for path, shape in layers.items()),
    )


def _text_part(config: dict[str, Any]) -> dict[str, Any]:
    """The text part of a multimodal config; {} for any other."""
    part = config.get("text_config")
    return part if isinstance(part, dict) else {}


def _lfm2(config: dict[str, Any]) -> dict[str, Any]:
    """The derived values of transformers' configuration_lfm2.py and modeling_lfm2.py."""
    width = config.get("block_ff_dim", config.get("intermediate_size"))
    if isinstance(width, int) and config.get("block_auto_adjust_ff_dim", True):
        step = config.get("block_multiple_of", 256)
        width = int(config.get("block_ffn_dim_multiplier", 1.0) * int(2 * width / 3))
        width = step * -(-width // step)
    derived = {
        "intermediate_size": width,
        "conv_kernel": config.get("conv_L_cache", 3),
        "tie_word_embeddings": config.get(
            "tie_embedding", config.get("tie_word_embeddings", True)
        ),
    }
    return (
        derived
        if config.get("layer_types")
        else {**derived, "attention_layers": config.get("full_attn_idxs")}
    )


def _qwen3_5(config: dict[str, Any]) -> dict[str, Any]:
    """The derived values and defaults of transformers' configuration_qwen3_5.py."""
    derived = {
        "conv_kernel": config.get("linear_conv_kernel_dim", 4),
        "delta_heads": (
            config.get("linear_num_key_heads", 16),
            config.get("linear_num_value_heads", 32),
        ),
        "delta_dim": config.get("linear_key_head_dim", 128),
    }
    layers, interval = (
        config.get("num_hidden_layers"),
        config.get("full_attention_interval", 4),
    )
    if config.get("layer_types") or not isinstance(layers, int):
        return derived
    return {
        **derived,
        "attention_layers": [
            index for index in range(layers) if (index + 1) % interval == 0
        ],
    }
