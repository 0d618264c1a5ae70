"""Texts, documents and tables are read as material for examples; other files are
refused with a way out.
"""

import json
from pathlib import Path

import pytest

from backend.datasets.read.as_text import read_material
from backend.datasets.read.load import load
from backend.errors import BadInput, NotInDemo
from backend.records.reading import Limits

PAGE = "<!doctype html><title>x</title><nav>Menu</nav><h1>Shop</h1><p>We sell bread.</p><h2>Pay</h2><p>By card.</p>"


def read(folder: Path, name: str, text: str) -> list[tuple[str, str]]:
    (folder / name).write_text(text, "utf-8")
    return [
        (each.heading, each.text)
        for each in read_material(folder / name, name, Limits())
    ]


def test_each_kind_of_text_keeps_its_headings(tmp_path: Path) -> None:
    expected = [("Shop", "We sell bread."), ("Pay", "By card.")]
    assert read(tmp_path, "page.html", PAGE) == expected
    assert (
        read(tmp_path, "a.md", "# Shop\n\nWe sell bread.\n\n## Pay\n\nBy card.")
        == expected
    )
    assert (
        read(tmp_path, "a.txt", "Shop\n\nWe sell bread.\n\nPay\n\nBy card.") == expected
    )
    assert read(tmp_path, "prices.csv", "Bread,Price\nRye,4.20\nOat,5.10\n") == [
        ("", "Rye | 4.20"),
        ("", "Oat | 5.10"),
    ]
    assert (
        read(
            tmp_path,
            "a.tex",
            "\\section{Shop}\n\nWe sell bread.\n\n\\section{Pay}\n\nBy card.",
        )
        == expected
    )


def test_a_demo_takes_no_more_passages_than_rows(tmp_path: Path) -> None:
    (file := tmp_path / "shop.md").write_text(
        "- Shop: 555\n- Taxi: 777\n- Alarm: 999\n", "utf-8"
    )
    assert len(read_material(file, file.name, Limits(rows_allowed=3))) == 3
    with pytest.raises(NotInDemo):
        read_material(file, file.name, Limits(rows_allowed=2))


def test_a_text_that_looks_like_a_chat_is_still_a_text(tmp_path: Path) -> None:
    assert (
        len(
            read(
                tmp_path,
                "contact.txt",
                "Shop: 555 010\nMarta: 555 077\nAlarm: 555 300\nTaxi: 555 400\n",
            )
        )
        == 4
    )


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rows.jsonl", '{"question": "a", "answer": "b"}\n' * 3, "upload it as examples"), ("empty.txt", " \n", ""),
        ("shop.po", 'msgid "Open?"\nmsgstr "Offen?"\n', "upload it as examples"),
    ],
)  # fmt: skip
def test_what_is_no_material_is_refused(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    with pytest.raises(BadInput) as refused:
        read(tmp_path, name, text)
    assert words in refused.value.next


def test_a_draft_is_learned_only_once_it_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    kept = [True, False, "yes", None]
    lines = [
        {
            "question": f"Is it {n}?",
            "answer": f"It is {n}.",
            "draft": {"kept": each, "passage": n, "made": "By hand."},
        }
        for n, each in enumerate(kept, 1)
    ]
    lines.append(
        {
            "question": "Is it late?",
            "answer": "It is.",
            "draft": {"kept": False, "by": "Ann"},
        }
    )
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = load(file)
    assert [(row.passage, row.made) for row in data.rows] == [
        (1, "By hand."),
        (0, ""),
    ], "the last is another column"
    assert [(p.row, p.kind, p.severity) for p in data.problems if p.row] == [
        (n, "not_kept", "error") for n in (2, 3, 4)
    ]
