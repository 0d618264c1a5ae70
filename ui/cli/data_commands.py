"""The commands about examples: check, fix, draft, datasets."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import indent
from typing import Any

from backend.chat.client import Chat
from backend.datasets.checks.answers import CHOICE
from backend.datasets.checks.fix import SAFE_FIXES, write_fixed
from backend.datasets.checks.issues import GUESSES, issue_title, numbered
from backend.datasets.checks.report import Report, summary, understood
from backend.datasets.dataset import CheckedDataset, check_and_fix, require_compatible
from backend.datasets.documents.passages import joined
from backend.datasets.info import DatasetInfo, RowsByKind
from backend.datasets.read.as_text import read_material
from backend.datasets.read.load import ReadOptions, load
from backend.datasets.read.pack import name_of
from backend.datasets.stored_files import load_validation
from backend.drafts import templates, writer
from backend.drafts.draft import as_row, changes
from backend.errors import BadInput
from backend.files.disk_errors import disk_words
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.reading import Limits
from backend.settings import PROGRAM, Workspace
from backend.text.conversation import content
from backend.tokens.token_counts import TokenCounter
from ui.cli.model_commands import require_tokenizer
from ui.cli.options import (
    add_answer_options,
    add_reading_options,
    add_validation_option,
    opened,
    other_ways,
    positive,
    reading_options,
    require_answers,
)
from ui.cli.output import AddCommand, Answer, say
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt

_LONGEST = "longest example that the model will read, in tokens (default: what is planned for these examples here)"
_FILES = "a file of examples, a folder, or hf:OWNER/NAME of the Hugging Face hub; several files are read together"
_SHOWN, _LONG = 3, 2_000  # examples; characters of a text in one
_SAYS = {"system": "Instruction", "user": "Question", "assistant": "Answer"}
_ALWAYS_FITS = 1024  # tokens; every plan reads as many


def add_commands(add: AddCommand) -> None:
    about = "read a file of examples and report every problem in it; exits with 1 if they keep training from starting"
    checking = add("check", check, about)
    add_validation_option(checking)
    fixing = add("fix", fix, "apply fixes; writes clean JSONL and a change log")
    fixing.add_argument("-o", dest="output", type=Path, required=True, metavar="OUT")
    fixing.add_argument(
        "--accept", metavar="KIND,…", help="only these kinds (default: all safe fixes)"
    )
    for command, what in ((checking, "check"), (fixing, "fix")):
        command.add_argument("files", type=Path, nargs="+", metavar="FILE", help=_FILES)
        command.add_argument(
            "--model",
            metavar="ID",
            help=f"{what} for this model (default: the bundled one)",
        )
        command.add_argument("--max-tokens", type=positive, metavar="N", help=_LONGEST)
        add_reading_options(command)
        add_answer_options(command)
    drafting = add(
        "draft",
        draft,
        "draft questions about a text or a table; each is learned only once you keep it",
    )
    drafting.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a text, document, web page or table",
    )
    drafting.add_argument(
        "-o",
        dest="output",
        type=Path,
        required=True,
        metavar="OUT",
        help="JSON lines to write",
    )
    drafting.add_argument(
        "--model",
        metavar="ID",
        help="also ask this chat model on this computer (default: none)",
    )
    listing = add("datasets", datasets, "list the stored examples, or delete some")
    listing.add_argument(
        "--delete", metavar="ID", help="delete this dataset; runs keep their own copy"
    )


def check(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """The exit code is 1 where `train` would refuse the file as it is."""
    checked = _as_trained(options, workspace, validation=options.validation)
    problems, lines = checked.report.problems, [understood(checked.report.source)]
    if checked.questions:
        lines += _is_this_right(checked)
    found = [p for p in problems if p.severity != "note"]
    lines += [
        f"{p.severity}: " + (f"{p.place}, row {p.row}: " if p.row else "") + p.message
        for p in found
    ]
    notes = [p for p in problems if p.severity == "note"]
    for kind in dict.fromkeys(
        note.kind for note in notes
    ):  # in one line, with the first one; all are in the JSON
        alike = [note for note in notes if note.kind == kind]
        where = f"{fmt.count(len(alike), 'example')} ({numbered([note.row for note in alike])})"
        where = f"{issue_title(kind)}, {where}: " if alike[0].row else ""
        lines.append(f"worth a look: {where}{alike[0].message}")
    if not options.join_cells and any(p.kind == "split_texts" for p in problems):
        lines.append("Add --join-cells to join these texts.")
    document = {
        **checked.report.to_json(),
        "questions": [asdict(question) for question in checked.questions],
        "proposals": [asdict(way) for way in checked.original.source.proposals],
    }
    return Answer(
        document,
        "\n".join([*lines, *summary(checked.report)]),
        exit_code=1 if checked.blocked else 0,
    )


def _is_this_right(checked: CheckedDataset) -> list[str]:
    """The card of the page as text: the first examples, and what to type."""
    lines = [f"question: {question.message}" for question in checked.questions]
    for number, row in enumerate(checked.original.rows[:_SHOWN], 1):
        lines.append(f"Example {number}:")
        said = [(_SAYS.get(m["role"], m["role"]), content(m)) for m in row.messages]
        if row.text is not None:
            said = [("Text", row.text)]
        lines += [indent(f"{who}: {text[:_LONG]}", "  ") for who, text in said]
    lines.append("If this is right, add --yes. If not, add one of these:")
    others = other_ways(checked.original.source)
    return [*lines, *(f"  {typed}  ({title})" for typed, title in others)]


def warnings(report: Report) -> list[str]:
    """The warnings of the checks, each kind of problem in one line."""
    found = [p for p in report.problems if p.severity != "note"]
    about_rows = Counter(p.kind for p in found if p.row and p.severity == "warning")
    return [
        *(f"warning: {p.message}" for p in found if not p.row),
        *(
            f"warning: {issue_title(kind)}: {fmt.count(count, 'example')}"
            for kind, count in about_rows.items()
        ),
    ]


def fix(options: argparse.Namespace, workspace: Workspace) -> Answer:
    accepted = (
        [kind.strip() for kind in options.accept.split(",")]
        if options.accept
        else SAFE_FIXES
    )
    if CHOICE in accepted:
        raise BadInput(
            f"There is no fix for all {CHOICE}.",
            "Only you know which answer is right.",
            "Correct it.",
        )
    accepted = [*accepted, "empty_question"]  # which a fix can leave behind
    checked = _as_trained(
        options, workspace, accepted=dict.fromkeys(accepted, "all"), drop_cells=True
    )
    require_answers(checked)
    fixed = checked.fixed
    if not fixed.dataset.rows:
        raise BadInput(
            "No examples are left, so nothing was written.",
            f"None in {name_of(options.files)} are usable: {fmt.count(fixed.dropped, 'row')} removed.",
            f"See the problems with: {PROGRAM} check FILE",
        )
    log = write_fixed(fixed, options.output)
    document = {
        "changed": fixed.changed,
        "dropped": fixed.dropped,
        "rows": len(fixed.dataset.rows),
        "log": str(log),
    }
    changed = fmt.count(fixed.changed, "row")
    return Answer(
        document, f"{changed} changed, {fixed.dropped:,} removed. Change log: {log}"
    )


def draft(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Each line of OUT has "kept": false, which keeps it out of training. What is
    written stays after Ctrl-C.
    """
    if options.output.exists():
        raise BadInput(
            f"{options.output} already exists.",
            "What you decided in it would be lost.",
            "Choose another.",
        )
    several = len(options.files) > 1
    passages = joined(
        (at.name if several else "", read_material(at, at.name, Limits()))
        for at in options.files
    )
    batches, total, by_model = iter([templates.all_ready(passages)]), 0, 0
    if options.model:
        app, texts = (
            App(workspace),
            [passage for passage in passages if not passage.table],
        )
        model, name = (
            app.models.reference(options.model),
            app.models.entry(options.model).name,
        )
        batches = writer.with_model(
            batches, Chat(workspace), Path(model.path), name, texts
        )
    try:
        with options.output.open("x", encoding="utf-8") as file:
            for drafts in batches:
                for each in drafts:
                    row = as_row(
                        each, passages[each.passage - 1], each.question, each.answer
                    )
                    about = {
                        "kept": False,
                        "passage": each.passage,
                        "made": row.made,
                        "by": each.by,
                    }
                    about |= {"changes": changes(each.answer)}
                    line = {
                        "question": each.question,
                        "answer": each.answer,
                        "draft": about,
                    }
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    by_model += bool(each.by)
                file.flush()
                total += len(drafts)
                say(fmt.count(total, "draft"))
    except OSError as error:
        raise BadInput(
            "The drafts could not be written.", *disk_words(error)
        ) from error
    document = {
        "drafts": total,
        "by_model": by_model,
        "passages": len(passages),
        "file": str(options.output),
    }
    return Answer(
        document,
        f'None is learned until you set "kept" to true in its line of {options.output}.',
    )


def datasets(options: argparse.Namespace, workspace: Workspace) -> Answer:
    app = App(workspace)
    if options.delete:
        app.datasets.delete(options.delete)
        return Answer(
            {"deleted": options.delete},
            "Deleted. Runs keep their own copy of the examples.",
        )
    stored = app.datasets.all()
    text = "\n".join(
        f"{info.id}  {info.bytes:>12,} bytes  {info.name}" for info in stored
    )
    return Answer(
        {"datasets": [vars(info) for info in stored]}, text or "No examples are stored."
    )


def _as_trained(
    options: argparse.Namespace,
    workspace: Workspace,
    drop_cells: bool = False,
    **more: Any,
) -> CheckedDataset:
    """The file as `train` would use it: with --max-tokens, or else the length that is
    planned for its examples. drop_cells: without the cells for which a table has no
    column.
    """
    cells = {"drop_cells": True} if drop_cells and not options.join_cells else {}
    app, more = (
        App(workspace),
        {
            **more,
            "reading": reading_options(options) | cells,
            "split": options.split or "",
            "confirmed": options.yes,
        },
    )
    checked = checked_files(
        options.files,
        workspace,
        options.model,
        LengthLimits(options.max_tokens),
        **more,
    )
    if options.max_tokens or checked.longest <= _ALWAYS_FITS:
        return checked
    advised = app.advice.settings_for(checked, Choice(model_id=options.model or ""))
    planned = LengthLimits.from_settings(advised.settings)
    if checked.longest <= planned.size:
        return checked
    say(
        f"Some examples are longer than the {planned.size:,} tokens planned here; --max-tokens changes that."
    )
    return checked_files(options.files, workspace, options.model, planned, **more)


def checked_files(
    paths: Sequence[Path],
    workspace: Workspace,
    model_id: str | None = None,
    lengths: LengthLimits = UNLIMITED,
    accepted: RowsByKind | None = None,
    validation: Path | None = None,
    reading: dict[str, Any] | None = None,
    split: str = "",
    confirmed: bool = False,
) -> CheckedDataset:
    """Files checked for a model, with the accepted fixes applied; nothing is stored.

    paths: files, folders, or one dataset of the hub
    model_id: None for the bundled one
    lengths: the longest example that counts as readable
    reading: options of ReadOptions, by name
    split: of a dataset of the hub
    confirmed: the user said that the file was read as it should be
    """
    with opened(paths, workspace, reading or {}, split) as (path, name, reading):
        dataset = load(path, name=name, options=ReadOptions(**reading))
    validation_set = (
        load_validation(validation, validation.name, reading) if validation else None
    )
    if validation_set:
        require_compatible(validation_set, dataset)
    app = App(workspace)
    counter = TokenCounter(require_tokenizer(app, model_id or ""))
    languages, info = (
        app.models.entry(model_id or "").languages,
        DatasetInfo(
            name,
            accepted=accepted or {},
            refused=dict.fromkeys(GUESSES, "all") if confirmed else {},
        ),
    )
    return check_and_fix(
        "", info, dataset, counter, lengths, validation_set, languages=languages
    )
