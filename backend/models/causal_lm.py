"""Which models transformers loads as a language model alone, read from its own list without importing it.

The memory of many of them is not modeled (`backend.estimate.reading`); what their blocks consist of is then read from
the names and shapes of the tensors in their files.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from backend.errors import BadInput
from backend.models import safetensors_header

_LISTS = {"causal": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "masked": "MODEL_FOR_MASKED_LM_MAPPING_NAMES"}
_IN_A_BLOCK = re.compile(r"(?:.*?\.)?(\d+)\.(.+)\.weight")
# Besides what is no linear layer, those that peft refuses because a state-space kernel reads their weights itself.
_NOT_LINEAR = re.compile(r"experts|embed|norm|router|(^|\.)(gate|shared_expert_gate|(mamba|mixer)\.out_proj)$")


def check(config: dict[str, Any], source: str) -> None:
    """Raises BadInput when transformers does not load the model with this `config` as a causal language model."""
    kind = str(config.get("model_type", ""))
    loaded_as = _classes("causal").get(kind, "")
    if not loaded_as:
        why = f"transformers knows no language model of its type, {kind or 'which is missing'}."
    elif "ConditionalGeneration" in loaded_as or config.get("is_encoder_decoder"):
        why = "Its language part can't be loaded without the parts for pictures, sound or reading."
    elif kind in _classes("masked") and not config.get("is_decoder"):
        why = "It fills gaps in a text instead of continuing it."
    else:
        return
    raise BadInput(
        f"The model {source} can't be trained.", why, "Choose a language model, such as one from the catalogue."
    )


def blocks(folder: Path) -> tuple[int, int, dict[str, tuple[int, int]]]:
    """The parameters of the model in `folder`, the number of its blocks, and the linear layers of a block: their path
    in it, such as "self_attn.q_proj", and their shape. Experts, which transformers joins in one tensor, are left out.

    Raises BadInput for a damaged file.
    """
    parameters, last, layers = 0, -1, dict[str, tuple[int, int]]()
    for file in sorted(folder.glob("*.safetensors")):
        for name, shape in _shapes(file).items():
            parameters += prod(shape)
            found = _IN_A_BLOCK.fullmatch(name)
            if found and "vision" not in name:
                last = max(last, int(found[1]))
                if len(shape) == 2 and not _NOT_LINEAR.search(found[2]):
                    layers.setdefault(found[2], (shape[0], shape[1]))
    return parameters, last + 1, layers


def targets(layers: dict[str, tuple[int, int]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the linear layers of attention, and of all of them."""
    every = tuple(dict.fromkeys(path.rpartition(".")[2] for path in layers))
    attention = tuple(dict.fromkeys(path.rpartition(".")[2] for path in layers if "att" in path))
    return attention or every, every


@cache
def _classes(which: str) -> dict[str, str]:
    """transformers' class for each model_type in one of its lists."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or not spec.origin:
        return {}
    text = (Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py").read_text("utf-8")
    listed = re.search(rf"^{_LISTS[which]} = OrderedDict\((.*?)^\)", text, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r'\(\s*"([^"]+)",\s*"([^"]+)"', listed[1])) if listed else {}


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        return {name: one.shape for name, one in safetensors_header.read(file)[0].items()}
    except ValueError as error:
        raise BadInput(
            f"The file {file.name} is damaged.", "It has no safetensors header.", "Download it again."
        ) from error
