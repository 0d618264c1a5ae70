"""The job "export": the result of a run as files, each checked to be the same model.

    adapter      the LoRA adapter with tokenizer, template and model card, as a folder and as a zip file
    merged       the complete model in safetensors format, likewise
    script       one Python file with its data that repeats the training without this project (see script.py)
    gguf:TYPE    one GGUF file for llama.cpp, Ollama, LM Studio; TYPE is one of `gguf.TYPES`; with a Modelfile for
                 Ollama

With each model goes a text file that says where to use it and how (programs.py). Everything is made in the job's own
folder and moves to WORKSPACE/exports/<job id>/ only when all checks have passed.
"""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.chat.client import Chat
from backend.export import checks as export_checks
from backend.export import model_card, modelfile, ollama_template, programs, script, script_check
from backend.export.merge import merge
from backend.export.programs import Program
from backend.export.request import ExportRequest, Stopped
from backend.files import manifest
from backend.files.listing import files_in
from backend.gguf import convert as gguf
from backend.gguf.facts import adds_bos
from backend.models import model_folder
from backend.tokens.tokenizer import ChatTokenizer

_UNTRIED = "The file was not tested here, because llama-cpp-python is not installed."


def run(context: Any) -> dict[str, Any]:
    """Make the export that `context.spec` (an `ExportSpec`) describes.

    Returns {to, files, folder, checks, ...}, or {} when stopped. `files` ({name, bytes, sha256}) and `folder` (its
    name, or "") are in WORKSPACE/exports/<job id>/. `checks` lists {ok, sentence}; the full result of each is under
    its name: parity, merge, smoke, same. Raises BadSetting, RunProblem, MissingPart, NotEnough, ExportFailed.
    """
    request = ExportRequest.of(context)
    shutil.rmtree(request.work, ignore_errors=True)
    request.out.mkdir(parents=True)
    try:
        request.report_phase("Checking", 0, 1)
        request.check()
        {"adapter": _adapter, "merged": _merged, "script": _script}.get(request.to, _gguf)(request)
        request.report_phase("Saving", 0, 1)
        return _publish(request)
    except Stopped:
        return {}
    finally:
        shutil.rmtree(request.work, ignore_errors=True)


def _adapter(request: ExportRequest) -> None:
    request.report_phase("Saving", 0, 2)
    folder = request.out / f"{request.name}-adapter"
    shutil.copytree(request.trained_folder, folder)
    model_folder.make_portable(folder, request.run.model.id)
    request.report_phase("Checking", 1, 2)
    _check_tokens(request, folder)
    guides = programs.for_adapter(request.name, request.run.model.id, request.instruction)
    _write_guides(request, guides, folder / programs.FILE)
    _pack(request, folder)


def _merged(request: ExportRequest) -> None:
    folder = request.out / f"{request.name}-merged"
    _merge(request, folder, 3)
    request.report_phase("Checking", 2, 3)
    _check_tokens(request, folder)
    _write_guides(request, programs.for_merged(request.name, request.instruction), folder / programs.FILE)
    _pack(request, folder)


def _script(request: ExportRequest) -> None:
    request.report_phase("Writing the script", 0, 3)
    folder = script.write(request)
    request.report_phase("Checking", 1, 3)
    request.record_check("same", script_check.check(request, folder))
    request.report_phase("Packing", 2, 3)
    _zip(folder)


def _gguf(request: ExportRequest) -> None:
    merged, f16 = request.work / request.name, request.work / "f16.gguf"
    _merge(request, merged, 6)
    request.report_phase("Converting", 2, 6)
    gguf.convert(merged, f16)
    file = request.out / f"{request.name}-{request.kind}.gguf"
    request.report_phase("Quantizing", 3, 6)
    if request.kind == "F16":
        f16.replace(file)
    else:
        gguf.quantize(f16, file, request.kind)
        f16.unlink()
    _write_modelfile(request, file)
    guides = programs.for_gguf(file.name, request.instruction)
    _write_guides(request, guides, request.out / f"{request.name}-{programs.FILE}")
    request.report_phase("Checking", 4, 6)
    if importlib.util.find_spec("llama_cpp") is None:
        _check_tokens(request, merged)
        request.result["smoke"] = {"ok": None, "loads": None, "stops": None, "agrees": None, "sentence": _UNTRIED}
    else:
        _check_gguf(request, merged, file)


def _merge(request: ExportRequest, folder: Path, steps: int) -> None:
    """Save the merged model in `folder`, with its tokenizer and card."""
    request.report_phase("Merging", 0, steps)
    if request.full:
        shutil.copytree(request.trained_folder, folder)
    else:
        texts = [row["input_ids"] for row in request.rows()[:4]]
        check = merge(request.run.model.path, request.trained_folder, folder, texts, for_gguf=bool(request.kind))
        request.record_check("merge", check.to_dict())
    model_folder.make_portable(folder, request.run.model.id)
    model_folder.write_end_ids(folder, ChatTokenizer.load(request.trained_folder).stop_ids)
    _write_card(request, folder, "merged")


def _check_tokens(request: ExportRequest, folder: Path) -> None:
    others = {"transformers": export_checks.through_transformers(folder)}
    request.record_check(
        "parity", export_checks.check_tokens(ChatTokenizer.load(request.trained_folder), others, request.prompts())
    )


def _check_gguf(request: ExportRequest, merged: Path, file: Path) -> None:
    tokenizer, prompts, rows = ChatTokenizer.load(request.trained_folder), request.prompts(), request.rows()
    reference = export_checks.reference(merged, prompts[0], rows)
    request.report_phase("Checking", 5, 6)
    chat = Chat(request.context.workspace, log_file=request.context.folder / "gguf.log")
    try:
        chat.open(gguf=file)
        others = {"transformers": export_checks.through_transformers(merged), "the GGUF file": chat.prompt_ids}
        request.record_check("parity", export_checks.check_tokens(tokenizer, others, prompts))
        request.record_check("smoke", export_checks.check_gguf(chat, request.kind, reference, prompts, rows))
    finally:
        chat.close()


def _write_modelfile(request: ExportRequest, file: Path) -> None:
    """A Modelfile for a GGUF file, beside it. Without a template that Ollama can express, it chooses one itself."""
    tokenizer = ChatTokenizer.load(request.trained_folder)
    chats = (*export_checks.CHATS, *request.prompts())
    template = ollama_template.derive(tokenizer, chats, adds_bos(file))
    request.result["ollama_template"] = template is not None
    prompting = modelfile.Prompting(
        template.go() if template else "",
        [tokenizer.decode([token], skip_special_tokens=False) for token in tokenizer.stop_ids],
        request.instruction,
        model_folder.context_length(request.run.model.path),
    )
    file.with_suffix(".Modelfile").write_text(modelfile.modelfile(file.name, prompting), "utf-8", "replace")


def _write_guides(request: ExportRequest, guides: Sequence[Program], file: Path) -> None:
    file.write_text(programs.as_text(guides, request.instruction), "utf-8", "replace")
    request.result["programs"] = [asdict(guide) for guide in guides]


def _pack(request: ExportRequest, folder: Path) -> None:
    """Add the card, and a zip file of the folder (uncompressed: weights hardly shrink)."""
    _write_card(request, folder, request.to)
    _zip(folder)


def _write_card(request: ExportRequest, folder: Path, form: str) -> None:
    card = model_card.card(request.run, form, request.name, request.instruction)
    (folder / "README.md").write_text(card, "utf-8")


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
    checks = [request.result[name] for name in ("parity", "merge", "smoke", "same") if name in request.result]
    return {
        "to": request.to,
        "files": files,
        "folder": next((path.name for path in paths if path.is_dir()), ""),
        **request.result,
        "checks": [{"ok": check["ok"], "sentence": check["sentence"]} for check in checks],
    }
