"""The job "export": what a run has learned, as files to take away, each proved to be the same model.

    adapter      the LoRA adapter with tokenizer, template and a card, as a folder and as a zip of it
    merged       the whole model as safetensors, likewise
    script       one Python file with its data, that trains the same thing without this project (see script.py)
    gguf:TYPE    one GGUF file for llama.cpp, Ollama, LM Studio; TYPE is one of `gguf.TYPES`

Everything is made in the job's own folder and moves to WORKSPACE/exports/<job id>/ only when all proofs have passed.
"""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from pathlib import Path
from typing import Any

from backend.chat.client import Chat
from backend.export import checks as export_checks
from backend.export import gguf, model_card, script, script_check
from backend.export.merge import merge
from backend.export.request import ExportRequest, Stopped
from backend.files import manifest
from backend.files.listing import files_in
from backend.models import model_folder
from backend.tokens.tokenizer import ChatTokenizer

_UNTRIED = "The file was not tried here, because llama-cpp-python is not installed."


def run(context: Any) -> dict[str, Any]:
    """Makes the export that `context.spec` asks for (see `export_order.ExportSpec`); {} when it was stopped.

    Gives {to, files, folder, parity, merge, smoke, same, proofs}: `files` of {name, bytes, sha256} and `folder` (its
    name, or "") lie in WORKSPACE/exports/<job id>/; `proofs` are {ok, sentence}, in order; each is there by its
    name too, where the form has it. Raises BadSetting, RunProblem, MissingPart, NotEnough, ExportFailed.
    """
    order = ExportRequest.of(context)
    shutil.rmtree(order.work, ignore_errors=True)
    order.out.mkdir(parents=True)
    try:
        order.phase("Checking", 0, 1)
        order.check()
        {"adapter": _adapter, "merged": _merged, "script": _script}.get(order.to, _gguf)(order)
        order.phase("Saving", 0, 1)
        return _given_away(order)
    except Stopped:
        return {}
    finally:
        shutil.rmtree(order.work, ignore_errors=True)


def _adapter(order: ExportRequest) -> None:
    order.phase("Saving", 0, 2)
    folder = order.out / f"{order.name}-adapter"
    shutil.copytree(order.learned, folder)
    model_folder.make_portable(folder, order.run.model.id)
    order.phase("Checking", 1, 2)
    _prove_parity(order, folder)
    _pack(order, folder)


def _merged(order: ExportRequest) -> None:
    folder = order.out / f"{order.name}-merged"
    _merge(order, folder, 3)
    order.phase("Checking", 2, 3)
    _prove_parity(order, folder)
    _pack(order, folder)


def _script(order: ExportRequest) -> None:
    order.phase("Writing the script", 0, 3)
    folder = script.write(order)
    order.phase("Checking", 1, 3)
    order.prove("same", script_check.check(order, folder))
    order.phase("Packing", 2, 3)
    _zip(folder)


def _gguf(order: ExportRequest) -> None:
    merged, f16 = order.work / order.name, order.work / "f16.gguf"
    _merge(order, merged, 6)
    order.phase("Converting", 2, 6)
    gguf.convert(merged, f16)
    file = order.out / f"{order.name}-{order.kind}.gguf"
    order.phase("Making it smaller", 3, 6)
    if order.kind == "F16":
        f16.replace(file)
    else:
        gguf.quantize(f16, file, order.kind)
        f16.unlink()
    order.phase("Checking", 4, 6)
    if importlib.util.find_spec("llama_cpp") is None:
        _prove_parity(order, merged)
        order.result["smoke"] = {"ok": None, "loads": None, "stops": None, "agrees": None, "sentence": _UNTRIED}
    else:
        _prove_gguf(order, merged, file)


def _merge(order: ExportRequest, folder: Path, steps: int) -> None:
    """The merged model in `folder`, with its tokenizer and card."""
    order.phase("Merging", 0, steps)
    if order.full:
        shutil.copytree(order.learned, folder)
    else:
        texts = [row["input_ids"] for row in order.rows()[:4]]
        proof = merge(order.run.model.path, order.learned, folder, texts, for_gguf=bool(order.kind))
        order.prove("merge", proof.to_dict())
    model_folder.make_portable(folder, order.run.model.id)
    model_folder.write_end_ids(folder, ChatTokenizer.load(order.learned).stop_ids)
    (folder / "README.md").write_text(model_card.card(order.run, "merged", order.name), "utf-8")


def _prove_parity(order: ExportRequest, folder: Path) -> None:
    others = {"transformers": export_checks.through_transformers(folder)}
    order.prove("parity", export_checks.parity(ChatTokenizer.load(order.learned), others, order.prompts()))


def _prove_gguf(order: ExportRequest, merged: Path, file: Path) -> None:
    tokenizer, prompts, rows = ChatTokenizer.load(order.learned), order.prompts(), order.rows()
    known = export_checks.reference(merged, prompts[0], rows)
    order.phase("Checking", 5, 6)
    chat = Chat(order.context.workspace, log_file=order.context.folder / "gguf.log")
    try:
        chat.open(gguf=file)
        others = {"transformers": export_checks.through_transformers(merged), "the GGUF file": chat.prompt_ids}
        order.prove("parity", export_checks.parity(tokenizer, others, prompts))
        order.prove("smoke", export_checks.smoke(chat, order.kind, known, prompts, rows))
    finally:
        chat.close()


def _pack(order: ExportRequest, folder: Path) -> None:
    """Adds the card, and one zip of the folder (stored, not compressed: weights hardly shrink)."""
    (folder / "README.md").write_text(model_card.card(order.run, order.to, order.name), "utf-8")
    _zip(folder)


def _zip(folder: Path) -> None:
    with zipfile.ZipFile(folder.with_name(f"{folder.name}.zip"), "w", zipfile.ZIP_STORED) as archive:
        for file in files_in(folder):
            archive.write(file, Path(folder.name) / file.relative_to(folder))


def _given_away(order: ExportRequest) -> dict[str, Any]:
    """Moves what was made to the exports folder and says what it is."""
    target = order.context.workspace.exports / order.context.folder.name
    shutil.rmtree(target, ignore_errors=True)
    order.out.replace(target)
    made = sorted(target.iterdir())
    files = [
        {"name": path.name, "bytes": path.stat().st_size, "sha256": manifest.digest(path)}
        for path in made
        if path.is_file()
    ]
    proved = [order.result[name] for name in ("parity", "merge", "smoke", "same") if name in order.result]
    return {
        "to": order.to,
        "files": files,
        "folder": next((path.name for path in made if path.is_dir()), ""),
        **order.result,
        "proofs": [{"ok": proof["ok"], "sentence": proof["sentence"]} for proof in proved],
    }
