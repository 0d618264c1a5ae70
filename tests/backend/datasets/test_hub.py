"""Data sets of the hub: a name is never a path, only tables of one commit are taken,
and the rest is told.
"""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.datasets import hub
from backend.datasets.read.load import load
from backend.datasets.read.pack import as_one_file
from backend.errors import BadInput, MissingPart
from backend.records.reading import Cancelled, ReadOptions
from tests.backend.datasets.hub_server import COMMIT, HubServer, hub_server
from tests.backend.datasets.sources import FOLDER


def parquet(start: int, rows: int) -> bytes:
    numbers = range(start, start + rows)
    table = pa.table(
        {
            "question": [f"Is {n} open?" for n in numbers],
            "answer": [f"Door {n} is." for n in numbers],
        }
    )
    pq.write_table(table, out := io.BytesIO())
    return out.getvalue()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    files = {
        "README.md": b"# Orders",
        "orders.py": b"raise SystemExit('never run')",
        "data/train-00000-of-00002.parquet": parquet(0, 30),
        "data/train-00001-of-00002.parquet": parquet(30, 30),
        "data/test-00000-of-00001.parquet": parquet(60, 5),
    }
    with hub_server(monkeypatch, files) as server:
        yield server


BAD_NAMES = (
    "", "../etc/passwd", "a/b/c", "a/..", "/tmp", "C:\\x", "a/b?c", "a b", "-x/y", "http://evil.example/a/b",
    "a--b/c",
)  # fmt: skip


def test_what_is_no_name_is_refused_before_anything_is_asked(served: HubServer) -> None:
    for typed in BAD_NAMES:
        with pytest.raises(BadInput):
            hub.look_up(typed)
    assert served.asked == []


def test_size_and_licence_are_told_before_anything_is_downloaded(
    served: HubServer,
) -> None:
    served.card = {"license": "cc-by-4.0"}
    for typed in (
        "shop/orders",
        " hf:shop/orders ",
        "https://huggingface.co/datasets/shop/orders/",
    ):
        found = hub.look_up(typed)
    assert (found.id, found.commit, found.licence) == (
        "shop/orders",
        COMMIT,
        "cc-by-4.0",
    )
    assert [(one.name, len(one.files)) for one in found.splits] == [
        ("train", 2),
        ("test", 1),
    ]
    assert found.split("").bytes == sum(
        len(served.files[file.name]) for file in found.split("train").files
    )
    assert served.downloads() == []


def test_only_the_files_that_hold_the_rows_are_downloaded_and_only_once(
    served: HubServer, tmp_path: Path
) -> None:
    found = hub.look_up("shop/orders")
    for _ in range(2):
        paths = hub.download(found, found.split("train"), 20, tmp_path)
    assert served.downloads() == ["data/train-00000-of-00002.parquet"]
    with as_one_file(paths) as path:
        data = load(path, options=ReadOptions(rows=20))
    assert (len(data.rows), [p.kind for p in data.problems]) == (20, ["rows_left_out"])
    assert all(file.is_relative_to(tmp_path) for file in paths)
    with as_one_file(hub.download(found, found.split("train"), 40, tmp_path)) as path:
        data = load(path, options=ReadOptions(rows=40))
    assert [len({row.file for row in data.rows}), len(data.rows)] == [2, 40]


@pytest.mark.parametrize("form", ["csv", "csv.gz", "json.gz"])
def test_text_rows_are_counted_before_a_download(
    form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = b"question,answer\n" + b'"Is it\nopen?",yes\n' * 10
    content = (
        table
        if form.startswith("csv")
        else b'{"question": "Is it open?", "answer": "yes"}\n' * 10
    )
    packed = gzip.compress(content) if form.endswith("gz") else content
    with hub_server(
        monkeypatch, {f"data/train-{number}.{form}": packed for number in range(4)}
    ):
        found = hub.look_up("shop/orders")
        assert len(hub.download(found, found.split("train"), 10, tmp_path)) == 1
        assert len(hub.download(found, found.split("train"), 11, tmp_path)) == 2


def test_an_archive_named_as_a_table_is_left_to_its_reader(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with hub_server(
        monkeypatch,
        {"data/train.csv": (FOLDER / "documents" / "notion.zip").read_bytes()},
    ):
        found = hub.look_up("shop/orders")
        assert len(hub.download(found, found.split("train"), 10, tmp_path)) == 1


def test_a_download_is_cancelled(served: HubServer, tmp_path: Path) -> None:
    found = hub.look_up("shop/orders")
    with pytest.raises(Cancelled):
        hub.download(found, found.split(""), 20, tmp_path, cancelled=lambda: True)
    assert served.downloads() == []


ONE = {
    "config_name": "default",
    "data_files": [{"split": "dev", "path": "data/te*.parquet"}],
}
TWO = [
    {"config_name": "a", "data_files": "**/*.parquet"},
    {"config_name": "b", "data_dir": "data"},
]
WRONG = {"configs": "wrong", "license": ["mit", None]}


@pytest.mark.parametrize(
    ("card", "splits"),
    [
        ({"configs": [ONE]}, {"dev": 1}), ({"configs": TWO}, {"a/train": 3, "b/train": 2, "b/test": 1}),
        (WRONG, {"train": 2, "test": 1}),
    ],
)  # fmt: skip
def test_the_card_says_what_a_file_is_for(
    served: HubServer, card: dict[str, Any], splits: dict[str, int]
) -> None:
    served.card = card
    assert {
        one.name: len(one.files) for one in hub.look_up("shop/orders").splits
    } == splits


def test_a_data_set_without_tables_or_of_another_name_is_refused(
    served: HubServer,
) -> None:
    served.files = {"orders.py": b"never", "dataset_infos.json": b"{}"}
    with pytest.raises(MissingPart, match="never downloaded or run"):
        hub.look_up("shop/orders")
    with pytest.raises(MissingPart, match="does not exist"):
        hub.look_up("shop/gone")


def test_a_file_in_another_format_is_the_same_rows(served: HubServer) -> None:
    served.files["data/train.csv"] = b"question,answer\n"
    assert {
        file.name[-7:] for file in hub.look_up("shop/orders").split("train").files
    } == {"parquet"}
