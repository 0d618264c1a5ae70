"""What this browser is working on. Kept by the browser, so each value is checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

TASKS = ("voice", "extract", "write", "other")


@dataclass(frozen=True)
class Choice:
    """Ids of what was chosen, "" where nothing is. settings: only the numbers that were changed by hand.

    beside: the run that the open one is compared with."""

    task: str = ""
    facts_change: bool = False
    model_id: str = ""
    data_id: str = ""
    run_id: str = ""
    beside: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: object) -> Choice:
        """The choice that the browser kept; what does not look right counts as not chosen."""
        values = kept if isinstance(kept, Mapping) else {}
        task = values.get("task")
        settings = values.get("settings")
        return cls(
            task=task if task in TASKS else "",
            facts_change=values.get("facts_change") is True,
            **{name: _an_id(values.get(name)) for name in ("model_id", "data_id", "run_id", "beside")},
            settings={str(k): v for k, v in settings.items()} if isinstance(settings, Mapping) else {},
        )

    def but(self, **changes: Any) -> Choice:
        """A copy with changes."""
        return replace(self, **changes)


def _an_id(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 200 else ""
