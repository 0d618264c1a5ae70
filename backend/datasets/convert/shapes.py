"""The shapes of examples: their fields, and the usual column names of each field. The
tables are in shapes.json.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.files.json_file import read_json
from backend.text.excerpt import excerpt


@dataclass(frozen=True)
class Shape:
    """title: its name for people. required: one field of each group must have a column."""

    title: str
    required: Sequence[Sequence[str]]
    optional: Sequence[str] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """All its fields."""
        return (*(field for group in self.required for field in group), *self.optional)


_TABLES = read_json(Path(__file__).with_suffix(".json"))
SHAPES = {name: Shape(**described) for name, described in _TABLES["shapes"].items()}
# In the form of `plain_name`; the first name that a file has is used. pair_prompt: of a
# preference pair.
NAMES: dict[str, list[str]] = _TABLES["names"]
# Names of a question or an answer that are also those of something else, such as who
# wrote it.
UNSURE = frozenset(_TABLES["unsure"])
RIGHT = frozenset(_TABLES["right"])  # names of a column that says which option is right
# No set: a role in a file may be any value, even an unhashable one.
ROLES = ("user", "assistant", "system", "tool")
# Of roles.
ALIASES: dict[str, str] = {
    name: role for role, names in _TABLES["aliases"].items() for name in names
}
SPEAKERS = {**{role: role for role in ROLES}, **ALIASES}


def plain_name(column: str) -> str:
    """A column name for comparing: lower case, words joined by _, without marks such as
    : and *.
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column)
    return re.sub(r"[\s_:;*.,?!()#\[\]-]+", "_", apart.casefold()).strip("_")


def listed(columns: Iterable[str]) -> str:
    """Names of columns, which may hold commas, for a sentence."""
    return excerpt(", ".join(map(repr, columns)), width=300)


class Columns:
    """The columns of a record, to be found by the usual names of a field."""

    def __init__(self, columns: Iterable[str]) -> None:
        self._by_name: dict[str, str] = {}
        names = [*columns]
        for column in names:
            self._by_name.setdefault(plain_name(column), column)
        for column in (
            name for name in names if "." in name
        ):  # of an object inside: its own name, or the object's
            inside, _, own = column.rpartition(".")
            self._by_name.setdefault(plain_name(own), column)
            self._by_name.setdefault(plain_name(inside.rpartition(".")[2]), column)

    def find(self, *fields: str) -> dict[str, str]:
        """{field: column} for each of `fields` that has a column."""
        usual = {
            field: next((name for name in NAMES[field] if name in self._by_name), None)
            for field in fields
        }
        return {
            field: self._by_name[name]
            for field, name in usual.items()
            if name is not None
        }


def complete(shape: str, mapping: Mapping[str, object]) -> bool:
    """Whether `mapping` has every required field of the shape."""
    return all(
        any(field in mapping for field in group) for group in SHAPES[shape].required
    )
