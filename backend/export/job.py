"""The job "export": the result of a run as files, each checked to be the same model.

    adapter      the LoRA adapter with tokenizer, template and model card, in a zip file
    merged       the complete model in safetensors format, likewise
    script       likewise one Python file with its data that repeats the training without this project (script.py)
    gguf:TYPE    one GGUF file for llama.cpp, Ollama, LM Studio; TYPE is one of `gguf.TYPES`; with a Modelfile for
                 Ollama; several, separated by commas, are made from one conversion
                 (gguf_files.py)
    page         a chat page with a GGUF file in it, in a zip file for a disk and one for a web server (page_to_give.py)
    home         all of these but the merged model, and the examples, in one zip file (take_home.py)

With each model goes a text file that says where to use it and how (programs.py).
Everything is made in the job's own folder and moves to WORKSPACE/exports/<job id>/ once
all checks are done; the result says which failed.
"""

import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.export import makers, page_to_give, take_home
from backend.export.formats import HOME, PAGE, slug
from backend.export.source import ExportSpec, Source
from backend.export.target import Target
from backend.files import manifest
from backend.files.atomic import delete_folder, replace_file
from backend.records.exports import Check, ExportFile, ExportResult
from backend.work import JobContext, Report


def run(context: JobContext) -> dict[str, Any]:
    """Make the export that `context.spec` (an `ExportSpec`) describes, in
    WORKSPACE/exports/<job id>/. Returns an `ExportResult` as JSON. Raises BadSetting,
    RunProblem, MissingPart, NotEnough, ExportFailed, Stopped.
    """
    requested, report = ExportSpec.of(context.spec), Report(context)
    source = Source.of(context.workspace, requested)
    target = Target.of(
        requested.to, slug(requested.name or source.run.name), context.folder
    )
    if target.to == PAGE:
        target = replace(target, kinds=[page_to_give.kind_for(source.run.model.path)])
    delete_folder(target.work)
    target.place.mkdir(parents=True)
    try:
        report("Looking at the model", 0, 1)
        if target.to == HOME:
            result = take_home.make(source, target, report)
        else:
            target.require(source, report)
            result = makers.make(source, target, report)
        report("Saving", 0, 1)
        return _publish(
            requested, target, result, context.workspace.exports / context.folder.name
        ).to_json()
    except BaseException as error:  # its frames may hold a model that maps a file there, which Windows then keeps
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        with suppress(OSError):
            delete_folder(target.work)


def _publish(
    requested: ExportSpec, target: Target, result: ExportResult, folder: Path
) -> ExportResult:
    """Move the finished files to the folder of the export, a folder of files as a zip
    file.
    """
    for made in filter(Path.is_dir, list(target.place.iterdir())):
        take_home.pack(made, made.with_name(f"{made.name}.zip"), made.name)
        made.rmdir()
    delete_folder(folder)
    replace_file(target.place, folder)
    return result.joined(
        ExportResult(
            to=target.to,
            evaluation=requested.evaluation,
            files=tuple(
                ExportFile(
                    name=path.name,
                    bytes=path.stat().st_size,
                    sha256=manifest.digest(path),
                )
                for path in sorted(folder.iterdir())
            ),
            checks=tuple(
                Check(ok=check.ok, sentence=check.sentence)
                for check in result.all_checks()
            ),
        )
    )
