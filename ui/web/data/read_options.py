"""How a file was read: said in words, shown before and after, and changed where it was guessed wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from backend.datasets.checks.fix import Change
from backend.datasets.convert.shapes import SHAPES
from backend.datasets.read.formats import DELIMITERS
from backend.records.rows import Dataset, Row
from ui.records import DataState
from ui.text import format as fmt
from ui.web import errors as web_errors
from ui.web.html import components

GUESSES = ("encoding", "mapping_guessed", "other_sheets")  # kinds of problems that ask whether a guess is right
FORMATS = {
    "jsonl": "JSON lines",
    "json": "JSON",
    "csv": "a table (CSV)",
    "tsv": "a table (TSV)",
    "xlsx": "an Excel file",
    "parquet": "a Parquet file",
    "text": "a plain text",
    "markdown": "a Markdown text",
}
BINARY = ("xlsx", "parquet")
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1255": "Windows-1255 (Hebrew)",
    "cp1256": "Windows-1256 (Arabic)",
    "cp1257": "Windows-1257 (Baltic)",
    "iso8859-15": "ISO 8859-15 (Western Europe)",
    "koi8-r": "KOI8-R (Cyrillic)",
    "mac-roman": "Mac Roman",
    "cp437": "DOS 437",
    "cp850": "DOS 850",
    "shift-jis": "Shift JIS (Japanese)",
    "euc-jp": "EUC-JP (Japanese)",
    "gb18030": "GB 18030 (Chinese)",
    "big5": "Big5 (Chinese)",
    "euc-kr": "EUC-KR (Korean)",
}
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
FIELDS = {
    "messages": "Conversation",
    "question": "Question",
    "answer": "Answer",
    "context": "Text it is about",
    "system": "Instructions",
    "tools": "Tools",
    "instruction": "Task",
    "input": "Text it is about",
    "output": "Answer",
    "history": "Earlier turns",
    "prompt": "Question",
    "completion": "Answer",
    "chosen": "Better answer",
    "rejected": "Worse answer",
    "label": "Good or bad",
    "text": "Text",
}
SHOWN, COLUMNS, CUT = 3, 60, 400  # rows; columns to choose from; characters of a cell


def described(data: Dataset) -> str:
    """What the file was found to be, in a sentence."""
    source = data.source
    parts = [f"{FORMATS.get(source.format, source.format)}"]
    if separator := source.details.get("delimiter"):
        parts.append(f"its cells separated by {SEPARATORS.get(separator, separator)}")
    if sheet := source.details.get("sheet"):
        parts.append(f"the sheet “{sheet}”")
    if source.format not in BINARY:
        parts.append(f"letters in {ENCODINGS.get(source.encoding, source.encoding)}")
    shape = SHAPES[source.shape].title if source.shape in SHAPES else source.shape
    return f"{source.name} is {', '.join(parts)}, read as {shape}."


def card(data: DataState) -> str:
    """How the file was read: questions where that was a guess, then the first rows before and after, and the form."""
    asked = [p for p in data.report.problems if p.kind in GUESSES and not data.info.is_refused(p)]
    questions = "".join(
        f'<div class="ask">{web_errors.alert("warn", p.message, p.fix)}'
        f"{components.button('That is right', 'refuse', p.kind, 'firm', f'That is right: {p.message}')}</div>"
        for p in asked
    )
    said = described(data.original)
    if data.source.ignored:
        said += f" Not used: {fmt.listed(list(data.source.ignored))}."
    undo = components.button("Read it as found", "as-found") if data.info.read_options else ""
    changed = components.badge("changed by you", "calm") if data.info.read_options else ""
    mended = data.info.accepted or data.info.refused
    warned = (
        components.text("Read another way, it is another file: what you mended is forgotten.", "small")
        if mended
        else ""
    )
    body = f"{components.text(said, 'lead')}{before_after(data.original)}{_form(data)}{undo}{warned}"
    inside = components.fold("How this file was read", body, opened=bool(asked), key="how")
    title = "Is this right?" if asked else "How this file was read"
    if asked:
        return components.card(title, questions, inside)
    return f'<section class="card slim">{inside}{changed}</section>'


def before_after(data: Dataset) -> str:
    """The first rows as they stand in the file and as they are read."""
    read = {row.row: row for row in data.rows[:50]}
    faults = {p.row: p.message for p in data.problems[:200] if p.severity == "error"}
    pairs = [
        (
            f"Row {number}",
            original(value),
            example(read[number]) if number in read else _fault(faults.get(number, "")),
        )
        for number, value in list(data.originals.items())[:SHOWN]
    ]
    return side_by_side("In your file", "As it is read", pairs)


def side_by_side(left: str, right: str, pairs: Iterable[tuple[str, str, str]]) -> str:
    """(name, before, after) in two columns; before and after are ready HTML."""
    lines = "".join(
        f'<li><p class="small">{escape(name)}</p><div class="was"><h4>{left}</h4>{before}</div>'
        f'<div class="is"><h4>{right}</h4>{after}</div></li>'
        for name, before, after in pairs
    )
    return f'<ol class="before-after">{lines}</ol>' if lines else ""


def original(value: Any) -> str:
    """A row as it stands in the file."""
    if not isinstance(value, dict):
        return f"<p>{escape(_cell(value))}</p>"
    cells = "".join(
        f"<div><dt>{escape(str(name)[:60])}</dt><dd>{escape(_cell(cell))}</dd></div>"
        for name, cell in list(value.items())[:12]
    )
    return f'<dl class="cells">{cells}</dl>'


def example(row: Row) -> str:
    """A row as it is read."""
    if row.text is not None:
        return f"<p>{escape(fmt.shorten(row.text, CUT))}</p>"
    said = [{**m, "content": fmt.shorten(str(m.get("content") or ""), CUT)} for m in row.messages[:6]]
    return components.bubbles(said)


def _fault(message: str) -> str:
    return components.text(message or "This row could not be read.", "fault")


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return fmt.shorten(text, CUT)


def _form(data: DataState) -> str:
    source, how = data.source, data.info.read_options
    parts = []
    if source.format not in BINARY:
        found = ENCODINGS.get(source.encoding, source.encoding)
        choices = [("", found if not how.get("encoding") else "As found"), *ENCODINGS.items()]
        parts.append(_select("Letters (encoding)", "encoding", choices, how.get("encoding", "")))
    if source.format in ("csv", "tsv", "text"):
        found = SEPARATORS.get(source.details.get("delimiter", ""), "nothing: it is a text")
        choices = [("", found if not how.get("delimiter") else "As found"), *SEPARATORS.items()]
        parts.append(_select("Cells are separated by (delimiter)", "delimiter", choices, how.get("delimiter", "")))
    sheets = source.details.get("sheets", "").split("/")
    if len(sheets) > 1:
        parts.append(_select("Sheet", "sheet", [(s, s) for s in sheets], source.details.get("sheet", "")))
    columns = [*source.mapping.values(), *(c for c in source.ignored if "message." not in c)]
    return _choosing("how", "".join(parts), columns, source.shape, source.mapping)


def asking(columns: Sequence[str]) -> str:
    """Asks which column is which, where nobody could tell."""
    return _choosing("columns", "", columns, "question_answer", {})


def _choosing(do: str, more: str, columns: Iterable[str], shape: str, mapping: dict[str, str]) -> str:
    shapes = _select("Read each row as (shape)", "shape", [(n, s.title) for n, s in SHAPES.items()], shape)
    known = list(dict.fromkeys(columns))[:COLUMNS]
    fields = "".join(_fields(name, known, mapping if name == shape else {}) for name in SHAPES) if known else ""
    send = '<button type="submit" class="btn firm">Read it this way</button>'
    return components.form(do, f'<div class="choose">{more}{shapes}</div>', fields, send, kind="how")


def _fields(shape: str, columns: Sequence[str], mapping: dict[str, str]) -> str:
    """Which column is which, for one shape; the style sheet shows those of the shape that is chosen."""
    needed = {group[0] for group in SHAPES[shape].required}
    parts = [
        _select(
            f"{FIELDS.get(field, field)} ({field})",
            f"{shape}.{field}",
            [("", "—" if field not in needed else "choose a column"), *((c, c) for c in columns)],
            mapping.get(field, ""),
        )
        for field in SHAPES[shape].fields
    ]
    legend = "<legend>Which column is which</legend>"
    return f'<fieldset class="choose" data-shape="{shape}">{legend}{"".join(parts)}</fieldset>'


def _select(label: str, name: str, choices: Iterable[tuple[str, str]], chosen: str) -> str:
    options = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(words[:80])}</option>'
        for value, words in choices
    )
    return f'<label>{escape(label)}<select name="{escape(name)}">{options}</select></label>'


def sent(value: str, data: DataState) -> dict[str, Any]:
    """What the form says, as fields of ReadOptions; what is as it was found is left to the content. The text comes
    from the browser: only known encodings and delimiters count, and the reader checks shape, sheet and columns."""
    form = components.fields(value)
    how: dict[str, Any] = {}
    if form.get("encoding") in ENCODINGS:
        how["encoding"] = form["encoding"]
    if form.get("delimiter") in DELIMITERS:
        how["delimiter"] = form["delimiter"]
    if form.get("sheet") and (form["sheet"] != data.source.details.get("sheet") or "sheet" in data.info.read_options):
        how["sheet"] = form["sheet"]
    chosen, source = sent_columns(value), data.source
    if "shape" in data.info.read_options or (chosen.get("shape"), chosen.get("mapping", {})) != (
        source.shape,
        source.mapping,
    ):
        how |= chosen
    return how


def sent_columns(value: str) -> dict[str, Any]:
    """What the form says about the shape and its columns."""
    form = components.fields(value)
    shape = form.get("shape", "")
    if shape not in SHAPES:
        return {}
    mapping = {f: form[f"{shape}.{f}"] for f in SHAPES[shape].fields if form.get(f"{shape}.{f}")}
    return {"shape": shape, **({"mapping": mapping} if mapping else {})}


def changes(changed: Sequence[Change], shown: int = SHOWN) -> str:
    """What a fix changes: rows before and after."""
    pairs = [
        (f"Example {c.row}, line {c.line}", marked(c.before, c.after, "del"), marked(c.after, c.before, "ins"))
        for c in changed[:shown]
    ]
    return side_by_side("Before", "After", pairs)


def marked(text: str, other: str, tag: str) -> str:
    """`text` with the words that `other` lacks in a `tag`; "" says that the row is left out."""
    if not text:
        return components.text("left out" if tag == "ins" else "nothing", "fault")
    if not other:
        return f"<p>{escape(fmt.shorten(text, CUT))}</p>"
    from difflib import SequenceMatcher

    words, others = text[: 4 * CUT].split(" "), other[: 4 * CUT].split(" ")
    parts = []
    for op, start, end, _, _ in SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        said = escape(" ".join(words[start:end]))
        parts.append(said if op == "equal" or not said else f"<{tag}>{said}</{tag}>")
    return f"<p>{' '.join(filter(None, parts))}</p>"
