"""How an upload says what it is doing."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.export import hub_push
from backend.records.exports import PushResult


@pytest.mark.parametrize(
    ("sizes", "shown"), [([3 << 20], "1 file, 3.0 MB"), ([99 << 20, 1 << 20], "2 files, 100 MB")]
)
def test_it_says_what_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], shown: str) -> None:
    phases: list[str] = []
    (tmp_path / "data" / "upload").mkdir(parents=True)
    for number, size in enumerate(sizes):
        with (tmp_path / "data" / "upload" / f"{number}.safetensors").open("wb") as file:
            file.truncate(size)
    context: Any = SimpleNamespace(
        folder=tmp_path, spec={"form": "adapter", "repo": "orders", "private": True}, progress=phases.append,
        should_stop=lambda: False, alive=lambda: None,
    )  # fmt: skip
    monkeypatch.setattr(hub_push, "upload", lambda *_: PushResult(repo="ana/orders"))
    assert hub_push.run(context) == {"repo": "ana/orders"}
    assert [phase.endswith(shown) for phase in phases] == [True]
