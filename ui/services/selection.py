"""The selection, which the browser stores, so each value is checked before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from backend.models.catalogue import TASKS

IDS = ("model_id", "data_id", "run_id", "compared_run", "parent", "import_id")


@dataclass(frozen=True)
class Choice:
    """The selected ids, "" for none.

    begun: whether the person went on from the finished apprentice to one of their own.
    compared_run: the run to compare the selected run with. parent: the run of which the
    next version is planned, from the base model again with from_base. import_id: the
    import in progress, which will become the selected dataset. row: the example to
    preview. passage: to ask something else about, 0 for none. settings: only those that
    the person changed.
    """

    task: str = ""
    facts_change: bool = False
    model_id: str = ""
    data_id: str = ""
    run_id: str = ""
    compared_run: str = ""
    parent: str = ""
    from_base: bool = False
    import_id: str = ""
    row: int = 1
    passage: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    begun: bool = False

    @classmethod
    def from_browser(cls, stored: object) -> Self:
        """The selection that the browser stored; an invalid value counts as not
        selected.
        """
        values = stored if isinstance(stored, Mapping) else {}
        task, settings = values.get("task"), values.get("settings")
        return cls(
            task=task if task in TASKS else "",
            begun=values.get("begun") is True,
            facts_change=values.get("facts_change") is True,
            from_base=values.get("from_base") is True,
            **{
                name: id_
                for name in IDS
                if isinstance(id_ := values.get(name), str) and len(id_) <= 200
            },
            row=_number(values.get("row")),
            passage=_number(values.get("passage"), 0),
            settings={str(k): v for k, v in settings.items()}
            if isinstance(settings, Mapping)
            else {},
        )

    def replace(self, **changes: Any) -> Self:
        """A copy with changes."""
        return replace(self, **changes)


def _number(value: object, otherwise: int = 1) -> int:
    return value if isinstance(value, int) and value > 0 else otherwise
