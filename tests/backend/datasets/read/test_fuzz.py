"""Damaged files of every format: a dataset, or an error in plain words, never a bug and
never another file.
"""

import gzip
import io
import json
import random
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.datasets.check_dataset import check
from backend.datasets.read.as_text import read_document
from backend.datasets.read.load import load
from backend.errors import BadInput
from backend.settings import PROJECT_ROOT
from tests.backend.datasets.builders import load_text

ODD = [
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\r\n", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"\t", b";", b":",
    b"null", b"NaN", b"1e999", b"-", b"\\ud800", b"\xed\xa0\x80", b"\xc3", b"\xe2\x80\xae", b"PK\x03\x04", b"PAR1",
    b"%PDF", b"<html>", b"=1+1", b"9" * 400, b"[" * 300, b'{"a":' * 200, b"x" * 5000, b"\n" * 50, b"",
]  # fmt: skip
SUFFIXES = [
    "", "csv", "docx", "eml", "gz", "html", "json", "jsonl", "mbox", "md", "ods", "parquet", "pdf", "tsv", "txt",
    "xlsm", "xlsx", "yaml", "zip",
]  # fmt: skip


def seeds() -> list[bytes]:
    """Small sound files of each format."""
    turns = [
        {"role": "user", "content": "When do you open?"},
        {"role": "assistant", "content": "At seven – é, 日本."},
    ]
    rows = [
        {"messages": turns}, {"prompt": "a?", "completion": "b."}, {"instruction": "Do", "input": "", "output": "x"},
    ]  # fmt: skip
    rows += [
        {"prompt": turns[:1], "chosen": turns[1:], "rejected": turns[1:]},
        {"text": "A whole text."},
    ]
    found = [
        "".join(json.dumps(row) + "\n" for row in rows[:count] * 6).encode()
        for count in (1, 2, 5)
    ]
    found += [
        json.dumps([rows[0]] * 8, indent=1).encode(),
        json.dumps({"data": rows[1:2] * 8}).encode(),
    ]
    found += [
        b"question,answer\n" + b'"a, b?","c ""d"""\n' * 9,
        "frage;antwort\nwie?;so é\n".encode("cp1252") * 5,
    ]
    found += [
        "question\tanswer\n1?\t2\n".encode("utf-16"),
        b"Q: What?\nA: That.\n\n" * 8,
        b"# Title\n\nA text.\n" * 9,
    ]
    book = openpyxl.Workbook()
    for row in [("question", "answer"), *[("What?", "That.")] * 8]:
        book.active.append(row)
    table, packed = io.BytesIO(), io.BytesIO()
    book.save(table)
    pq.write_table(pa.table({"prompt": ["a?"] * 9, "completion": ["b."] * 9}), packed)
    sources = (
        path
        for path in sorted((PROJECT_ROOT / "tests" / "data" / "sources").rglob("*"))
        if path.is_file()
    )
    return [
        *found, table.getvalue(), packed.getvalue(), gzip.compress(found[0]),
        *(path.read_bytes() for path in sources),
    ]  # fmt: skip


def damaged(draw: random.Random, data: bytes) -> bytes:
    """`data` with some bytes flipped, cut, repeated, or replaced by what a reader may
    stumble over.
    """
    made = bytearray(data)
    for _ in range(draw.choice((0, 1, 1, 2, 3, 8))):
        at = draw.randrange(len(made) + 1)
        match draw.randrange(6):
            case 0 if at < len(made):
                made[at] ^= 1 << draw.randrange(8)
            case 1:
                del made[at : at + draw.choice((1, 5, 100))]
            case 2:
                made[at:at] = draw.choice(ODD)
            case 3:
                made[at : at + draw.choice((1, 3))] = draw.choice(ODD)
            case 4:
                made[at:at] = made[at : at + draw.choice((2, 20, 200))]
            case _:
                del made[at:]
    return bytes(made)


def fuzz(folder: Path, calls: int, seed: int) -> dict[str, int]:
    draw, sound, counts = random.Random(seed), seeds(), {"read": 0, "refused": 0}
    for number in range(calls):
        data = damaged(draw, draw.choice(sound))
        name = f"file.{draw.choice(SUFFIXES)}"
        path = folder / name
        path.write_bytes(data)
        try:
            if number % 5 == 0:
                read_document(path)
            elif number % 5 == 1:
                check(load_text(data.decode("utf-8", "surrogateescape"), name=name))
            else:
                check(load(path, name=name))
            counts["read"] += 1
        except BadInput:
            counts["refused"] += 1
        except Exception as error:
            kept = folder.with_name(f"{folder.name}-{number}")
            kept.write_bytes(data)
            pytest.fail(
                f"call {number} of seed {seed}, {name}, {kept}: {type(error).__name__}: {error}"
            )
        path.unlink()
    assert [*folder.iterdir()] == [], "a file outside"
    return counts


def test_a_few_damaged_files(tmp_path: Path) -> None:
    counts = fuzz(tmp_path, 60, seed=1)
    assert min(counts.values()) > 5, counts


@pytest.mark.slow
@pytest.mark.parametrize("seed", [10, 20])
def test_five_thousand_damaged_files(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = fuzz(tmp_path, 5_000, seed)
    with capsys.disabled():
        print(f"\n5,000 damaged files, seed {seed}: {counts}")
