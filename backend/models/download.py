"""The job "download": a model of the catalogue from the Hugging Face Hub into the workspace.

It downloads one commit: the catalogue's revision, else the newest, which the model's manifest then names. It takes
only safetensors weights, tokenizer and configuration files. They go into a hidden folder, which gets the model's name
once every file is there and matches the size and SHA-256 that the hub lists. A stopped or killed download continues
where it left off.
"""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from backend.errors import BadInput, MissingPart, WorkspaceProblem
from backend.files import manifest
from backend.files.atomic import delete_folder, replace_file, write_text
from backend.files.disk_errors import disk_errors
from backend.files.json_file import loads
from backend.files.listing import files_in
from backend.models import catalogue, local
from backend.models.catalogue import Entry
from backend.models.hub import RemoteFile, Repository
from backend.records.events import DownloadedEvent
from backend.records.units import MIB
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.work import ELSEWHERE, JobContext, require_disk

_WANTED = re.compile(
    r"model(\.safetensors)?(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json|(config|generation_config|tokenizer"
    r"|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json|merges\.txt|tokenizer\.model|chat_template\.jinja"
    r"|LICENSE[\w.-]*"
)
_DISK_RESERVE_MIB = 500  # stays free


class Stopped(Exception):
    """The person stopped the download."""


def run(context: JobContext) -> dict[str, Any]:
    """Download the model `context.spec["model"]`. Returns {"model", "path", "revision", "bytes"}; {} when stopped.
    Raises MissingPart when the hub can't be reached or lacks the model, or it can't be used, NotEnough when the disk
    is too small, WorkspaceProblem when the model needs program code of its own, OSError."""
    entry = catalogue.find(str(context.spec["model"]))
    target = local.workspace_folder(context.workspace, entry.id)
    with FileLock(_lock(target)):
        if not _is_installed(context.workspace, entry):
            context.progress(f"Looking up {entry.name}")
            try:
                with Repository(entry.id, entry.name, entry.gated) as hub:
                    _download(context, hub, entry, target)
            except Stopped:
                return {}
    folder = local.folder(context.workspace, entry.id)
    ChatTokenizer.load(folder)  # tries it once
    size = sum(path.stat().st_size for path in files_in(folder))
    return {"model": entry.id, "path": str(folder), "revision": local.revision(folder), "bytes": size}


def delete(workspace: Workspace, model_id: str) -> float:
    """Delete a downloaded model, or a partial download, from the workspace. Returns the MiB that became free. Raises
    BadInput for the bundled model, for one that was not downloaded here, and during a download; OSError."""
    entry = catalogue.find(model_id)
    target = local.workspace_folder(workspace, entry.id)
    parts = [path for path in (target, *_partial(target)) if path.exists() and not entry.bundled]
    if not parts:
        raise BadInput(f"{entry.name} can't be deleted.", "Apprentice has not downloaded it.", "")
    size = sum(path.stat().st_size for part in parts for path in (files_in(part) if part.is_dir() else [part]))
    try:
        with FileLock(_lock(target), timeout=0):
            for part in parts:
                delete_folder(part) if part.is_dir() else part.unlink()
    except Timeout as error:
        raise BadInput(f"{entry.name} is being downloaded.", "", "Cancel that first, then wait a moment.") from error
    return size / MIB


def has_partial(workspace: Workspace, model_id: str) -> bool:
    """Whether the workspace has a part of the model from which a download would continue."""
    staging, _ = _partial(local.workspace_folder(workspace, model_id))
    try:
        return any(path.stat().st_size for path in staging.iterdir())
    except OSError:  # no such folder, or it is being deleted
        return False


def _is_installed(workspace: Workspace, entry: Entry) -> bool:
    """Whether there is nothing to download. A pinned model in the Hugging Face cache must be of its commit."""
    folder = local.folder(workspace, entry.id)
    ours = folder == local.workspace_folder(workspace, entry.id)
    return local.is_ready(workspace, entry.id) and (ours or entry.revision in ("", local.revision(folder)))


def _partial(target: Path) -> tuple[Path, Path]:
    """The folder that becomes `target` when it is complete, and the file that names its commit."""
    return target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.commit")


def _lock(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _listed(hub: Repository, revision: str) -> tuple[str, list[RemoteFile]]:
    """The commit (the catalogue's, else the newest) and its weights, tokenizer and configuration files."""
    commit, listed, _ = hub.listing(revision)
    files = [file for file in listed if _WANTED.fullmatch(file.name)]
    names = {file.name for file in files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise hub.unavailable("It has no weights in safetensors format, the only format that this app loads.")
    if "tokenizer.json" not in names:
        raise hub.unavailable("It has no tokenizer.json, the only kind of tokenizer that this app reads.")
    return commit, files


def _download(context: JobContext, hub: Repository, entry: Entry, target: Path) -> None:
    commit, files = _listed(hub, entry.revision)
    staging, commit_file = _partial(target)
    if catalogue.text_of(commit_file) != commit:
        shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(exist_ok=True)
    commit_file.write_text(commit, "utf-8")
    size, have = sum(file.size for file in files), sum(path.stat().st_size for path in staging.iterdir())
    require_disk(staging, max(0, size - have) + _DISK_RESERVE_MIB * MIB, f"for {entry.name}", ELSEWHERE)
    meter = _Meter(context, entry.name, size)
    with disk_errors():
        weights = [file for file in files if file.name.endswith(".safetensors")]
        for file in (file for file in files if file not in weights):
            hub.download(commit, file, staging / file.name, meter)
            if file.name in ("config.json", "tokenizer_config.json"):
                _remove_custom_code(staging / file.name, entry)
        try:
            ChatTokenizer.load(staging)  # tries it once, before gigabytes are downloaded
        except MissingPart:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        for file in weights:
            hub.download(commit, file, staging / file.name, meter)
        context.progress("Checking the model")
        manifest.write(staging, {"model": entry.id, "revision": commit, "licence": entry.licence}, meter)
        delete_folder(target)
        replace_file(staging, target)
        commit_file.unlink()


class _Meter:
    """Reports the bytes and the time left at the average speed; raises Stopped. See `hub.Progress`."""

    def __init__(self, context: JobContext, name: str, total: int) -> None:
        self._context, self._phase, self._total = context, f"Downloading {name}", total
        self._have, self._new, self._start = 0, 0, time.monotonic()
        self._tenths = 0  # of the total, as last emitted

    def __call__(self, count: int = 0, *, here: bool = False) -> None:
        if self._context.should_stop():
            raise Stopped
        if not count:
            return
        self._have, self._new = self._have + count, self._new + (0 if here else count)
        elapsed = time.monotonic() - self._start
        left = (self._total - self._have) * elapsed / self._new if self._new else None
        self._context.progress(self._phase, self._have // MIB, max(1, self._total // MIB), left)
        if self._have * 10 // self._total > self._tenths:
            self._tenths = self._have * 10 // self._total
            self._context.emit(DownloadedEvent(self._have // MIB, self._total // MIB))


def _remove_custom_code(path: Path, entry: Entry) -> None:
    """Remove `auto_map`, which asks for program code of the model's own, where transformers has a class for it.
    Raises WorkspaceProblem where it has none."""
    values = loads(path.read_text("utf-8"))
    if "auto_map" not in values:
        return
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    model_type = loads(path.with_name("config.json").read_text("utf-8")).get("model_type")
    if model_type not in CONFIG_MAPPING_NAMES:
        raise WorkspaceProblem(
            f"{entry.name} was not downloaded.",
            f"Its {path.name} asks to run program code that comes with the model.",
            "Choose a model that works without its own code.",
        )
    del values["auto_map"]
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
