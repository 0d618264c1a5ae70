"""Checking 100,000 chat rows (about 85 MB, 5 % with one of 15 planted faults) against
the usual alternatives.

Each way runs in a fresh process, in turn, on the same file, and the best of RUNS
counts, since other work on the machine only ever slows one down; imports are not timed.
  ours         reading the file and every check of a row and of the file except tokens and duplicates
  pydantic     `json` and a pydantic model for each row whose validators make the same checks: the same rules and
               patterns, row by row, without filtering blocks of texts first
  datasets     `load_dataset("json")` and a row-wise `map` of the same checks
  everything   reading and the whole report, near-duplicates included; its peak memory is reported
Every way must find the planted faults at exactly their lines, and no others.

    python -m tests.benchmarks.checking [ROWS] [--smoke]

The last line is JSON; ours, peer and ratio are for ours against pydantic.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from backend.datasets import check_dataset
from backend.datasets.checks import answers as answer_checks
from backend.datasets.checks import content as content_checks
from backend.datasets.checks import dataset as dataset_checks
from backend.datasets.checks import structure as structure_checks
from backend.datasets.checks.answers import repeated
from backend.datasets.read.load import load
from backend.gc_pause import without_gc
from backend.records.rows import Problem, Row
from backend.text.conversation import answers
from tests.benchmarks import chat_corpus
from tests.benchmarks.measuring import Found, Way, command_line, compare, print_result

RUNS = 3
FAULTS = content_checks.text_faults()


def main(rows: int, runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chats.jsonl"
        planted = chat_corpus.write(path, rows)
        size = path.stat().st_size / 1e6
        print(
            f"{rows:,} rows, {size:.0f} MB, {len(planted):,} faults of {len(chat_corpus.FAULTS)} kinds",
            flush=True,
        )
        found = compare(WAYS, path, planted, runs, rows, min)
    seconds = {way: one.seconds for way, one in found.items()}
    print_result(
        "checking", "rows/s",
        round(rows / seconds["ours"]), round(rows / seconds["pydantic"]),
        round(seconds["pydantic"] / seconds["ours"], 2),
        ratio_to_datasets_map=round(seconds["datasets"] / seconds["ours"], 2),
        whole_report_seconds=round(seconds["everything"], 2), peak_mib=round(found["everything"].peak_mib),
        planted=len(planted), missed=0, invented=0,
    )  # fmt: skip


def _of(problems: Iterable[Problem]) -> Found:
    return {(problem.line, problem.kind) for problem in problems if problem.row}


def with_pydantic(path: Path) -> tuple[float, Found]:
    conversation = models()
    start = time.perf_counter()
    rows: list[Row] = []
    found: Found = set()
    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            row = json.loads(text)
            rows.append(Row(line, line, row["messages"]))
            found.update((line, kind) for kind in conversation(row))
    found |= _of(over_rows(rows))
    return time.perf_counter() - start, found


def models() -> Callable[[dict[str, Any]], list[str]]:
    """Validates a row by pydantic models and returns its kinds of faults."""
    from pydantic import BaseModel, ValidationError, model_validator
    from pydantic_core import PydanticCustomError

    class Message(BaseModel):
        role: Literal["system", "developer", "user", "assistant", "tool"]
        content: str | None = None
        tool_calls: list[dict[str, Any]] | None = None

        @model_validator(mode="after")
        def has_text_or_calls(self) -> Message:
            if (
                self.role == "assistant"
                and not (self.content or "").strip()
                and not self.tool_calls
            ):
                raise PydanticCustomError("empty_answer", "the answer is empty")
            return self

    class Conversation(BaseModel):
        messages: list[Message]
        tools: list[dict[str, Any]] | None = None
        rejected: list[Message] | None = None

        @model_validator(mode="after")
        def in_order(self) -> Conversation:
            roles = [message.role for message in self.messages]
            if "assistant" not in roles:
                raise PydanticCustomError("no_assistant", "there is no answer")
            if "system" in roles[1:]:
                raise PydanticCustomError(
                    "system_not_first", "the system message is not first"
                )
            if roles[-1] != "assistant":
                raise PydanticCustomError(
                    "ends_with_user", "there is no answer at the end"
                )
            if any(a == b != "tool" for a, b in pairwise(roles)):
                raise PydanticCustomError("same_role_twice", "the same speaker twice")
            return self

        @model_validator(mode="before")
        @classmethod
        def good_texts(cls, row: dict[str, Any]) -> dict[str, Any]:
            for kind in kinds_in_texts(row["messages"]):
                raise PydanticCustomError(kind, "a fault in a text")
            return row

    def kinds(row: dict[str, Any]) -> list[str]:
        try:
            Conversation.model_validate(row)
        except ValidationError as error:
            return [str(problem["type"]) for problem in error.errors()]
        return []

    return kinds


def ours(path: Path) -> tuple[float, Found]:
    start = time.perf_counter()
    rows = load(path).rows
    with without_gc():
        problems = [*check_dataset.row_problems(rows), *answer_checks.find(rows)]
    return time.perf_counter() - start, _of(problems)


def with_datasets(path: Path) -> tuple[float, Found]:
    import datasets

    def of_row(example: dict[str, Any]) -> dict[str, list[str]]:
        messages = example["messages"]
        kinds = [
            problem.kind for problem in structure_checks.find([Row(1, 1, messages)])
        ]
        return {"kinds": sorted({*kinds, *kinds_in_texts(messages)})}

    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        data = datasets.load_dataset(
            "json", data_files=str(path), split="train", cache_dir=cache
        )
        checked = data.map(of_row)
        found = {
            (i, kind) for i, kinds in enumerate(checked["kinds"], 1) for kind in kinds
        }
        found |= _of(
            over_rows(
                [Row(i, i, messages) for i, messages in enumerate(data["messages"], 1)]
            )
        )
        return time.perf_counter() - start, found


def kinds_in_texts(messages: list[dict[str, Any]]) -> list[str]:
    """The kinds of faults in the texts of one row, searched one by one."""
    kinds = [
        fault.kind
        for message in messages
        for fault in FAULTS
        if any(fault.matches(message["content"]))
    ]
    return kinds + [
        "repetition" for answer in answers(Row(1, 1, messages)) if repeated(answer)
    ]


def over_rows(rows: list[Row]) -> Iterator[Problem]:
    """Checks that need more than one row: the same code for all ways, so that they find
    the same faults.
    """
    yield from dataset_checks.system_messages(rows)
    yield from answer_checks.conflicts(rows)


def everything(path: Path) -> tuple[float, Found]:
    start = time.perf_counter()
    report = check_dataset.check(load(path))
    return time.perf_counter() - start, _of(report.problems)


WAYS: dict[str, Way] = {
    "ours": ours, "pydantic": with_pydantic, "datasets": with_datasets, "everything": everything,
}  # fmt: skip

if __name__ == "__main__":
    command_line(main, rows=100_000, runs=RUNS)
