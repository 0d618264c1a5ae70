"""JSON schemas that llama.cpp's server enforces as a whole: it ignores what it doesn't know, and hangs on some that
nothing satisfies."""

import re
from typing import Any

from backend.errors import BadInput

_PARTS = {"items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties"}
_NAMED = {"properties", "$defs", "definitions"}
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}  # of whole numbers only
_RANGES = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum"))
_OTHER = {
    "type",
    "required",
    "enum",
    "const",
    "$ref",
    "pattern",
    "format",
    *(name for pair in _RANGES for name in pair),
}
_NOTES = {"title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated", "strict"}
_KEYWORDS = _PARTS | _NAMED | _BOUNDS | _OTHER | _NOTES
_FORMATS = {"date", "time", "date-time", "uuid"}


def check_schema(schema: Any) -> None:
    """Raises BadInput that names what can't be enforced or satisfied."""
    if isinstance(schema, list):
        for part in schema:
            check_schema(part)
    if not isinstance(schema, dict):
        return
    wrong = schema.keys() - _KEYWORDS
    if schema.keys() & _BOUNDS and schema.get("type") != "integer":
        wrong |= schema.keys() & _BOUNDS
    if schema.get("format", "date") not in _FORMATS:
        wrong.add("format")
    if "pattern" in schema and not _is_whole(schema["pattern"]):
        wrong.add("pattern")
    if wrong:
        raise BadInput(f"has “{min(wrong)}”, which can't be enforced here.")
    for least, most in _RANGES:
        low, high = schema.get(least, 0), schema.get(most, float("inf"))
        if not isinstance(low, int | float) or not isinstance(high, int | float) or (most in schema and low > high):
            raise BadInput(f"can't be satisfied: {least} is not below {most}.")
    for keyword in schema.keys() & (_PARTS | _NAMED):
        value = schema[keyword]
        check_schema(list(value.values()) if keyword in _NAMED and isinstance(value, dict) else value)


def _is_whole(pattern: Any) -> bool:
    """Whether a pattern is a regular expression for a whole text."""
    try:
        return isinstance(pattern, str) and pattern[:1] == "^" and pattern[-1:] == "$" and bool(re.compile(pattern))
    except (re.error, OverflowError):
        return False
