"""The small app for a Space: it starts as a Space starts it, and answers in a browser as the model does."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.export.test_model_space import INSTRUCTION, make_space
from tests.browser.conftest import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]
QUESTIONS = ("What is the capital of France?", "And of Italy?")


@pytest.mark.parametrize("width", [1280, 390])
def test_it_answers_in_a_browser_as_elsewhere(chromium: Any, tmp_path: Path, bundled_model: Path, width: int) -> None:
    folder, port = make_space(tmp_path, bundled_model), free_port()
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    with (folder / "log.txt").open("wb") as log:
        app = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=environment, stdout=log, stderr=log)
    page = chromium.new_page(viewport={"width": width, "height": 800})
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            if app.poll() is not None or _is_up(url):
                break
            time.sleep(0.2)
        assert app.poll() is None, (folder / "log.txt").read_text("utf-8")
        page.goto(url)
        answers = []
        for number, question in enumerate(QUESTIONS):
            box = page.locator("textarea").last
            box.fill(question)
            box.press("Enter")
            page.locator("[data-testid=bot]").nth(number).wait_for(timeout=120_000)
            page.locator("button.stop-button").wait_for(state="hidden", timeout=120_000)
            answers.append(page.locator("[data-testid=bot]").nth(number).inner_text().strip())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=os.environ.get("APPRENTICE_SHOT", str(tmp_path / "space.png")))
    finally:
        page.close()
        app.terminate()
        app.wait()
    assert answers == _expected(folder / "model")


def _expected(model_folder: Path) -> list[str]:
    """What the model answers to the questions in turn."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype="auto")
    messages, found = [{"role": "system", "content": INSTRUCTION}], []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        told = model.generate(**ids, max_new_tokens=512, do_sample=False)[0, ids["input_ids"].shape[1] :]
        found.append(tokenizer.decode(told, skip_special_tokens=True).strip())
        messages.append({"role": "assistant", "content": found[-1]})
    return found


def _is_up(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False
