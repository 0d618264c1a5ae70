"""How well each GGUF file does the task, where several sizes are made and held-out examples judge the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from backend.chat.client import Chat
from backend.errors import BadInput
from backend.evaluation.examples import judging_items, training_items
from backend.evaluation.items import Item
from backend.evaluation.measures import Measure, choose_measure
from backend.export.request import ExportRequest
from backend.records.encoded import IGNORED
from backend.statistics import SIGNIFICANT, mcnemar_exact

ITEMS = 16  # held-out examples that are asked at most: a file of 135 million parameters answers them in seconds
_LONGEST = 256  # tokens of an answer


def add(request: ExportRequest, files: dict[str, Path]) -> None:
    """Add `task` to each of the request's `sizes`: {measure, score (mean, 0 to 1), items}, or None; and a check of
    that name to its result, whether a size does the task worse than the largest.

    files: those that can be opened. None for one file alone, and for pairs, plain texts and tools. The score is that
    of the evaluation's main measure, on fewer examples. Raises Stopped, RunProblem for damaged examples.
    """
    sizes: list[dict[str, Any]] = request.result["sizes"]
    for one in sizes:
        one["task"] = None
    if len(files) < 2 or request.run.settings.trainer != "sft":
        return
    items = judging_items(request.run_folder, ITEMS)
    measure = choose_measure([item.expected for item in (*training_items(request.run_folder), *items)])
    if not items or measure.name == "tool_call" or any(item.tools for item in items):
        return
    chat, scores = Chat(request.context.workspace, log_file=request.context.folder / "gguf.log"), {}
    try:
        for number, one in enumerate(sizes):
            if one["kind"] not in files:
                continue
            request.report_phase("Trying the sizes on held-out examples", number, len(sizes))
            chat.open(gguf=files[one["kind"]])
            scores[one["kind"]] = found = _scores(request, chat, items, measure)
            if found:
                one["task"] = {"measure": measure.name, "score": fmean(found.values()), "items": len(found)}
    finally:
        chat.close()
    if all(scores.values()):
        request.record_check("task", compare(scores))


def compare(scores: Mapping[str, Mapping[int, float]]) -> dict[str, Any]:
    """Whether a size does the task worse than the largest, the first, by more than chance.

    scores: by type and the example's number. Decided by the exact McNemar test over the examples on which the one
    scores more or less than the other, at the usual level shared among the sizes (Bonferroni). Returns {ok, worse
    (types), items, scores (the mean of each type), sentence}.
    """
    (largest, best), *others = scores.items()
    means = {kind: fmean(one.values()) for kind, one in scores.items()}
    worse = []
    for kind, one in others:
        both = best.keys() & one.keys()
        lost = sum(one[number] < best[number] for number in both)
        won = sum(one[number] > best[number] for number in both)
        if lost > won and mcnemar_exact(won, lost) <= SIGNIFICANT / len(others):
            worse.append(kind)
    numbers = ", ".join(f"{kind} {mean:.2f}" for kind, mean in means.items())
    found = f"{' and '.join(worse)} clearly worse than {largest}" if worse else f"none clearly worse than {largest}"
    sentence = f"The sizes on {len(best)} held-out examples (mean score, 0 to 1): {numbers}; {found}."
    return {"ok": not worse, "worse": worse, "items": len(best), "scores": means, "sentence": sentence}


def _scores(request: ExportRequest, chat: Chat, items: Sequence[Item], measure: Measure) -> dict[int, float]:
    """The score of the answer to each of `items`, by its number; without those that are too long for the model."""
    longest = max(sum(label != IGNORED for label in row["labels"]) for row in request.rows())
    limit = min(_LONGEST, 16 + 2 * longest)
    scores = {}
    for number, item in enumerate(items):
        request.raise_if_stopped()
        try:
            answer = "".join(chunk.text for chunk in chat.ask(list(item.messages), max_new_tokens=limit))
        except BadInput:  # too long for the model
            continue
        scores[number] = measure.score(item.expected, answer)
    return scores
