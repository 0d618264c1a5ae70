"""How well each GGUF file does the task, where several sizes are made and held-out examples judge the run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean

from backend.chat.client import Chat
from backend.errors import BadInput
from backend.evaluation.items import Item, judging_items, training_items
from backend.evaluation.measures import Measure, choose_measure
from backend.export.source import Source
from backend.export.target import LOG, Report, Target
from backend.records.encoded import IGNORED
from backend.records.exports import TaskCheck, TaskScore
from backend.statistics import SIGNIFICANT, mcnemar_exact

ITEMS = 16  # held-out examples that are asked at most: a file of 135 million parameters answers them in seconds
_LONGEST = 256  # tokens of an answer


def measure_files(
    source: Source, target: Target, files: Mapping[str, Path], report: Report
) -> tuple[dict[str, TaskScore], TaskCheck | None]:
    """The score of each of the `files` (by type, the largest first), and whether one does the task worse. Nothing for
    one file alone, and for pairs, plain texts and tools. The score is that of the evaluation's main measure, on fewer
    examples. Raises RunProblem for damaged examples."""
    if len(files) < 2 or source.run.settings.trainer != "sft":
        return {}, None
    items = judging_items(source.folder, ITEMS)
    measure = choose_measure([item.expected for item in (*training_items(source.folder), *items)])
    if not items or measure.name == "tool_call" or any(item.tools for item in items):
        return {}, None
    chat, scores = Chat(source.workspace, log_file=target.folder / LOG), {}
    try:
        for number, (kind, file) in enumerate(files.items()):
            report("Trying the sizes on held-out examples", number, len(files))
            chat.open(gguf=file)
            scores[kind] = _scores(source, chat, items, measure, report.poll)
    finally:
        chat.close()
    name, tried = measure.name, {kind: some for kind, some in scores.items() if some}
    tasks = {kind: TaskScore(measure=name, score=fmean(s.values()), items=len(s)) for kind, s in tried.items()}
    return tasks, compare(scores) if all(scores.values()) else None


def compare(scores: Mapping[str, Mapping[int, float]]) -> TaskCheck:
    """Whether a size does the task worse than the largest, the first, by more than chance. scores: by type and the
    example's number. Decided by the exact McNemar test over the examples on which the one scores more or less than
    the other, at the usual level shared among the sizes (Bonferroni)."""
    (largest, best), *smaller = scores.items()
    means = {kind: fmean(some.values()) for kind, some in scores.items()}
    worse = []
    for kind, some in smaller:
        both = best.keys() & some.keys()
        lost = sum(some[number] < best[number] for number in both)
        won = sum(some[number] > best[number] for number in both)
        if lost > won and mcnemar_exact(won, lost) <= SIGNIFICANT / len(smaller):
            worse.append(kind)
    numbers = ", ".join(f"{kind} {mean:.2f}" for kind, mean in means.items())
    verdict = f"{' and '.join(worse) if worse else 'none'} clearly worse than {largest}"
    sentence = f"The sizes on {len(best)} held-out examples (mean score, 0 to 1): {numbers}; {verdict}."
    return TaskCheck(ok=not worse, sentence=sentence, worse=tuple(worse), items=len(best), scores=means)


def _scores(source: Source, chat: Chat, items: list[Item], by: Measure, poll: Callable[[], None]) -> dict[int, float]:
    """The score of the answer to each of `items`, by its number; without those that are too long for the model."""
    longest = max(sum(label != IGNORED for label in row["labels"]) for row in source.rows)
    limit = min(_LONGEST, 16 + 2 * longest)
    scores = {}
    for number, item in enumerate(items):
        poll()
        try:
            answer = "".join(chunk.text for chunk in chat.ask(list(item.messages), max_new_tokens=limit))
        except BadInput:  # too long for the model
            continue
        scores[number] = by.score(item.expected, answer)
    return scores
