"""The commands about results: chat, evaluate (also before training), export, import."""

import argparse
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from backend.chat.documents import COMBINE, about, combine
from backend.datasets.read.as_text import read_document
from backend.datasets.read.source import require_file
from backend.errors import ApprenticeError, BadInput, BadUsage, ChatFailed, ExportFailed
from backend.export.formats import jobs_for
from backend.files.private import make_readable
from backend.records.chat import ChatAnswer
from backend.records.evaluation import PROMPT
from backend.records.exports import ExportResult, GgufFile
from backend.records.units import MIB, format_speed
from backend.settings import PROGRAM, Workspace
from ui.cli.follow import completed
from ui.cli.model_commands import require_model, resolve_model
from ui.cli.options import (
    add_data_option,
    add_reading_options,
    add_validation_option,
    imported,
    positive,
    refuse_reading_options,
)
from ui.cli.output import INTERRUPTED, AddCommand, Answer, say, write
from ui.services.app import App
from ui.services.results.documents import sentence
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.text import verdicts


def add_commands(add: AddCommand) -> None:
    asking = add("chat", chat, "get one answer")
    asking.add_argument("run", metavar="RUN")
    asking.add_argument("--prompt", default="", metavar="TEXT")
    pieces = "work through this text piece by piece, with the prompt for each"
    asking.add_argument("--file", type=Path, metavar="FILE", help=pieces)
    column = "with --file: a spreadsheet whose questions are in this column"
    asking.add_argument("--column", metavar="NAME", help=column)
    asking.add_argument(
        "-o",
        dest="output",
        type=Path,
        metavar="FILE",
        help="with --column: where the answers go",
    )
    asking.add_argument(
        "--combine",
        choices=COMBINE,
        default="auto",
        help="how the answers to the pieces are joined",
    )
    asking.add_argument(
        "--base", action="store_true", help="ask the base model of the run"
    )
    asking.add_argument(
        "--gguf", type=Path, metavar="FILE", help="ask this exported file"
    )
    asking.add_argument(
        "--seed", type=int, metavar="N", help="vary the answer (default: most likely)"
    )
    evaluating = add(
        "evaluate", evaluate, "evaluate a model on examples it has not seen"
    )
    evaluating.add_argument("run", metavar="RUN", nargs="?", help="a trained model")
    evaluating.add_argument(
        "--baselines",
        action="store_true",
        help="also try prompts and examples with the base",
    )
    about_facts = "also try this text of facts in the prompt of the base (retrieval)"
    evaluating.add_argument("--facts", type=Path, metavar="FILE", help=about_facts)
    evaluating.add_argument(
        "--items", type=positive, metavar="N", help="at most N questions (default: all)"
    )
    add_data_option(
        evaluating,
        "instead of RUN: examples to try prompts on with the base model, without training",
    )
    evaluating.add_argument("--model", metavar="ID", help="with --data: the base model")
    add_validation_option(evaluating)
    add_reading_options(evaluating)
    exporting = add("export", export, "export the model; every file is checked")
    exporting.add_argument("run", metavar="RUN")
    exporting.add_argument(
        "--to",
        required=True,
        metavar="KINDS",
        help="adapter, merged, script, page (a chat page with the model in it), home (everything in one zip file), "
        "ollama (a GGUF file with a Modelfile), or gguf:F16, gguf:Q8_0, gguf:Q6_K, gguf:Q5_K_M, gguf:Q4_K_M; "
        "separate several with commas",
    )
    exporting.add_argument(
        "--anyway",
        action="store_true",
        help="take the files even if one of the checks failed",
    )
    exporting.add_argument("-o", dest="output", type=Path, required=True, metavar="DIR")
    importing = add(
        "import",
        import_model,
        "add a model that was trained on another computer, from its zip file",
    )
    importing.add_argument(
        "file",
        type=Path,
        metavar="ZIP",
        help="made by: export RUN --to home, or by a script",
    )


def chat(options: argparse.Namespace, workspace: Workspace) -> Answer:
    if options.column or options.output:
        return _answer_table(options, workspace)
    if not options.prompt.strip() and not options.file:
        raise BadUsage(
            "There is no question.", "", "Use --prompt TEXT, or --file FILE, or both."
        )
    document = read_document(options.file) if options.file else ""
    app = App(workspace)
    try:
        gguf = options.gguf.resolve() if options.gguf else None
        if gguf and not gguf.is_file():
            raise BadInput(
                f"There is no file {options.gguf}.", "", "Give the path of a GGUF file."
            )
        streamed = {} if options.json else {"each": partial(write, sys.stdout)}
        if document:
            return _work_through(app, options, gguf)
        answer = app.results.answer_once(
            options.run, options.prompt, options.base, gguf, options.seed, **streamed
        )
        if not options.json:
            write(sys.stdout, "\n")
            cut = " Cut off at its limit." if answer.finish == "length" else ""
            say(
                f"Answered by {answer.engine}, {format_speed(answer.tokens_per_second)}.{cut}"
            )
        return Answer(answer.model_dump())
    finally:
        app.close()


def _answer_table(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Answers a spreadsheet; the same command continues one that was stopped."""
    if not (options.column and options.output and options.file):
        raise BadUsage(
            "A spreadsheet needs --file, --column and -o.", "", "Name all three."
        )
    if options.prompt or options.base or options.gguf or options.seed is not None:
        raise BadUsage(
            "A spreadsheet holds its own questions.",
            "The trained model answers them.",
            "Leave the rest out.",
        )
    require_file(options.file)
    app = App(workspace)
    started = app.spreadsheets.start(
        options.run, options.file, options.file.name, options.column
    )
    job = completed(
        app, started, ApprenticeError, "It was stopped. The same command continues it."
    )
    sheet = app.spreadsheets.find(job.id)
    try:
        shutil.copyfile(sheet.file or "", options.output)
    except OSError as error:
        why = f"The system reports: {error.strerror or error}."
        raise BadInput(
            f"The answers could not be written to {options.output}.",
            why,
            "Name another file.",
        ) from error
    app.runner.delete(job.id)
    return Answer(
        {**sheet.result.to_json(), "file": str(options.output)},
        f"Written: {options.output}",
    )


def _work_through(app: App, options: argparse.Namespace, gguf: Path | None) -> Answer:
    """The answers to the pieces of a document, put together. The pieces' answers are
    printed as they come. Ctrl-C leaves the answers that are complete.
    """
    instruction = app.results.instruction(options.run)
    pieces = app.documents.pieces(
        options.run, options.file, options.prompt, instruction
    )
    each = (lambda text: None) if options.json else partial(write, sys.stderr)
    answers: list[ChatAnswer] = []
    with suppress(KeyboardInterrupt):
        for number, piece in enumerate(pieces, 1):
            say(f"Piece {number} of {len(pieces)}:")
            prompt = about(piece, options.prompt)
            answers.append(
                app.results.answer_once(
                    options.run, prompt, options.base, gguf, options.seed, each
                )
            )
            if not options.json:
                say("")
    if not answers:
        raise KeyboardInterrupt
    stopped = len(answers) < len(pieces)
    combined = combine([answer.text for answer in answers], options.combine)
    text, how, last = combined.text, sentence(combined), answers[-1]
    tokens = sum(answer.tokens for answer in answers)
    finish = "length" if any(answer.finish == "length" for answer in answers) else "end"
    if stopped:
        say(f"Stopped after piece {len(answers)} of {len(pieces)}.")
        finish = "stopped"
    say(how)
    answered = [
        answer.model_dump(include={"text", "tokens", "finish"}) for answer in answers
    ]
    parts = {
        "pieces": answered,
        "combined": combined.how,
        "left_out": list(combined.left_out),
    }
    whole = last.model_copy(update={"text": text, "tokens": tokens, "finish": finish})
    return Answer({**whole.model_dump(), **parts}, text, INTERRUPTED if stopped else 0)


def evaluate(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Evaluates a run, or tries prompts, and prints the report. Raises what the job
    failed with.
    """
    if bool(options.run) == bool(options.data):
        raise BadUsage(
            "Name a RUN, or a file with --data.", "", f"See: {PROGRAM} evaluate --help"
        )
    if options.run and (options.model or options.validation):
        raise BadUsage(
            "--model and --validation are for --data only.",
            "A run has its own.",
            "Remove them.",
        )
    if options.run:
        refuse_reading_options(options, "with a RUN", "use --data")
    if options.data and options.baselines:
        raise BadUsage(
            "--baselines is for a RUN only.",
            "With --data, prompts are always tried.",
            "Remove it.",
        )
    facts = read_document(options.facts) if options.facts else ""
    app = App(workspace)
    if options.data:
        return _try_prompts(app, options, facts)
    started = app.evaluations.start(
        options.run, baselines=options.baselines, items=options.items, facts=facts
    )
    job = completed(app, started, ChatFailed, "The evaluation was stopped.")
    report = app.evaluations.report(job.id)
    parent = verdicts.against_parent(report)
    lines = [verdicts.sentence(report), *([": ".join(parent)] if parent else [])]
    lines += [verdicts.system_line(name, report) for name in report.systems]
    return Answer(report.to_json(), "\n".join([*lines, report.next]))


def _try_prompts(app: App, options: argparse.Namespace, facts: str) -> Answer:
    model_id = resolve_model(app, options.model)
    require_model(app, model_id)
    data_id = imported(app, options)
    choice = Choice(data_id=data_id, model_id=model_id)
    if options.validation:
        app.validation_files.set(
            choice.data_id, options.validation, options.validation.name
        )
    started = app.prompt_trials.start(choice, options.items, facts)
    job = completed(app, started, ChatFailed, "The trial of prompts was stopped.")
    report = app.prompt_trials.report(job.id)
    lines = [f"{verdicts.trial_title(report)}. {report.next}"]
    lines += [verdicts.system_line(name, report) for name in report.systems]
    if instruction := report.systems[PROMPT].instruction:
        lines.append(f"The best instruction: {instruction}")
    return Answer(report.to_json(), "\n".join(lines))


def export(options: argparse.Namespace, workspace: Workspace) -> Answer:
    formats = jobs_for(options.to)
    app = App(workspace)
    documents: list[dict[str, Any]] = []
    paths: list[str] = []
    if set(formats) - {"adapter", "script"}:
        say(app.results.export_needs(options.run))
    for to in formats:
        if made := app.results.finished_export(options.run, to):
            say("This export of this model exists already; its files are copied.")
            job, result = made.job, made.result
            _take_files(made.folder, result, options.output, shutil.copyfile)
        else:
            started = app.results.start_export(options.run, to)
            job = completed(app, started, ApprenticeError, "The export was stopped.")
            result, folder = (
                ExportResult.model_validate(job.result),
                workspace.exports / job.id,
            )
            if not (result.passed or options.anyway):
                raise ExportFailed(
                    "A check failed, so the files are not taken: they may not be the model that you trained.",
                    " ".join(
                        check.sentence for check in result.checks if check.ok is False
                    ),
                    f"Choose another format, or take them all the same with --anyway. They are in {folder}.",
                )
            _take_files(folder, result, options.output, shutil.move)
            app.runner.delete(job.id)
        files = [
            {**file.to_json(), "path": str(options.output / file.name)}
            for file in result.files
        ]
        documents.append({**job.result, "files": files})
        paths += [str(options.output / file.name) for file in result.files]
        for size in result.sizes:
            say(_size_line(size))
    document = documents[0] if len(documents) == 1 else {"exports": documents}
    return Answer(document, "\n".join(paths))


def _size_line(size: GgufFile) -> str:
    """A GGUF file: its size, what it lost against the merged model, and whether it is
    the one to use here.
    """
    parts = [f"{size.kind}: {fmt.size(size.bytes / MIB)}"]
    if size.same_choice is not None and size.kind != "F16":
        parts.append(
            f"the same next word in {size.same_choice:.1%} of {size.places} positions"
        )
    if size.task:
        parts.append(fmt.task_score(size.task))
    if size.too_narrow:
        parts.append(f"{size.too_narrow:.0%} of the weights in a larger type")
    return ", ".join(parts) + (
        " (recommended for this computer)" if size.recommended else ""
    )


def _take_files(
    exported: Path,
    result: ExportResult,
    output: Path,
    take: Callable[[Path, Path], object],
) -> None:
    """Copy or move the files to `output`, replacing files of the same names. Raises
    BadInput.
    """
    try:
        missing = [
            folder for folder in (output, *output.parents) if not folder.exists()
        ]
        if missing:
            output.mkdir(parents=True)
            make_readable(missing[-1])
        for file in result.files:
            target = output / file.name
            target.unlink(missing_ok=True)
            take(exported / file.name, target)
            make_readable(target)
    except OSError as error:
        why = f"The system reports: {error.strerror or error}."
        raise BadInput(
            f"The files could not be written to {output}.",
            why,
            f"They are in {exported}.",
        ) from error


def import_model(options: argparse.Namespace, workspace: Workspace) -> Answer:
    require_file(options.file)
    model = App(workspace).model_imports.add(options.file)
    text = f"Imported as {model.run_id}: {model.name}."
    return Answer(asdict(model), "\n".join(filter(None, (text, model.note))))
