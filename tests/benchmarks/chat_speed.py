"""How fast the chat and the endpoint write, against llama-cpp-python alone on the same
file.

Ours: the chat process, as the page uses it, over pipes and with its checks. Peer:
`llama_cpp.Llama` in a process of its own, greedy, with flash attention, which llama.cpp
chooses by itself for ours. Both read the bundled model as a Q8_0 file, get the same
prompts and write at most LIMIT tokens on the same number of threads. They take turns,
so that other work on the computer disturbs both alike. The figures are medians over the
prompts, without the time to read them.

    python -m tests.benchmarks.chat_speed [--smoke]

Goal: 0.8 of the peer. The last line is JSON; `tuned` is our speed with an adapter.

`endpoint`: tokens a second and seconds to the first, of llama.cpp's server, which
answers programs, and the engine of Try, which did before; alone and beside a training
run. `slots`: tokens a second of the clock and of the processor, as eight clients at
once ask that server with so many slots.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache
from operator import truediv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil

from backend.models.bundled import silent
from backend.settings import PROJECT_ROOT, Workspace
from tests.benchmarks.measuring import print_result

ROUNDS, LIMIT = 5, 128
SMOKE = (1, 4, ())
CLIENTS, SLOTS = 8, (1, 2, 4, 8)
WARM_UP = 75.0  # seconds until the run is at its steps
TOPICS = ("a lighthouse", "a baker", "the sea", "a train", "a garden")


def main(rounds: int, limit: int, slots: Sequence[int] = SLOTS) -> None:
    from backend.chat.client import Chat
    from backend.gguf.base_file import base_file
    from backend.hardware import container
    from backend.serving import job
    from backend.serving.answers import ChatAnswers
    from backend.serving.requests import Abilities
    from tests.backend.synthetic import make_adapter
    from tests.linked_model import bundled_in

    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    context = multiprocessing.get_context(
        "fork" if multiprocessing.parent_process() else "spawn"
    )
    with TemporaryDirectory() as folder, ProcessPoolExecutor(1, context) as peer:
        workspace = Workspace.open(Path(folder))
        model = bundled_in(workspace)
        file = base_file(workspace, model, silent)
        chat, serving = Chat(workspace), Chat(workspace)
        chat.open(model, adapter := make_adapter(Path(folder) / "adapter", model))
        try:
            speeds: dict[str, list[float]] = {"base": [], "tuned": [], "peer": []}
            for number in range(rounds):
                prompt = chat.prompt_ids(story(number))
                speeds["peer"].append(
                    peer.submit(
                        speed_alone, file, container.cores(), prompt, limit
                    ).result()
                )
                for pane in ("base", "tuned"):
                    last = list(
                        chat.ask(story(number), panes=[pane], max_new_tokens=limit)
                    )[-1]
                    speeds[pane].append(last.tokens_per_second)
            ways = [
                job._open(serving, model, adapter, Abilities("m"), silent)[0],
                ChatAnswers(chat, "tuned"),
            ]
            endpoint: dict[str, Any] = {"alone": in_turn(ways, rounds, limit)}
            if slots:
                command = [
                    sys.executable,
                    "-m",
                    "tests.benchmarks.training_speed",
                    "1000",
                ]
                training = subprocess.Popen(
                    command,
                    cwd=PROJECT_ROOT,
                    start_new_session=True,
                    stdout=subprocess.DEVNULL,
                )
                try:
                    time.sleep(WARM_UP)
                    before = processor_seconds(training.pid)
                    endpoint["beside a training run"] = in_turn(ways, rounds, limit)
                    endpoint["its processor seconds"] = (
                        processor_seconds(training.pid) - before
                    )
                finally:
                    os.killpg(training.pid, signal.SIGKILL)
        finally:
            chat.close()
            serving.close()
        parallel = {number: at_once(file, number, limit) for number in slots}
        ours, alone = (
            statistics.median(speeds["base"]),
            statistics.median(speeds["peer"]),
        )
        ratio = statistics.median(map(truediv, speeds["base"], speeds["peer"]))
        tuned = round(statistics.median(speeds["tuned"]), 1)
        more = {
            "tuned": tuned,
            "engine": str(chat.report),
            "endpoint": endpoint,
            "slots": parallel,
        }
        print_result(
            "chat_speed",
            "tokens/s",
            round(ours, 1),
            round(alone, 1),
            round(ratio, 2),
            **more,
        )


def processor_seconds(pid: int) -> float:
    """Of the processes that a process has started."""
    return sum(
        sum(one.cpu_times()[:2]) for one in psutil.Process(pid).children(recursive=True)
    )


def story(number: int) -> list[dict[str, str]]:
    return [
        {
            "role": "user",
            "content": f"Write a long story about {TOPICS[number % len(TOPICS)]}.",
        }
    ]


def in_turn(
    ways: Sequence[httpx.AsyncBaseTransport], rounds: int, limit: int
) -> list[list[float]]:
    """The medians of each way to answer, after a first question to each."""
    answers = [
        [asyncio.run(ask(way, number, limit)) for way in ways]
        for number in range(-1, rounds)
    ][1:]
    found = [zip(*of_way, strict=True) for of_way in zip(*answers, strict=True)]
    return [[round(statistics.median(numbers), 2) for numbers in one] for one in found]


async def ask(
    way: httpx.AsyncBaseTransport, number: int, limit: int
) -> tuple[float, float]:
    began, first, tokens = time.perf_counter(), 0.0, 0
    more = {"stream": True, "stream_options": {"include_usage": True}}
    body = {"model": "m", "messages": story(number), "max_tokens": limit, **more}
    client = httpx.AsyncClient(transport=way, base_url="http://model", timeout=600)
    async with (
        client,
        client.stream("POST", "/v1/chat/completions", json=body) as reply,
    ):
        async for line in reply.aiter_lines():
            event = json.loads(line[6:]) if line.startswith("data: {") else {}
            if any(
                choice["delta"].get("content") for choice in event.get("choices", ())
            ):
                first = first or time.perf_counter()
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    return max(tokens - 1, 0) / (time.perf_counter() - first), first - began


def at_once(file: Path, slots: int, limit: int) -> list[float]:
    from backend.chat.llama_server import LlamaServer

    server = LlamaServer(file, slots, 1024)
    began = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(CLIENTS) as clients:
        bodies = (
            {"messages": story(number), "max_tokens": limit}
            for number in range(CLIENTS)
        )
        answers = [
            *clients.map(lambda body: server.call("/v1/chat/completions", body), bodies)
        ]
    taken = time.perf_counter() - began[0], time.process_time() - began[1]
    server.close()
    return [
        round(
            sum(answer["usage"]["completion_tokens"] for answer in answers) / seconds, 1
        )
        for seconds in taken
    ]


@lru_cache
def opened(file: Path, threads: int) -> Any:
    from llama_cpp import Llama

    options: Any = {
        "n_ctx": 2048,
        "n_threads": threads,
        "n_threads_batch": threads,
        "flash_attn": True,
    }
    return Llama(model_path=str(file), verbose=False, **options)


def speed_alone(file: Path, threads: int, prompt: list[int], limit: int) -> float:
    """Tokens a second of llama-cpp-python, in a process that keeps the model."""
    llama = opened(file, threads)
    llama.reset()
    times: list[float] = []
    for token in llama.generate(prompt, temp=0.0, repeat_penalty=1.0):
        if token == llama.token_eos() or len(times) == limit:
            break
        times.append(time.perf_counter())
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


if __name__ == "__main__":
    main(*(SMOKE if "--smoke" in sys.argv[1:] else (ROUNDS, LIMIT)))
