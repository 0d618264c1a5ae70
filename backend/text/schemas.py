"""JSON schemas that llama.cpp's server enforces as a whole: it ignores what it doesn't
know, and parts next to others, and hangs on some that nothing satisfies.
"""

import re
from itertools import combinations, product
from typing import Any

from backend.errors import BadInput

_PARTS = {"items", "prefixItems", "anyOf", "oneOf", "additionalProperties"}
_NAMED = {"properties", "$defs", "definitions"}
_LEAST, _MOST = (
    ("minimum", "exclusiveMinimum"),
    ("maximum", "exclusiveMaximum"),
)  # the server reads the first of each
_EXCLUSIVE = {_LEAST[1], _MOST[1]}
_BOUNDS = {*_LEAST, *_MOST}
_LENGTHS = {
    "minLength": "string",
    "maxLength": "string",
    "minItems": "array",
    "maxItems": "array",
}
_OF_TYPE = _LENGTHS | dict.fromkeys(_BOUNDS, "integer")
_RANGES = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    *product(_LEAST, _MOST),
)
_ALONE = {
    "$ref",
    "anyOf",
    "oneOf",
}  # the server reads nothing next to the first of them
_OTHER = {"type", "required", "enum", "const", "$ref", "pattern", "format", *_OF_TYPE}
_NOTES = {
    "title",
    "description",
    "default",
    "examples",
    "$schema",
    "$id",
    "$comment",
    "deprecated",
    "strict",
}
_KEYWORDS = _PARTS | _NAMED | _BOUNDS | _OTHER | _NOTES
_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_FORMATS = ("date", "time", "date-time", "uuid")
_NOT_READ = re.compile(
    r"\\\w|\(\?[^:]|(?<!\[)\^|\$"
)  # classes such as \d, looking around, references, and inner ends


def check_schema(schema: Any) -> None:
    """Raises BadInput that names what can't be enforced or satisfied."""
    if isinstance(schema, list):
        for part in schema:
            check_schema(part)
    if not isinstance(schema, dict):
        return
    wrong = schema.keys() - _KEYWORDS | {
        both[1] for both in (_LEAST, _MOST) if schema.keys() >= {*both}
    }
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    limits = schema.keys() & _OF_TYPE.keys()
    wrong |= {
        name
        for name in limits
        if not isinstance(schema[name], int | float) or schema[name] % 1
    }
    wrong |= {name for name in limits if _OF_TYPE[name] not in kinds}
    if len(schema.keys() - _NOTES - {"type", "$defs", "definitions"}) > 1:
        wrong |= schema.keys() & _ALONE
    if schema.keys() >= {"items", "prefixItems"}:
        wrong.add("prefixItems")
    if schema.get("format", "date") not in _FORMATS:
        wrong.add("format")
    if not all(kind in _TYPES for kind in kinds):
        wrong.add("type")
    wrong |= {
        name for name in schema.keys() & _NAMED if not isinstance(schema[name], dict)
    }
    if "pattern" in schema and not _is_whole(schema["pattern"]):
        wrong.add("pattern")
    if wrong:
        raise BadInput(f"has “{min(wrong)}”, which can't be enforced here.")
    for least, most in _RANGES:
        low, high = (
            schema.get(least, float("-inf") if least in _BOUNDS else 0),
            schema.get(most, float("inf")),
        )
        if (
            low + len(_EXCLUSIVE & {least, most}) > high
        ):  # each exclusive bound takes one whole number away
            raise BadInput(f"can't be satisfied: {least} is too large for {most}.")
    named, required = schema.get("properties", {}), schema.get("required")
    for name in (
        map(str, required)
        if isinstance(required, list) and isinstance(named, dict)
        else ()
    ):
        if named.get(name, False) is False:
            raise BadInput(
                f"can't be kept to: {name} is required and not among the properties."
            )
    for name in ("enum", "anyOf", "oneOf"):
        if name in schema and not (isinstance(schema[name], list) and schema[name]):
            raise BadInput(f"can't be satisfied: {name} lists nothing.")
    for keyword in schema.keys() & (_PARTS | _NAMED):
        value = schema[keyword]
        check_schema(
            list(value.values())
            if keyword in _NAMED and isinstance(value, dict)
            else value
        )


def in_order(schema: Any, trained: Any = None, most: int = 4) -> Any:
    """The same schema for llama.cpp's server, whose grammar has the required properties
    of an object before all others: a model that learned another order then leaves one
    out. Here each keeps its place, or gets that in `trained`, a schema with the same
    properties. Where it can be null it is always written; `most` others of an object
    may still be left out.
    """
    if isinstance(schema, list):
        return [in_order(part, trained, most) for part in schema]
    if not isinstance(schema, dict):
        return schema
    learned = trained if isinstance(trained, dict) else {}
    made = dict(schema)
    for keyword in schema.keys() & _PARTS:
        made[keyword] = in_order(schema[keyword], learned.get(keyword), most)
    for keyword in schema.keys() & _NAMED:
        places, parts = learned.get(keyword, {}), schema[keyword]
        names = places if places.keys() == parts.keys() else parts
        made[keyword] = {
            name: in_order(parts[name], places.get(name), most // 2) for name in names
        }
    properties, required = made.get("properties", {}), made.get("required")
    needed = {*map(str, required)} if isinstance(required, list) else {}
    free = [
        name
        for name in properties.keys() - needed
        if not _may_be_null(properties[name])
    ]
    if not properties or len(free) > most:
        return made
    about = {name: made[name] for name in made.keys() - {"$defs", "definitions"}}
    forms = [
        {**about, "properties": kept, "required": [*kept]}
        for count in range(len(free) + 1)
        for absent in combinations(sorted(free), count)
        if (
            kept := {
                name: properties[name] for name in properties if name not in absent
            }
        )
    ]
    return {**made, **({"anyOf": forms} if free else forms[0])}


def _may_be_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    kinds = schema.get("type", ())
    values = [schema.get("const", 0), *schema.get("enum", ())]
    parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return (
        "null" in ([kinds] if isinstance(kinds, str) else kinds)
        or None in values
        or any(map(_may_be_null, parts))
    )


def _is_whole(pattern: Any) -> bool:
    """Whether a pattern is a regular expression for a whole text, in what the server
    reads.
    """
    try:
        whole = (
            isinstance(pattern, str)
            and pattern[:1] == "^"
            and pattern[-1:] == "$"
            and bool(re.compile(pattern))
        )
        return whole and not _NOT_READ.search(pattern[1:-1])
    except (re.error, OverflowError):
        return False
