"""Everything about a run in one zip file: model, adapter, examples, script, and how to
continue at home.

    NAME/   README.md         what is in it; on a Space, the two commands that start Apprentice at home
            NAME-Q8_0.gguf    with its Modelfile, as the export gguf:Q8_0 makes it
            NAME-adapter/     as the export makes it (NAME-merged where all weights were trained)
            NAME-script/      likewise; not where the weights that it starts from are on another computer
            report.md         the scores and every answer of the latest evaluation, if there was one
            examples.jsonl    the conversations, to import in Apprentice; not of pairs, nor of plain texts
            apprentice/       the run itself, for My models on another computer (run_archive.py)
            MANIFEST.json     size and SHA-256 of every other file

Each part is made and checked as if it had been asked for alone. A model that llama.cpp
does not support has no GGUF file.
"""

import json
import logging
import shutil
import zipfile
from pathlib import Path

from backend.errors import RunProblem
from backend.evaluation.report import REPORT
from backend.export import makers, model_card, run_archive, space
from backend.export.model_card import Evaluation
from backend.export.source import Source
from backend.export.target import Target
from backend.files import manifest
from backend.files.atomic import delete_folder
from backend.files.listing import files_in
from backend.gguf.convert import UnsupportedModel
from backend.records.evaluation import BASE, TUNED, EvaluationReport
from backend.records.exports import ExportResult, FileCheck
from backend.records.specs import RunSpec
from backend.runs import about, start
from backend.runs.conversations import read_conversations
from backend.work import Report

log = logging.getLogger(__name__)

EXAMPLES, REPORT_TEXT = "examples.jsonl", "report.md"

_NO_GGUF = "There is no GGUF file in it, because llama.cpp does not support this model."
_WHAT = {
    ".gguf": "the model in one file, for LM Studio, Ollama and llama.cpp",
    ".Modelfile": "for Ollama: the file above with its template and instruction",
    "CHECKS.json": "what was checked, with the numbers",
    ".txt": "how to use the model, program by program",
    "-adapter": "only what the model learned; needs the base model as well",
    "-merged": "the whole model, for servers and further training",
    "-script": "trains the same model again, without Apprentice",
    REPORT_TEXT: "how good the model is: its scores and answers on examples that it had not seen",
    EXAMPLES: "the examples; import them on Data to continue",
    run_archive.FOLDER: "the training itself; My models imports it from the zip file",
    manifest.NAME: "size and checksum (SHA-256) of every other file",
}


def parts(run: RunSpec, run_folder: Path) -> list[str]:
    """The exports that the zip file is made of."""
    model = "merged" if run.settings.method == "full" else "adapter"
    script = (
        []
        if start.continues(run) and not start.is_intact(run, run_folder)
        else ["script"]
    )
    return [model, "gguf:Q8_0", *script]


def make(source: Source, target: Target, report: Report) -> ExportResult:
    """Make the zip file in `target.place`. Returns the checks of its parts. Raises what
    they raise.
    """
    targets = [
        Target.of(part, target.name, target.folder)
        for part in parts(source.run, source.folder)
    ]
    for part in targets:
        part.require(source, report)
    result = ExportResult()
    for part in targets:
        try:
            result = result.joined(makers.make(source, part, report))
        except UnsupportedModel:
            result = result.joined(
                ExportResult(smoke={"": FileCheck(ok=None, sentence=_NO_GGUF)})
            )
    if source.run.settings.trainer == "sft":
        chats = [
            chat
            for part in ("train", "held_out")
            for chat in read_conversations(source.folder, part)
        ]
        if lines := [
            json.dumps({"messages": messages}, ensure_ascii=False) + "\n"
            for messages in chats
        ]:
            (target.place / EXAMPLES).write_text("".join(lines), "utf-8", "replace")
    evaluation, requested = _evaluation(source), source.requested
    if evaluation and requested.scores:
        text = report_text(evaluation, requested.scores)
        (target.place / REPORT_TEXT).write_text(text, "utf-8", "replace")
    # The run is in this zip file once, next to the script.
    shutil.rmtree(
        target.place / f"{target.name}-script" / run_archive.FOLDER, ignore_errors=True
    )
    name, note = requested.name or source.run.name, about.read(source.folder).note
    run_archive.write(target.place, source.run, source.folder, name, evaluation, note)
    report("Packing", 0, 1)
    names = sorted([*(path.name for path in target.place.iterdir()), manifest.NAME])
    (target.place / "README.md").write_text(
        readme(target.name, names, space.commands_at_home()), "utf-8"
    )
    manifest.write(target.place, {}, report.poll)
    pack(target.place, target.place / f"{target.name}-everything.zip", target.name)
    # The page shows these of single files; here they are inside the zip file.
    return ExportResult(
        **{
            name: getattr(result, name)
            for name in result.model_fields_set - {"programs", "sizes"}
        }
    )


def _evaluation(source: Source) -> EvaluationReport | None:
    """The report of the model's evaluation, for another computer; None without one that
    can be read.
    """
    requested = source.requested
    if not (requested.evaluation and requested.scores):
        return None
    try:
        report = source.workspace.run_folder(requested.evaluation) / REPORT
        return EvaluationReport.from_elsewhere(
            report.read_bytes()
        )  # as strictly as the other computer
    except (OSError, ValueError, RunProblem):
        log.warning("the report of %s is skipped", requested.evaluation, exc_info=True)
        return None


def readme(name: str, files: list[str], commands: tuple[str, ...]) -> str:
    """README.md of the zip file. commands: those that start Apprentice at home, none if
    its source is unknown.
    """
    whats = (
        next((what for end, what in _WHAT.items() if file.endswith(end)), "")
        for file in files
    )
    rows = "".join(
        f"| `{file}` | {what} |\n" for file, what in zip(files, whats, strict=True)
    )
    text = f"# {name}\n\nMade with Apprentice. It needs no account and no network.\n\n| | |\n|---|---|\n{rows}"
    if commands:
        block = "\n".join(f"    {command}" for command in commands)
        text += f"\n## Apprentice on your own computer\n\nWith Python 3.11 to 3.14 and git:\n\n{block}\n"
    return text


def report_text(report: EvaluationReport, scores: Evaluation) -> str:
    """An evaluation as Markdown: the scores, what to do next, and every answer, the
    worst first.
    """
    parts = ["# How good the model is\n", model_card.scores(scores), f"{report.next}\n"]
    for number, answer in enumerate(report.answers, 1):
        parts.append(f"## Question {number}\n\n{_quoted(answer.question)}\n")
        texts = {
            "Your examples say": answer.expected,
            "This model": answer.texts[TUNED],
        }
        texts["The base model"] = answer.texts[BASE]
        parts += [f"{who}:\n\n{_quoted(text)}\n" for who, text in texts.items()]
    return "\n".join(parts)


def _quoted(text: str) -> str:
    """The text as a block of code, whatever it contains."""
    return "\n".join(f"    {line}" for line in text.splitlines() or [""])


def pack(folder: Path, archive: Path, top: str) -> None:
    """Move everything in `folder` into a zip file, below the folder `top` there."""
    inside = sorted(folder.iterdir())
    with zipfile.ZipFile(archive, "w", compresslevel=1) as packed:
        for path in inside:
            for file in files_in(path) if path.is_dir() else [path]:
                # Weights hardly shrink, but as text in scripts they do.
                kind = (
                    zipfile.ZIP_DEFLATED if file.suffix == ".js" else zipfile.ZIP_STORED
                )
                packed.write(file, Path(top) / file.relative_to(folder), kind)
            delete_folder(path) if path.is_dir() else path.unlink()
