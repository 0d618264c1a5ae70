"""Rows of safetensors files, without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from backend.models.safetensors_files import Tensors

NUMBERS = np.arange(12, dtype=np.float32).reshape(4, 3) - 5.5


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_tensors_and_rows_are_read_as_float32(tmp_path: Path, kind: str) -> None:
    save_file({"other": NUMBERS[:1], "some": NUMBERS.astype(kind)}, tmp_path / "a.safetensors")
    found = Tensors(tmp_path)
    assert found.names == {"other", "some"}
    assert np.array_equal(found.read("some"), NUMBERS)
    assert np.array_equal(found.read("some", np.array([3, 0])), NUMBERS[[3, 0]])
    assert found.read("some").dtype == np.float32


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    """These numbers are exact in bfloat16, the upper half of float32."""
    halves = (NUMBERS.view("<u4") >> 16).astype("<u2").tobytes()
    write(tmp_path, {"some": {"dtype": "BF16", "shape": [4, 3], "data_offsets": [0, len(halves)]}}, halves)
    assert np.array_equal(Tensors(tmp_path).read("some"), NUMBERS)


def test_other_types_and_damaged_files_are_rejected(tmp_path: Path) -> None:
    write(tmp_path, {"some": {"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}}, b"ab")
    with pytest.raises(ValueError, match="I8"):
        Tensors(tmp_path).read("some")
    (tmp_path / "b.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(ValueError, match="header"):
        Tensors(tmp_path)


def write(folder: Path, header: dict[str, object], content: bytes) -> None:
    text = json.dumps(header).encode()
    (folder / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + content)
