"""The job that serves a model, with the real clients."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from backend.chat.client import Chat
from backend.errors import BadSetting
from backend.files.json_file import read_if_json
from backend.models import bundled
from backend.serving import job
from backend.serving.state import STATE, key_hash, new_key
from backend.settings import Workspace, new_id
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.families import TEMPLATES
from tests.backend.synthetic import (
    QUESTIONS,
    TOKENIZER_FILES,
    make_adapter,
    make_finished_run,
)
from tests.backend.tiny_run import FakeWork
from tests.linked_model import link_gguf

KEY = new_key()
HEADERS = {"Authorization": f"Bearer {KEY}"}
LIMIT = 24  # tokens


@pytest.fixture
def work(workspace_with_layers: Workspace) -> FakeWork:
    return work_in(workspace_with_layers)


def work_in(workspace: Workspace) -> FakeWork:
    """The job that serves a finished run of the workspace's bundled model."""
    model, run, folder = (
        bundled.folder(workspace),
        workspace.runs / new_id(),
        workspace.runs / new_id(),
    )
    make_adapter(make_finished_run(run, model, bundled.MODEL_ID), model)
    folder.mkdir()
    return FakeWork(
        folder,
        {"run": run.name, "name": "orders", "key_sha256": key_hash(KEY)},
        workspace=workspace,
    )


@pytest.fixture
def url(work: FakeWork) -> Iterator[str]:
    with served(work) as url:
        yield url


@contextmanager
def served(work: FakeWork) -> Iterator[str]:
    """The address of the endpoint, which is stopped at the end of the block."""
    thread = threading.Thread(target=job.run, args=(work,), daemon=True)
    thread.start()
    while not (found := read_if_json(work.folder / STATE)):
        assert thread.is_alive()
        time.sleep(0.05)
    try:
        yield str(found["url"])
    finally:
        work.stop_at = 0
        thread.join(30)
    assert not thread.is_alive()


@pytest.mark.slow
def test_answers_equal_those_of_try(work: FakeWork, url: str, tmp_path: Path) -> None:
    question = [{"role": "user", "content": QUESTIONS[0]}]
    with closing(Chat(work.workspace, log_file=work.folder / "try.log")) as chat:
        run = work.workspace.run_folder(work.spec["run"])
        chat.open(bundled.folder(work.workspace), run / "result" / "adapter")
        expected = "".join(
            chunk.text
            for chunk in chat.ask(question, panes=["tuned"], max_new_tokens=LIMIT)
        )
    asked = {"model": "orders", "messages": question, "max_tokens": LIMIT}
    assert (
        through_curl(f"{url}/chat/completions", asked)["choices"][0]["message"][
            "content"
        ]
        == expected
    )
    if importlib.util.find_spec("openai"):
        import openai

        with openai.OpenAI(base_url=url, api_key=KEY) as client:
            parts = client.chat.completions.create(**asked, stream=True)
            assert (
                "".join(
                    part.choices[0].delta.content or ""
                    for part in parts
                    if part.choices
                )
                == expected
            )
    while (state := read_if_json(work.folder / STATE))["open"] or state["tokens"] < 1:
        time.sleep(0.05)


ASK: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Tell me a story."}],
    "max_tokens": LIMIT,
}
FORM = {
    "type": "object",
    "properties": {"count": {"type": "integer"}},
    "required": ["count"],
}


@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None,
    reason="there is no build for some systems",
)
def test_what_programs_ask_for(work: FakeWork, url: str) -> None:
    """Forms of answers, many at once, clients that leave, and a process that ends."""
    with httpx.Client(
        base_url=url, headers=HEADERS, timeout=120, trust_env=False
    ) as client:

        def ask(path: str = "chat/completions", **more: Any) -> Any:
            answer = client.post(f"/{path}", json=more)
            assert answer.status_code == 200, answer.text
            return answer.json()

        described: dict[str, Any] = {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": FORM},
        }
        whole = {**ASK, "max_tokens": 200}  # the first layers begin with much space
        made = ask(**whole, response_format=described)["choices"][0]["message"][
            "content"
        ]
        assert json.loads(made).keys() == {"count"}
        size = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
        described["json_schema"]["schema"] = {
            **FORM,
            "properties": {"size": size, **FORM["properties"]},
        }
        made = ask(**whole, response_format=described)["choices"][0]["message"][
            "content"
        ]
        assert [*json.loads(made)] == ["size", "count"], "the order of the schema"
        form = {"format": {"type": "json_schema", "name": "x", "schema": FORM}}
        (item,) = ask("responses", input="Tell me a story.", text=form)["output"]
        assert json.loads(item["content"][0]["text"]).keys() == {"count"}
        assert (
            len(
                ask(**ASK, n=2, stop=["e"], logprobs=True, seed=-1, temperature=1)[
                    "choices"
                ]
            )
            == 2
        )
        assert (
            ask("completions", prompt="The sky is", max_tokens=3)["usage"][
                "completion_tokens"
            ]
            == 3
        )
        with ThreadPoolExecutor(20) as threads:
            stories = list(threads.map(lambda _: ask(**ASK, temperature=2), range(20)))
        assert len({one["choices"][0]["message"]["content"] for one in stories}) > 8, (
            "random without a seed"
        )
        endless = {"type": "array", "items": {"type": "string"}, "minItems": 400}
        asked = {**ASK, "max_tokens": 2000, "stream": True}
        asked["response_format"] = {
            "type": "json_schema",
            "json_schema": {"schema": endless},
        }
        for _ in range(17):  # more than are answered at a time
            with client.stream("POST", "/chat/completions", json=asked) as streamed:
                next(streamed.iter_lines())
        began = time.monotonic()
        ask(**ASK)
        assert time.monotonic() - began < 30, "what nobody reads ends"
        models = (
            one
            for one in psutil.Process().children()
            if "backend.chat.server" in one.cmdline()
        )
        model = max(
            models, key=lambda one: one.create_time()
        )  # another test's may still be there
        model.kill()
        model.wait(10)
        ask(**ASK)
    assert KEY not in "".join(
        file.read_text("utf-8", "replace") for file in work.folder.iterdir()
    )


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None,
    reason="there is no build for some systems",
)
def test_a_model_that_never_learned_to_call_must(
    workspace_with_model: Workspace, bundled_gguf: Path
) -> None:
    """One function, or one of two, with a template that has tools; at once and
    streamed, whole and cut off. Of all layers, which begin without space.
    """
    openai, work = pytest.importorskip("openai"), work_in(workspace_with_model)
    link_gguf(bundled_gguf, bundled.folder(workspace_with_model), workspace_with_model)
    result = work.workspace.run_folder(work.spec["run"]) / "result" / "adapter"
    shutil.copyfile(TEMPLATES / "qwen2_5.jinja", result / "chat_template.jinja")
    two = [
        {"type": "function", "function": {"name": name, "parameters": FORM}}
        for name in ("count", "find")
    ]
    asks = (
        (two[:1], False, 99),
        (two[:1], True, 99),
        (two, False, 99),
        (two, True, 99),
        (two, True, 2),
    )
    with served(work) as url, openai.OpenAI(base_url=url, api_key=KEY) as client:
        for tools, stream, most in asks:
            more = {
                "model": "orders",
                "tools": tools,
                "tool_choice": "required",
                "stream": stream,
                "max_tokens": most,
            }
            made = client.chat.completions.create(**{**ASK, **more, "n": 2})
            choices = [
                choice
                for part in (made if stream else [made])
                for choice in part.choices
            ]
            for parts in (
                [choice for choice in choices if choice.index == index]
                for index in (0, 1)
            ):
                pieces = [
                    choice.delta if stream else choice.message for choice in parts
                ]
                calls = [call for piece in pieces for call in piece.tool_calls or []]
                if most == 2:
                    assert (calls, pieces[-1].content[:1], parts[-1].finish_reason) == (
                        [],
                        "{",
                        "length",
                    )
                    continue
                assert [bool(call.id) for call in calls] == [
                    call is calls[0] for call in calls
                ]
                assert calls[0].function.name in [
                    tool["function"]["name"] for tool in tools
                ]
                assert json.loads(
                    "".join(call.function.arguments for call in calls)
                ).keys() == {"count"}
                assert (pieces[-1].content, parts[-1].finish_reason) == (
                    None,
                    "tool_calls",
                )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "script", "place"),
    [("bin/python", "ask.py", ""), ("node", "ask.mjs", "node")],
)
def test_clients(
    workspace_with_model: Workspace,
    bundled_gguf: Path,
    program: str,
    script: str,
    place: str,
) -> None:
    """Those installed in the environment $APPRENTICE_CLIENTS (pip) and its folder node
    (npm) ask all layers.
    """
    folder = Path(os.environ.get("APPRENTICE_CLIENTS", "/nowhere"))
    found = shutil.which(folder / program if "/" in program else program)
    if not found or (place and not (folder / place / "node_modules").is_dir()):
        pytest.skip(f"$APPRENTICE_CLIENTS has no clients for {script}")
    link_gguf(bundled_gguf, bundled.folder(workspace_with_model), workspace_with_model)
    with served(work_in(workspace_with_model)) as url:
        command = [
            found,
            str(Path(__file__).parent / "clients" / script),
            url,
            KEY,
            "orders",
        ]
        made = subprocess.run(
            command, cwd=folder / place, capture_output=True, text=True, check=True
        )
    learned = (
        "json_object",
        "json_mode",
        "prompted",
    )  # which ask in words for a form that this model never learned
    results = json.loads(made.stdout)
    failed = {
        name: result
        for name, result in results.items()
        if result != "ok" and not name.endswith(learned)
    }
    assert {
        name: result for name, result in failed.items() if "not installed" not in result
    } == {}


@pytest.mark.slow
def test_a_model_that_learned_a_tool_calls_it(
    work: FakeWork, shallow_model: Path
) -> None:
    """A few layers, trained until they write one call; the endpoint gives them the
    tokens of their training.
    """
    openai, torch, peft = map(pytest.importorskip, ("openai", "torch", "peft"))
    from transformers import AutoModelForCausalLM

    model, run = (
        shutil.copytree(shallow_model, work.folder / "model"),
        work.workspace.runs / new_id(),
    )
    shutil.copyfile(TEMPLATES / "qwen2_5.jinja", model / "chat_template.jinja")
    function, turns = (
        {"name": "find", "arguments": {"count": 42}},
        [{"role": "user", "content": "Find order 42."}],
    )
    tools = [
        {
            "type": "function",
            "function": {
                "name": "find",
                "description": 'By <b> & "ü".',
                "parameters": FORM,
            },
        }
    ]
    call: Any = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": function}],
    }
    tokenizer, lora = (
        ChatTokenizer.load(model),
        peft.LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"),
    )
    row = tokenizer.encode([*turns, call], tools)  # type: ignore[list-item]
    learned = peft.get_peft_model(
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), lora
    )
    optimizer = torch.optim.AdamW(learned.parameters(), 3e-3)
    for _ in range(40):
        learned(
            input_ids=torch.tensor([row.input_ids]), labels=torch.tensor([row.labels])
        ).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    learned.save_pretrained(adapter := make_finished_run(run, model, "tests/tools"))
    for file in filter(
        Path.is_file,
        (model / name for name in (*TOKENIZER_FILES, "chat_template.jinja")),
    ):
        shutil.copyfile(file, adapter / file.name)
    work.spec["run"] = run.name
    other = {"type": "function", "function": {"name": "cancel", "parameters": FORM}}
    asks: Any = (tools, "auto"), (tools, "required"), ([other, *tools], "required")
    with served(work) as url, openai.OpenAI(base_url=url, api_key=KEY) as client:
        chat = client.chat.completions
        answers = [
            chat.create(model="orders", messages=turns, tools=a, tool_choice=b, seed=1)
            for a, b in asks
        ]
    assert answers[0].usage.prompt_tokens == len(tokenizer.prompt_ids(turns, tools))
    for answer in answers:
        (found,) = answer.choices[0].message.tool_calls
        assert (found.function.name, json.loads(found.function.arguments)) == tuple(
            function.values()
        )


@pytest.mark.slow
def test_a_fully_trained_model_is_served_by_transformers(
    workspace: Workspace, tiny_model: Path
) -> None:
    run = workspace.runs / new_id()
    make_finished_run(run, tiny_model, "tests/tiny", method="full")
    trained = (
        shutil.copytree(tiny_model, run / "result" / "model") / "model.safetensors"
    )
    save_file(
        {name: 1.1 * weight for name, weight in load_file(trained).items()},
        trained,
        {"format": "pt"},
    )
    folder = workspace.runs / new_id()
    folder.mkdir()
    work = FakeWork(
        folder,
        {"run": run.name, "name": "tiny", "key_sha256": key_hash(KEY)},
        workspace=workspace,
    )
    asked = {"messages": [{"role": "user", "content": "a b c"}], "max_tokens": 4}
    with served(work) as url:
        found = httpx.post(
            f"{url}/chat/completions", json=asked, headers=HEADERS, timeout=60
        )
    assert found.json()["usage"]["prompt_tokens"] == len(
        ChatTokenizer.load(tiny_model).prompt_ids(asked["messages"])
    )


def through_curl(url: str, asked: dict[str, Any]) -> Any:
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    headers = [
        "-H",
        f"Authorization: Bearer {KEY}",
        "-H",
        "Content-Type: application/json",
    ]
    made = subprocess.run(
        ["curl", "-sS", url, *headers, "-d", json.dumps(asked)],
        capture_output=True,
        check=True,
    )
    return json.loads(made.stdout)


def test_a_port_in_use_is_named_and_a_free_one_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BadSetting, match=r"Port \d+ .* Another program"):
            job.listen("127.0.0.1", other.getsockname()[1])
    with job.listen("127.0.0.1", 0) as first, job.listen("127.0.0.1", 0) as second:
        assert first.getsockname()[1] != second.getsockname()[1]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_another_computers_address_is_rejected(host: str) -> None:
    with pytest.raises(BadSetting, match="can't be used"):
        job.listen(host, 0)


@pytest.mark.parametrize("change", [{"port": "x"}, {"run": None}, {"more": 1}])
def test_an_unknown_setting_is_rejected(tmp_path: Path, change: dict[str, Any]) -> None:
    spec = {"run": "a", "name": "a", "key_sha256": "", **change}
    with pytest.raises(BadSetting):
        job.run(FakeWork(tmp_path, spec, workspace=Workspace.open(tmp_path)))
