"""Options that several commands have."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.datasets.convert.mapping import NoExamples, SeveralReadings
from backend.datasets.hub import ROWS
from backend.errors import BadInput, BadUsage

_READING = ("sheet", "encoding", "shape", "imitate", "join_cells", "rows")
_HUB = f"(default with hf:OWNER/NAME: {ROWS:,})"


def add_validation_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--validation",
        type=Path,
        default=None,
        metavar="FILE",
        help="validate with these examples (default: a tenth of the data, but at least 24 examples, or a quarter of "
        "the data if it has fewer than 96)",
    )


def add_data_option(command: argparse.ArgumentParser, about: str = "the examples") -> None:
    command.add_argument(
        "--data",
        type=Path,
        action="append",
        default=None,
        metavar="FILE",
        help=f"{about}: a file, or several or a folder to be read together, or hf:OWNER/NAME of the hub",
    )


def positive(typed: str) -> int:
    """A whole number from 1. Raises ArgumentTypeError."""
    if not typed.isdecimal() or not int(typed):
        raise argparse.ArgumentTypeError(f"{typed!r} is not a whole number from 1")
    return int(typed)


def add_reading_options(command: argparse.ArgumentParser) -> None:
    """Add options for how the file is read, where its content does not decide that or decides it wrongly."""
    command.add_argument(
        "--column",
        dest="columns",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="which column is which, such as --column question=Subject --column answer=Reply",
    )
    command.add_argument("--sheet", default=None, metavar="NAME", help="the sheet of a spreadsheet to read")
    command.add_argument("--encoding", default=None, metavar="NAME", help="the text encoding, such as cp1252")
    command.add_argument(
        "--imitate",
        action="append",
        default=None,
        metavar="NAME",
        help="in a chat: learn to write like this person; repeat it for several; '*' for whoever answers",
    )
    command.add_argument(
        "--join-cells", action="store_true", default=None, help="join texts that a comma without quotes divides"
    )
    command.add_argument(
        "--rows", type=positive, default=None, metavar="N", help=f"read only the first N rows {_HUB}"
    )
    command.add_argument(
        "--split", default=None, metavar="NAME", help="with hf:OWNER/NAME: the split (default: train)"
    )
    command.add_argument("--shape", default=None, metavar="SHAPE", help="what each row is, such as text or messages")


def reading_options_typed(options: argparse.Namespace) -> list[str]:
    """The options of `add_reading_options` that were typed, such as "--rows"."""
    names = {"columns": "--column", **{name: f"--{name.replace('_', '-')}" for name in (*_READING, "split")}}
    return [option for name, option in names.items() if getattr(options, name)]


def reading_options(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of ReadOptions that were typed. Raises BadUsage for a column without a field."""
    if wrong := [pair for pair in options.columns if not all(pair.partition("="))]:
        raise BadUsage(
            f"{wrong[0]!r} does not say which column is which.", "", "For example: --column question=Subject"
        )
    typed: dict[str, Any] = {name: value for name in _READING if (value := getattr(options, name)) is not None}
    mapping = dict(pair.partition("=")[::2] for pair in options.columns)
    return typed | ({"mapping": mapping} if mapping else {})


@contextmanager
def asking_for_columns() -> Iterator[None]:
    """Adds to an error about unclear columns how to answer on the command line. Raises NoExamples, BadInput."""
    try:
        yield
    except NoExamples as error:
        if not error.columns:
            raise
        if isinstance(error, SeveralReadings):
            raise BadInput(error.what, error.why, f"Add --shape {' or --shape '.join(error.shapes)}.") from error
        named = f"The columns are: {', '.join(error.columns[:20])[:400]}."
        how = "--column question=… --column answer=…, with the name of a column after each ="
        raise NoExamples(error.what, f"{error.why} {named}", f"Add {how}.", error.columns) from error
