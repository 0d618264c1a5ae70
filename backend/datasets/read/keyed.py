"""Proposes as the answer the one of several options that another column, the key, names
by its letter or number.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from string import ascii_uppercase, digits
from typing import Any

from backend.datasets.convert.guess_columns import likely_question
from backend.datasets.convert.mapping import Plan, make_plan
from backend.datasets.convert.shapes import (
    KEYS,
    LEVELS,
    NAMES,
    RIGHT,
    Columns,
    plain_name,
)
from backend.datasets.read.file import OpenSource, each_object
from backend.errors import BadInput
from backend.files.json_file import value_of
from backend.records.reading import ReadOptions

_MARKED = re.compile(r"\(?([A-Ha-h])\s?[).:](.+)", re.DOTALL)  # "a) text"
_KEY = re.compile(r"""[\s\[\]"'(),.;:A-H0-9]+""")  # "B", "2", "A, C" or a list
_FEWEST, _MOST, _LONGEST, _MOSTLY = (
    3,
    9,
    20,
    0.9,
)  # rows and options; options; characters of a key; of the rows
_KEYS = frozenset((*NAMES["answer"], *RIGHT, *KEYS))  # words of its name
_Key = tuple[
    Sequence[str], str, str, bool
]  # options, the key, from what it may count, whether its name says so


def read_keyed(opened: OpenSource, options: ReadOptions) -> None:
    """Adds the right options by every key, and proposes the likeliest as the answers
    unless another column is that by its name.
    """
    records = [value for _, value in opened.sample() if isinstance(value, dict)]
    if opened.plan or not (found := find_keys(records)):
        return
    listed, key, _, known = found[0]
    with suppress(BadInput):  # it would ask
        plan = make_plan(opened.sample(), ReadOptions())
        if not plan.guessed and plan.mapping.get("answer") not in (
            key,
            *(listed if known else ()),
        ):
            return
    rest = dict.fromkeys(
        name for record in records for name in record if name not in (*listed, key)
    )
    if question := likely_question(records, [*rest]):
        answer, *other = _answers(records[0], found[:1] if known else found[:2])
        beside = Columns(rest.keys() - {question}).find("context", "system")
        mapping = {"question": question, "answer": answer, **beside}
        opened.plan = Plan(
            "question_answer",
            mapping,
            fixed=True,
            guessed=True,
            rival=(other or [""])[0],
        )
        opened.records = each_object(
            opened.records, lambda _, row: [{**_answers(row, found), **row}]
        )
        if not (known or key.startswith("column ") or options.mapping):
            why = f"The column {key!r} may choose the right option: it fits, but its name doesn't say so."
            why += "".join(
                f" The column {name!r} fits, too." for _, name, _, _ in found[1:]
            )
            opened.notes.append(
                (
                    "doubtful_column",
                    why,
                    "Choose another column if the first answers are wrong.",
                )
            )


def find_keys(records: Sequence[dict[str, Any]]) -> list[_Key]:
    """Each key, the likeliest first: one by its name, one of no level, one of letters.
    The same in every row it must be one by its name.
    """
    names, found = (
        [*dict.fromkeys(name for record in records for name in record)],
        dict[str, tuple[Any, _Key]](),
    )
    ended = (
        name
        for name in names
        if re.search(r"[A-Ha-h0-9]\Z", name) and not name.startswith("column ")
    )
    alike = (
        [*own]
        for _, own in groupby(
            sorted(ended, key=lambda name: (name[:-1], name)), lambda name: name[:-1]
        )
    )
    groups = [
        group
        for group in (*([name] for name in names), *alike)
        if _list_options(records, group)
    ]
    for at, key in enumerate(names if len(records) >= _FEWEST else ()):
        keys = [record.get(key) for record in records]
        different, words = {*map(str, keys)}, re.split("[_.]", plain_name(key))
        known, level = not _KEYS.isdisjoint(words), not LEVELS.isdisjoint(words)
        before = (
            names[at - n : at]
            for n in range(_FEWEST, min(at, _MOST + 1))
            if key.startswith("column ")
        )
        before = (own for own in before if _list_options(records, own))
        for listed in (
            (*groups, *before) if max(map(len, different)) <= _LONGEST else ()
        ):
            rows = [_options(record, listed) for record in records]
            fits = {
                b: sum(map(bool, map(_right_option, rows, keys, [b] * len(rows))))
                for b in ("", "1", "0")
            }
            top, ids = (
                max(fits.values()),
                not max(map(len, rows)) - 2 < len(different) < len(rows),
            )
            bases = (
                ""
                if fits[""] == top
                else "".join(base for base in "10" if fits[base] == top)
            )
            none = len(different) == 1 or (bases and (ids or level))
            likely = (known, len(different) > 1, not level, not bases, top)
            better = (
                top >= _MOSTLY * len(rows)
                and key not in listed
                and (key not in found or likely > found[key][0])
            )
            if better and (known or not none):
                found[key] = (likely, (listed, key, bases, known))
    return [own for _, own in sorted(found.values(), key=itemgetter(0), reverse=True)]


def _list_options(records: Sequence[dict[str, Any]], names: Sequence[str]) -> bool:
    lists = ([*filter(None, _options(record, names))] for record in records)
    return sum(
        _FEWEST <= len({*own}) == len(own) <= _MOST for own in lists
    ) >= _MOSTLY * len(records)


def _options(record: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The options in these columns, or in one that lists them, without letters before
    them; [] where it doesn't.
    """
    cell = (
        record.get(names[0])
        if len(names) == 1
        else [record.get(name) for name in names]
    )
    lines = cell.strip().split("\n", _MOST) if isinstance(cell, str) else []
    listed = value_of(cell, lines) if isinstance(cell, str) else cell
    listed = (
        [listed[name] for name in sorted(listed, key=str)]
        if isinstance(listed, dict)
        else listed
    )
    listed = listed if isinstance(listed, list) else ()
    cells = (
        c.get(Columns(c).find("text").get("text")) if isinstance(c, dict) else c
        for c in listed
    )
    texts = [
        str(text).strip() if isinstance(text, (str, int, float)) else ""
        for text in cells
    ]
    marked = [mark for text in texts if (mark := _MARKED.fullmatch(text))]
    if [mark[1].upper() for mark in marked] == [*ascii_uppercase[: len(texts)]]:
        return [mark[2].strip() for mark in marked]
    return [] if listed is lines else texts


def _answers(record: Mapping[str, Any], keys: Sequence[_Key]) -> dict[str, str | None]:
    """The right option by the name of its column, or each where it isn't clear; None
    where the key names none.
    """
    answers: dict[str, str | None] = {}
    for listed, key, bases, _ in keys:
        name = f"{' to '.join(dict.fromkeys((listed[0], listed[-1])))} chosen by {key}"
        columns = {f"{name}, counted from {base}": base for base in bases} or {name: ""}
        answers |= {
            c: _right_option(_options(record, listed), record.get(key), base)
            for c, base in columns.items()
        }
    return answers


def _right_option(options: Sequence[str], key: Any, base: str) -> str | None:
    """The option that a key names by its letter, or by a number that counts from
    `base`; of several, a line each.
    """
    text = str(key).upper().removesuffix(".0")
    named = dict(
        zip(
            ascii_uppercase[: len(options)] + digits[int(base or 10) :],
            [*options, *options],
            strict=False,
        )
    )
    right = (
        [named.get(word) or "" for word in re.findall("[A-H]|[0-9]+", text)]
        if _KEY.fullmatch(text)
        else []
    )
    return "\n".join(right) if right and all(right) else None
