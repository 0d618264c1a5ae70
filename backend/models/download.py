"""The job "download": a model from the Hugging Face Hub into the workspace, or what
there is to know of one.

A model that the catalogue lacks is looked up first: its configuration, tokenizer and
template are downloaded and tried, which gives an entry like the catalogue's. One commit
is downloaded: the entry's revision, else the newest, which the model's manifest then
names. Only safetensors weights, tokenizer and configuration files are taken. They go
into a hidden folder, which gets the model's name once every file is there and matches
the size and SHA-256 that the hub lists. A stopped or killed download continues where it
left off.
"""

import json
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from backend.errors import (
    ApprenticeError,
    BadInput,
    MissingPart,
    Stopped,
    WorkspaceProblem,
)
from backend.files import manifest
from backend.files.atomic import delete_folder, replace_folder, write_text
from backend.files.disk_errors import disk_errors
from backend.files.json_file import loads, write_json
from backend.files.listing import files_in, text_of
from backend.models import catalogue, local, model_folder
from backend.models.catalogue import Entry
from backend.models.hub import Listing, Progress, Repository, valid_name
from backend.records.base import StoredRecord
from backend.records.events import DownloadedEvent
from backend.records.units import MIB, format_size
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.work import ELSEWHERE, JobContext, require_disk

_WANTED = re.compile(
    "|".join(
        [
            *map(re.escape, (model_folder.INDEX, *model_folder.OTHER_FILES)),
            r"LICENSE[\w.-]*",
        ]
    )
    + r"|model(\.safetensors)?(-\d+-of-\d+)?\.safetensors"
)
_FREE = {
    "apache-2.0",
    "mit",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
}  # for business
_DISK_RESERVE_MIB = 500  # stays free


class Downloaded(StoredRecord):
    """The result of the job. After a look-up only `model` is set, the id by the hub's
    spelling; nothing when stopped. path: of the model's folder. revision: the commit.
    bytes: of its files.
    """

    model: str = ""
    path: str = ""
    revision: str = ""
    bytes: int = 0


def run(context: JobContext) -> dict[str, Any]:
    """Download the model `context.spec["model"]`, or look it up if "weights" is false.
    Returns what is set of `Downloaded`. Raises MissingPart when the hub can't be
    reached or lacks the model, or it can't be used, BadInput when it can't be trained,
    NotEnough when the disk is too small, WorkspaceProblem when the model needs program
    code of its own, OSError, Stopped.
    """
    if not context.spec.get("weights", True):
        return Downloaded(
            model=_look_up(context, str(context.spec["model"]))
        ).model_dump(exclude_defaults=True)
    entry = catalogue.find_or_read(context.workspace, str(context.spec["model"]))
    target = local.workspace_folder(context.workspace, entry.id)
    with FileLock(_lock(target)):
        here = local.folder(context.workspace, entry.id)
        # A pinned model in the Hugging Face cache must be of its commit.
        as_pinned = here == target or entry.revision in ("", local.revision(here))
        if not (as_pinned and local.is_ready(context.workspace, entry.id)):
            context.progress(f"Looking up {entry.name}")
            with Repository(entry.id, entry.name, entry.gated) as hub:
                _download(context, hub, entry, target)
    folder = local.folder(context.workspace, entry.id)
    ChatTokenizer.load(folder)  # tries it once
    size = sum(path.stat().st_size for path in files_in(folder))
    return Downloaded(
        model=entry.id, path=str(folder), revision=local.revision(folder), bytes=size
    ).model_dump()


def delete(workspace: Workspace, model_id: str) -> float:
    """Delete a downloaded model, or a partial download, from the workspace; what the
    hub said of it goes where there is neither. Returns the MiB that became free. Raises
    BadInput for the bundled model, for one that was not downloaded here, and during a
    download; OSError.
    """
    entry = catalogue.find_or_read(workspace, model_id)
    target = local.workspace_folder(workspace, entry.id)
    *weights, said = target, *_partial(target)
    paths = (
        weights
        if target.exists() or has_partial(workspace, entry.id)
        else [*weights, said]
    )
    parts = [path for path in paths if path.exists() and not entry.bundled]
    if not parts:
        raise BadInput(
            f"{entry.name} can't be deleted.", "Apprentice has not downloaded it.", ""
        )
    size = sum(
        path.stat().st_size
        for part in parts
        for path in (files_in(part) if part.is_dir() else [part])
    )
    try:
        with FileLock(_lock(target), timeout=0):
            for part in parts:
                delete_folder(part) if part.is_dir() else part.unlink()
    except Timeout as error:
        raise BadInput(
            f"{entry.name} is being downloaded.",
            "",
            "Cancel that first, then wait a moment.",
        ) from error
    return size / MIB


def has_partial(workspace: Workspace, model_id: str) -> bool:
    """Whether the workspace has a part of the model from which a download would
    continue.
    """
    staging, *_ = _partial(local.workspace_folder(workspace, model_id))
    try:
        return any(
            path.stat().st_size for path in staging.glob("*.safetensors*")
        )  # a look-up leaves the others
    except OSError:  # no such folder, or it is being deleted
        return False


def _partial(target: Path) -> tuple[Path, Path, Path]:
    """The folder that becomes `target` when it is complete, the file that names its
    commit, and what the hub said.
    """
    commit, said = (
        target.with_name(f".{target.name}.commit"),
        target.with_name(f".{target.name}{catalogue.SAID}"),
    )
    return target.with_name(f".{target.name}.part"), commit, said


def _lock(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _look_up(context: JobContext, typed: str) -> str:
    """The id of a model whose entry is stored, once its tokenizer and template were
    tried.
    """
    name = valid_name(typed, "model")
    context.progress(f"Looking up {name}")
    with Repository(name, name, gated=False) as hub:
        listing = _listed(hub, "")
    if any(
        entry.id == listing.id for entry in catalogue.entries()
    ):  # whose own commit may be in part here
        return listing.id
    target, gated = (
        local.workspace_folder(context.workspace, listing.id),
        bool(listing.facts.get("gated")),
    )
    with FileLock(_lock(target)), Repository(listing.id, name, gated) as hub:
        small = [
            file for file in listing.files if not file.name.endswith(".safetensors")
        ]
        staging = _try(
            context,
            hub,
            replace(listing, files=small),
            target,
            _Meter(context, name, None),
        )
        try:
            entry = _described(hub, listing, staging)
        except ApprenticeError:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        write_json(_partial(target)[2], entry.model_dump(mode="json"))
    return entry.id


def _described(hub: Repository, listing: Listing, staging: Path) -> Entry:
    """The entry of a model without its weights. Raises MissingPart, BadInput for one
    that can't be trained here.
    """
    if "quantization_config" in loads((staging / "config.json").read_text("utf-8")):
        raise hub.unavailable(
            "Its weights are stored in fewer bits. Look for the model that it was made from."
        )
    counted = listing.facts.get("safetensors")
    total = counted.get("total") if isinstance(counted, dict) else None
    parameters = (
        total if isinstance(total, int) and total > 0 else (listing.bytes or 0) // 2
    )
    entry = catalogue.from_folder(staging, listing.id, parameters)
    if not (parameters or entry.architecture.is_modeled):
        raise hub.unavailable("The hub does not say how large it is.")
    return entry.model_copy(
        update={
            "licence": listing.licence or entry.licence,
            "commercial_use": False
            if "-nc" in listing.licence
            else True
            if listing.licence in _FREE
            else None,
            "gated": bool(listing.facts.get("gated")),
            "languages": listing.languages,
            "revision": listing.commit,
            "download_mib": None if listing.bytes is None else listing.bytes // MIB,
        }
    )


def _listed(hub: Repository, revision: str) -> Listing:
    """The commit (the entry's, else the newest) with its weights, tokenizer and
    configuration files.
    """
    listing = hub.listing(revision)
    files = [file for file in listing.files if _WANTED.fullmatch(file.name)]
    names = {file.name for file in files}
    if "config.json" not in names or not any(
        name.endswith(".safetensors") for name in names
    ):
        raise hub.unavailable(
            "It has no weights in safetensors format, the only format that this app loads."
        )
    if "tokenizer.json" not in names:
        raise hub.unavailable(
            "It has no tokenizer.json, the only kind of tokenizer that this app reads."
        )
    return replace(listing, files=files)


def _try(
    context: JobContext,
    hub: Repository,
    listing: Listing,
    target: Path,
    meter: Progress,
) -> Path:
    """The folder that becomes `target`, with all files but weights, its tokenizer and
    template tried.
    """
    staging, commit_file, _ = _partial(target)
    if text_of(commit_file) != listing.commit:
        shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(exist_ok=True)
    commit_file.write_text(listing.commit, "utf-8")
    have = sum(path.stat().st_size for path in staging.iterdir())
    size = sum(file.size for file in listing.files)
    require_disk(
        staging,
        max(0, size - have) + _DISK_RESERVE_MIB * MIB,
        f"for {hub.name}",
        ELSEWHERE,
    )
    with disk_errors():
        for file in (
            file for file in listing.files if not file.name.endswith(".safetensors")
        ):
            hub.download(listing.commit, file, staging / file.name, meter)
            if file.name in ("config.json", "tokenizer_config.json"):
                _remove_custom_code(staging / file.name, hub.name)
    try:
        ChatTokenizer.load(staging)  # tries it once, before gigabytes are downloaded
    except MissingPart:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return staging


def _download(context: JobContext, hub: Repository, entry: Entry, target: Path) -> None:
    listing = _listed(hub, entry.revision)
    meter = _Meter(context, entry.name, listing.bytes)
    staging = _try(context, hub, listing, target, meter)
    with disk_errors():
        for file in (
            file for file in listing.files if file.name.endswith(".safetensors")
        ):
            hub.download(listing.commit, file, staging / file.name, meter)
        context.progress("Checking the model")
        manifest.write(
            staging,
            {"model": entry.id, "revision": listing.commit, "licence": entry.licence},
            meter,
        )
        replace_folder(staging, target)
        _partial(target)[1].unlink()


class _Meter:
    """Reports the bytes and the time left at the average speed; raises Stopped. See
    `hub.Progress`. total: None where a mirror does not tell sizes.
    """

    def __init__(self, context: JobContext, name: str, total: int | None) -> None:
        self._context, self._phase, self._total = context, f"Downloading {name}", total
        self._have, self._new, self._start = 0, 0, time.monotonic()
        self._tenths = 0  # of the total, as last emitted

    def __call__(self, count: int = 0, *, here: bool = False) -> None:
        if self._context.should_stop():
            raise Stopped
        if not count:
            return
        self._have, self._new = self._have + count, self._new + (0 if here else count)
        if self._total is None:
            self._context.progress(
                f"{self._phase} ({format_size(self._have / MIB)} so far)"
            )
            return
        elapsed = time.monotonic() - self._start
        left = (self._total - self._have) * elapsed / self._new if self._new else None
        self._context.progress(
            self._phase, self._have // MIB, max(1, self._total // MIB), left
        )
        if self._have * 10 // self._total > self._tenths:
            self._tenths = self._have * 10 // self._total
            self._context.emit(DownloadedEvent(self._have // MIB, self._total // MIB))


def _remove_custom_code(path: Path, name: str) -> None:
    """Remove `auto_map`, which asks for program code of the model's own, where
    transformers has a class for it. Raises WorkspaceProblem where it has none.
    """
    values = loads(path.read_text("utf-8"))
    if "auto_map" not in values:
        return
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    model_type = loads(path.with_name("config.json").read_text("utf-8")).get(
        "model_type"
    )
    if model_type not in CONFIG_MAPPING_NAMES:
        raise WorkspaceProblem(
            f"{name} was not downloaded.",
            f"Its {path.name} asks to run program code that comes with the model.",
            "Choose a model that works without its own code.",
        )
    del values["auto_map"]
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
