"""Reads YAML: a list of examples, an object with one list, or an object of questions
and answers.
"""

from typing import Any

from backend.datasets.convert.detect import match
from backend.datasets.read.columns import is_pairs, open_records
from backend.datasets.read.file import File, OpenSource, Reader
from backend.errors import BadInput
from backend.records.reading import Limits

_MOST_VALUES = 1_200_000  # each takes up to 250 bytes


def _open(file: File) -> OpenSource:
    """The examples of a YAML document: a list, or an object with one list, or an object
    of pairs. Every scalar stays the text that was written. Raises BadInput when it
    can't be read.
    """
    value = _parse(file.whole_text(), file.options.limits)
    if isinstance(value, dict) and not is_pairs(value):
        lists = [
            inner
            for inner in value.values()
            if isinstance(inner, (list, dict)) and inner
        ]
        lists = [
            inner
            for inner in lists
            if isinstance(inner, list) and isinstance(inner[0], (dict, list))
        ] or lists
        if len(lists) == 1 and (
            match(value) is None or any(isinstance(item, list) for item in lists[0])
        ):
            value = lists[0]
    items = value if isinstance(value, list) else [value]
    return open_records(iter([list(enumerate(items, 1))]), file)


def _parse(text: str, limits: Limits) -> Any:
    """The value of the document, or a list of those of several. It is made from the
    parser's events: the nodes that PyYAML makes first take ten times as much memory.
    Raises BadInput for aliases, which could stand for endless text, for deep nesting,
    too many values, and what is no YAML.
    """
    import yaml

    inside = list[list[Any]]([[]])  # what is in each collection that is open
    values = 0
    try:
        for event in yaml.parse(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader)):
            values += isinstance(event, yaml.NodeEvent)
            if isinstance(event, yaml.AliasEvent):
                raise BadInput(
                    "This YAML file uses aliases (*name).",
                    "They are not read here.",
                    "Write them out.",
                )
            if values > _MOST_VALUES:
                why = f"It has more than {_MOST_VALUES:,} values."
                raise BadInput(
                    "This YAML file is too large.",
                    why,
                    "Use a part of it, or save it as JSON Lines.",
                )
            if len(inside) - 1 > limits.nesting:
                raise BadInput(
                    "This YAML file is nested too deeply.",
                    "",
                    "Write a list of questions with answers.",
                )
            if isinstance(event, yaml.CollectionStartEvent):
                inside.append([])
            elif isinstance(event, (yaml.ScalarEvent, yaml.CollectionEndEvent)):
                value = (
                    event.value if isinstance(event, yaml.ScalarEvent) else inside.pop()
                )
                if isinstance(event, yaml.MappingEndEvent):
                    value = dict(zip(value[::2], value[1::2], strict=True))
                inside[-1].append(value)
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
    ) as error:  # TypeError: a name that is a list
        mark = getattr(error, "problem_mark", None)
        where = f"The fault is on line {mark.line + 1}." if mark else ""
        raise BadInput(
            "This YAML file can't be read.",
            where,
            "Correct it, or save it as JSON or CSV.",
        ) from error
    documents = list(filter(None, inside[0]))
    return documents[0] if len(documents) == 1 else documents


READER = Reader("yaml", "YAML", lambda file: file.has_suffix("yaml", "yml"), _open)
