"""GGUF files in one or several sizes from one conversion, each checked and measured against the 16-bit model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.chat.client import Chat
from backend.errors import BadInput, ChatFailed, ExportFailed
from backend.export import (
    checks,
    conversations,
    divergence,
    modelfile,
    ollama_template,
    programs,
    rendering,
    steps,
    task_score,
)
from backend.export.request import ExportRequest
from backend.gguf import convert as gguf
from backend.gguf import sizes
from backend.gguf.facts import Facts
from backend.gguf.requirement import has_llama_cpp, has_llama_cpp_python
from backend.hardware import container
from backend.models import model_folder
from backend.records.units import MIB
from backend.tokens.tokenizer import ChatTokenizer

_UNTRIED = "The file was not tested here, because there is no llama.cpp for this computer."
_SAME_ENOUGH = 0.98  # of the positions at which a file must choose the 16-bit file's word to be recommended
_SHARE_OF_MEMORY = 0.5  # of the computer's, that a recommended file may take


def make(request: ExportRequest) -> None:
    """Make the GGUF files that `request` asks for, with a Modelfile each.

    Raises MissingPart, NotEnough, ExportFailed.

    Puts into the result `sizes`, for each file {kind, file, bytes, kl (nats), same_choice, places, too_narrow,
    recommended, task}, and `smoke`, the check of each by its type.
    """
    merged, kinds = request.work / request.name, request.kinds
    f16 = (request.out if "F16" in kinds else request.work) / f"{request.name}-F16.gguf"
    files = {kind: request.out / f"{request.name}-{kind}.gguf" for kind in kinds}

    def written() -> None:
        _write_files(request, merged, f16, files)
        request.report_phase("Checking", 0, 2 + len(files))

    steps.merge_model(request, merged, for_gguf=True, written=written)
    if not has_llama_cpp():
        steps.check_tokens(request, merged)
        untried = {"ok": None, "loads": None, "stops": None, "agrees": None, "sentence": _UNTRIED}
        request.result["smoke"] = dict.fromkeys(files, untried)
        lost: dict[str, dict[str, Any]] = {}
        usable = files
    else:
        _check(request, merged, files)
        usable = {kind: file for kind, file in files.items() if request.result["smoke"][kind]["loads"]}
        lost = _measure(request, f16, usable) if has_llama_cpp_python() else {}
    request.result["sizes"] = _describe(merged, files, lost)
    task_score.add(request, usable if has_llama_cpp() else {})
    best = _recommend(request)
    for file in usable.values():
        _write_modelfile(request, file)
    guides = programs.for_gguf(files[best or next(iter(usable), kinds[0])].name, request.instruction)
    steps.write_guides(request, guides, request.out / f"{request.name}-{programs.FILE}")
    steps.write_checks(request, request.out / f"{request.name}-{steps.CHECKS}")


def _write_files(request: ExportRequest, merged: Path, f16: Path, files: dict[str, Path]) -> None:
    if "F16" in files or has_llama_cpp_python():  # which makes the others of it, and compares them with it
        gguf.convert(merged, f16, _progress(request, "Converting", f16, sizes.size(merged, "F16")))
    for kind, file in files.items():
        if kind != "F16":
            poll = _progress(request, f"Making {kind}", file, sizes.size(merged, kind))
            if has_llama_cpp_python():
                gguf.quantize(f16, file, kind, poll)
            else:
                gguf.convert(merged, file, poll, kind)


def recommended(found: list[dict[str, Any]], memory: int) -> str:
    """The type to use on a computer with `memory` bytes: of the files that fit into half of it, the smallest that
    chooses the 16-bit file's word in 98% of the positions, or else the one that lost least. "" if none fits or
    nothing was measured.

    found: {kind, bytes, kl, same_choice} of each file.
    """
    fit = [one for one in found if one["kl"] is not None and one["bytes"] <= memory * _SHARE_OF_MEMORY]
    same = [one for one in fit if one["same_choice"] >= _SAME_ENOUGH]
    if same:
        return str(min(same, key=lambda one: one["bytes"])["kind"])
    return str(min(fit, key=lambda one: one["kl"])["kind"]) if fit else ""


def _recommend(request: ExportRequest) -> str:
    """Marks one of `sizes` as recommended, of those that failed no check. Returns its type, or ""."""
    failed = {kind for kind, one in request.result["smoke"].items() if one["ok"] is False}
    failed |= set(request.result.get("task", {}).get("worse", ()))
    best = recommended([one for one in request.result["sizes"] if one["kind"] not in failed], _memory())
    for one in request.result["sizes"]:
        one["recommended"] = one["kind"] == best
    return best


def _describe(merged: Path, files: dict[str, Path], lost: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    nothing = {"kl": None, "same_choice": None, "places": 0}
    found: list[dict[str, Any]] = [
        {
            "kind": kind,
            "file": file.name,
            "bytes": file.stat().st_size,
            "too_narrow": sizes.too_narrow(merged, kind),
            **lost.get(kind, nothing),
        }
        for kind, file in files.items()
    ]
    return sorted(found, key=lambda one: -one["bytes"])


def _memory() -> int:
    """Bytes of this computer's memory, or of the container's limit."""
    import psutil

    limit = container.memory()
    total = int(psutil.virtual_memory().total)
    return min(total, limit.total) if limit else total


def _measure(request: ExportRequest, f16: Path, files: dict[str, Path]) -> dict[str, dict[str, Any]]:
    rows = request.rows()
    smaller = {kind: file for kind, file in files.items() if kind != "F16"}
    request.report_phase("Comparing with the 16-bit file", 0, 1)
    found = {}
    if smaller:
        found = divergence.measure(f16, smaller, rows, request.work, request.raise_if_stopped)
    if "F16" in files:
        places = max((one["places"] for one in found.values()), default=0)
        found["F16"] = {"kl": 0.0, "same_choice": 1.0, "places": places}
    return found


def _check(request: ExportRequest, merged: Path, files: dict[str, Path]) -> None:
    """Check each file in turn, in a chat process of its own."""
    tokenizer, prompts, rows = ChatTokenizer.load(request.trained_folder), request.prompts(), request.rows()
    smallest = min(files.values(), key=lambda file: file.stat().st_size)  # all have the same template
    try:
        template = rendering.check(smallest, tokenizer, prompts, request.work, request.raise_if_stopped)
    except ExportFailed as error:
        template = {"ok": False, "conversations": 0, "sentence": f"{error.what} {error.why}"}
    request.record_check("template", template)
    reference = checks.reference(merged, prompts[0], rows)
    chat = Chat(request.context.workspace, log_file=request.context.folder / "gguf.log")
    done: dict[str, Any] = {}
    try:
        for number, (kind, file) in enumerate(files.items(), 1):
            request.report_phase("Checking", number, 2 + len(files))
            try:
                chat.open(gguf=file)
                others = {"transformers": checks.through_transformers(merged), "the GGUF file": chat.prompt_ids}
                request.record_check("parity", checks.check_tokens(tokenizer, others, prompts))
                found = checks.check_gguf(chat, kind, reference, prompts, rows)
            except (ChatFailed, BadInput) as error:  # a file that can't be opened, or has no template
                found = {"ok": False, "loads": False, "sentence": f"{error.what} {error.why}"}
            if len(files) > 1:
                found["sentence"] = f"{kind}: {found['sentence']}"
            done[kind] = found
    finally:
        chat.close()
    request.result["smoke"] = done


def _progress(request: ExportRequest, phase: str, file: Path, expected: int) -> Callable[[], None]:
    """Reports how much of a file is written, in MiB, of about `expected` bytes."""
    total = max(1, expected // MIB)
    request.report_phase(phase, 0, total)

    def report() -> None:
        written = file.stat().st_size // MIB if file.is_file() else 0
        request.report_phase(phase, min(written, total), total)

    return report


def _write_modelfile(request: ExportRequest, file: Path) -> None:
    """A Modelfile for a GGUF file, beside it. If the template can't be expressed, Ollama chooses one itself."""
    tokenizer = ChatTokenizer.load(request.trained_folder)
    chats = (*conversations.PLAIN, *request.prompts())
    template = ollama_template.derive(tokenizer, chats, Facts(file).adds_bos)
    request.result["ollama_template"] = template is not None
    prompting = modelfile.Prompting(
        template.go() if template else "",
        [tokenizer.decode([token], skip_special_tokens=False) for token in tokenizer.stop_ids],
        request.instruction,
        model_folder.context_length(request.run.model.path),
    )
    file.with_suffix(".Modelfile").write_text(modelfile.modelfile(file.name, prompting), "utf-8", "replace")
