"""Settings whose fields carry all the facts about them, and how what a person types
becomes such settings.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self, TypeVar, cast, get_args

from pydantic import ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from backend.errors import BadSetting
from backend.records.base import Record
from backend.records.units import format_decimal

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """What is known about a setting. Its field has it; nothing else lists settings."""

    label: str
    """The field's own term, as a heading: "LoRA rank"."""
    group: str
    """The heading under which it is found on the page."""
    choices: Mapping[str, str]
    """Its values and their words, in the order of the page; empty where the values speak for themselves."""
    least: float | None
    """With less than this, a new run would learn nothing in any reasonable time. Older runs may have less."""
    costs: bool
    """Whether it changes the memory or the speed of a run other than through the rows. A measurement is used only for
    runs with the same values of these."""
    shape: bool
    """Whether it gives the weights of an adapter their shape; a run that continues another one can't change it."""
    script: bool
    """Whether the exported script has a constant of its name. If not, it has what follows from it: the rows, the
    steps."""
    argument: bool
    """Whether the trainer takes it as it is, as the argument of its name in `transformers.TrainingArguments`."""
    help: str = ""
    """What it does and which way to turn it, for a beginner: the docstring under its field."""

    @property
    def term(self) -> str:
        """The label inside a sentence: "learning rate", "LoRA rank"."""
        return (
            self.label[0].lower() + self.label[1:]
            if self.label.split()[0][1:].islower()
            else self.label
        )


def setting(
    default: T,
    label: str,
    group: str,
    *,
    gt: float | None = None,
    ge: float | None = None,
    le: float | None = None,
    choices: Mapping[str, str] | None = None,
    least: float | None = None,
    costs: bool = True,
    shape: bool = False,
    script: bool = True,
    argument: bool = False,
) -> T:
    """A field of `Settings` with its range (`gt`, `ge`, `le`) and its facts, each
    explained in `Setting`.
    """
    info = cast("FieldInfo", Field(default, gt=gt, ge=ge, le=le))
    info.metadata.append(
        Setting(label, group, choices or {}, least, costs, shape, script, argument)
    )
    return cast("T", info)


class Settings(Record):
    """A record whose fields each have a `Setting` and, as its help, a docstring."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    @classmethod
    @cache
    def facts(cls) -> dict[str, Setting]:
        """What is known about each setting, in the order of the page."""
        facts = {}
        for name, info in cls.model_fields.items():
            (setting,) = (mark for mark in info.metadata if isinstance(mark, Setting))
            facts[name] = replace(
                setting, help=" ".join((info.description or "").split())
            )
        return facts

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Settings from names and values; converts text as typed on the command line.
        Raises BadSetting naming the setting; for an unknown one also the closest match.
        """
        for name in values:
            if name not in cls.model_fields:
                near = difflib.get_close_matches(name[:60], cls.model_fields, n=1)
                raise BadSetting(
                    f"There is no setting {name[:60]!r}.",
                    f"The closest match is {near[0]!r}." if near else "",
                    "The settings are: " + ", ".join(cls.model_fields) + ".",
                )
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "a setting"
            expected = (
                cls.allowed_values(name) if name in cls.model_fields else first["msg"]
            )
            raise _invalid(name, first.get("input"), expected) from error

    @classmethod
    def parse_new(cls, values: Mapping[str, Any]) -> Self:
        """Like `parse`, but for new runs: also rejects values too small to learn
        anything.
        """
        settings = cls.parse(values)
        for name, setting in cls.facts().items():
            if setting.least is not None and getattr(settings, name) < setting.least:
                raise _invalid(name, getattr(settings, name), cls.allowed_values(name))
        return settings

    def changed(self, **changes: Any) -> Self:
        """A validated copy with `changes`. Raises BadSetting like `parse`."""
        return self.parse({**self.model_dump(), **changes})

    @classmethod
    def options(cls, name: str) -> list[str]:
        """The words that a setting may be, by its type; none for numbers and lists."""
        annotation = cls.model_fields[name].annotation
        parts = (
            option
            for part in (annotation, *get_args(annotation))
            for option in get_args(part)
        )
        return [option for option in parts if isinstance(option, str)]

    @classmethod
    def allowed_values(cls, name: str) -> str:
        """The values that a setting may have: "a whole number from 1 to 256"."""
        info = cls.model_fields[name]
        if info.annotation is bool:
            return "true or false"
        if info.annotation not in (int, float):
            values = cls.options(name)
            return f"one of {', '.join(values)}" if values else "a list of names"
        limits = {
            kind: getattr(mark, kind)
            for mark in info.metadata
            for kind in ("ge", "le")
            if hasattr(mark, kind)
        }
        least = cls.facts()[name].least
        minimum = format_decimal(limits["ge"] if least is None else least)
        return f"{'a whole number' if info.annotation is int else 'a number'} from {minimum} to {limits['le']:,}"


def _invalid(name: str, value: Any, expected: str) -> BadSetting:
    return BadSetting(
        f"The setting {name} can't be {str(value)[:60]}.",
        f"It must be {expected}.",
        "Change it.",
    )
