"""A run's name and the person's note about it: about.json in its folder. Unlike the
run's spec, it may change.
"""

from pathlib import Path

from pydantic import Field

from backend.files.json_file import write_json
from backend.records.base import Record, read_record

LONGEST_NAME, LONGEST_NOTE = 100, 2000  # characters
_FILE = "about.json"


class About(Record):
    """name: "" for the one that the run was started with."""

    name: str = Field("", max_length=LONGEST_NAME)
    note: str = Field("", max_length=LONGEST_NOTE)


def read(run_folder: Path) -> About:
    """The stored name and note; empty where the file is missing or damaged."""
    try:
        return read_record(About, run_folder / _FILE)
    except (OSError, ValueError):
        return About()


def write(run_folder: Path, name: str | None = None, note: str | None = None) -> None:
    """Changes the name, the note or both; what is too long is cut. Raises OSError."""
    before = read(run_folder)
    typed = (
        before.name
        if name is None
        else " ".join(_printable(name).split())[:LONGEST_NAME]
    )
    noted = (
        before.note if note is None else _printable(note, "\n").strip()[:LONGEST_NOTE]
    )
    write_json(run_folder / _FILE, About(name=typed, note=noted).model_dump())


def _printable(text: str, also: str = "") -> str:
    """The text with spaces for control characters, invisible ones that change how it is
    read, and half surrogates.
    """
    return "".join(sign if sign.isprintable() or sign in also else " " for sign in text)
