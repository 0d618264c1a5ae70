"""The card *Is this right?*: how a file was read, to confirm or to change. No other
place asks about a file.

What a form sends comes from the browser: unknown encodings, roles, columns and values
are dropped here, and the reader refuses what does not fit the file with a sentence.
"""

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
from backend.errors import BadInput
from backend.records.rows import Dataset, Row, columns_of
from ui.text import format as fmt
from ui.web.data import before_after, drafting
from ui.web.html import components, tables

TITLE = "Is this right?"
CONFIRMED = "mapping_guessed"  # refused once the person has said yes to the reading
DISCARDS = "If you read the file another way, your fixes are discarded."
EDITED = "You edited these examples. To read the file another way, undo your edits first, or add the file again."
MOST, LISTED = 60, 6  # columns or people; sheets, or lines of what is not used
SIDES = {"assistant": "The side that answers", "user": "The side that asks"}
ROLES = {
    "question": "Question",
    "answer": "Answer",
    "system": "Instruction",
    "text": "Text to learn as it is",
}
ONLY = "only"
_ALIKE = {  # fields that a person need not tell apart
    "instruction": "question",
    "input": "question",
    "prompt": "question",
    "output": "answer",
    "completion": "answer",
}
_CHOSEN = frozenset(  # options that change what a person sees in an example
    "encoding delimiter sheet shape mapping only marks imitate pairs".split()  # noqa: SIM905
)


def is_asked(data: CheckedDataset) -> bool:
    """Whether the person has yet to confirm the reading: it is a guess, or they have
    just chosen it.
    """
    info = data.info
    chosen = _CHOSEN & info.read_options.keys() and CONFIRMED not in info.refused
    return bool(guesses(data) or (chosen and not info.edits))


def guesses(data: CheckedDataset) -> dict[str, str]:
    """What was guessed about the file and is not confirmed: sentences, by kind."""
    return {p.kind: p.message for p in data.waiting if p.kind in GUESSES}


def card(data: CheckedDataset) -> Markup:
    """The reading with the button that confirms it; folded once that is done."""
    if not is_asked(data):
        summary = "How this file was read"
        about = components.text(described(data.original), "lead")
        fold = components.fold(summary, about, _read(data), _change(data), key="how")
        return Markup('<section class="card slim">{}</section>').format(fold)
    lead = " ".join(guesses(data).values()) or "Read the way you chose."
    yes = components.button(_yes(data.original.rows), "confirm", kind="primary")
    answer = Markup('<div class="confirming">{}{}</div>').format(yes, _change(data))
    return components.card(TITLE, answer, _read(data, *_ways(data)), lead=lead)


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


def _yes(rows: Sequence[Row]) -> str:
    if len(rows) > 1:
        return f"Yes, use these {fmt.number(len(rows))}"
    return "Yes, use it" if rows else "Yes, that is right"


def _ways(data: CheckedDataset) -> list[Markup]:
    """The other likely ways to read the file, one click each."""
    source, asked = data.original.source, guesses(data)
    ways = [
        components.button(each.title, "proposal", at, "chip")
        for at, each in enumerate(source.proposals[1:], 1)
    ]
    others = [sheet for sheet in source.details.sheets if sheet != source.details.sheet]
    for sheet in others[:LISTED] if "other_sheets" in asked else ():
        label = f"Read “{fmt.shorten(sheet, 40)}” instead"
        ways.append(components.button(label, "sheet", sheet, "chip"))
    if "long_chats" in asked:
        label = "Make an example of each answer"
        ways.append(components.button(label, "pairs", "", "chip"))
    if CONFIRMED in asked and not source.details.people:
        ways.append(components.button(drafting.FROM_TABLE, "make-examples", "", "chip"))
    return ways


def _read(data: CheckedDataset, *ways: Markup) -> Markup:
    """The first examples as they will be learned, and what is not used. ways: buttons
    to read the file another way.
    """
    original = data.original
    counts = Counter(row.file for row in original.rows if row.file)  # of several files
    lines = [(file, fmt.number(count)) for file, count in counts.items()]
    title = "Examples in each file"
    files = tables.table(("File", "Examples"), lines, title) if lines else ""
    faults = len({problem.row for problem in data.unread})
    lost = f", {fmt.count(faults, 'row')} can't be used" if faults else ""
    others = Markup('<p class="small">Other ways to read it</p>{}')
    return Markup(
        '<div class="as-read"><p class="small">{}{}.</p>{}<div class="ways">{}</div>{}{}</div>'
    ).format(
        fmt.count(len(original.rows), "example"),
        lost,
        before_after.few(_first(original.rows), whole=True),
        others.format(components.join(ways)) if ways else components.EMPTY,
        _unused(original),
        files,
    )


def _first(rows: Sequence[Row]) -> list[Row]:
    """The first rows; of several files, the first one of each."""
    firsts = list({row.file: row for row in reversed(rows)}.values())[::-1]
    return [*(firsts if len(firsts) > 1 else rows)][: before_after.SHOWN]


def _unused(data: Dataset) -> Markup:
    """Columns and other parts of the file that are in no example."""
    source = data.source
    lines = [f"Columns: {fmt.listed(list(source.ignored))}"] if source.ignored else []
    for why, count in list(Counter(part.why for part in source.passed).items()):
        texts = [fmt.shorten(p.text, 60) for p in source.passed if p.why == why][:3]
        shown = " · ".join(text for text in texts if text)
        lines.append(f"{fmt.number(count)} × {why}" + (f": {shown}" if shown else ""))
    items = components.join(Markup("<li>{}</li>").format(line) for line in lines)
    unused = Markup('<div class="unused"><h3>Not used</h3><ul>{}</ul></div>')
    return unused.format(items) if lines else components.EMPTY


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
        sheets = [(sheet, sheet) for sheet in details.sheets]
        if details.together:
            together = details.together.replace(TOGETHER, ", ") + " together"
            sheets.append((details.together, together))
        parts.append(_select("Sheet", "sheet", sheets, details.sheet))
    known = {
        "encoding": ("Text encoding", fmt.ENCODINGS, source.encoding),
        "delimiter": (
            "Column separator (delimiter)",
            {"": "none (plain text)", **fmt.SEPARATORS},
            details.delimiter,
        ),
    }
    if details.binary:
        known.clear()
    elif source.format not in ("csv", "tsv", "text"):
        del known["delimiter"]
    for name, (label, titles, detected) in known.items():
        first = "Detected automatically" if how.get(name) else titles.get(detected)
        choices = [(value, title) for value, title in titles.items() if value]
        choices.insert(0, ("", first or detected))
        parts.append(_select(label, name, choices, how.get(name, "")))
    return components.join(parts)


def _columns(data: CheckedDataset) -> list[str]:
    """The columns that a person can choose from, in the file's order."""
    source, records = data.original.source, data.original.originals.values()
    if source.details.people or source.details.cue:
        return []
    used = {*_roles(data), *source.ignored}
    first = (record for record in records if isinstance(record, dict))
    names = [name for record in first for name in record if name in used]
    more = (name for name in sorted(used) if not name.startswith("message."))
    return list(dict.fromkeys([*names, *more]))[:MOST]


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
        '<ul class="columns">{}</ul><p class="small missing" role="status" hidden>{}</p>'
    ).format(components.join(lines), missing)


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


def _people(data: CheckedDataset) -> Markup:
    """A checkbox for each person in a chat; those that are not chosen are folded below
    those that are.
    """
    details = data.original.source.details
    names = [*details.people[:MOST]]
    titles = {name: SIDES.get(name, name) for name in names}
    if len(names) > 2:
        titles[WHOEVER_ANSWERS] = "Whoever answers: the first to write asks"
    boxes = {
        name: _box(f"person-{at}", name, title, name in details.imitate)
        for at, (name, title) in enumerate(titles.items())
    }
    ticked = [box for name, box in boxes.items() if name in details.imitate]
    others = [box for name, box in boxes.items() if name not in details.imitate]
    if ticked and others:
        others = [components.fold("Somebody else", *others, key="people")]
    pairs = bool(data.info.read_options.get("pairs"))
    each = _box("pairs", "1", "Make an example of each answer", pairs)
    return Markup(
        '<fieldset class="people"><legend>Learn to write like</legend>{}</fieldset><div class="people">{}</div>'
    ).format(components.join([*ticked, *others]), each)


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


def proposed(value: str, data: CheckedDataset) -> dict[str, Any]:
    """The fields of ReadOptions that a proposal stands for. value: its number. Raises
    BadInput.
    """
    ways = data.original.source.proposals
    if not value.isdecimal() or int(value) >= len(ways):
        raise BadInput("This was read another way by now.", "", "Look at it again.")
    return {**ways[int(value)].options}


def sent(value: str, data: CheckedDataset) -> dict[str, Any]:
    """The form as fields of ReadOptions, without those that the file's content decides."""
    typed = components.fields(value)
    source, before = data.original.source, data.info.read_options
    kept = ["join_cells", "drop_cells"]
    how: dict[str, Any] = {}
    if typed.get("encoding") in fmt.ENCODINGS:
        how["encoding"] = typed["encoding"]
    if typed.get("delimiter") in DELIMITERS:
        how["delimiter"] = typed["delimiter"]
    if typed.get("sheet") and (
        typed["sheet"] != source.details.sheet or "sheet" in before
    ):
        how["sheet"] = typed["sheet"]
    people = [name for field, name in typed.items() if field.startswith("person-")]
    if people and ("imitate" in before or {*people} != {*source.details.imitate}):
        how["imitate"] = people
    if "pairs" in typed:
        how["pairs"] = True
    roles, only = _sent_columns(typed, data)
    if not roles or (roles, only) == (_roles(data), before.get("only", {})):
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
