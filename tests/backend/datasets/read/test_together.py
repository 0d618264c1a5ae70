"""The files of an archive are read together: every row remembers its file, and a file
that can't be read is named.
"""

import gzip
import os
import sys
import zipfile
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from backend.datasets.read.load import Limits, ReadOptions, load
from backend.datasets.read.pack import as_one_file
from backend.datasets.read.parse import Parser
from backend.datasets.read.source import ByteSource
from backend.errors import BadInput
from tests.backend.datasets.sources import FOLDER

ORDERS = "question,answer\nWhere is my order?,On its way.\nCan I change it?,\n"
SHOP = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n'


def archive(tmp_path: Path, **files: str | bytes) -> Path:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(
                name.replace("__dot__", ".").replace("__in__", "/"), content
            )
    return path


def test_all_files_become_one_dataset(tmp_path: Path) -> None:
    faq = (FOLDER / "documents" / "headings.docx").read_bytes()
    path = archive(
        tmp_path, orders__dot__csv=ORDERS, more__in__faq__dot__docx=faq, shop__dot__jsonl=SHOP + "{broken\n",
        photo__dot__jpg=b"\xff\xd8\xff\xe0 a photo", __MACOSX__in____dot___orders__dot__csv=b"\x00\x05",
        more__in__desktop__dot__ini=b"[.ShellClassInfo]", Thumbs__dot__db=b"\xd0\xcf\x11\xe0",
    )  # fmt: skip
    data = load(path)
    assert [row.file for row in data.rows] == ["more/faq.docx"] * 10 + [
        "orders.csv"
    ] * 2 + ["shop.jsonl"]
    assert [row.row for row in data.rows] == list(range(1, 14))
    assert [(p.kind, p.row) for p in data.problems] == [
        ("file_left_out", 0),
        ("mapping_guessed", 0),
        ("bad_json", 14),
    ]
    files = ["photo.jpg", "more/faq.docx", "shop.jsonl"]
    assert [p.file for p in data.problems] == files
    assert data.total_rows == 14


def test_only_properties_at_the_start_of_a_page_are_passed_over_and_named(
    tmp_path: Path,
) -> None:
    hours = "We are.\n\nMonday: 9 to 5\n\nSee you."
    pages = {
        f"{n}__dot__md": f"# Are you open {n}?\n\nTags: tea\n\n{hours}"
        for n in range(2)
    }
    data = load(archive(tmp_path, **pages))
    assert [row.messages[-1]["content"] for row in data.rows] == [hours] * 2
    assert [part.text for part in data.source.passed] == ["Tags: tea"] * 2


def test_a_question_about_a_file_is_asked(tmp_path: Path) -> None:
    letter = (FOLDER / "documents" / "faq-in-a-letter.txt").read_bytes()
    data = load(archive(tmp_path, letter__dot__txt=letter))
    assert [p.kind for p in data.problems] == ["mapping_guessed"]


def test_the_people_of_all_chats_are_proposed_together(tmp_path: Path) -> None:
    def chat(asker: str, answerer: str) -> str:
        days = (
            f"[1/{day}/26, 10:00:01] {{}}: Hi {day}\n[1/{day}/26, 10:00:02] {{}}: Yes\n"
            for day in range(1, 5)
        )
        return "".join(day.format(asker, answerer) for day in days)

    path = archive(
        tmp_path,
        a__dot__txt=chat("Ann", "Ben"),
        b__dot__txt=chat("Cid", "Dora"),
        faq__dot__csv=ORDERS,
    )
    guessed = load(path).source
    assert {*guessed.details.people} == {"Ann", "Ben", "Cid", "Dora"}
    assert guessed.proposals[0].options == {"imitate": ["Ben", "Dora"]}
    both = load(path, options=ReadOptions(imitate=("Ben", "Dora")))
    assert {row.file for row in both.rows} == {"a.txt", "b.txt", "faq.csv"}
    one = load(path, options=ReadOptions(imitate=("Ben",)))
    assert {row.file for row in one.rows} == {"a.txt", "faq.csv"}
    assert [p.file for p in one.problems if p.kind == "file_left_out"] == ["b.txt"]


def test_chosen_columns_hold_for_the_files_that_have_them(tmp_path: Path) -> None:
    form = "message,reply text,agent\n" + "".join(
        f"Is it {n}?,Reply {n},gpt-4o\n" for n in range(1, 9)
    )
    path = archive(tmp_path, faq__dot__csv=ORDERS, form__dot__csv=form)
    asked = [p.file for p in load(path).problems if p.kind == "mapping_guessed"]
    assert asked == ["form.csv"]
    data = load(
        path,
        options=ReadOptions(mapping={"question": "message", "answer": "reply text"}),
    )
    assert [row.file for row in data.rows] == ["faq.csv"] * 2 + ["form.csv"] * 8


def test_wanted_rows_are_those_of_every_file(tmp_path: Path) -> None:
    approved = "question,answer,ok\nWho?,Me.,yes\nWhen?,Now.,no\n"
    path = archive(tmp_path, a__dot__csv=approved, b__dot__csv=ORDERS)
    data = load(path, options=ReadOptions(only={"ok": ["yes"]}))
    assert [(row.file, row.line) for row in data.rows] == [("a.csv", 2)]
    assert [(p.kind, p.file) for p in data.problems] == [("file_left_out", "b.csv")]


def test_a_way_to_read_files_that_are_alike_is_proposed_once(tmp_path: Path) -> None:
    table = "Topic,Words,Place\n" + "Where is it?,It is in the garden.,Ulm\n" * 5
    path = archive(tmp_path, a__dot__csv=table, b__dot__csv=table)
    titles = [way.title for way in load(path).source.proposals]
    assert titles
    assert len({*titles}) == len(titles)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_with_a_name_that_is_not_utf8_is_read_too(tmp_path: Path) -> None:
    for name in (b"caf\xe9.csv", b"caf\xe8.csv"):
        (tmp_path / os.fsdecode(name)).write_text(
            "question,answer\nOpen?,Yes.\n", "utf-8"
        )
    with as_one_file([tmp_path]) as path:
        assert {row.file for row in load(path).rows} == {"caf?.csv", "caf? (2).csv"}


def test_files_and_folders_are_put_together(tmp_path: Path) -> None:
    folder = tmp_path / "help"
    (folder / "more").mkdir(parents=True)
    for file in (
        folder / "faq.csv",
        folder / "more" / "faq.csv",
        folder / ".DS_Store",
        tmp_path / "faq.csv",
    ):
        file.write_text(ORDERS)
    (folder / "link.csv").symlink_to(tmp_path / "faq.csv")
    sources = [tmp_path / "faq.csv", folder]
    with as_one_file(sources) as path:
        assert {row.file for row in load(path).rows} == {
            "faq.csv",
            "faq (2).csv",
            "more/faq.csv",
        }
        first = path.read_bytes()
    with as_one_file(sources) as path:
        assert path.read_bytes() == first
    with as_one_file([tmp_path / "faq.csv"]) as path:
        assert path == tmp_path / "faq.csv"
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput), as_one_file([tmp_path / "empty"]):
        pass


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"orders__dot__csv": ORDERS, "story__dot__txt": "It was late. " * 40}, "mixes"),
        ({"photo__dot__jpg": b"\xff\xd8\xff\xe0 a photo"}, "photo.jpg"),
        ({"zeros__dot__csv": b"0" * 100_000_000}, "unpacks"), ({f"f{n}": "x" for n in range(300)}, "300 files"),
    ],
)  # fmt: skip
def test_an_archive_that_is_no_dataset_is_refused(
    tmp_path: Path, files: dict[str, str | bytes], word: str
) -> None:
    with pytest.raises(BadInput) as refused:
        load(archive(tmp_path, **files))
    assert word in str(refused.value)


def lines(count: int, size: int = 2) -> str:
    return "question,answer\n" + f"Open?,{'x' * size}\n" * count


def left_out(path: Path, limits: Limits) -> tuple[list[str], list[str]]:
    """The files of the rows, and the messages of what was left out."""
    data = load(path, options=ReadOptions(limits=limits))
    return [row.file for row in data.rows], [
        p.message for p in data.problems if p.row == 0
    ]


def test_rows_and_text_of_all_files_count_together(tmp_path: Path) -> None:
    path = archive(
        tmp_path, a__dot__csv=lines(3), b__dot__csv=lines(3), c__dot__csv=lines(3)
    )
    files, problems = left_out(path, Limits(rows=5))
    assert files == ["a.csv"] * 3 + ["b.csv"] * 2
    assert [message.split()[0].rstrip(":") for message in problems] == [
        "c.csv",
        "b.csv",
    ]
    path = archive(
        tmp_path,
        a__dot__csv=lines(3, 100),
        b__dot__csv=lines(3, 100),
        c__dot__csv=lines(3, 100),
    )
    files, problems = left_out(path, Limits(stored_bytes=500))
    assert files == ["a.csv"] * 3 + ["b.csv"] * 2
    assert [message.split()[0].rstrip(":") for message in problems] == [
        "c.csv",
        "b.csv",
    ]


def test_what_packed_files_unpack_to_counts_together(tmp_path: Path) -> None:
    packed = gzip.compress(lines(3, 1_000).encode())
    path = archive(
        tmp_path,
        a__dot__csv__dot__gz=packed,
        b__dot__csv__dot__gz=packed,
        c__dot__csv=lines(1),
    )
    files, problems = left_out(path, Limits(expanded_bytes=5_000))
    assert files == ["a.csv.gz"] * 3 + ["c.csv"]
    assert [("b.csv.gz" in message, "unpacks" in message) for message in problems] == [
        (True, True)
    ]
    assert left_out(path, Limits())[0] == ["a.csv.gz"] * 3 + ["b.csv.gz"] * 3 + [
        "c.csv"
    ]


@pytest.mark.parametrize("document", ["headings.docx", "story.pdf"])
def test_what_documents_hold_counts_together(tmp_path: Path, document: str) -> None:
    content = (FOLDER / "documents" / document).read_bytes()
    ending = document.rpartition(".")[2]
    first, second = (f"{name}__dot__{ending}" for name in "ab")
    path = archive(tmp_path, **{first: content, second: content})
    measured = ByteSource(BytesIO(content), len(content), Limits())
    with closing(Parser(measured, ending)) as parser:
        parser.document()
    budget = 2 * len(content) + 3 * measured.expanded // 2
    options: dict[str, Any] = {"shape": "text"}
    assert {row.file for row in load(path, options=ReadOptions(**options)).rows} == {
        f"a.{ending}",
        f"b.{ending}",
    }
    read = load(
        path, options=ReadOptions(**options, limits=Limits(expanded_bytes=budget))
    )
    assert {row.file for row in read.rows} == {f"a.{ending}"}
