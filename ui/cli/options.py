"""Options that several commands have, and where they take their examples from: files, a
folder, or the hub.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from backend.datasets import hub
from backend.datasets.dataset import CheckedDataset
from backend.datasets.documents.questions import MARKS
from backend.datasets.hub import ROWS
from backend.datasets.read.pack import as_one_file, name_of
from backend.errors import BadInput, BadUsage
from backend.models.catalogue import TASKS
from backend.records.rows import Source
from backend.settings import PROGRAM, Workspace
from ui.cli.output import say
from ui.services.app import App
from ui.text import format as fmt

_READING = (
    "sheet", "encoding", "shape", "marks", "imitate", "join_cells", "pairs", "rows", "task"
)  # fmt: skip
_HUB = f"(default with hf:OWNER/NAME: {ROWS:,})"


def add_validation_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--validation",
        type=Path,
        metavar="FILE",
        help="validate with these examples (default: a tenth of the data, but at least 24 examples, or a quarter of "
        "the data if it has fewer than 96)",
    )


def add_data_option(
    command: argparse.ArgumentParser, about: str = "the examples"
) -> None:
    command.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="FILE",
        help=f"{about}: a file, or several or a folder to be read together, or hf:OWNER/NAME of the hub",
    )


def positive(typed: str) -> int:
    """A whole number from 1. Raises ArgumentTypeError."""
    if not typed.isdecimal() or not int(typed):
        raise argparse.ArgumentTypeError(f"{typed!r} is not a whole number from 1")
    return int(typed)


def add_reading_options(command: argparse.ArgumentParser) -> None:
    """Add options for how the file is read, where its content does not decide that or
    decides it wrongly.
    """
    command.add_argument(
        "--column",
        dest="columns",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="which column is which, such as --column question=Subject --column answer=Reply; several answers become "
        "the fields of a JSON object",
    )
    command.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="only rows with this value, such as --only approved=yes; repeat it for several values",
    )
    command.add_argument(
        "--sheet", metavar="NAME", help="the sheet of a spreadsheet to read"
    )
    command.add_argument(
        "--encoding", metavar="NAME", help="the text encoding, such as cp1252"
    )
    command.add_argument(
        "--imitate",
        action="append",
        metavar="NAME",
        help="in a chat: learn to write like this person; repeat it for several; '*' for whoever answers",
    )
    joins = "join texts that a comma without quotes divides"
    command.add_argument("--join-cells", action="store_true", default=None, help=joins)
    command.add_argument(
        "--pairs",
        action="store_true",
        default=None,
        help="in a chat: make an example of each answer",
    )
    command.add_argument(
        "--rows", type=positive, metavar="N", help=f"read only the first N rows {_HUB}"
    )
    command.add_argument(
        "--split", metavar="NAME", help="with hf:OWNER/NAME: the split (default: train)"
    )
    command.add_argument(
        "--marks",
        choices=(*MARKS, "text"),
        help="in a text: what a question is recognized by, or text to learn it as it is",
    )
    command.add_argument(
        "--shape", metavar="SHAPE", help="what each row is, such as text or messages"
    )


def add_answer_options(command: argparse.ArgumentParser) -> None:
    """Add the answer to whether a file was read right, and what its examples are for."""
    command.add_argument(
        "--yes", action="store_true", help="the examples that check shows are right"
    )
    command.add_argument(
        "--task",
        choices=TASKS,
        help="what the model is to do; with extract, several columns become the fields of an answer",
    )


def refuse_reading_options(
    options: argparse.Namespace, where: str, instead: str
) -> None:
    """Raises BadUsage for options of `add_reading_options`, which a run's own examples
    can't be read with.
    """
    names = {
        "columns": "--column",
        **{
            name: f"--{name.replace('_', '-')}" for name in (*_READING, "only", "split")
        },
    }
    if typed := [
        option for name, option in names.items() if getattr(options, name, None)
    ]:
        why = "A run keeps its examples as they were read when it was trained."
        raise BadUsage(
            f"{', '.join(typed)} can't be used {where}.",
            why,
            f"Remove it, or {instead}.",
        )


def reading_options(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of ReadOptions that were typed. Raises BadUsage for a column without a
    field, and for rows without a column; an empty value means empty cells.
    """
    wrong = [pair for pair in options.columns if not all(pair.partition("="))]
    wrong += [pair for pair in options.only if not all(pair.partition("=")[:2])]
    if wrong:
        raise BadUsage(
            f"{wrong[0]!r} does not name a column.",
            "",
            "Examples: --column question=Subject, --only approved=yes",
        )
    typed: dict[str, Any] = {
        name: value
        for name in _READING
        if (value := getattr(options, name, None)) is not None
    }
    columns = _grouped(options.columns)
    mapping = {name: own if own[1:] else own[0] for name, own in columns.items()}
    only = _grouped(options.only)
    return typed | {
        name: chosen
        for name, chosen in (("mapping", mapping), ("only", only))
        if chosen
    }


def _grouped(pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The values of "NAME=VALUE" by name."""
    grouped: dict[str, tuple[str, ...]] = {}
    for name, _, value in (pair.partition("=") for pair in pairs):
        grouped[name] = (*grouped.get(name, ()), value)
    return grouped


@contextmanager
def opened(
    sources: Sequence[Path], workspace: Workspace, reading: dict[str, Any], split: str
) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """The examples as one file, their name, and how to read them. Raises BadUsage,
    BadInput, MissingPart.

    sources: files and folders, or one dataset of the hub as "hf:OWNER/NAME"
    reading: the options that were typed, by name; a dataset of the hub also needs the
        number of its rows
    split: of a dataset of the hub
    """
    typed = [
        path.as_posix() for path in sources if str(path).startswith(hub.PREFIX)
    ]  # Windows turns the slash
    if not typed:
        with as_one_file(sources) as path:
            yield path, name_of(sources), reading
        return
    if len(sources) > 1:
        raise BadUsage(
            "A dataset of the hub can't be read together with other examples.",
            "",
            "Name it alone.",
        )
    listing = hub.look_up(typed[0])
    part = listing.split(split)
    licence = (
        f"license: {listing.licence}"
        if listing.licence
        else "its card states no license"
    )
    say(
        f"{listing.id}, commit {listing.commit[:8]}, {part.name}: {fmt.bytes_of(part.bytes)}; {licence}."
    )
    reading = {"rows": ROWS, **reading}
    file = hub.download(listing, part, reading["rows"], workspace.cache)
    with as_one_file(file) as path:
        yield path, listing.name_of(part), reading


def as_typed(options: Mapping[str, Any]) -> str:
    """Fields of ReadOptions as they are typed: --column answer=Reply --sheet May."""
    flags = {"mapping": "--column", "only": "--only"}
    typed = []
    for name, value in options.items():
        pairs = value.items() if name in flags else [("", value)]
        flag = flags.get(name, f"--{name.replace('_', '-')}")
        for field, own in pairs:
            if own is True:
                typed.append(flag)
                continue
            for each in [own] if isinstance(own, str) else own:
                typed.append(f"{flag} {quote(f'{field}={each}' if field else each)}")
    return " ".join(typed)


def other_ways(source: Source) -> list[tuple[str, str]]:
    """The other likely ways to read a file: what to type for each, and what each is."""
    ways = [(as_typed(way.options), way.title) for way in source.proposals[1:]]
    details = source.details
    sheets = [sheet for sheet in details.sheets if sheet != details.sheet]
    ways += [(as_typed({"sheet": sheet}), "another sheet") for sheet in sheets]
    return [*ways, ("--column question=… --column answer=…", "other columns")]


def require_answers(checked: CheckedDataset) -> None:
    """Raises BadInput, with how to answer, where the page would ask whether the file
    was read right.
    """
    for question in checked.questions:
        others = " or ".join(typed for typed, _ in other_ways(checked.original.source))
        raise BadInput(
            question.message,
            f"That is a guess. See its examples with: {PROGRAM} check FILE",
            f"If they are right, add --yes; if not, {others}.",
        )


def imported(app: App, options: argparse.Namespace) -> str:
    """Stores the examples of --data and returns their id."""
    typed = reading_options(options)
    with opened(options.data, app.workspace, typed, options.split or "") as (
        path,
        name,
        reading,
    ):
        data_id = app.datasets.add(path, name, reading)
    if options.yes:
        app.fixes.confirm_reading(data_id)
    return data_id
