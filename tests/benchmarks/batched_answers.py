"""Answering the held-out questions of an evaluation, against one plain `generate` call
for each of them.

Ours: `backend.chat.batch`, all questions together. Peer: transformers'
`model.generate`, greedy, one question at a time, as its documentation shows. Both use
one copy of the bundled model in fp32 and must give the same answers: the questions of
the orders sample, at most LIMIT tokens each.

    python -m tests.benchmarks.batched_answers [--smoke]

Goal: four times the answers a minute. The last line is JSON; `same` is the share of
    equal answers.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backend.settings import SAMPLES, Workspace
from tests.benchmarks.measuring import print_result

QUESTIONS, LIMIT = 24, 32  # about two minutes
SMOKE = (3, 4)


def main(count: int, limit: int) -> None:
    import torch

    from backend.chat.batch import answer_all
    from backend.chat.torch_engine import TorchEngine
    from tests.linked_model import bundled_in

    with TemporaryDirectory() as folder:
        engine = TorchEngine(
            bundled_in(Workspace.open(Path(folder))), dtype=torch.float32
        )
        prompts = [engine.prompt_ids(question) for question in questions(count)]
        model, ends = engine.models["base"], engine.report.end_ids
        began = time.perf_counter()
        ours = [
            list(one.ids) for one in answer_all(model, prompts, ends, [limit] * count)
        ]
        half = time.perf_counter()
        peer = [generated(model, prompt, ends, limit) for prompt in prompts]
        ended = time.perf_counter()
    mine, theirs = count * 60 / (half - began), count * 60 / (ended - half)
    same = sum(a == b for a, b in zip(ours, peer, strict=True)) / count
    print_result(
        "batched_answers",
        "answers/min",
        round(mine, 1),
        round(theirs, 1),
        round(mine / theirs, 2),
        same=same,
    )


def questions(count: int) -> list[list[dict[str, Any]]]:
    lines = (
        (Path(SAMPLES) / "orders.held_out.jsonl")
        .read_text("utf-8")
        .splitlines()[:count]
    )
    return [json.loads(line)["messages"][:-1] for line in lines]


def generated(model: Any, prompt: list[int], ends: list[int], limit: int) -> list[int]:
    import torch

    ids = torch.tensor([prompt])
    found = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, do_sample=False, eos_token_id=ends,
        pad_token_id=ends[0],
    )[0, len(prompt) :].tolist()  # fmt: skip
    return [token for token in found if token not in ends]


if __name__ == "__main__":
    main(*(SMOKE if "--smoke" in sys.argv[1:] else (QUESTIONS, LIMIT)))
