"""What this browser is working on. Kept by the browser, so each value is checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

TASKS = ("voice", "extract", "write", "other")


@dataclass(frozen=True)
class Choice:
    """Ids of what was chosen, "" where nothing is. settings: only the numbers that were changed by hand.

    beside: the run that the open one is compared with. reading_id: examples that are being read, to be the chosen
    ones then. row: the example that is looked at."""

    task: str = ""
    facts_change: bool = False
    model_id: str = ""
    data_id: str = ""
    run_id: str = ""
    beside: str = ""
    reading_id: str = ""
    row: int = 1
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: object) -> Choice:
        """The choice that the browser kept; what does not look right counts as not chosen."""
        values = kept if isinstance(kept, Mapping) else {}
        task = values.get("task")
        settings, row = values.get("settings"), values.get("row")
        return cls(
            task=task if task in TASKS else "",
            facts_change=values.get("facts_change") is True,
            **{name: _an_id(values.get(name)) for name in ("model_id", "data_id", "run_id", "beside", "reading_id")},
            row=row if isinstance(row, int) and row > 0 else 1,
            settings={str(k): v for k, v in settings.items()} if isinstance(settings, Mapping) else {},
        )

    def but(self, **changes: Any) -> Choice:
        """A copy with changes."""
        return replace(self, **changes)


def _an_id(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 200 else ""
