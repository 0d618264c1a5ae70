"""How fast the chat writes, against llama-cpp-python alone on the same file.

Ours: the chat process, as the page uses it, over pipes and with its checks. Peer: `llama_cpp.Llama` in a process of
its own, greedy, with flash attention, which llama.cpp chooses by itself for ours. Both read the bundled model as a
Q8_0 file, get the same prompts and write at most LIMIT tokens on the same number of threads. They take turns, so that
other work on the computer disturbs both alike. The figures are medians over the prompts, without the time to read
them.

    python -m tests.benchmarks.chat_speed [--smoke]

Goal: 0.8 of the peer. The last line is JSON; `tuned` is our speed with an adapter, `same` the share of equal answers:
often 0, since two builds of llama.cpp round differently, and a story has two likely first words (0.02 nats apart).
"""

import json
import statistics
import subprocess
import sys
import time
from operator import truediv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backend.settings import PROJECT_ROOT, Workspace, child_environment
from tests.benchmarks.measuring import print_result

ROUNDS, LIMIT = 5, 128
SMOKE = (1, 4)
TOPICS = ("a lighthouse", "a baker", "the sea", "a train", "a garden")


def main(rounds: int, limit: int) -> None:
    from backend.chat.client import Chat
    from backend.gguf.base_file import base_file
    from backend.hardware import container
    from tests.backend.synthetic import make_adapter
    from tests.linked_model import bundled_in

    with TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder))
        model = bundled_in(workspace)
        file = base_file(workspace, model, lambda *step: None)
        chat = Chat(workspace)
        chat.open(model, make_adapter(Path(folder) / "adapter", model))
        peer = Peer(file, container.cores())
        try:
            speeds: dict[str, list[float]] = {"base": [], "tuned": [], "peer": []}
            same = 0
            for number in range(rounds):
                said = [{"role": "user", "content": f"Write a long story about {TOPICS[number % len(TOPICS)]}."}]
                prompt = chat.prompt_ids(said)
                theirs = peer.answer(prompt, limit)
                speeds["peer"].append(theirs["speed"])
                for pane in ("base", "tuned"):
                    last = list(chat.ask(said, panes=[pane], max_new_tokens=limit))[-1]
                    speeds[pane].append(last.tokens_per_second)
                    same += pane == "base" and list(last.ids) == theirs["ids"][: len(last.ids)]
        finally:
            chat.close()
            peer.close()
        ours, alone = statistics.median(speeds["base"]), statistics.median(speeds["peer"])
        ratio = statistics.median(map(truediv, speeds["base"], speeds["peer"]))
        tuned = round(statistics.median(speeds["tuned"]), 1)
        more = {"tuned": tuned, "engine": chat.engine, "same": same / rounds}
        print_result("chat_speed", "tokens/s", round(ours, 1), round(alone, 1), round(ratio, 2), **more)


class Peer:
    """llama-cpp-python in a process of its own."""

    def __init__(self, file: Path, threads: int) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.chat_speed", "--peer", str(file), str(threads)]
        environment = {**child_environment(), "OMP_WAIT_POLICY": "PASSIVE"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT, env=environment
        )

    def answer(self, prompt: list[int], limit: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([prompt, limit]) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        self._process.communicate(timeout=30)


def run_peer(file: str, threads: int) -> None:
    from llama_cpp import Llama

    llama = Llama(
        model_path=file, n_ctx=2048, n_threads=threads, n_threads_batch=threads, flash_attn=True, verbose=False
    )
    for line in sys.stdin:
        prompt, limit = json.loads(line)
        llama.reset()
        ids: list[int] = []
        began = 0.0
        for token in llama.generate(prompt, temp=0.0, repeat_penalty=1.0):
            if token == llama.token_eos():
                break
            began = began or time.perf_counter()
            ids.append(token)
            if len(ids) == limit:
                break
        speed = (len(ids) - 1) / (time.perf_counter() - began) if len(ids) > 1 else 0.0
        print(json.dumps({"ids": ids, "speed": speed}), flush=True)


if __name__ == "__main__":
    if "--peer" in sys.argv:
        run_peer(sys.argv[-2], int(sys.argv[-1]))
    else:
        main(*(SMOKE if "--smoke" in sys.argv[1:] else (ROUNDS, LIMIT)))
