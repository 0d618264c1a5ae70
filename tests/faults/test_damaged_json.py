"""A damaged file harms its own row and no other: every JSON file of a workspace,
damaged in twenty ways.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from backend.errors import ApprenticeError
from backend.settings import Workspace
from tests.ui import made_up_workspace
from tests.ui.fake_records import DATA
from ui.services.app import App
from ui.services.selection import Choice

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"", "half": lambda data: data[: len(data) // 2], "deep lists": lambda _: b"[" * 100_000,
    "deep objects": lambda _: b'{"a":' * 100_000, "deep and whole": lambda _: b"[" * 100_000 + b"]" * 100_000,
    "a deep value": lambda data: data.replace(b": ", b": " + b"[" * 50_000, 1), "null": lambda _: b"null",
    "a number": lambda _: b"17", "a text": lambda _: b'"text"', "a list": lambda _: b"[1, 2]",
    "an empty object": lambda _: b"{}", "null values": lambda data: _mapped(data, lambda _: None),
    "texts for values": lambda data: _mapped(data, lambda _: "x"),
    "lists for values": lambda data: _mapped(data, lambda _: [[]]),
    "huge numbers": lambda data: _mapped(data, lambda value: 10**30 if isinstance(value, int | float) else value),
    "infinite numbers": lambda data: _mapped(data, lambda value: 1e999 if isinstance(value, int | float) else value),
    "negative numbers": lambda data: _mapped(data, lambda value: -5 if isinstance(value, int | float) else value),
    "a number of 5,000 digits": lambda _: b'{"state": ' + b"9" * 5000 + b"}", "zeros": lambda data: bytes(len(data)),
    "other bytes": lambda data: b"\xff\xfe" + data,
}  # fmt: skip
EVERY_DAY = {
    "empty",
    "half",
    "zeros",
    "deep lists",
    "null values",
    "texts for values",
    "a number of 5,000 digits",
}


def _mapped(data: bytes, change: Callable[[Any], Any]) -> bytes:
    value = json.loads(data)
    changed = (
        {key: change(inner) for key, inner in value.items()}
        if isinstance(value, dict)
        else change(value)
    )
    return json.dumps(changed).encode()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("damaged") / "workspace"
    made_up_workspace.write(root)
    for events in root.glob(
        "runs/*/events.jsonl"
    ):  # whose lines take much of the time, and are not damaged here
        events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:3]))
    assert look(Workspace(root)) == (set(made_up_workspace.RUNS), {DATA})
    return Workspace(root)


def _files(root: Path) -> list[list[Path]]:
    """The files that are damaged together: one, or those of a name in every other run,
    beside the whole ones.
    """
    named: dict[tuple[str, ...], list[Path]] = {}
    for path in sorted(root.rglob("*.json")):
        kind, _, *name = path.relative_to(root).parts
        if kind in ("runs", "datasets", "models"):
            named.setdefault((kind, *name), []).append(path)
    return [
        part for paths in named.values() for part in (paths[::2], paths[1::2]) if part
    ]


def look(workspace: Workspace) -> tuple[set[str], set[str]]:
    """What the page shows of a workspace as it starts: the runs and the datasets with
    their parts; none may fail but with a plain sentence. Returns the ids that are
    listed, damaged ones apart.
    """
    app = App(workspace)
    try:
        with patch.object(app.models, "_probe", made_up_workspace.PROBE):
            app.runner.tick()
            of, runs = app.runs, app.runs.all()
            for run in runs:
                for part in (
                    of.details,
                    of.curve,
                    of.verdict,
                    of.note,
                    app.results.has_model,
                ):
                    with suppress(ApprenticeError):
                        part(run.info.id)
                app.validated(Choice(run_id=run.info.id, data_id=DATA))
            app.models.available()
            app.endpoints.current()
            app.results.ready_to_try()
            datasets = app.datasets.all()
            for dataset in datasets:
                with suppress(ApprenticeError):
                    app.datasets.checked(dataset.id)
            listed = {run.info.id for run in runs}
            assert listed | set(app.runner.damaged()) >= set(made_up_workspace.RUNS)
            return listed, {dataset.id for dataset in datasets}
    finally:
        app.close()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(one, marks=() if one in EVERY_DAY else pytest.mark.slow)
        for one in DAMAGES
    ],
)
def test_a_damaged_file_harms_no_other_row(workspace: Workspace, damage: str) -> None:
    for paths in _files(workspace.root):
        before = {path: path.read_bytes() for path in paths}
        for path, content in before.items():
            path.write_bytes(DAMAGES[damage](content))
        try:
            runs, datasets = look(workspace)
        except Exception as error:
            raise AssertionError(f"{damage}: {paths}") from error
        finally:
            for path, content in before.items():
                path.write_bytes(content)
        owners = {path.relative_to(workspace.root).parts[1] for path in paths}
        assert runs >= {*made_up_workspace.RUNS} - owners, paths
        assert datasets >= {DATA} - owners, paths
