"""Options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_validation_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--validation",
        type=Path,
        default=None,
        metavar="FILE",
        help="validate with these examples (default: a tenth of the data)",
    )


def add_imitate_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--imitate",
        action="append",
        default=[],
        metavar="NAME",
        help="in a chat: learn to write as this person; again for each further one",
    )


def positive(typed: str) -> int:
    """A whole number from 1. Raises ArgumentTypeError."""
    if not typed.isdecimal() or not int(typed):
        raise argparse.ArgumentTypeError(f"{typed!r} is not a whole number from 1")
    return int(typed)
