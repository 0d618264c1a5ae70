"""Which models transformers loads as a language model alone, read from its own list
without importing it.

The memory of many of them is not modeled (`backend.estimate.reading`); what their
blocks consist of is then read from the names and shapes of the tensors in their files.
"""

import importlib.util
import re
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from backend.errors import BadInput
from backend.files.json_file import read_if_json
from backend.models import safetensors_files

_LISTS = {
    "causal": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "masked": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
}
# Of a language part among others: "model.language_model." as transformers 5 names it,
# or as older versions did.
_EMBEDDINGS = re.compile(
    r"((?:\w+\.)*(?:language|text)_model\.(?:\w+\.)*)embed_tokens\.weight"
)
_IN_A_BLOCK = re.compile(r"(?=.*\.weight\Z)(?:.*?\.)?(\d+)\.(.+)\.weight")
# Besides what is no linear layer, those that peft refuses because a state-space kernel
# reads their weights itself.
_NOT_LINEAR = re.compile(
    r"experts|embed|norm|router|(^|\.)(gate|shared_expert_gate|(mamba|mixer)\.out_proj)$"
)


def check(config: dict[str, Any], source: str) -> None:
    """Raises BadInput when transformers does not load the model with this `config` as a
    causal language model.
    """
    if is_divided(config):
        return
    kind = str(config.get("model_type", ""))
    loaded_as = classes().get(kind, "")
    if not loaded_as:
        why = f"transformers knows no language model of its type, {kind or 'which is missing'}."
    elif "ConditionalGeneration" in loaded_as or config.get("is_encoder_decoder"):
        why = "Its language part can't be loaded without the parts for pictures, sound or reading."
    elif kind in classes("masked") and not config.get("is_decoder"):
        why = "It fills gaps in a text instead of continuing it."
    else:
        return
    raise rejected(source, why)


def rejected(source: str, why: str) -> BadInput:
    return BadInput(
        f"The model {source} can't be trained.",
        why,
        "Choose one from the catalogue, for example.",
    )


def is_divided(config: dict[str, Any]) -> bool:
    """Whether `load` loads the language part of the model with this config.json alone."""
    part = config.get("text_config")
    whole = classes().get(str(config.get("model_type", "")), "ConditionalGeneration")
    return (
        isinstance(part, dict)
        and "ConditionalGeneration" in whole
        and classes().get(str(part.get("model_type", "")), "").endswith("ForCausalLM")
    )


def key_mapping(folder: Path) -> dict[str, str]:
    """transformers' `key_mapping`, which names the weights of the language part of the
    model in `folder` as those of a model without other parts; {} for a model that has
    none, or that transformers divides by itself. Raises BadInput where the names of its
    weights don't show which are the language part's.
    """
    config = read_if_json(folder / "config.json")
    if not is_divided(config):
        return {}
    names = _shapes(folder)
    inside = next(
        (match[1] for name in names if (match := _EMBEDDINGS.fullmatch(name))), None
    )
    if inside is None:
        raise rejected(
            folder.name,
            "The names of its weights don't show which are its language part's.",
        )
    output = next(
        (name for name in names if name.endswith("lm_head.weight")), "lm_head.weight"
    )
    renamed = (
        {}
        if output == "lm_head.weight"
        else {f"^{re.escape(output)}": "lm_head.weight"}
    )
    return {**renamed, f"^{re.escape(inside)}": "model."}


def own_name(name: str, mapping: dict[str, str]) -> str:
    """The name of a weight in the language part alone. mapping: the model's
    `key_mapping`.
    """
    return next(
        (re.sub(old, new, name) for old, new in mapping.items() if re.match(old, name)),
        name,
    )


def load(folder: Path, **options: Any) -> Any:
    """The language model in `folder` as transformers loads it, without other parts.
    options: of `from_pretrained`. transformers has a class for the language part of
    many models, but loads the whole of some, unless it is given that part's config and
    the names of its weights (5.24, `auto_factory.py` and `modeling_utils.py`). Raises
    BadInput as `key_mapping`, and where weights are missing.
    """
    from transformers import AutoModelForCausalLM

    if mapping := key_mapping(folder):
        options |= {"config": config_of(folder), "key_mapping": mapping}
    options |= {
        "use_safetensors": True,
        "local_files_only": True,
        "output_loading_info": True,
    }
    model, loading = AutoModelForCausalLM.from_pretrained(folder, **options)
    if missing := sorted(
        loading["missing_keys"]
    ):  # transformers would start with random ones
        raise rejected(
            folder.name,
            f"{len(missing)} of its weights are missing, such as {missing[0]}.",
        )
    return model


def config_of(folder: Path) -> Any:
    """transformers' config of the model in `folder`, of the language part where that is
    loaded alone.
    """
    from transformers import AutoConfig

    whole = AutoConfig.from_pretrained(folder, local_files_only=True)
    if not key_mapping(folder):
        return whole
    part = whole.get_text_config()
    part.tie_word_embeddings = not any(
        name.endswith("lm_head.weight") for name in _shapes(folder)
    )
    return part


def blocks(folder: Path) -> tuple[int, int, dict[str, tuple[int, int]]]:
    """The parameters of the model in `folder`, the number of its blocks, and the linear
    layers of a block: their path in it, such as "self_attn.q_proj", and their shape.
    Experts, which transformers joins in one tensor, are skipped, and so is whatever is
    not the language part. Raises BadInput for a damaged file.
    """
    ours = re.compile("|".join(key_mapping(folder)) or "(?!.*vision)")
    parameters, last, layers = 0, -1, dict[str, tuple[int, int]]()
    for name, shape in _shapes(folder).items():
        if not ours.match(name):
            continue
        parameters += prod(shape)
        if match := _IN_A_BLOCK.fullmatch(name):
            last = max(last, int(match[1]))
            if len(shape) == 2 and not _NOT_LINEAR.search(match[2]):
                layers.setdefault(match[2], (shape[0], shape[1]))
    return parameters, last + 1, layers


@cache
def classes(which: str = "causal") -> dict[str, str]:
    """transformers' class for each model_type in one of its lists."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or not spec.origin:
        return {}
    text = (
        Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py"
    ).read_text("utf-8")
    listed = re.search(
        rf"^{_LISTS[which]} = OrderedDict\((.*?)^\)", text, re.MULTILINE | re.DOTALL
    )
    return dict(re.findall(r'\(\s*"([^"]+)",\s*"([^"]+)"', listed[1])) if listed else {}


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    try:
        tensors = safetensors_files.read_all(sorted(folder.glob("*.safetensors")))
    except ValueError as error:
        raise BadInput(
            f"The model {folder.name} is damaged.", f"{error}.", "Download it again."
        ) from error
    return {name: tensor.shape for name, tensor in tensors.items()}
