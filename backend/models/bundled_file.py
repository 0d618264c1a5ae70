"""What the bundled GGUF file holds, as transformers would save it: the tokenizer, the
settings and the weights.

Without torch and transformers, whose imports take longer than all of this.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
)

from backend.files.disk_errors import disk_errors
from backend.files.json_file import read_json
from backend.models import gguf_header, safetensors_files
from backend.models.model_folder import write_config
from backend.tokens.tokenizer import ChatTokenizer

_CONTROL = 3  # type of a token
_SPECIAL = {
    "bos_token": "bos",
    "eos_token": "eos",
    "pad_token": "padding",
    "unk_token": "unknown",
}
_TABLES = read_json(
    Path(__file__).with_suffix(".json")
)  # names of weights, and what the configuration is besides
_NAMES: dict[str, str] = _TABLES["names"]


def tokenizer(gguf: Path) -> ChatTokenizer:
    """The tokenizer and chat template in `gguf`."""
    about = gguf_header.read(gguf)[0]
    return ChatTokenizer(
        _tokenizer(about), about["tokenizer.chat_template"], _special_tokens(about)
    )


def unpack(
    gguf: Path, target: Path, name: str, report: Callable[[int, int], None]
) -> None:
    """Write the model in `gguf` to the folder `target`, its weights as bf16. Raises
    OSError.

    name: such as its id on the hub
    report: called before each tensor with how many are done, and of all; what it raises
        ends the work
    """
    about, tensors = gguf_header.read(gguf)
    _tokenizer(about).save(str(target / "tokenizer.json"))
    ids = {
        f"{token}_id": about[f"tokenizer.ggml.{kind}_token_id"]
        for token, kind in _SPECIAL.items()
    }
    settings = {
        "model_max_length": about["llama.context_length"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    write_config(
        target / "tokenizer_config.json", {**_special_tokens(about), **settings}
    )
    (target / "chat_template.jinja").write_text(
        about["tokenizer.chat_template"], "utf-8", newline="\n"
    )
    generation = {
        name: number for name, number in ids.items() if name != "unk_token_id"
    }
    write_config(
        target / "generation_config.json",
        {**generation, "_from_model_config": True, "use_cache": True},
    )
    write_config(
        target / "config.json", {**_config(about), **ids, "_name_or_path": name}
    )
    named = {_name(packed): (packed, tensor) for packed, tensor in tensors.items()}
    heads = {
        "attn_q": about["llama.attention.head_count"],
        "attn_k": about["llama.attention.head_count_kv"],
    }
    with disk_errors(), (target / "model.safetensors").open("wb") as out:
        entries = {
            weight: ("BF16", tensor.shape, 2 * tensor.numbers)
            for weight, (_, tensor) in sorted(named.items())
        }
        safetensors_files.write(out, entries, {})
        for done, weight in enumerate(entries):
            report(done, len(entries))
            packed, tensor = named[weight]
            out.write(_bf16(gguf, tensor, heads.get(packed.split(".")[-2], 0)))


def _tokenizer(about: Mapping[str, Any]) -> Tokenizer:
    texts, merges = about["tokenizer.ggml.tokens"], about["tokenizer.ggml.merges"]
    vocabulary = {text: number for number, text in enumerate(texts)}
    pairs = [tuple(merge.split(" ")) for merge in merges]
    made = Tokenizer(
        models.BPE(
            vocabulary, pairs, continuing_subword_prefix="", end_of_word_suffix=""
        )
    )
    # The file names the "smollm" pre-tokenizer, which splits numbers into digits.
    digits = pre_tokenizers.Digits(individual_digits=True)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.post_processor = processors.TemplateProcessing(
        single="$A", pair="$A $B:1", special_tokens=[]
    )
    made.decoder = decoders.ByteLevel()
    kinds = zip(texts, about["tokenizer.ggml.token_type"], strict=True)
    made.add_special_tokens(
        [AddedToken(text, normalized=False) for text, kind in kinds if kind == _CONTROL]
    )
    return made


def _special_tokens(about: Mapping[str, Any]) -> dict[str, str]:
    texts = about["tokenizer.ggml.tokens"]
    return {
        token: texts[about[f"tokenizer.ggml.{kind}_token_id"]]
        for token, kind in _SPECIAL.items()
    }


def _config(about: Mapping[str, Any]) -> dict[str, Any]:
    """config.json of the model; older programs look for the rotary base and the dtype
    under their old names.
    """
    of_model = {key.removeprefix("llama."): value for key, value in about.items()}
    rotary = of_model["rope.freq_base"]
    stated = {name: of_model[key] for name, key in _TABLES["stated"].items()}
    rotary_parts = {
        "rope_parameters": {"rope_theta": rotary, "rope_type": "default"},
        "rope_theta": rotary,
    }
    return {**_TABLES["config"], **stated, **rotary_parts}


def _name(packed: str) -> str:
    """The name of a tensor in transformers: "blk.3.attn_q.weight" is
    "model.layers.3.self_attn.q_proj.weight".
    """
    *block, part, end = packed.split(".")
    return ".".join(
        ["model", *(["layers", block[1]] if block else []), _NAMES[part], end]
    )


def _bf16(gguf: Path, tensor: gguf_header.Packed, heads: int) -> Any:
    """A tensor in bf16, rounded to the nearest. heads: of a weight whose rows llama.cpp
    reordered (rotary positions), else 0.
    """
    import numpy
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

    kind = GGMLQuantizationType(tensor.kind)
    block, size = GGML_QUANT_SIZES[kind]
    rows = numpy.fromfile(
        gguf, numpy.uint8, tensor.numbers // block * size, offset=tensor.begin
    )
    rows = rows.reshape(*tensor.shape[:-1], -1)
    if heads:
        rows = (
            rows.reshape(heads, -1, 2, rows.shape[-1])
            .swapaxes(1, 2)
            .reshape(rows.shape)
        )
    bits = dequantize(rows, kind).view("<u4")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").data
