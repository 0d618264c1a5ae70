"""Which of the numbers that a person typed into the recipe can be taken, and why the others can't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import BadSetting
from backend.records.specs import ALL_LINEAR, ATTENTION, TrainSettings, parse_new_settings
from ui.text import format as fmt
from ui.text.settings_help import SETTINGS

NEEDED = "needed"  # layers with names of their own (Phi), as the recommendation names them
TARGETS = {"all-linear": ALL_LINEAR, "attention": ATTENTION}


@dataclass(frozen=True)
class Typed:
    """settings: the recommended ones with every number that can be taken in place of its own. changed: those that
    differ. faults: why the others can't be taken."""

    settings: TrainSettings
    changed: frozenset[str]
    faults: dict[str, BadSetting]


def typed(by_hand: Mapping[str, Any], recommended: TrainSettings) -> Typed:
    """by_hand: what stands in the fields that were changed, by setting. The browser keeps it, so check all of it."""
    settings, faults = recommended, {}
    for name, value in by_hand.items():
        if name not in SETTINGS or value in (None, NEEDED):
            continue
        try:
            settings = parse_new_settings({**settings.model_dump(), name: value})
        except BadSetting as error:
            shown = fmt.setting(value)[:60]
            faults[name] = BadSetting(f"{SETTINGS[name].label} can't be {shown}.", error.why, error.next)
    changed = {name for name in by_hand if name in SETTINGS and getattr(settings, name) != getattr(recommended, name)}
    return Typed(settings, frozenset(changed), faults)


def as_input(name: str, value: Any) -> Any:
    """A setting's value as its input shows it."""
    if name == "target_modules":
        return next((word for word, modules in TARGETS.items() if tuple(value) == modules), NEEDED)
    return value
