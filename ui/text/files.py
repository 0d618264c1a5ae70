"""The encodings, separators and columns of a file, and the ways to read it, in words."""

from pathlib import Path

from backend.files.json_file import read_json

_WORDS = read_json(Path(__file__).with_suffix(".json"))
ENCODINGS: dict[str, str] = _WORDS["encodings"]
SEPARATORS: dict[str, str] = _WORDS["separators"]
FIELDS: dict[str, str] = _WORDS["fields"]
READINGS: dict[str, str] = _WORDS["readings"]
CHOOSER: dict[str, str] = _WORDS["chooser"]  # of ways to get examples
