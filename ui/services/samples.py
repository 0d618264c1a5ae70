"""The data sets that come with the app, typed tables, and the questions that a run never practised on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from backend.datasets.dataset import CheckedDataset
from backend.datasets.split import Split
from backend.errors import BadInput
from backend.records.rows import Message
from backend.settings import SAMPLES as FOLDER
from ui.records import HeldOut, Sample

SHOWN = 40  # held-out questions kept with a run


def _sample(name: str, title: str, what: str) -> Sample:
    return Sample(name, title, what, FOLDER / f"{name}.jsonl", FOLDER / f"{name}.held_out.jsonl")


SAMPLES = (
    _sample("orders", "Orders into fields", "Messy customer messages become the same tidy fields every time."),
    _sample("support", "A support voice", "A telecom company's chat support that answers in one warm, brief voice."),
)


def table_as_lines(rows: Sequence[Sequence[str]]) -> str:
    """Typed rows of (question, answer) as JSON lines. Raises BadInput when nothing is typed."""
    filled = [(row[0], row[1] if len(row) > 1 else "") for row in rows if any(cell.strip() for cell in row)]
    if not filled:
        raise BadInput("The table is empty.", "", "Type a question and its answer into a line.")
    turns = ([{"role": "user", "content": asked}, {"role": "assistant", "content": said}] for asked, said in filled)
    return "\n".join(json.dumps({"messages": messages}, ensure_ascii=False) for messages in turns)


def held_out_of(checked: CheckedDataset, parts: Split) -> list[list[Message]]:
    """Conversations that the run will not practise on: a sample's own ones, unless the person brought a file to test
    with, else the rows kept back to test it."""
    for sample in SAMPLES if checked.validation is None else ():
        if checked.original.source.sha256 == hashlib.sha256(sample.path.read_bytes()).hexdigest():
            return _read(sample.held_out)
    rows = checked.rows
    return [rows[i].messages for i in parts.validation if rows[i].messages]


def write_held_out(run_folder: Path, conversations: Iterable[Sequence[Message]]) -> None:
    """Keeps them with the run."""
    lines = [json.dumps({"messages": messages}, ensure_ascii=False) for messages in list(conversations)[:SHOWN]]
    _path(run_folder).parent.mkdir(parents=True, exist_ok=True)
    _path(run_folder).write_text("\n".join(lines), "utf-8")


def copy_held_out(run_folder: Path, to: Path) -> None:
    """Keeps the same ones with another run."""
    if _path(run_folder).is_file():
        _path(to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_path(run_folder), _path(to))


def read_held_out(run_folder: Path) -> list[HeldOut]:
    """What `write_held_out` kept, as questions with their expected answers; those with one clear question first."""
    if not _path(run_folder).is_file():
        return []
    found = [_held_out(messages) for messages in _read(_path(run_folder))]
    return sorted((one for one in found if one), key=lambda one: len(one.messages) > 2)


def _held_out(messages: list[Any]) -> HeldOut | None:
    *before, last = messages or [{}]
    if not before or last.get("role") != "assistant" or before[-1].get("role") != "user":
        return None
    return HeldOut(str(before[-1].get("content") or ""), before, str(last.get("content") or ""))


def _read(path: Path) -> list[list[Message]]:
    return [json.loads(line)["messages"] for line in path.read_text("utf-8").split("\n") if line.strip()]


def _path(run_folder: Path) -> Path:
    return run_folder / "data" / "held_out.jsonl"
