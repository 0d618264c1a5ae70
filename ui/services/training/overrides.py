"""The settings that a person changed: which values are valid, and why the others are
not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import BadSetting
from backend.records.specs import OTHER_TARGETS, TARGETS, TrainSettings
from ui.text import format as fmt


@dataclass(frozen=True)
class Overrides:
    """settings: the recommended ones with every valid override. changed: what differs.
    faults: of invalid overrides.
    """

    settings: TrainSettings
    changed: frozenset[str]
    faults: dict[str, BadSetting]


def apply_overrides(typed: Mapping[str, Any], recommended: TrainSettings) -> Overrides:
    """typed: the values of the changed inputs, by setting. They come from the browser,
    so each is checked.
    """
    settings, facts, faults = recommended, recommended.facts(), {}
    for name, value in typed.items():
        if name not in facts or value in (None, OTHER_TARGETS):
            continue
        try:
            settings = settings.parse_new({**settings.model_dump(), name: value})
        except BadSetting as error:
            shown = fmt.setting(value)[:60]
            faults[name] = BadSetting(
                f"{facts[name].label} can't be {shown}.", error.why, error.next
            )
    changed = {
        name
        for name in typed
        if name in facts and getattr(settings, name) != getattr(recommended, name)
    }
    return Overrides(settings, frozenset(changed), faults)


def as_input(name: str, value: Any) -> Any:
    """A setting's value as its input shows it."""
    if name == "target_modules":
        return next(
            (word for word, modules in TARGETS.items() if tuple(value) == modules),
            OTHER_TARGETS,
        )
    return value
