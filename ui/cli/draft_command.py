"""The command `draft`: questions about a text or a table, for a person to keep or drop."""

import argparse
import json
from pathlib import Path

from backend.chat.client import Chat
from backend.datasets.read.material import read_material
from backend.drafts import templates, writer
from backend.drafts.draft import as_row, changes
from backend.errors import BadInput
from backend.files.disk_errors import disk_words
from backend.records.reading import Limits
from backend.settings import Workspace
from ui.cli.output import AddCommand, Answer, say
from ui.services.app import App
from ui.text import format as fmt


def add_commands(add: AddCommand) -> None:
    drafting = add("draft", draft, "draft questions about a text or a table; each is learned only once you keep it")
    drafting.add_argument("file", type=Path, metavar="FILE", help="a text, a document, a web page or a table")
    drafting.add_argument("-o", dest="output", type=Path, required=True, metavar="OUT", help="JSON lines to write")
    drafting.add_argument("--model", metavar="ID", help="also ask this chat model on this computer (default: none)")


def draft(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Each line of OUT has "kept": false, which keeps it out of training. What is written stays after Ctrl-C."""
    if options.output.exists():
        raise BadInput(f"{options.output} already exists.", "What you decided in it would be lost.", "Choose another.")
    passages = read_material(options.file, options.file.name, Limits())
    batches, total, by_model = iter([templates.all_ready(passages)]), 0, 0
    if options.model:
        app, texts = App(workspace), [passage for passage in passages if not passage.table]
        model, name = app.models.reference(options.model), app.models.entry(options.model).name
        batches = writer.with_model(batches, Chat(workspace), Path(model.path), name, texts)
    try:
        with options.output.open("x", encoding="utf-8") as file:
            for drafts in batches:
                for each in drafts:
                    row = as_row(each, passages[each.passage - 1], each.question, each.answer)
                    about = {"kept": False, "passage": each.passage, "made": row.made, "by": each.by}
                    about |= {"changes": changes(each.answer)}
                    line = {"question": each.question, "answer": each.answer, "draft": about}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    by_model += bool(each.by)
                file.flush()
                total += len(drafts)
                say(fmt.count(total, "draft"))
    except OSError as error:
        raise BadInput("The drafts could not be written.", *disk_words(error)) from error
    document = {"drafts": total, "by_model": by_model, "passages": len(passages), "file": str(options.output)}
    return Answer(document, f'None is learned until you set "kept" to true in its line of {options.output}.')
