"""Drafts without a model: ways of asking about headings, about lines such as "Phone:
555 010", and about the cells of a table. The ways stand in templates.json by language.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from backend.datasets.checks.editor import CELL_ERROR
from backend.datasets.checks.language import detect
from backend.datasets.documents.passages import Passage, labelled, sentences
from backend.drafts.draft import STARTER, Draft, changes
from backend.files.json_file import read_json
from backend.text.normalize import normalize

_LANGUAGES = read_json(Path(__file__).with_suffix(".json"))
_LONGEST_ANSWER = 400  # characters of an answer that is drafted
_SAMPLE = 40  # passages and rows that show the language, or what a column holds
_HOURS = re.compile(
    r"\d{1,2}:\d\d|\d{1,2}(\.\d\d)? ?([ap]m|uhr|h)\b|\d\d?\.\d\d ?[-–] ?\d",
    re.IGNORECASE,
)
_WORD = r"[^\W\d_][^\W\d_A-Z]+\b"  # not in capitals
_INSIDE = re.compile(rf"(?<=[\w,] ){_WORD}")
_NAMED = re.compile(r"\{([^{}\n]*)\}")
_PRICED = re.compile(
    r"pri[cxs]|preis|precio|prezzo|cost|kosten|tarif|fee|rate|€|\$|£", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table to ask about. key: names it among all tables. asked: its name
    inside a sentence. subject: the column that names each row. ways: of asking, in
    which the names of columns in braces stand for the row's own words (and {row},
    {cell}, {column} for those of `subject`, of this column, and for `asked`). answer:
    likewise. rows: to ask about. flagged: it holds prices or dates.
    """

    key: str
    name: str
    asked: str
    subject: str
    ways: tuple[str, ...]
    answer: str
    rows: tuple[Passage, ...]
    flagged: bool


def all_ready(passages: Sequence[Passage]) -> list[Draft]:
    """All drafts without a model, with the columns of tables asked about in the ready
    wordings.
    """
    of_columns = (
        from_column(column, column.ways, column.answer) for column in columns(passages)
    )
    return [*from_text(passages), *chain.from_iterable(of_columns)]


def without_model(
    passages: Sequence[Passage], topic: str
) -> tuple[list[Draft], list[Column]]:
    """The drafts without a model, and the columns to ask about. topic: what the
    examples are about, "" for none.
    """
    return (starters(topic) if topic else []) + from_text(passages), columns(passages)


def starters(text: str) -> list[Draft]:
    """Questions that people ask anywhere, for the person to answer. text: a topic, for
    its language.
    """
    return [
        Draft(f"starter {n}", f"{STARTER} {n % 3}", 0, asked)
        for n, asked in enumerate(_ways(text)["starters"], 1)
    ]


def from_text(passages: Sequence[Passage]) -> list[Draft]:
    """Drafts about the headings and the labelled lines of a text. A question has one
    answer: where a heading or a label occurs again, the heading above it is added.
    """
    texts = [passage for passage in passages if not passage.table]
    whole = "\n".join(passage.text for passage in texts)
    ways, inside_sentences, drafts = (
        _ways(whole),
        set(_INSIDE.findall(whole)),
        list[Draft](),
    )
    tops = {passage.headings[:1] for passage in texts}
    title = (
        "".join(*tops) if len(tops) == 1 < len(texts) else ""
    )  # above everything: nothing to ask about
    answered = list[tuple[Passage, str, str, str]]()
    for passage in texts:
        if passage.first and passage.heading != title:
            answered.append(
                (passage, "heading", passage.heading, _beginning(passage.text))
            )
        elif pair := labelled(passage.text):
            answered.append((passage, "label", *pair))
    times = Counter(normalize(name) for _, _, name, _ in answered)
    for passage, kind, name, answer in answered:
        inside = name if ways["keeps_capitals"] else _lower(name, inside_sentences)
        if times[normalize(name)] > 1 and (
            above := passage.headings[: -1 if kind == "heading" else None]
        ):
            inside = f"{inside} ({above[-1]})"
        asks = (
            [name]
            if name.endswith(("?", "？"))
            else [_filled(way, {kind: inside}) for way in ways[kind]]
        )
        drafts += (
            _draft(passage, f"{kind} {n}", question, answer)
            for n, question in enumerate(asks, 1)
        )
    return _distinct(drafts)


def _draft(passage: Passage, way: str, question: str, answer: str) -> Draft:
    return Draft(
        f"{passage.number} {way}",
        way,
        passage.number,
        question[:1].upper() + question[1:],
        answer,
    )


def _distinct(drafts: Iterable[Draft]) -> list[Draft]:
    """The first of those that ask the same."""
    first: dict[str, Draft] = {}
    for draft in drafts:
        first.setdefault(normalize(draft.question), draft)
    return list(first.values())


def _beginning(text: str) -> str:
    """As many of the first sentences as an answer may have."""
    end = 0
    for sentence in sentences(text):
        at = text.find(sentence, end) + len(sentence)
        if at > _LONGEST_ANSWER and end:
            break
        end = at
    return text[:end]


def _lower(name: str, inside_sentences: Set[str]) -> str:
    """A heading inside a sentence: with a small letter, unless the text writes its
    first word large in a sentence.
    """
    first = re.match(_WORD, name)
    is_name = first is None or first[0] in inside_sentences
    return name if is_name else name[0].lower() + name[1:]


def columns(passages: Sequence[Passage]) -> list[Column]:
    """The columns of all tables that can be asked about: those beside the one that
    names each row.
    """
    tables: dict[int, list[Passage]] = defaultdict(list)
    for passage in passages:
        tables[passage.table].append(passage)
    return [
        one for table, rows in tables.items() if table for one in _columns(table, rows)
    ]


def _columns(table: int, rows: Sequence[Passage]) -> list[Column]:
    """Those with prices or hours first, about which people ask most."""
    found: list[tuple[bool, Column]] = []
    names = list(dict.fromkeys(name for row in rows for name in row.cells))
    told = {
        name: {cell for row in rows if (cell := row.cells.get(name, ""))}
        for name in names
    }
    named = {
        name: sum(
            not (c[0].isdigit() or changes(c) or _HOURS.search(c)) for c in told[name]
        )
        for name in names
    }
    subject = next(
        name for name in names if 4 * named[name] >= 3 * max(named.values())
    )  # notes may differ more
    beside = ""  # the column that tells rows of one name apart
    if len(told[subject]) < len(rows):
        others = (name for name in names if name != subject and named[name])
        apart = (
            name
            for name in others
            if len({(r.cells.get(subject), r.cells.get(name)) for r in rows})
            == len(rows)
        )
        beside = next(apart, "")
    called = f"{{{subject}}} ({{{beside}}})" if beside else f"{{{subject}}}"
    ways = _ways(" ".join([*names, *(row.text for row in rows[:_SAMPLE])]))
    for number, name in enumerate(names, 1):
        filled = tuple(
            row for row in rows if row.cells.get(name) and row.cells.get(subject)
        )
        filled = tuple(
            row for row in filled if not CELL_ERROR.fullmatch(row.cells[name])
        )
        if name in (subject, beside) or len({row.cells[name] for row in filled}) < min(
            2, len(rows)
        ):
            continue
        cells = [row.cells[name] for row in filled[:_SAMPLE]]
        flagged = _most(cells, changes)
        priced = bool(_PRICED.search(name)) and _most(
            cells, lambda cell: cell[0].isdigit()
        )
        verb = ways["verbs"].get(name.casefold(), "")
        kind = (
            "price"
            if priced
            else "hours"
            if _most(cells, _HOURS.search)
            else "verb"
            if verb
            else "cell"
        )
        answer = (
            "{row}: {cell} ({column})" if priced and not flagged else "{row}: {cell}"
        )
        asked = name if ways["keeps_capitals"] else _lower(name, set())
        spoken = {"row": called, "cell": f"{{{name}}}", "column": asked, "verb": verb}
        *asks, answer = (_filled(text, spoken) for text in (*ways[kind], answer))
        column = Column(
            f"{table}.{number}",
            name,
            asked,
            subject,
            tuple(asks),
            answer,
            filled,
            flagged or priced,
        )
        found.append((kind == "cell", column))
    return [column for _, column in sorted(found, key=lambda pair: pair[0])]


def _most(cells: Sequence[str], matches: Callable[[str], object]) -> bool:
    return 2 * sum(bool(matches(cell)) for cell in cells) >= len(cells)


def from_column(column: Column, ways: Sequence[str], answer: str) -> list[Draft]:
    """All rows of a column in these wordings; one that comes out the same as another is
    left out, and one for which a row has no cell.
    """
    drafts: list[Draft] = []
    for row in column.rows:
        filling = filled_in(column, row)
        for n, way in enumerate(ways, 1):
            if names_in(f"{way}\n{answer}") <= filling.keys() and (
                asked := _filled(way, filling)
            ):
                drafts.append(
                    _draft(row, f"{column.key} {n}", asked, _filled(answer, filling))
                )
    return _distinct(drafts)


def filled_size(column: Column, ways: Sequence[str], answer: str) -> int:
    """How many characters of the rows stand in the drafts in these wordings."""
    names = [name for way in ways for name in _NAMED.findall(way + answer)]
    fillings = (filled_in(column, row) for row in column.rows)
    return sum(len(filling.get(name, "")) for filling in fillings for name in names)


def filled_in(column: Column, row: Passage) -> dict[str, str]:
    """What stands in place of each name in braces."""
    own = {
        "row": row.cells[column.subject],
        "cell": row.cells[column.name],
        "column": column.asked,
    }
    return {**own, **row.cells}


def names_in(wording: str) -> set[str]:
    """The names in braces, in whose place each row's own words stand."""
    return set(_NAMED.findall(wording))


def _filled(way: str, filling: dict[str, str]) -> str:
    return _NAMED.sub(lambda match: filling.get(match[1], match[0]), way).strip()


def _ways(text: str) -> Any:
    return _LANGUAGES.get(detect(text) or "", _LANGUAGES["en"])
