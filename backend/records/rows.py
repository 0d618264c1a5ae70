"""The records that the data rooms hand on: a row, a problem, and what a file turned out to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Severity = Literal["error", "warning"]
Message = dict[str, Any]  # {"role": ..., "content": ..., and beside tool calls "tool_calls"}


@dataclass(slots=True)
class Row:
    """One example in the canonical form.

    line: line in the source file, from 1 (for binary tables the row). row: its number among the rows, from 1.
    messages: the conversation. For preference pairs `messages` ends with the chosen answer and `rejected`
    holds the answer to move away from. text: a plain document instead of a conversation.
    """

    line: int
    row: int
    messages: list[Message] = field(default_factory=list)
    rejected: list[Message] | None = None
    tools: list[dict[str, Any]] | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one row (or with the file: row 0), in plain words.

    An "error" keeps the row out of training; a "warning" does not. fix: what accepting the fix would do,
    a sentence, or "" where there is none. quote: the offending text, shortened and made visible.
    """

    line: int
    row: int
    kind: str
    severity: Severity
    message: str
    fix: str = ""
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What the file is: `format` such as "jsonl", `shape` such as "messages" or "alpaca", `encoding` such as
    "utf-8", `mapping` from our fields to the file's columns, `ignored` columns, `sha256` of the bytes."""

    name: str
    format: str
    shape: str
    encoding: str
    sha256: str
    mapping: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    details: dict[str, str] = field(default_factory=dict)  # such as {"delimiter": ";", "sheet": "Table 1"}


@dataclass(slots=True)
class Dataset:
    """A file read whole: where it came from, its usable rows, and the problems found while reading it."""

    source: Source
    rows: list[Row]
    problems: list[Problem] = field(default_factory=list)
    total_rows: int = 0  # rows in the file, unusable ones counted
    originals: dict[int, Any] = field(default_factory=dict)  # the first rows as read, by row number, to be shown


def rejected_side(row: Row) -> Row:
    """The conversation of a pair as it ends in its worse answer."""
    return replace(row, messages=[*shared_prompt(row), *(row.rejected or ())])


def shared_prompt(row: Row) -> Sequence[Message]:
    """What both answers of a pair follow. An answer may take several turns; both take as many."""
    return row.messages[: max(0, len(row.messages) - len(row.rejected or ()))]
