"""Tables of cases, one to a line, in tests/data/cases."""

import json
from typing import Any

from backend.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "tests" / "data" / "cases"


def cases(subject: str, table: str) -> list[Any]:
    """The cases of one table of a subject's file, each a list of arguments or the only
    one.
    """
    tables: dict[str, list[Any]] = json.loads(
        (FOLDER / f"{subject}.json").read_text("utf-8")
    )
    return tables[table]
