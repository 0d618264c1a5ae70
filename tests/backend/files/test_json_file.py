"""JSON files: strict, and only objects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.files.json_file import read_json, to_json, write_json


def test_what_is_written_is_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_json(path, {"loss": float("nan"), "all": [np.float32(0.5), float("inf")], "at": Path("a"), "name": "é"})
    assert path.read_bytes().isascii()
    assert json.loads(path.read_bytes(), parse_constant=pytest.fail) == read_json(path)
    assert read_json(path) == {"loss": None, "all": [0.5, None], "at": "a", "name": "é"}


def test_other_objects_are_rejected() -> None:
    with pytest.raises(TypeError, match="object"):
        to_json({"a": object()})


@pytest.mark.parametrize("content", ["", "{", "[]", "1"])
def test_a_file_without_a_json_object_is_rejected(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"JSON|Expecting"):
        read_json(tmp_path / "a.json")
