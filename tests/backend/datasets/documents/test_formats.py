"""Web pages are read as a browser shows them, in steps that grow with the page; cells
are shown as Excel does.
"""

import datetime
from typing import Any

import pytest

from backend.datasets.documents.markdown import has_table
from backend.datasets.documents.markup import _Reader, read_html
from backend.datasets.documents.number_format import shown


class Tag(str):
    """A name of an element that counts how often it is looked at."""

    looked = 0

    def __eq__(self, other: object) -> bool:
        Tag.looked += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Tag.looked += 1
        return str.__hash__(self)


@pytest.mark.parametrize("closed", ["b", "i", "p"])
def test_the_steps_do_not_depend_on_how_many_elements_are_open(closed: str) -> None:
    def steps(depth: int) -> int:
        reader = _Reader()
        reader.feed(" ")
        for _ in range(depth):
            reader.handle_starttag(Tag("span"), [])
        Tag.looked = 0
        for _ in range(10):
            reader.handle_data("x")
            reader.handle_endtag(closed)
            reader.handle_starttag("p", [])
            reader.handle_endtag("p")
        return Tag.looked

    assert steps(300) == steps(3)


def test_elements_end_and_what_is_no_whole_tag_is_text() -> None:
    document = read_html(
        "<h2>A<h3>B</h3></h2><p><b>C<b>D</b></b></p><pre>E  F</pre><p>G  H</p><script>I</script>J"
    )
    assert [(b.text, b.level, b.bold) for b in document.blocks] == [
        ("A", 2, False), ("B", 3, False), ("CD", 0, True), ("E  F", 0, False), ("G H", 0, False), ("J", 0, False),
    ]  # fmt: skip
    assert read_html("a <b>c</b> d <i e <i f <i g").text == "a c d <i e <i f <i g"
    assert read_html("a <![>b<![CDATA[c>d").text == "a bd"


def test_the_end_of_a_tag_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    begin = _Reader.parse_starttag

    def counted(reader: _Reader, at: int) -> int:
        begun.append(at)
        return begin(reader, at)

    monkeypatch.setattr(_Reader, "parse_starttag", counted)
    assert read_html("<p>" + "<a " * 100).text == ("<a " * 100).strip()
    assert begun == [0]


def test_lists_are_indented_and_rules_of_tables_found() -> None:
    text = read_html("<ul><li>a" * 500).text
    assert "\n  - a" in text
    assert max(len(line) for line in text.split("\n")) < 50
    for rule in ("|---|---|", "--- | :---:", "  | - | - |  ", "|-|-"):
        assert has_table(f"a | b\n{rule}\n1 | 2")
    for line in ("---", "| a | b |", "|-|-" + " " * 5_000 + "x", "|-|-|" + " " * 5_000):
        assert not has_table(f"a | b\n{line}\n1 | 2")


MOMENT = datetime.datetime(2026, 3, 9, 14, 5, 7)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (3, "General", "3"), (2.5, "General", "2.5"), (0.1 + 0.2, "General", "0.3"), (True, "General", "true"),
        (None, "0", ""), (0.35, "0%", "35%"), (0.3456, "0.0%", "34.6%"), (1299, "#,##0.00", "1,299.00"),
        (1299.5, '#,##0.00\\ "€"', "1,299.50 €"), (1299, "[$$-409]#,##0", "$1,299"),
        (-5, "#,##0.00;(#,##0.00)", "(5.00)"), (7, "00000", "00007"), (3.1, "0.##", "3.1"),
        (12345.678, "0.00E+00", "12345.678"), (1.5, "# ?/?", "1.5"),
        (datetime.datetime(2026, 3, 9), "mm-dd-yy", "2026-03-09"),
        (datetime.datetime(2026, 3, 9), "dd.mm.yyyy", "09.03.2026"), (MOMENT, "d mmmm yyyy", "9 March 2026"),
        (MOMENT, "h:mm AM/PM", "2:05 PM"), (MOMENT, "yyyy-mm-dd hh:mm:ss", "2026-03-09 14:05:07"),
        (datetime.time(14, 5), "hh:mm", "14:05"), (MOMENT, "General", "2026-03-09 14:05:07"), ("00123", "@", "00123"),
        ("a_x000D_\nb_x000d_c _x0041_ _x005F_x000D_ _xD83D_ _x0000_", "@", "a\nb\nc _x0041_ _x000D_ _xD83D_ _x0000_"),
    ],
)  # fmt: skip
def test_a_value_looks_as_in_the_cell(value: Any, code: str, text: str) -> None:
    assert shown(value, code) == text
