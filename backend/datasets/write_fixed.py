"""Writes a fixed dataset and its changes as JSON Lines."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.datasets.checks.fix import FixedDataset
from backend.errors import WorkspaceProblem
from backend.files.atomic import replace_file
from backend.records.rows import Row


def write_fixed(fixed: FixedDataset, path: Path) -> Path:
    """Writes the rows to `path` as JSON Lines and the changes next to it; returns the path of the change log.

    Raises WorkspaceProblem when that fails.
    """
    log = path.with_name(path.stem + ".changes.jsonl")
    try:
        for target, records in ((path, map(record, fixed.dataset.rows)), (log, map(asdict, fixed.changes))):
            unfinished = target.with_name(target.name + ".part")
            with unfinished.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            replace_file(unfinished, target)
    except OSError as error:
        raise WorkspaceProblem(
            f"{path.name} could not be written.",
            f"The system reports: {error.strerror or error}.",
            "Choose another place.",
        ) from error
    return log


def record(row: Row) -> dict[str, Any]:
    """A row as a line of JSON Lines."""
    if row.text is not None:
        return {"text": row.text}
    if row.rejected is not None:
        return {"prompt": row.messages[:-1], "chosen": row.messages[-1:], "rejected": row.rejected}
    return {"messages": row.messages, "tools": row.tools} if row.tools else {"messages": row.messages}
