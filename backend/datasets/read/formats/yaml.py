"""Reads YAML: a list of examples, an object with one list, or an object of questions and answers."""

from collections.abc import Iterable
from typing import Any

from backend.datasets.convert.detect import match
from backend.datasets.read.columns import alternates, is_pairs, with_columns
from backend.datasets.read.file import File, OpenSource, Reader
from backend.errors import BadInput
from backend.records.reading import Limits

_MOST_VALUES = 500_000  # each takes half a kilobyte


def _open(file: File) -> OpenSource:
    """The examples of a YAML document: a list, or an object with one list, or an object of pairs. Every scalar stays
    the text that was written. Raises BadInput when it can't be read."""
    value = _parse(file.whole_text(), file.options.limits)
    if isinstance(value, dict) and not is_pairs(value):
        lists = [inner for inner in value.values() if isinstance(inner, (list, dict)) and inner]
        lists = [inner for inner in lists if isinstance(inner, list) and isinstance(inner[0], (dict, list))] or lists
        if len(lists) == 1 and (match(value) is None or any(isinstance(item, list) for item in lists[0])):
            value = lists[0]
    items = value if isinstance(value, list) else [value]
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) == len(items) and not alternates(texts):
        raise BadInput("No examples were found in this YAML file.", "", "Write a list with question and answer each.")
    return OpenSource(with_columns(iter([list(enumerate(items, 1))])))


def _parse(text: str, limits: Limits) -> Any:
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # makes texts of all scalars
    try:
        _check(yaml.parse(text, loader), limits)
        documents = [value for value in yaml.load_all(text, loader) if value]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"The fault is on line {mark.line + 1}." if mark else ""
        raise BadInput("This YAML file can't be read.", where, "Correct it, or save it as JSON or CSV.") from error
    return documents[0] if len(documents) == 1 else documents


def _check(events: Iterable[Any], limits: Limits) -> None:
    """Raises BadInput for aliases, which could stand for endless text, deep nesting, and too many values."""
    import yaml

    depth = 0
    for number, event in enumerate(events):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise BadInput("This YAML file uses aliases (*name).", "They are not read here.", "Write them out.")
        if depth > limits.nesting:
            raise BadInput("This YAML file is nested too deeply.", "", "Write a list of questions with answers.")
        if number > _MOST_VALUES:
            raise BadInput("This YAML file is too large.", "", "Use a part of it, or save it as JSON Lines.")


READER = Reader("yaml", "YAML", lambda file: file.has_suffix("yaml", "yml"), _open)
