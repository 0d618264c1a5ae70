"""The command `draft`: questions about a text or a table, for a person to keep or drop."""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from backend.chat.client import Chat
from backend.datasets.documents.passages import Passage
from backend.datasets.read.material import read_material
from backend.drafts import templates, writer
from backend.drafts.draft import Draft, as_row, changes
from backend.errors import BadInput
from backend.files.disk_errors import disk_words
from backend.records.reading import Limits
from backend.settings import Workspace
from ui.cli.output import AddCommand, Answer, say
from ui.services.app import App
from ui.text import format as fmt


def add_commands(add: AddCommand) -> None:
    about = "draft questions about a text, a document or a table; each is learned only once you keep it"
    drafting = add("draft", draft, about)
    drafting.add_argument("file", type=Path, metavar="FILE", help="a text, a document, a web page or a table")
    drafting.add_argument("-o", dest="output", type=Path, required=True, metavar="OUT", help="JSON lines to write")
    drafting.add_argument("--model", metavar="ID", help="also ask this chat model on this computer (default: none)")


def draft(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Each line of OUT has "kept": false, which keeps it out of training. What is written stays after Ctrl-C."""
    passages = read_material(options.file, options.file.name, Limits())
    ready, count = templates.from_text(passages), 0
    for column in templates.columns(passages):
        ready += templates.from_column(column, column.ways, column.answer)
    try:
        with options.output.open("w", encoding="utf-8") as file:
            _write(file, passages, ready)
            if options.model:
                for drafts in _by_model(App(workspace), options.model, passages, [each.question for each in ready]):
                    _write(file, passages, drafts)
                    count += len(drafts)
    except OSError as error:
        raise BadInput("The drafts could not be written.", *disk_words(error)) from error
    total = count + len(ready)
    document = {"drafts": total, "by_model": count, "passages": len(passages), "file": str(options.output)}
    said = f"{fmt.count(total, 'draft')} about {fmt.count(len(passages), 'passage')}: {options.output}"
    return Answer(document, f'{said}\nNone is learned until you set "kept" to true in its line.')


def _write(file: TextIO, passages: list[Passage], drafts: Iterable[Draft]) -> None:
    for each in drafts:
        row = as_row(each, passages[each.passage - 1], each.question, each.answer)
        about = {
            "kept": False,
            "passage": each.passage,
            "made": row.made,
            "changes": changes(each.answer),
            "by": each.by,
        }
        line = {"question": each.question, "answer": each.answer, "draft": about}
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()


def _by_model(app: App, model_id: str, passages: list[Passage], known: list[str]) -> Iterator[list[Draft]]:
    """The drafts of a model about one passage after another."""
    model, name = app.models.reference(model_id), app.models.entry(model_id).name
    texts = [passage for passage in passages if not passage.table]
    chat = Chat(app.workspace)
    try:
        chat.open(Path(model.path))
        for done, (_, drafts) in enumerate(writer.draft_all(writer.asking(chat), texts, name, others=known), 1):
            yield drafts
            say(f"{done:,} of {fmt.count(len(texts), 'passage')}: {fmt.count(len(drafts), 'draft')}")
    finally:
        chat.close()
