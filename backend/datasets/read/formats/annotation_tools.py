"""Reads the exports of annotation tools, and nested question sets, as rows with
columns, by a table of paths.

Which column is the question and which the answer is decided later, as for any table,
and asked where it is not clear.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.datasets.chats import clean
from backend.datasets.chats.paths import find
from backend.datasets.convert.detect import ROLE_KEYS, is_chat
from backend.datasets.convert.shapes import NAMES, plain_name
from backend.datasets.read.file import OpenSource, each_object
from backend.files.json_file import read_json
from backend.records.reading import ReadOptions, RowFault
from backend.text.excerpt import excerpt

_SUBMITTED = (None, "submitted")
_ANSWER_NAMES = frozenset((*NAMES["answer"], *NAMES["output"]))


@dataclass(frozen=True)
class Nested:
    """One format. source: where it is documented. needs: what every record has. groups,
    rows: where the rows are, if not the record itself; columns: in a row, else in its
    group. spread: an object whose entries are columns. answers: how people's answers
    are found (`_ANSWERS`). begins: a prefix of a column, which is removed; a row
    without it is not an example. html: columns written in HTML.
    """

    title: str
    source: str
    needs: Sequence[str]
    groups: str = ""
    rows: str = ""
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    spread: str = ""
    answers: str = ""
    begins: Mapping[str, str] = field(default_factory=dict)
    html: Sequence[str] = ()


FORMATS = [
    Nested(**entry)
    for entry in read_json(Path(__file__).with_suffix(".json"))["formats"]
]


def read_annotations(opened: OpenSource, options: ReadOptions) -> None:
    """Turns records of a format above into rows with columns."""
    record = next(
        (value for _, value in opened.sample() if isinstance(value, dict)), None
    )
    if (
        record is None
        or isinstance(record.get("answers"), str)
        or opened.is_chosen(options)
    ):
        return
    nested = next(
        (entry for entry in FORMATS if all(find(record, path) for path in entry.needs)),
        None,
    )
    if nested is not None:
        opened.records = each_object(
            opened.records, lambda _, value: _flat(value, nested)
        )


def _flat(value: dict[str, Any], nested: Nested) -> Iterator[dict[str, Any] | RowFault]:
    for group in find(value, nested.groups) if nested.groups else [value]:
        for row in find(group, nested.rows) if nested.rows else [group]:
            cells = {
                name: next(
                    (
                        value
                        for path in paths
                        for place in (row, group)
                        for value in find(place, path)
                    ),
                    None,
                )
                for name, paths in nested.columns.items()
            }
            columns = {name: cell for name, cell in cells.items() if cell}
            answers = [
                text
                for path in nested.columns.get("answer", ())
                for text in find(row, path)
            ]
            if len(answers) > 1:  # of several people, of which any would do
                columns["answer"] = (
                    [clean.html(str(text)) for text in answers]
                    if nested.html
                    else answers
                )
            if nested.answers == "argilla_columns":
                columns = {
                    name: cell
                    for name, cell in value.items()
                    if isinstance(cell, str) or is_chat(cell)
                }
            for entries in find(value, nested.spread) if nested.spread else ():
                columns |= entries if isinstance(entries, dict) else {}
            if nested.answers:
                columns = _answered(columns, _ANSWERS[nested.answers](value))
            yield _cleaned(columns, nested)


def _cleaned(columns: dict[str, Any], nested: Nested) -> dict[str, Any] | RowFault:
    for name, begin in nested.begins.items():
        if not str(columns.get(name, "")).startswith(begin):
            quote = excerpt(str(columns.get(name, "")))
            return RowFault(
                "missing_field",
                f"This entry does not begin with {begin!r}.",
                "Remove it.",
                quote,
            )
        columns[name] = columns[name].removeprefix(begin)
    return columns | {
        name: clean.html(columns[name])
        for name in nested.html
        if isinstance(columns.get(name), str)
    }


def _label_studio(record: Mapping[str, Any]) -> dict[str, str]:
    """The answers, written or chosen, of the first person who did not skip the task, by
    the name of the control.
    """
    for annotation in find(record, "annotations[]"):
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            answers: dict[str, str] = {}
            for region in find(annotation, "result[]"):
                texts = [
                    text
                    for path in ("value.text[]", "value.choices[]")
                    for text in find(region, path)
                ]
                if texts and isinstance(region.get("from_name"), str):
                    answers[region["from_name"]] = "\n".join(map(str, texts))
            return answers
    return {}


def _argilla(record: Mapping[str, Any]) -> dict[str, str]:
    """The first submitted answers, by question, in the forms of Argilla 2 and Argilla
    1.
    """
    responses = record.get("responses")
    answers: dict[str, str] = {}
    if isinstance(responses, dict):
        for name, given in responses.items():
            submitted = [
                a
                for a in find(given, "[]")
                if isinstance(a, dict) and a.get("status") in _SUBMITTED
            ]
            if submitted and isinstance(submitted[0].get("value"), str):
                answers[name] = submitted[0]["value"]
    for response in find(responses, "[]"):
        if (
            isinstance(response, dict)
            and response.get("status") in _SUBMITTED
            and not answers
        ):
            values = response.get("values") or {}
            answers = {
                name: given["value"]
                for name, given in values.items()
                if isinstance(given.get("value"), str)
            }
    return answers


def _argilla_columns(record: Mapping[str, Any]) -> dict[str, str]:
    """As `_argilla`, for a dataset on the hub, where each question is a column of its
    own.
    """
    lists = {
        name: value
        for name, value in record.items()
        if find(value, "[].user_id") and find(value, "[].value")
    }
    return _argilla({"responses": lists})


_ANSWERS = {
    "label_studio": _label_studio,
    "argilla": _argilla,
    "argilla_columns": _argilla_columns,
}


def _answered(columns: dict[str, Any], answers: Mapping[str, str]) -> dict[str, Any]:
    """The columns with the answers beside them. A single answer is the answer: it ends
    a conversation and replaces what stood there before, such as a draft that was
    corrected.
    """
    if len(answers) != 1:
        return columns | {
            f"{name} (answer)" if name in columns else name: text
            for name, text in answers.items()
        }
    (answer,) = answers.values()
    chats = [
        name
        for name, value in columns.items()
        if isinstance(value, list) and is_chat(value)
    ]
    if len(chats) == 1:
        chat = columns[chats[0]]
        role = next(key for key in ROLE_KEYS if key in chat[0])
        content = next(
            (key for key in chat[0] if key != role and isinstance(chat[0][key], str)),
            "content",
        )
        return {**columns, chats[0]: [*chat, {role: "assistant", content: answer}]}
    texts = [name for name, value in columns.items() if isinstance(value, str)]
    if len(texts) == 1:
        return {"question": columns[texts[0]], "answer": answer}
    before = {
        name: f"{name} before" if plain_name(name) in _ANSWER_NAMES else name
        for name in columns
    }
    return {
        **{before[name]: value for name, value in columns.items()},
        "answer": answer,
    }
