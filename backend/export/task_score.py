"""How well each GGUF file does the task, where several sizes are made and held-out examples judge the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from backend.chat.client import Chat
from backend.errors import BadInput
from backend.evaluation.examples import judging_items, training_items
from backend.evaluation.items import Item
from backend.evaluation.measures import Measure, choose_measure
from backend.export.request import ExportRequest
from backend.gguf.requirement import has_llama_cpp
from backend.records.encoded import IGNORED

ITEMS = 16  # held-out examples that are asked at most: a file of 135 million parameters answers them in seconds
_LONGEST = 256  # tokens of an answer


def add(request: ExportRequest, files: dict[str, Path]) -> None:
    """Add `task` to each of the request's `sizes`: {measure, score (mean, 0 to 1), items}, or None.

    None for one file alone, for pairs, plain texts and tools, and without llama-cpp-python. The score is that of the
    evaluation's main measure, on fewer examples. Raises Stopped, RunProblem for damaged examples.
    """
    sizes: list[dict[str, Any]] = request.result["sizes"]
    for one in sizes:
        one["task"] = None
    if len(files) < 2 or request.run.settings.trainer != "sft" or not has_llama_cpp():
        return
    items = judging_items(request.run_folder, ITEMS)
    measure = choose_measure([item.expected for item in (*training_items(request.run_folder), *items)])
    if not items or measure.name == "tool_call" or any(item.tools for item in items):
        return
    chat = Chat(request.context.workspace, log_file=request.context.folder / "gguf.log")
    try:
        for number, one in enumerate(sizes):
            request.report_phase("Trying the sizes on held-out examples", number, len(sizes))
            chat.open(gguf=files[one["kind"]])
            one["task"] = _score(request, chat, items, measure)
    finally:
        chat.close()


def _score(request: ExportRequest, chat: Chat, items: Sequence[Item], measure: Measure) -> dict[str, Any] | None:
    longest = max(sum(label != IGNORED for label in row["labels"]) for row in request.rows())
    limit = min(_LONGEST, 16 + 2 * longest)
    scores = []
    for item in items:
        request.raise_if_stopped()
        try:
            answer = "".join(chunk.text for chunk in chat.ask(list(item.messages), max_new_tokens=limit))
        except BadInput:  # too long for the model
            continue
        scores.append(measure.score(item.expected, answer))
    return {"measure": measure.name, "score": fmean(scores), "items": len(scores)} if scores else None
