"""Where a command takes its examples from: a file, several, a folder, or a dataset from the Hugging Face hub."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from backend.datasets import hub
from backend.datasets.dataset import CheckedDataset
from backend.datasets.read.pack import as_one_file, name_of
from backend.errors import BadInput, BadUsage
from backend.settings import Workspace
from ui.cli.options import asking_for_columns, reading_options
from ui.cli.output import say
from ui.services.app import App
from ui.text import format as fmt


@contextmanager
def opened(
    sources: Sequence[Path], workspace: Workspace, split: str = "", rows: int = 0
) -> Iterator[tuple[Path, str]]:
    """The examples as one file, and their name. Raises BadUsage, BadInput, MissingPart.

    sources: files and folders, or one dataset of the hub as "hf:OWNER/NAME"
    workspace: where downloads are stored
    split: of a dataset of the hub
    rows: at most so many, of a dataset of the hub; 0 for the usual number
    """
    typed = [
        source.as_posix() for source in sources if str(source).startswith(hub.PREFIX)
    ]  # Windows turns the slash around
    if not typed:
        with as_one_file(sources) as path:
            yield path, name_of(sources)
        return
    if len(sources) > 1:
        raise BadUsage("A dataset of the hub can't be read together with other examples.", "", "Name it alone.")
    listing = hub.look_up(typed[0])
    part = listing.split(split)
    count = f"{fmt.count(part.rows, 'row')}, " if part.rows else ""
    licence = f"license: {listing.licence}" if listing.licence else "its card states no license"
    say(f"{listing.id}, commit {listing.commit[:8]}, {part.name}: {count}{fmt.bytes_of(part.bytes)}; {licence}.")
    with as_one_file(hub.download(listing, part, rows or hub.ROWS, workspace.cache)) as path:
        yield path, listing.name_of(part)


def rows_to_read(sources: Sequence[Path], rows: int | None) -> dict[str, int]:
    """The option `rows` where it was typed, or where a dataset of the hub needs one."""
    from_hub = any(str(source).startswith(hub.PREFIX) for source in sources)
    return {"rows": rows or hub.ROWS} if rows or from_hub else {}


def require_answers(checked: CheckedDataset) -> None:
    """Raises BadInput, with how to answer, where the page would ask whether a guess is right."""
    for question in checked.questions:
        source = checked.original.source
        if question.kind == "other_sheets":
            option = f"--sheet {quote(source.details.sheet or 'NAME')}"
        else:
            columns = source.mapping if source.format != "zip" else {"question": "…", "answer": "…"}
            option = " ".join(f"--column {quote(f'{field}={column}')}" for field, column in columns.items())
        raise BadInput(question.message, "That is a guess.", f"If it is right, add {option}; if not, another one.")


def imported(app: App, options: argparse.Namespace) -> str:
    """Stores the examples of --data and returns their id."""
    reading = reading_options(options) | rows_to_read(options.data, options.rows)
    with (
        asking_for_columns(),
        opened(options.data, app.workspace, options.split or "", options.rows or 0) as (path, name),
    ):
        return app.datasets.add(path, name, reading)
