"""How a file was read: in words, with its first rows, and as a form to change a wrong
guess.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from backend.datasets.chats.people import WHOEVER_ANSWERS
from backend.datasets.checks.issues import GUESSES
from backend.datasets.convert.shapes import SHAPES
from backend.datasets.dataset import CheckedDataset
from backend.datasets.read.formats.delimited import DELIMITERS
from backend.datasets.read.formats.workbook import TOGETHER
from backend.records.rows import Dataset, columns_of, single
from ui.text import format as fmt
from ui.web.data import before_after
from ui.web.html import components, tables

DISCARDS = "If you read the file another way, your fixes are discarded."
EDITED = "You edited these examples. To read the file another way, undo your edits first, or add the file again."
MOST = 60  # columns, or people, to choose from
SIDES = {"assistant": "The side that answers", "user": "The side that asks"}
HINT = "Choose one, or several who answer for the same side; everyone else asks."
_SEND = Markup('<button type="submit" class="btn firm">Read it this way</button>')


def described(data: Dataset) -> str:
    """The file's format, encoding and shape in a sentence."""
    source = data.source
    details = source.details
    parts = [details.title or source.format]
    if details.delimiter:
        parts.append(
            f"separated by {fmt.SEPARATORS.get(details.delimiter, details.delimiter)}"
        )
    if details.sheet:
        parts.append(f"the sheet “{details.sheet}”")
    if not details.binary:
        parts.append(f"in {fmt.ENCODINGS.get(source.encoding, source.encoding)}")
    shape = SHAPES[source.shape].title if source.shape in SHAPES else source.shape
    shape = (
        shape.partition(" (")[0] if details.people else shape
    )  # the file itself has no such column
    return f"{source.name} is {', '.join(parts)}, read as {shape}."


def card(data: CheckedDataset) -> Markup:
    """How the file was read, with its first rows, and the form; empty while a guess is
    asked about.
    """
    if any(
        p.kind in GUESSES and not data.info.is_refused(p) for p in data.report.problems
    ):
        return components.EMPTY
    source = data.original.source
    ignored = (
        f" Not used: {fmt.listed(list(source.ignored))}." if source.ignored else ""
    )
    counts = Counter(
        row.file for row in data.original.rows if row.file
    )  # of several files that were read together
    lines, people = (
        [(file, fmt.number(count)) for file, count in counts.items()],
        source.details.people,
    )
    body = [
        components.text(described(data.original) + ignored, "lead"),
        tables.table(("File", "Examples"), lines, "Examples in each file")
        if lines
        else components.EMPTY,
        before_after.first_rows(data.original),
        ask_people(((name, 0) for name in people), source.details.imitate)
        if people
        else components.EMPTY,
        form(data),
    ]
    chosen = data.info.read_options.keys() - {"rows"}
    if chosen:
        body.append(components.button("Detect automatically", "as-found"))
    if data.info.edits:
        body.append(components.text(EDITED, "small"))
    elif data.info.accepted or data.info.refused:
        body.append(components.text(DISCARDS, "small"))
    inside = components.fold("How this file was read", *body, key="how")
    changed = components.badge("changed by you", "calm") if chosen else ""
    return Markup('<section class="card slim">{}{}</section>').format(inside, changed)


def form(data: CheckedDataset) -> Markup:
    """A form to read the file another way."""
    source, how = data.original.source, data.info.read_options
    details = source.details
    parts = []
    if not details.binary:
        detected = fmt.ENCODINGS.get(source.encoding, source.encoding)
        choices = [
            ("", detected if not how.get("encoding") else "Detected automatically"),
            *fmt.ENCODINGS.items(),
        ]
        parts.append(
            _select("Text encoding", "encoding", choices, how.get("encoding", ""))
        )
    if source.format in ("csv", "tsv", "text"):
        delimiter = fmt.SEPARATORS.get(details.delimiter, "none (plain text)")
        choices = [
            ("", delimiter if not how.get("delimiter") else "Detected automatically"),
            *fmt.SEPARATORS.items(),
        ]
        parts.append(
            _select(
                "Column separator (delimiter)",
                "delimiter",
                choices,
                how.get("delimiter", ""),
            )
        )
    if len(details.sheets) > 1:
        choices = [(sheet, sheet) for sheet in details.sheets]
        if details.together:
            choices.append(
                (
                    details.together,
                    details.together.replace(TOGETHER, ", ") + " together",
                )
            )
        parts.append(_select("Sheet", "sheet", choices, details.sheet))
    columns = [
        *columns_of(source.mapping),
        *(c for c in source.ignored if "message." not in c),
    ]
    columns = [] if details.people else columns
    return _choosing(
        "how", components.join(parts), columns, source.shape, single(source.mapping)
    )


def ask_columns(columns: Sequence[str], likely: Sequence[Mapping[str, str]]) -> Markup:
    """A form that asks which column is which, where that could not be guessed. likely:
    chosen at first.
    """
    shape = "text" if likely and "text" in likely[0] else "question_answer"
    return _choosing(
        "columns",
        components.EMPTY,
        columns,
        shape,
        {f: c for each in likely for f, c in each.items()},
    )


def reading_button(shape: str) -> Markup:
    """A button that reads a text as this shape."""
    label = fmt.READINGS.get(shape, SHAPES[shape].title)
    return components.button(
        label,
        "columns",
        json.dumps({"shape": shape}),
        "quiet" if shape == "text" else "firm",
    )


def _choosing(
    do: str,
    more: Markup,
    columns: Iterable[str],
    shape: str,
    mapping: Mapping[str, str],
) -> Markup:
    shapes = _select(
        "Read each row as (shape)",
        "shape",
        [(n, s.title) for n, s in SHAPES.items()],
        shape,
    )
    names = list(dict.fromkeys(columns))[:MOST]
    fields = [
        _fields(name, names, mapping if name in (shape, "text") else {})
        for name in SHAPES
        if names
    ]
    above = Markup('<div class="choose">{}{}</div>').format(more, shapes)
    return components.form(do, above, *fields, _SEND, kind="how")


def _fields(shape: str, columns: Sequence[str], mapping: Mapping[str, str]) -> Markup:
    """Which column is which, for one shape; the style sheet shows only the fields of
    the chosen shape.
    """
    needed = {group[0] for group in SHAPES[shape].required}
    parts = [
        _select(
            f"{fmt.FIELDS.get(field, field)} ({field})",
            f"{shape}.{field}",
            [
                ("", "—" if field not in needed else "choose a column"),
                *((c, c) for c in columns),
            ],
            mapping.get(field, ""),
        )
        for field in SHAPES[shape].fields
    ]
    return Markup(
        '<fieldset class="choose" data-shape="{}"><legend>Which column is which</legend>{}</fieldset>'
    ).format(shape, components.join(parts))


def _select(
    label: str, name: str, choices: Iterable[tuple[str, str]], chosen: str
) -> Markup:
    options = components.options(
        ((value, text[:80]) for value, text in choices), chosen
    )
    return Markup('<label>{}<select name="{}">{}</select></label>').format(
        label, name, options
    )


def sent(value: str, data: CheckedDataset) -> dict[str, Any]:
    """The form as fields of ReadOptions, without those that the file's content decides.
    value: comes from the browser, so only known encodings and delimiters are taken; the
    reader checks shape, sheet and columns.
    """
    typed = components.fields(value)
    source = data.original.source
    how: dict[str, Any] = {}
    if typed.get("encoding") in fmt.ENCODINGS:
        how["encoding"] = typed["encoding"]
    if typed.get("delimiter") in DELIMITERS:
        how["delimiter"] = typed["delimiter"]
    if typed.get("sheet") and (
        typed["sheet"] != source.details.sheet or "sheet" in data.info.read_options
    ):
        how["sheet"] = typed["sheet"]
    how |= {
        name: True
        for name in ("join_cells", "drop_cells", "pairs")
        if data.info.read_options.get(name)
    }
    chosen = sent_columns(value)
    mapping = (
        {} if source.details.people else source.mapping
    )  # a chat has no columns to choose
    if "shape" in data.info.read_options or (
        chosen.get("shape"),
        chosen.get("mapping", {}),
    ) != (source.shape, mapping):
        how |= chosen
    return how


def sent_columns(value: str) -> dict[str, Any]:
    """The shape and its columns as the form has them."""
    typed = components.fields(value)
    shape = typed.get("shape", "")
    if shape not in SHAPES:
        return {}
    mapping = {
        f: typed[f"{shape}.{f}"]
        for f in SHAPES[shape].fields
        if typed.get(f"{shape}.{f}")
    }
    return {"shape": shape, **({"mapping": mapping} if mapping else {})}


def ask_people(people: Iterable[tuple[str, int]], chosen: Iterable[str] = ()) -> Markup:
    """A form with a checkbox for each person in a chat; those that are not chosen are
    folded below those that are. people: each with the number of their messages.
    """
    people, chosen = list(people), set(chosen)
    boxes = [
        (
            _box(
                f"person-{number}",
                name,
                name,
                fmt.count(count, "message") if count else "",
                name in chosen,
            ),
            name,
        )
        for number, (name, count) in enumerate(people[:MOST])
    ]
    if len(people) > 2:
        anybody = WHOEVER_ANSWERS in chosen
        box = _box(
            "person-any",
            WHOEVER_ANSWERS,
            "Whoever answers",
            "the first to write asks",
            anybody,
        )
        boxes.append((box, WHOEVER_ANSWERS))
    ticked = [box for box, name in boxes if name in chosen]
    unticked = [box for box, name in boxes if name not in chosen]
    if ticked and unticked:
        unticked = [components.fold("Somebody else", *unticked, key="people")]
    fields = Markup(
        '<fieldset class="people"><legend>Learn to write like</legend>{}</fieldset>'
    ).format(components.join([*ticked, *unticked]))
    return components.form("people", fields, _SEND, kind="how")


def _box(field: str, value: str, text: str, small: str, checked: bool) -> Markup:
    mark = Markup(" checked") if checked else ""
    note = Markup(" <small>{}</small>").format(small) if small else ""
    return Markup(
        '<label class="tick"><input type="checkbox" name="{}" value="{}"{}><span>{}{}</span></label>'
    ).format(field, value, mark, SIDES.get(text, text), note)


def sent_people(value: str) -> dict[str, Any]:
    """The ticked people as the field of ReadOptions; {} when none is. value: comes from
    the browser.
    """
    ticked = [
        name
        for field, name in components.fields(value).items()
        if field.startswith("person-")
    ]
    return {"imitate": ticked} if ticked else {}
