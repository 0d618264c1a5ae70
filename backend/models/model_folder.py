"""A model folder on disk: check it, load it without running code from it, make it
portable.

Only safetensors files are read, and a model that needs its own code is rejected. `load`
and `attach_adapter` import torch, transformers and peft: call them in the training,
chat and export processes only.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import MissingPart, WorkspaceProblem
from backend.files.json_file import read_if_json
from backend.models import causal_lm

if TYPE_CHECKING:
    import torch

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_LENGTHS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
)  # as families name it
INDEX = "model.safetensors.index.json"
# Of a model, besides its weights, which are downloaded too (download.py).
OTHER_FILES = (
    *TOKENIZER_FILES,
    *(
        "config.json",
        "generation_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
    ),
    *("merges.txt", "tokenizer.model"),
)
_FLOAT32_MEMORY = 1.25  # times the weights in float32, to compute in it
_INSTALLATION_KEYS = (
    "is_local",
    "local_files_only",
    "backend",
)  # written by transformers 5, true for it alone


def check(folder: Path) -> None:
    """Raises MissingPart if the safetensors model is incomplete, WorkspaceProblem if it
    needs its own code.
    """
    whole = all(
        Path(name).name == name and (folder / name).is_file()
        for name in _indexed(folder)
    )
    if not (
        (folder / "config.json").is_file()
        and any(folder.glob("*.safetensors"))
        and whole
    ):
        raise MissingPart(
            f"The model {folder.name} is missing or incomplete.",
            "Its folder needs a config.json and weights in safetensors format.",
            "Prepare or download the model again.",
        )
    for name in ("config.json", "tokenizer_config.json", "adapter_config.json"):
        if "auto_map" in read_if_json(folder / name):
            raise WorkspaceProblem(
                f"The model {folder.name} was not loaded.",
                f"Its {name} asks to run program code that comes with the model.",
                "Choose a model that works without its own code.",
            )


def _indexed(folder: Path) -> list[str]:
    """The names of the weight files in the index of the model in `folder`; [] without
    one.
    """
    listed = read_if_json(folder / INDEX).get("weight_map")
    return (
        sorted({str(name) for name in listed.values()})
        if isinstance(listed, dict)
        else []
    )


def check_adapter(folder: Path) -> None:
    """Raises MissingPart unless `folder` has a LoRA adapter in safetensors format."""
    is_lora = read_if_json(folder / "adapter_config.json").get("peft_type") == "LORA"
    if not is_lora or not (folder / "adapter_model.safetensors").is_file():
        raise MissingPart(
            "The result of this run is missing.",
            f"{folder.name} has no LoRA adapter (adapter_config.json and adapter_model.safetensors).",
            "Wait until the training has finished, or train again.",
        )


def load(folder: Path, dtype: torch.dtype, **options: Any) -> Any:
    """The causal language model in `folder`, in evaluation mode, on the CPU, its
    weights as `dtype`. options: of transformers' `from_pretrained`. A Gemma in fp16 is
    widened as in training.
    """
    import torch

    check(folder)
    model = causal_lm.load(folder, dtype=dtype, **options).eval()
    if dtype == torch.float16:
        widen_gemma(model)
    return model


def working_dtype(folder: Path) -> torch.dtype:
    """The dtype in which to compute with the model in `folder` on the CPU: float32 if
    memory allows, else that on disk, in which PyTorch reads the weights straight from
    the files.
    """
    import psutil
    import torch

    stored = getattr(torch, saved_dtype(folder) or "bfloat16", torch.bfloat16)
    needed = _FLOAT32_MEMORY * 4 * weight_bytes(folder) / stored.itemsize
    return (
        torch.float32
        if stored.itemsize == 4 or psutil.virtual_memory().available > needed
        else stored
    )


def attach_adapter(model: Any, adapter: Path) -> Any:
    """`model` with the LoRA adapter in the folder `adapter`, as a peft model in
    evaluation mode.
    """
    from peft import PeftModel

    check_adapter(adapter)
    return PeftModel.from_pretrained(model, str(adapter), is_trainable=False).eval()


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the model in `folder`: those in its index, or all where
    it has none.
    """
    return [folder / name for name in _indexed(folder)] or sorted(
        folder.glob("*.safetensors")
    )


def copy_files(folder: Path, out: Path, names: Iterable[str] = OTHER_FILES) -> None:
    """Copy the configuration and tokenizer of the model in `folder` to the folder
    `out`, as they are, or what there is of these `names`.
    """
    for name in names:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)


def write_dtype(folder: Path, dtype: str) -> None:
    """Write into the config of the model in `folder` that its weights are saved as
    `dtype`, such as "float32".
    """
    config = read_if_json(folder / "config.json")
    for part in (config, config.get("text_config") or {}):
        part |= {key: dtype for key in ("dtype", "torch_dtype") if key in part}
    if "torch_dtype" not in config:
        config["dtype"] = dtype
    write_config(folder / "config.json", config)


def weight_bytes(folder: Path) -> int:
    """Bytes of the safetensors files in `folder`."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def model_type(folder: Path) -> str:
    """transformers' name for the architecture, of the text part if there are several,
    such as "llama"; "" if not stated.
    """
    return str(_config(folder).get("model_type") or "")


def context_length(folder: Path) -> int:
    """Tokens that the model can attend to; 2048 if its config does not say."""
    config = _config(folder)
    return next((int(config[name]) for name in _LENGTHS if config.get(name)), 2048)


def saved_dtype(folder: Path) -> str:
    """The dtype of the weights on disk, such as "bfloat16"; "" if the config does not
    say.
    """
    config = read_if_json(folder / "config.json")
    return str(config.get("dtype") or config.get("torch_dtype") or "")


def end_ids(folder: Path) -> set[int]:
    """The token ids that end an answer according to generation_config.json and
    config.json.
    """
    ids: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        value = read_if_json(folder / name).get("eos_token_id")
        ids.update(
            value if isinstance(value, list) else [] if value is None else [value]
        )
    return ids


def write_end_ids(folder: Path, ids: Collection[int]) -> None:
    """Add `ids` to the end tokens in generation_config.json, so that every program
    stops an answer there.
    """
    every = sorted(end_ids(folder).union(ids))
    values = {
        **read_if_json(folder / "generation_config.json"),
        "eos_token_id": every[0] if len(every) == 1 else every,
    }
    if values != read_if_json(folder / "generation_config.json"):
        write_config(folder / "generation_config.json", values)


def make_portable(folder: Path, name: str) -> None:
    """Edit a model that transformers 5 has saved so that older programs read it
    correctly; others stay as they are. The rotary base is also written where
    transformers 4 looks for it (it would assume 10,000), the tokenizer class becomes
    one that both versions have, what the model reads is named (transformers 4.57 would
    also give it token_type_ids), and paths of this machine are removed. name: such as
    its id on the hub.
    """
    for file, edit in (
        ("config.json", _portable_config),
        ("tokenizer_config.json", _portable_tokenizer),
    ):
        values = read_if_json(folder / file)
        edit(values, name)
        if values != read_if_json(folder / file):
            write_config(folder / file, values)


def _config(folder: Path) -> dict[str, Any]:
    """The config; for a multimodal model, the values of its text part take precedence."""
    config = read_if_json(folder / "config.json")
    return {**config, **(config.get("text_config") or {})}


def _portable_config(config: dict[str, Any], name: str) -> None:
    if "_name_or_path" in config or str(
        config.get("transformers_version", "")
    ).startswith("5"):
        config["_name_or_path"] = name
    config.pop("_model_name_or_path", None)
    if theta := (config.get("rope_parameters") or {}).get("rope_theta"):
        config.setdefault("rope_theta", theta)
    if config.get("dtype"):
        config.setdefault("torch_dtype", config["dtype"])


def _portable_tokenizer(config: dict[str, Any], _: str) -> None:
    for key in _INSTALLATION_KEYS:
        config.pop(key, None)
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    if config.get("tokenizer_class") == "PreTrainedTokenizerFast":
        config.setdefault("model_input_names", ["input_ids", "attention_mask"])


def write_config(path: Path, values: Mapping[str, Any]) -> None:
    """Write a configuration as transformers lays it out."""
    path.write_text(
        json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8", newline="\n"
    )


def widen_gemma(model: Any) -> None:
    """Keeps what the blocks of a Gemma add up in float32, and only their products in
    fp16, in which it overflows; other models stay. Its embeddings and the norms around
    its blocks then give float32, which the residual connections carry on. Without
    autocast its linear layers take that in their own precision; attention computes in
    float32.
    """
    import torch

    if not str(model.config.model_type).startswith("gemma"):
        return
    model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: output.float()
    )
    for name, module in model.named_modules():
        if name.endswith(("layernorm", ".norm")):
            module.register_forward_pre_hook(
                lambda module, inputs: (inputs[0].float(), *inputs[1:])
            )
        elif type(module) is torch.nn.Linear:
            module.register_forward_pre_hook(
                lambda module, inputs: (inputs[0].to(module.weight.dtype),)
            )
            if name.endswith("v_proj"):
                module.register_forward_hook(
                    lambda module, inputs, output: output.float()
                )
