"""The command that edits stored examples: edit."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from backend.datasets import edits
from backend.datasets.editing import Editor
from backend.datasets.read.load import load
from backend.errors import BadInput
from backend.records.rows import Row
from backend.settings import Workspace
from ui.cli.options import positive
from ui.cli.output import AddCommand, Answer
from ui.services.app import App


def add_commands(add: AddCommand) -> None:
    editing = add("edit", edit, "change stored examples; the file that they came from stays as it is")
    editing.add_argument("id", metavar="ID", help="of the dataset, as `datasets` lists it")
    what = editing.add_mutually_exclusive_group(required=True)
    what.add_argument("--row", type=positive, metavar="N", help="put the example on stdin in place of this one")
    what.add_argument("--add", action="store_true", help="add the examples on stdin, in any format of a file")
    what.add_argument("--delete", type=positive, metavar="N", help="delete this example")
    what.add_argument("--instruction", metavar="TEXT", help='the system message of every example; "" removes it')
    what.add_argument("--undo", action="store_true", help="undo the last edit")
    what.add_argument("--redo", action="store_true", help="redo the edit that was undone last")


def edit(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    editor = Editor(app.dataset_store)
    rows = []
    if options.row:
        [example, *more] = _read()
        if more:
            raise BadInput("There is more than one example on stdin.", "", "Replace one at a time.")
        editor.replace(options.id, options.row, example)
        rows = [options.row]
    elif options.add:
        rows = editor.add_all(options.id, _read())
    elif options.delete:
        editor.delete(options.id, options.delete)
    elif options.instruction is not None:
        editor.set_instruction(options.id, options.instruction)
    else:
        (editor.undo if options.undo else editor.redo)(options.id)
    kinds = app.dataset_store.original(options.id).source.edits
    document = {"id": options.id, "version": len(kinds), "rows": rows}
    return Answer(document, edits.summary(kinds) or "No edits are left.")


def _read() -> list[Row]:
    """The examples on stdin, in any encoding of a file. Raises BadInput when one of them can't be read."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "stdin"
        file.write_bytes(sys.stdin.buffer.read())
        data = load(file)
    for problem in data.problems:
        if problem.severity == "error":
            raise BadInput(f"Line {problem.line} on stdin can't be read.", problem.message, "Nothing was changed.")
    if not data.rows:
        raise BadInput("There is no example on stdin.", "", 'Send one such as {"question": "…", "answer": "…"}.')
    return data.rows
