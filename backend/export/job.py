"""The job "export": the result of a run as files, each checked to be the same model.

    adapter      the LoRA adapter with tokenizer, template and model card, as a folder and as a zip file
    merged       the complete model in safetensors format, likewise
    script       one Python file with its data that repeats the training without this project (see script.py)
    gguf:TYPE    one GGUF file for llama.cpp, Ollama, LM Studio; TYPE is one of `gguf.TYPES`; with a Modelfile for
                 Ollama; several, separated by commas, are made from one conversion (gguf_files.py)
    home         all of these but the merged model, and the examples, in one zip file (take_home.py)

With each model goes a text file that says where to use it and how (programs.py). Everything is made in the job's own
folder and moves to WORKSPACE/exports/<job id>/ once all checks are done; the result says which failed.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

from backend.export import gguf_files, programs, script, script_check, steps, take_home
from backend.export.formats import HOME
from backend.export.request import ExportRequest, Stopped
from backend.export.take_home import Maker
from backend.files import manifest
from backend.files.listing import files_in
from backend.models import causal_lm, model_folder
from backend.work import JobContext


def run(context: JobContext) -> dict[str, Any]:
    """Make the export that `context.spec` (an `ExportSpec`) describes.

    Returns {to, files, folder, checks, ...}, or {} when stopped. `files` ({name, bytes, sha256}) and `folder` (its
    name, or "") are in WORKSPACE/exports/<job id>/. `checks` lists {ok, sentence}; the full result of each is under
    its name: `ExportRequest.CHECKS`, smoke by type of GGUF file.

    Raises BadSetting, RunProblem, MissingPart, NotEnough, ExportFailed.
    """
    request = ExportRequest.of(context)
    shutil.rmtree(request.work, ignore_errors=True)
    request.out.mkdir(parents=True)
    try:
        request.report_phase("Checking", 0, 1)
        (take_home.check if request.to == HOME else ExportRequest.check)(request)
        _maker(request.to)(request)
        request.report_phase("Saving", 0, 1)
        return _publish(request)
    except Stopped:
        return {}
    finally:
        shutil.rmtree(request.work, ignore_errors=True)


def _maker(to: str) -> Maker:
    if to == HOME:
        return lambda request: take_home.make(request, _maker)
    return {"adapter": _adapter, "merged": _merged, "script": _script}.get(to, gguf_files.make)


def _adapter(request: ExportRequest) -> None:
    request.report_phase("Saving", 0, 2)
    folder = request.out / f"{request.name}-adapter"
    shutil.copytree(request.trained_folder, folder)
    model_folder.make_portable(folder, request.run.model.id)
    request.report_phase("Checking", 1, 2)
    steps.check_tokens(request, folder)
    guides = programs.for_adapter(
        request.name, request.run.model.id, request.instruction, causal_lm.key_mapping(request.run.model.path)
    )
    steps.write_guides(request, guides, folder / programs.FILE)
    _pack(request, folder)


def _merged(request: ExportRequest) -> None:
    folder = request.out / f"{request.name}-merged"
    steps.merge_model(request, folder)
    request.report_phase("Checking", 0, 1)
    steps.check_tokens(request, folder)
    guides = programs.for_merged(request.name, request.instruction, causal_lm.key_mapping(folder))
    steps.write_guides(request, guides, folder / programs.FILE)
    _pack(request, folder)


def _script(request: ExportRequest) -> None:
    request.report_phase("Writing the script", 0, 3)
    folder = script.write(request)
    request.report_phase("Checking", 1, 3)
    request.record_check("same", script_check.check(request, folder))
    request.report_phase("Packing", 2, 3)
    _zip(folder)


def _pack(request: ExportRequest, folder: Path) -> None:
    """Add the card, and a zip file of the folder (uncompressed: weights hardly shrink)."""
    steps.write_card(request, folder, request.to)
    steps.write_checks(request, folder / steps.CHECKS)
    _zip(folder)


def _zip(folder: Path) -> None:
    with zipfile.ZipFile(folder.with_name(f"{folder.name}.zip"), "w", zipfile.ZIP_STORED) as archive:
        for file in files_in(folder):
            archive.write(file, Path(folder.name) / file.relative_to(folder))


def _publish(request: ExportRequest) -> dict[str, Any]:
    """Move the finished files to the exports folder; the result of the job."""
    target = request.context.workspace.exports / request.context.folder.name
    shutil.rmtree(target, ignore_errors=True)
    request.out.replace(target)
    paths = sorted(target.iterdir())
    files = [
        {"name": path.name, "bytes": path.stat().st_size, "sha256": manifest.digest(path)}
        for path in paths
        if path.is_file()
    ]
    found = [request.result[name] for name in request.CHECKS[:-1] if name in request.result]
    checks = [*found, *request.result.get("smoke", {}).values()]
    return {
        "to": request.to,
        "base": request.base,
        "evaluation": request.evaluation,
        "files": files,
        "folder": next((path.name for path in paths if path.is_dir()), ""),
        **request.result,
        "checks": [{"ok": check["ok"], "sentence": check["sentence"]} for check in checks],
    }
