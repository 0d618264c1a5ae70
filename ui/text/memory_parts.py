"""The parts of the memory estimate in plain words, each with the source of its formula in backend.estimate."""

from pathlib import Path
from typing import NamedTuple

from backend.files.json_file import read_json


class Part(NamedTuple):
    """name: in plain words. source: the formula, and where it is from."""

    name: str
    source: str


_GROUPS = read_json(Path(__file__).with_suffix(".json"))  # by segment of the memory bar
PARTS: dict[str, Part] = {name: Part(*texts) for parts in _GROUPS.values() for name, texts in parts.items()}
MEMORY: dict[str, tuple[str, ...]] = {group: tuple(parts) for group, parts in _GROUPS.items()}
