"""The small app for a Space: its files, and that it starts and answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from backend.export import model_space
from backend.models import local
from tests.backend.synthetic import make_finished_run

INSTRUCTION = "Answer with one short sentence."


@pytest.fixture
def folder(tmp_path: Path, bundled_model: Path) -> Path:
    """The folder of a Space with the bundled model as it is."""
    run = tmp_path / "run"
    make_finished_run(run, bundled_model, "HuggingFaceTB/SmolLM2-135M-Instruct")
    folder = tmp_path / "space"
    shutil.copytree(bundled_model, folder / model_space.MODEL, copy_function=os.link)
    model_space.write(folder, "orders", local.read_run(run), INSTRUCTION)
    return folder


def test_its_files_name_exact_versions_and_hold_no_example(folder: Path) -> None:
    readme = (folder / "README.md").read_text("utf-8")
    assert re.search(r"^sdk_version: \d+\.\d+\.\d+$", readme, re.MULTILINE)
    assert 'title: "orders"' in readme, "a name such as 2026 has to stay a text"
    requirements = (folder / "requirements.txt").read_text("utf-8").splitlines()
    assert {re.split("[= ]", line)[0] for line in requirements} >= {"transformers", "torch", "safetensors"}
    assert all("==" in line or "sha256=" in line for line in requirements)
    assert json.loads((folder / "settings.json").read_text("utf-8")) == {"name": "orders", "instruction": INSTRUCTION}


@pytest.mark.slow
def test_it_starts_and_answers_as_the_model_does(folder: Path) -> None:
    from gradio_client import Client
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    with (folder / "log.txt").open("wb") as log:
        app = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            if app.poll() is not None or _answers(url):
                break
            time.sleep(0.2)
        assert app.poll() is None, (folder / "log.txt").read_text("utf-8")
        question = "What is the capital of France?"
        answer = Client(url, verbose=False).predict(question, api_name="/chat")
    finally:
        app.terminate()
        app.wait()
    messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": question}]
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="auto")
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    told = model.generate(**ids, max_new_tokens=512, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert answer == tokenizer.decode(told, skip_special_tokens=True) != ""


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False
