"""Where a command takes its examples from: a file, several, a folder, or a dataset from the Hugging Face hub."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from backend.datasets import hub
from backend.datasets.dataset import CheckedDataset
from backend.datasets.read.pack import as_one_file, name_of
from backend.errors import BadInput, BadUsage
from backend.records.rows import Problem, Source
from backend.settings import Workspace
from ui.cli.options import asking_for_columns, reading_options
from ui.cli.output import say
from ui.services.app import App
from ui.text import format as fmt


@contextmanager
def opened(
    sources: Sequence[Path], workspace: Workspace, split: str = "", rows: int = 0
) -> Iterator[tuple[Path, str]]:
    """The examples as one file, and their name. split, rows: of a dataset of the hub, for which `sources` is
    "hf:OWNER/NAME". Raises BadUsage, BadInput, MissingPart."""
    typed = [one.as_posix() for one in sources if str(one).startswith(hub.PREFIX)]  # Windows turns the slash around
    if not typed:
        with as_one_file(sources) as path:
            yield path, name_of(sources)
        return
    if len(sources) > 1:
        raise BadUsage("A dataset of the hub can't be read together with other examples.", "", "Name it alone.")
    found = hub.look_up(typed[0])
    part = found.split(split)
    count = f"{fmt.count(part.rows, 'row')}, " if part.rows else ""
    licence = f"license: {found.licence}" if found.licence else "its card states no license"
    say(f"{found.id}, commit {found.commit[:8]}, {part.name}: {count}{fmt.bytes_of(part.bytes)}; {licence}.")
    with as_one_file(hub.download(found, part, rows or hub.ROWS, workspace.cache)) as path:
        yield path, found.name_of(part)


def rows_to_read(sources: Sequence[Path], rows: int | None) -> dict[str, int]:
    """The option `rows` where it was typed, or where a dataset of the hub needs one."""
    from_hub = any(str(one).startswith(hub.PREFIX) for one in sources)
    return {"rows": rows or hub.ROWS} if rows or from_hub else {}


def require_answers(checked: CheckedDataset) -> None:
    """Raises BadInput, with how to answer, where the page would ask whether a guess is right."""
    for question in checked.questions:
        answer = _answer(question, checked.original.source)
        raise BadInput(question.message, "That is a guess.", f"If it is right, add {answer}; if not, another one.")


def _answer(question: Problem, source: Source) -> str:
    """The option that confirms a guess."""
    if question.kind == "other_sheets":
        return f"--sheet {quote(source.details.get('sheet', 'NAME'))}"
    columns = source.mapping if source.format != "zip" else {"question": "…", "answer": "…"}
    return " ".join(f"--column {quote(f'{field}={column}')}" for field, column in columns.items())


def imported(app: App, options: argparse.Namespace) -> str:
    """Stores the examples of --data and returns their id."""
    reading = reading_options(options) | rows_to_read(options.data, options.rows)
    with (
        asking_for_columns(),
        opened(options.data, app.workspace, options.split or "", options.rows or 0) as (path, name),
    ):
        return app.datasets.add(path, name, reading)
