"""The job "download": a model of the catalogue from the Hugging Face hub into the workspace.

One commit is fetched whole: the catalogue's revision, else the newest, which is then noted in the model's manifest.
Only weights as safetensors, tokenizer and configuration are fetched, into a folder of their own that appears under
the model's name when all is there and what the hub states of it (sizes, SHA-256 of weights) holds. A stopped or
killed download goes on where it was. The access token, where there is one, goes to the hub and nowhere else.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from filelock import FileLock, Timeout

from backend.errors import ApprenticeError, BadInput, MissingPart, NotEnough, WorkspaceProblem
from backend.files import manifest
from backend.files.atomic import write_text
from backend.files.disk_errors import disk_errors
from backend.files.listing import files_in
from backend.models import catalogue, hub_token, local
from backend.models.catalogue import Entry
from backend.settings import Workspace

log = logging.getLogger(__name__)

_WANTED = re.compile(
    r"model(\.safetensors)?(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json|(config|generation_config|tokenizer"
    r"|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json|merges\.txt|tokenizer\.model|chat_template\.jinja"
    r"|LICENSE[\w.-]*"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ROOM_MIB = 500  # left free beside the model
_TRIES = 4
_PAUSE = 2.0  # seconds before another try
_CHUNK = 1 << 20
_MIB = 1 << 20


class Work(Protocol):
    """What the job needs of the worker."""

    workspace: Workspace
    spec: dict[str, Any]

    def progress(self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None) -> None: ...
    def emit(self, kind: str, **data: Any) -> None: ...
    def should_stop(self) -> bool: ...


class Stopped(Exception):
    """A person asked for it."""


@dataclass(frozen=True)
class File:
    """A file as the hub states it. sha256: of large files, "" of others."""

    name: str
    size: int
    sha256: str


def run(context: Work) -> dict[str, Any]:
    """Downloads the model `context.spec["model"]`. Gives {"model", "path", "revision", "bytes"}; {} when stopped.

    Raises MissingPart when the hub can't be reached or does not give the model, NotEnough without the disk,
    WorkspaceProblem when the model asks for program code of its own, OSError.
    """
    entry = catalogue.find(str(context.spec["model"]))
    target = local.workspace_folder(context.workspace, entry.id)
    with FileLock(_lock(target)):
        if not _is_here(context.workspace, entry):
            context.progress(f"Asking for {entry.name}")
            with _client(entry) as client:
                try:
                    _fetch(context, client, entry, target)
                except Stopped:
                    return {}
    place = local.folder(context.workspace, entry.id)
    size = sum(path.stat().st_size for path in files_in(place))
    return {"model": entry.id, "path": str(place), "revision": local.revision(place), "bytes": size}


def _is_here(workspace: Workspace, entry: Entry) -> bool:
    """Whether there is nothing to fetch. In the Hugging Face cache a pinned model must be of its commit."""
    place = local.folder(workspace, entry.id)
    own = place == local.workspace_folder(workspace, entry.id)
    return local.is_ready(workspace, entry.id) and (own or entry.revision in ("", local.revision(place)))


def delete(workspace: Workspace, model_id: str) -> float:
    """Deletes a downloaded model, or what came of it so far, from the workspace; gives the MiB that are free again.

    Raises BadInput for the embedded model, one that lies elsewhere or is not here, and while it is downloaded;
    OSError.
    """
    entry = catalogue.find(model_id)
    target = local.workspace_folder(workspace, entry.id)
    parts = [path for path in (target, *_half_made(target)) if path.exists() and not entry.embedded]
    if not parts:
        raise BadInput(f"{entry.name} can't be deleted.", "Apprentice has downloaded nothing of it here.", "")
    size = sum(path.stat().st_size for part in parts for path in (files_in(part) if part.is_dir() else [part]))
    try:
        with FileLock(_lock(target), timeout=0):
            for part in parts:
                shutil.rmtree(part) if part.is_dir() else part.unlink()
    except Timeout as error:
        raise BadInput(f"{entry.name} is being downloaded.", "", "Cancel that first, then wait a moment.") from error
    return size / _MIB


def has_partial(workspace: Workspace, model_id: str) -> bool:
    """Whether a part of the model lies in the workspace, from which a download would go on."""
    staging, _ = _half_made(local.workspace_folder(workspace, model_id))
    try:
        return any(path.stat().st_size for path in staging.iterdir())
    except OSError:  # it is not there, or is being deleted
        return False


def _half_made(target: Path) -> tuple[Path, Path]:
    """The folder that is filled before it becomes `target`, and the file that says which commit it is of."""
    return target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.commit")


def _lock(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def endpoint() -> str:
    """The hub's address: $HF_ENDPOINT, as its own libraries read it, else huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _client(entry: Entry) -> httpx.Client:
    """Shows who asks only where that is asked for: looking for a token may open the keyring's window."""
    token = hub_token.find() if entry.gated else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    patience = httpx.Timeout(30, connect=10)
    return httpx.Client(base_url=endpoint(), headers=headers, timeout=patience, follow_redirects=True)


def _fetch(context: Work, client: httpx.Client, entry: Entry, target: Path) -> None:
    commit, files = _asked(client, entry)
    staging, noted = _half_made(target)
    if _text(noted) != commit:
        shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(exist_ok=True)
    noted.write_text(commit, "utf-8")
    _check_disk(staging, files, entry)
    meter = _Meter(context, entry.name, sum(file.size for file in files))
    with disk_errors():
        for file in sorted(files, key=lambda file: file.name.endswith(".safetensors")):
            _get(client, entry, commit, staging / file.name, file, meter)
            if file.name == "config.json" or file.name == "tokenizer_config.json":
                _without_code(staging / file.name, entry)
        context.progress("Checking the model")
        manifest.write(staging, {"model": entry.id, "revision": commit, "licence": entry.licence}, meter.check)
        shutil.rmtree(target, ignore_errors=True)
        staging.replace(target)
        noted.unlink()


def _asked(client: httpx.Client, entry: Entry) -> tuple[str, list[File]]:
    """The commit to fetch, and its files that are wanted."""
    address = f"/api/models/{entry.id}/revision/{entry.revision or 'main'}"
    answer = _answered(client, entry, address, {"blobs": "true"})
    try:
        told = answer.json()
        commit = str(told["sha"])
        files = [
            File(str(one["rfilename"]), int(one["size"]), str((one.get("lfs") or {}).get("sha256") or ""))
            for one in told["siblings"]
            if _WANTED.fullmatch(str(one["rfilename"]))
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise _refused(entry, "The hub's answer could not be understood.") from error
    if not _COMMIT.fullmatch(commit) or (entry.revision and commit != entry.revision):
        raise _refused(entry, "The hub answered with another version than was asked for.")
    names = {file.name for file in files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise _refused(entry, "There are no weights as safetensors in it, and no other kind is loaded here.")
    if "tokenizer.json" not in names:
        raise _refused(entry, "There is no tokenizer.json in it, and no other kind of tokenizer is read here.")
    return commit, files


def _answered(client: httpx.Client, entry: Entry, address: str, query: dict[str, str]) -> httpx.Response:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        raise _offline(entry, "The environment variable HF_HUB_OFFLINE forbids the network.")
    try:
        answer = client.get(address, params=query)
    except httpx.HTTPError as error:
        log.warning("the hub can't be reached: %s", type(error).__name__)  # its text may hold the token
        raise _offline(entry, f"{httpx.URL(endpoint()).host} can't be reached.") from error
    _insist(answer, entry)
    return answer


def _insist(answer: httpx.Response, entry: Entry) -> None:
    """Raises what a refusal means."""
    status = answer.status_code
    if status in (401, 403):
        raise MissingPart(
            f"{entry.name} is not given to everybody.",
            _why_not(status, entry, "Authorization" in answer.request.headers),
            f"Open huggingface.co/{entry.id} in a browser, sign in and accept the terms; make a token under "
            "huggingface.co/settings/tokens and give it to Apprentice: on the page beside the model, or by "
            "`./start.sh models --token`. Then download again.",
        )
    if status == 404:
        raise _refused(entry, "The hub does not have it, or no longer in this version.")
    if status >= 400:
        raise _refused(entry, f"The hub answered with error {status}.")


def _why_not(status: int, entry: Entry, with_token: bool) -> str:
    if not entry.gated:
        return "The hub no longer shows it to everybody, or does not have it any more."
    if with_token and status == 401:
        return "The hub does not know the access token that it was shown."
    if with_token:
        return "The hub knows the access token, but its owner was not given access, or not yet."
    return "Its makers want to be asked first, and there is no access token that shows who asks."


class _Meter:
    """Tells bytes as they come, and how long the rest takes at the mean speed; raises Stopped."""

    def __init__(self, context: Work, name: str, total: int) -> None:
        self._context, self._phase, self._total = context, f"Downloading {name}", total
        self._have, self._new, self._began = 0, 0, time.monotonic()
        self._told = 0  # tenths of the whole

    def had(self, count: int) -> None:
        """Bytes that were there already (or, below zero, are to be fetched again)."""
        self._have += count
        self._tell()

    def got(self, count: int) -> None:
        self._have, self._new = self._have + count, self._new + count
        self._tell()

    def check(self) -> None:
        if self._context.should_stop():
            raise Stopped

    def _tell(self) -> None:
        self.check()
        passed = time.monotonic() - self._began
        left = (self._total - self._have) * passed / self._new if self._new else None
        self._context.progress(self._phase, self._have // _MIB, max(1, self._total // _MIB), left)
        if self._have * 10 // self._total > self._told:
            self._told = self._have * 10 // self._total
            self._context.emit("downloaded", mib=self._have // _MIB, of=self._total // _MIB)


def _get(client: httpx.Client, entry: Entry, commit: str, path: Path, file: File, meter: _Meter) -> None:
    """Fetches one file, from where an earlier try ended. Raises MissingPart."""
    if path.is_file():
        meter.had(file.size)
        return
    part = path.with_name(path.name + ".part")
    meter.had(part.stat().st_size if part.is_file() else 0)
    for attempt in range(_TRIES):
        try:
            _stream(client, entry, commit, part, file, meter)
            break
        except httpx.HTTPError as error:
            log.warning("%s broke off: %s", file.name, type(error).__name__)
            if attempt == _TRIES - 1:
                raise MissingPart(
                    "The download broke off.",
                    f"{file.name} could not be fetched to its end.",
                    "Download again: what is here already is kept.",
                ) from error
            meter.check()
            time.sleep(_PAUSE)
    if file.sha256 and manifest.digest(part, meter.check) != file.sha256:
        part.unlink()
        raise MissingPart(
            "What was downloaded is damaged.",
            f"{file.name} is not what the hub says it is.",
            "Download again: this file is fetched anew.",
        )
    part.replace(path)


def _stream(client: httpx.Client, entry: Entry, commit: str, part: Path, file: File, meter: _Meter) -> None:
    have = part.stat().st_size if part.is_file() else 0
    if have == file.size and part.is_file():
        return
    if have > file.size:
        part.unlink()
        meter.had(-have)
        have = 0
    address = f"/{entry.id}/resolve/{commit}/{file.name}"
    with client.stream("GET", address, headers={"Range": f"bytes={have}-", "Accept-Encoding": "identity"}) as answer:
        if answer.status_code in (401, 403) and not answer.history:  # by the hub, not by where it sends one on to
            _insist(answer, entry)
        if answer.status_code in (401, 403, 404):
            raise _refused(entry, f"The hub does not give {file.name}.")
        if not answer.is_success:  # httpx's own error would hold the address, which may be a signed one
            raise httpx.ReadError(f"the answer was {answer.status_code}")
        if answer.status_code != httpx.codes.PARTIAL_CONTENT and have:
            meter.had(-have)
            have = 0
        with part.open("ab" if have else "wb") as out:
            for chunk in answer.iter_bytes(_CHUNK):
                out.write(chunk)
                meter.got(len(chunk))
    if part.stat().st_size != file.size:
        raise httpx.ReadError(f"{part.stat().st_size} of {file.size} bytes came")


def _without_code(path: Path, entry: Entry) -> None:
    """Takes out what asks for program code of the model's own, where transformers has a class of its own for it.

    Raises WorkspaceProblem where it has none.
    """
    values = json.loads(path.read_text("utf-8"))
    if "auto_map" not in values:
        return
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    kind = json.loads(path.with_name("config.json").read_text("utf-8")).get("model_type")
    if kind not in CONFIG_MAPPING_NAMES:
        raise WorkspaceProblem(
            f"{entry.name} was not downloaded.",
            f"Its {path.name} asks to run program code that comes with it.",
            "Choose a model that works without code of its own.",
        )
    del values["auto_map"]
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def _check_disk(staging: Path, files: list[File], entry: Entry) -> None:
    have = sum(path.stat().st_size for path in staging.iterdir())
    needed = max(0, sum(file.size for file in files) - have) // _MIB + _ROOM_MIB
    free = shutil.disk_usage(staging).free // _MIB
    if needed > free:
        raise NotEnough(
            f"There is not enough room for {entry.name}.",
            f"It needs {needed} MiB of disk and {free} MiB are free.",
            "Free some disk space, or choose another folder with --workspace DIR.",
        )


def _offline(entry: Entry, why: str) -> MissingPart:
    return MissingPart(
        f"{entry.name} could not be downloaded: there is no network.",
        why,
        "Without it there are only the models on this computer. Connect it, then download again.",
    )


def _refused(entry: Entry, why: str) -> ApprenticeError:
    return MissingPart(f"{entry.name} could not be downloaded.", why, "Choose another model, or try again later.")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
