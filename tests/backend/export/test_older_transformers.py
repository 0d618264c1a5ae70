"""The merged folder and the adapter in transformers 4.57, in an environment of its own
beside the installed torch.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend.errors import BadInput
from backend.export import snippets
from backend.export.checks import FIXED
from backend.models import bundled, model_folder
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.merging import merge

pytestmark = pytest.mark.slow
PACKAGES = ("transformers==4.57.3", "tokenizers==0.22.1", "huggingface-hub==0.36.0")
PROGRAM = """
import json, sys
import torch, transformers
assert transformers.__version__.startswith("4.57."), transformers.__version__
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, chats = sys.argv[1], json.load(open(sys.argv[2], encoding="utf-8"))
tokenizer = AutoTokenizer.from_pretrained(folder)
ids = [tokenizer.apply_chat_template(one[0], tools=one[1] or None, add_generation_prompt=True) for one in chats]
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
with torch.inference_mode():
    logits = model(torch.tensor([ids[0]])).logits[0]
json.dump([ids, logits.argmax(-1).tolist()], open(sys.argv[3], "w"))
"""


def test_a_merged_folder_is_the_same_in_transformers_4(
    bundled_model: Path, adapter: Path, tmp_path: Path
) -> None:
    import torch

    other = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(other),
        *PACKAGES,
    ]
    if subprocess.run(install, check=False).returncode:
        pytest.skip("the packages can't be installed here")
    folder = tmp_path / "merged"
    tokenizer = ChatTokenizer.load(bundled_model)
    merge(bundled_model, adapter, folder, [tokenizer.prompt_ids(FIXED[0].messages)])
    model_folder.make_portable(folder, bundled.MODEL_ID)
    chats, expected = [], []
    for messages, tools in FIXED:
        try:
            expected.append(tokenizer.prompt_ids(messages, tools))
        except BadInput:
            continue
        chats.append([messages, tools])
    (tmp_path / "chats.json").write_text(json.dumps(chats), "utf-8")
    program = [
        sys.executable,
        "-c",
        PROGRAM,
        str(folder),
        str(tmp_path / "chats.json"),
        str(tmp_path / "found.json"),
    ]
    subprocess.run(
        program, env={**os.environ, "PYTHONPATH": str(other)}, check=True, cwd=tmp_path
    )
    ids, top = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert ids == expected
    merged = model_folder.load(folder, torch.float32)
    with torch.inference_mode():
        assert top == merged(torch.tensor([expected[0]])).logits[0].argmax(-1).tolist()
    learned = shutil.copytree(adapter, tmp_path / "adapter")
    model_folder.make_portable(learned, bundled.MODEL_ID)
    for form, base, ready in (
        ("merged", "", folder),
        ("adapter", str(bundled_model), learned),
    ):
        (tmp_path / "ask.py").write_text(
            snippets.with_transformers(form, base, "Be brief.", str(ready)), "utf-8"
        )
        printed = [
            subprocess.run(
                [sys.executable, "ask.py"],
                env=env,
                check=True,
                cwd=tmp_path,
                capture_output=True,
            ).stdout
            for env in ({**os.environ, "PYTHONPATH": str(other)}, {**os.environ})
        ]
        assert printed[0] == printed[1] != b"", (
            f"the printed program for {form}, in both versions"
        )
