"""The card *Is this right?*: how a file was read, to confirm or to change. No other
place asks about a file.

What a form sends comes from the browser: unknown encodings, roles, columns and values
are dropped here, and the reader refuses what does not fit the file with a sentence.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from backend.datasets.chats.people import WHOEVER_ANSWERS
from backend.datasets.checks.issues import GUESSES
from backend.datasets.checks.report import unused
from backend.datasets.dataset import CheckedDataset
from backend.datasets.documents.questions import MARKS
from backend.datasets.read.formats.delimited import DELIMITERS
from backend.datasets.read.formats.workbook import TOGETHER
from backend.records.rows import Dataset, Row, columns_of
from ui.text import format as fmt
from ui.web.data import before_after, drafting
from ui.web.html import components

TITLE, PROPOSAL = "Is this right?", "proposal"
CONFIRMED = "mapping_guessed"  # refused once the person has said yes to the reading
DISCARDS = "If you read the file another way, your fixes are discarded."
EDITED = "You edited these examples. To read the file another way, undo your edits first, or add the file again."
MOST, LISTED = 60, 6  # columns or people; other sheets
SIDES = {
    "assistant": "The side that answers",
    "user": "The side that asks",
    WHOEVER_ANSWERS: "Whoever answers: the first to write asks",
}
ROLES = {
    "question": "Question",
    "answer": "Answer",
    "system": "Instruction",
    "text": "Text to learn as it is",
}
ONLY, TEXT = "only", "text"  # what a column can also be; a shape
_ALIKE = {  # fields that a person need not tell apart
    "instruction": "question",
    "input": "question",
    "prompt": "question",
    "output": "answer",
    "completion": "answer",
}
_AS_TEXT = (
    "This is a text without questions and answers. Learned as it is, the model continues "
    "texts in this style, but answers no questions."
)
_CHOSEN = frozenset(  # options that change what a person sees in an example
    "encoding delimiter sheet shape mapping only marks imitate pairs".split()  # noqa: SIM905
)


def is_asked(data: CheckedDataset) -> bool:
    """Whether the person has yet to confirm the reading: it is a guess, or they have
    just chosen it.
    """
    info = data.info
    chosen = _CHOSEN & info.read_options.keys() and CONFIRMED not in info.refused
    as_text = is_text(data) and CONFIRMED not in info.refused
    return bool(guesses(data) or ((chosen or as_text) and not info.edits))


def is_text(data: CheckedDataset) -> bool:
    """Whether the file is learned as a text, without questions and answers."""
    return any(row.text is not None for row in data.original.rows[:1])


def guesses(data: CheckedDataset) -> dict[str, str]:
    """What was guessed about the file and is not confirmed: sentences, by kind."""
    return {p.kind: p.message for p in data.waiting if p.kind in GUESSES}


def card(data: CheckedDataset) -> Markup:
    """The reading with the button that confirms it; folded once that is done."""
    if not is_asked(data):
        title = "How this file was read"
        fold = components.fold(title, _read(data), _change(data), key="how")
        return Markup('<section class="card slim">{}</section>').format(fold)
    usual = _AS_TEXT if is_text(data) else "Read the way you chose."
    lead = " ".join(guesses(data).values()) or usual
    yes = components.button(_yes(data.original.rows), "confirm", kind="primary")
    answer = Markup('<div class="confirming">{}{}</div>').format(yes, _change(data))
    return components.card(TITLE, answer, _read(data), lead=lead)


def _yes(rows: Sequence[Row]) -> str:
    if len(rows) > 1:
        return f"Yes, use these {fmt.number(len(rows))}"
    return "Yes, use it" if rows else "Yes, that is right"


def _read(data: CheckedDataset) -> Markup:
    """The first examples as they will be learned, and what is not used."""
    rows, left = data.original.rows, ", ".join(unused(data.original.source))
    firsts = list({row.file: row for row in rows[::-1]}.values())[::-1]
    shown = (firsts if firsts[1:] else rows)[: before_after.SHOWN]  # one of each file
    count = fmt.count(len(rows), "example")
    if firsts[1:]:
        count += f" from {len(firsts)} files"
    if faults := len({problem.row for problem in data.unread}):
        count += f", {fmt.count(faults, 'row')} can't be used"
    return Markup(
        '<div class="as-read"><p class="small">{}.</p>{}{}<p class="unused">{}</p></div>'
    ).format(
        count,
        before_after.few(shown, whole=True),
        _ways(data),
        f"Not used: {left}." if left else "",
    )


def _ways(data: CheckedDataset) -> Markup:
    """The other likely ways to read the file, one click each."""
    source, asked = data.original.source, guesses(data)
    ways = [(way.title, {PROPOSAL: str(n)}) for n, way in enumerate(source.proposals)]
    ways = ways[1:]
    if "other_sheets" in asked:
        others = [s for s in source.details.sheets if s != source.details.sheet]
        ways += [(f"Read “{s}” instead", {"sheet": s}) for s in others[:LISTED]]
    if "long_chats" in asked:
        ways.append(("Make an example of each answer", {"pairs": "1"}))
    buttons = [
        components.button(fmt.shorten(title), "how", json.dumps(fields), "chip")
        for title, fields in ways
    ]
    if is_text(data) or (CONFIRMED in asked and not source.details.people):
        make = components.button(drafting.FROM_TABLE, "make-examples", kind="chip")
        buttons.append(make)
    return (
        Markup(
            '<div class="ways"><p class="small">Other ways to read it</p>{}</div>'
        ).format(components.join(buttons))
        if buttons
        else components.EMPTY
    )


def _change(data: CheckedDataset) -> Markup:
    """The form that reads the file another way with every choice
    (static/js/reading.js).
    """
    info, source = data.info, data.original.source
    if info.edits:
        return components.text(EDITED, "small")
    parts = [_people(data)] if source.details.people else []
    if columns := _columns(data):
        parts.append(_table(data, columns))
    if _has_marks(data.original):
        parts.append(_marks(data))
    parts.append(Markup('<div class="choose">{}</div>').format(_file(data)))
    body = [components.form("how", *parts, kind="how")]
    if _CHOSEN & info.read_options.keys():
        body.append(components.button("Detect automatically", "as-found"))
    if (info.accepted.keys() | info.refused.keys()) - {*GUESSES}:
        body.append(components.text(DISCARDS, "small"))
    return Markup(
        '<details class="off" data-key="off-{}"><summary class="btn quiet">{}</summary><div>{}</div></details>'
    ).format(data.id, "Something is off", components.join(body))


def _file(data: CheckedDataset) -> Markup:
    """How the bytes are read: sheet, encoding, delimiter."""
    source, how = data.original.source, data.info.read_options
    details, parts = source.details, []
    if len(details.sheets) > 1:
        sheets = dict.fromkeys(details.sheets, "") | {details.together: " together"}
        choices = [(s, s.replace(TOGETHER, ", ") + end) for s, end in sheets.items()]
        parts.append(_select("Sheet", "sheet", filter(all, choices), details.sheet))
    selects = [
        ("Text encoding", "encoding", fmt.ENCODINGS, source.encoding),
        ("Column separator", "delimiter", fmt.SEPARATORS, details.delimiter),
    ]
    if source.format not in ("csv", "tsv", "text"):
        selects.pop()
    for label, name, titles, now in () if details.binary else selects:
        detected = f"Detected: {titles.get(now, now or 'none')}"
        choices = [("", detected), *titles.items()]
        parts.append(_select(label, name, choices, how.get(name, "")))
    return components.join(parts)


def _columns(data: CheckedDataset) -> list[str]:
    """The columns that a person can choose from, in the file's order."""
    source, records = data.original.source, data.original.originals.values()
    if source.details.people or _has_marks(data.original):
        return []
    named = [
        *_roles(data),
        *(c for c in source.ignored if not c.startswith("message.")),
    ]
    order = [*next((record for record in records if isinstance(record, dict)), ())]
    return sorted(
        named[:MOST],
        key=lambda name: order.index(name) if name in order else len(order),
    )


def _roles(data: CheckedDataset) -> dict[str, str]:
    """What each column is now; those that are not used are missing."""
    source = data.original.source
    alike = _ALIKE if source.shape in ("alpaca", "prompt_completion") else {}
    roles = dict.fromkeys(data.info.read_options.get("only", {}), ONLY)
    return roles | {
        column: alike.get(field, field)
        for field, own in source.mapping.items()
        for column in columns_of({field: own})
    }


def _table(data: CheckedDataset, columns: Sequence[str]) -> Markup:
    """Each column with its first cells, and what it is."""
    roles = _roles(data)
    titles = ROLES | {role: fmt.FIELDS.get(role, role) for role in roles.values()}
    lines = []
    for name in columns:
        few = [(ONLY, "Only rows where …")] if name in data.original.values else []
        own = [(role, title) for role, title in titles.items() if role != ONLY]
        choices = [("", "Not used"), *own, *few]
        label = Markup("<strong>{}</strong> <small>{}</small>").format(
            fmt.shorten(name, 60), _cells(data.original, name)
        )
        select = _select(label, f"column:{name}", choices, roles.get(name, ""))
        lines.append(Markup("<li>{}{}</li>").format(select, _values(data, name)))
    missing = "An example needs a question and an answer."
    return Markup(
        '<p class="small missing" role="status" hidden>{}</p><ul class="columns">{}</ul>'
    ).format(missing, components.join(lines))


def _cells(data: Dataset, column: str) -> str:
    """The first cells of a column that are not empty."""
    records = (value for value in data.originals.values() if isinstance(value, dict))
    cells = [str(own) for record in records if (own := record.get(column))]
    return " · ".join(fmt.shorten(cell, 40) for cell in cells[: before_after.SHOWN])


def _values(data: CheckedDataset, column: str) -> Markup:
    """The cells of a column that has few different ones, to tick those that count."""
    values = data.original.values.get(column, ())
    wanted = data.info.read_options.get("only", {}).get(column, values)
    ticks = [
        _box(f"only:{at}:{column}", value, value or "(empty)", value in wanted)
        for at, value in enumerate(values)
    ]
    boxes = Markup('<div class="people">{}</div>').format(components.join(ticks))
    return boxes if ticks else components.EMPTY


def _has_marks(data: Dataset) -> bool:
    """Whether the file is one text, in which a mark may tell what a question is."""
    source = data.source
    whole = source.shape == TEXT and data.total_rows == 1
    return bool(source.details.cue) or (whole and not source.details.delimiter)


def _mark(data: CheckedDataset) -> str:
    """What a question of a text is recognized by now: a key of MARKS, or TEXT."""
    if data.original.source.shape == TEXT:
        return TEXT
    first = [way.options for way in data.original.source.proposals[:1]]
    chosen = (how.get("marks") for how in (data.info.read_options, *first))
    return next(filter(None, chosen), "")


def _marks(data: CheckedDataset) -> Markup:
    """What a question of a text is recognized by."""
    marks = [(name, mark.title) for name, mark in MARKS.items()]
    choices = [*marks, (TEXT, "nothing: learn the text as it is")]
    if not (now := _mark(data)):  # a certain reading, which names no mark
        choices.insert(0, ("", "detected automatically"))
    return _select("What is a question?", "marks", choices, now)


def _people(data: CheckedDataset) -> Markup:
    """A checkbox for each person in a chat, those who answer first."""
    details = data.original.source.details
    names = dict.fromkeys([*details.imitate, *details.people[:MOST]])
    if len(details.people) > 2:
        names[WHOEVER_ANSWERS] = None
    boxes = [
        _box(f"person-{at}", name, SIDES.get(name, name), name in details.imitate)
        for at, name in enumerate(names)
    ]
    pairs = bool(data.info.read_options.get("pairs"))
    each = _box("pairs", "1", "Make an example of each answer", pairs)
    return Markup(
        '<fieldset class="people"><legend>Learn to write like</legend>{}</fieldset><div class="people">{}</div>'
    ).format(components.join(boxes), each)


def _box(field: str, value: str, text: str, checked: bool) -> Markup:
    mark = Markup(" checked") if checked else ""
    return Markup(
        '<label class="tick"><input type="checkbox" name="{}" value="{}"{}><span>{}</span></label>'
    ).format(field, value, mark, text)


def _select(
    label: str, name: str, choices: Iterable[tuple[str, str]], chosen: str
) -> Markup:
    options = components.options(
        ((value, text[:80]) for value, text in choices), chosen
    )
    return Markup('<label><span>{}</span><select name="{}">{}</select></label>').format(
        label, name, options
    )


# What the browser sends


def sent(value: str, data: CheckedDataset) -> dict[str, Any]:
    """The form, or a proposal, as fields of ReadOptions, without those that the file's
    content decides.
    """
    typed = components.fields(value)
    source, before = data.original.source, data.info.read_options
    kept = ["join_cells", "drop_cells"]
    kept += {"encoding", "delimiter", "sheet"} - typed.keys()
    ways = {str(at): way.options for at, way in enumerate(source.proposals)}
    if way := ways.get(typed.get(PROPOSAL, "")):
        return {k: before[k] for k in (*kept, "pairs") if k in before} | {**way}
    how: dict[str, Any] = {
        name: typed[name]
        for name, known in (("encoding", fmt.ENCODINGS), ("delimiter", DELIMITERS))
        if typed.get(name) in known
    }
    if "sheet" in typed and (
        typed["sheet"] != source.details.sheet or "sheet" in before
    ):
        how["sheet"] = typed["sheet"]
    people = [name for field, name in typed.items() if field.startswith("person-")]
    if people and {*people} != {*source.details.imitate}:
        how["imitate"] = people
    else:
        kept.append("imitate")
    if "pairs" in typed:
        how["pairs"] = True
    roles, only = _sent_columns(typed, data)
    mark = typed.get("marks", "")
    if mark != _mark(data) and mark in (*MARKS, TEXT):
        how |= {"shape": TEXT} if mark == TEXT else {"marks": mark}
    elif not roles or (roles, only) == (_roles(data), before.get("only", {})):
        kept += ["shape", "mapping", "only", "marks"]
    else:
        how |= {"mapping": _mapping(roles)} | ({"only": only} if only else {})
    return {name: before[name] for name in kept if name in before} | how


def _sent_columns(
    typed: Mapping[str, str], data: CheckedDataset
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """What each column is, and the values of those of which not all rows are wanted."""
    columns, now = _columns(data), _roles(data)
    known = {*ROLES, *now.values(), ONLY}
    roles = {
        name: role
        for name in columns
        if (role := typed.get(f"column:{name}", "")) in known
    }
    ticked = {
        column: [
            value
            for at, value in enumerate(data.original.values.get(column, ()))
            if typed.get(f"only:{at}:{column}") == value
        ]
        for column, role in roles.items()
        if role == ONLY
    }
    only = {column: values for column, values in ticked.items() if values}
    return roles, only


def _mapping(roles: Mapping[str, str]) -> dict[str, str | list[str]]:
    """The columns of each field; several columns of one stand in the file's order."""
    mapping: dict[str, str | list[str]] = {}
    for field in dict.fromkeys(roles.values()):
        own = [column for column, role in roles.items() if role == field != ONLY]
        if own:
            mapping[field] = own[0] if len(own) == 1 else own
    return mapping
