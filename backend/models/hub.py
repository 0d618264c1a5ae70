"""The Hugging Face Hub over HTTP: lists the files of a repository and downloads each,
resuming where it left off.

The head of this package says why not by `hf_hub_download`. Here a stop takes effect
within a MiB, and the access token goes to the hub only: httpx drops it when an answer
redirects to another host.
"""

import logging
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self
from urllib.parse import quote

import httpx

from backend.errors import BadInput, MissingPart
from backend.files import manifest
from backend.files.atomic import replace_file
from backend.models import hub_token
from backend.records.units import MIB
from backend.settings import PROGRAM

log = logging.getLogger(__name__)

_COMMIT = re.compile(r"[0-9a-f]{40}")
NAME = re.compile(
    r"(?!.*(--|\.\.))([A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9]([\w.-]{0,94}\w)?", re.ASCII
)
_TRIES = 4
_PAUSE = 2.0  # seconds between tries
_CHUNK = MIB


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it. size in bytes; 0 where a mirror does not tell it.
    sha256: of large files only, "" for the others.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Listing:
    """A repository at one commit. id: as the hub writes it. facts: what else the hub
    says.
    """

    id: str
    commit: str
    files: list[RemoteFile]
    facts: dict[str, Any]

    @property
    def card(self) -> dict[str, Any]:
        """What its makers say of it; {} for nothing."""
        card = self.facts.get("cardData")
        return card if isinstance(card, dict) else {}

    @property
    def licence(self) -> str:
        """As its makers state it; "" if they don't."""
        named = _texts(self.card.get("license_name") or self.card.get("license"))
        tags = (
            tag for tag in _texts(self.facts.get("tags")) if tag.startswith("license:")
        )
        return ", ".join(named or [tag.removeprefix("license:") for tag in tags])[:100]

    @property
    def languages(self) -> tuple[str, ...]:
        """Their ISO 639-1 codes; () where they are not stated."""
        return tuple(
            code
            for code in _texts(self.card.get("language"))
            if re.fullmatch("[a-z]{2}", code)
        )

    @property
    def bytes(self) -> int | None:
        """Of all files together; None where a mirror does not tell it."""
        sizes = [file.size for file in self.files]
        return sum(sizes) if all(sizes) else None


class Progress(Protocol):
    """Receives the progress; may raise to end the download."""

    def __call__(self, count: int = 0, *, here: bool = False) -> None:
        """`count` bytes have just been downloaded. here: they were here already; a
        negative number has to be downloaded again.
        """


def endpoint() -> str:
    """The hub's address: $HF_ENDPOINT, as the Hugging Face libraries read it, else
    huggingface.co.
    """
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def valid_name(typed: str, noun: Literal["model", "dataset"]) -> str:
    """The name of a repository as typed, or as copied from its page's address. Raises
    BadInput.
    """
    pages = "huggingface.co/" if noun == "model" else "huggingface.co/datasets/"
    name = (
        typed.strip()
        .removeprefix("https://")
        .removeprefix(pages)
        .removeprefix("hf:")
        .rstrip("/")
    )
    if not NAME.fullmatch(name) or (
        noun == "model" and ("/" not in name or name.startswith("local/"))
    ):
        example = (
            "HuggingFaceTB/SmolLM2-360M-Instruct"
            if noun == "model"
            else "databricks/databricks-dolly-15k"
        )
        why = f"A name has an owner and a title, such as {example}."
        raise BadInput(
            f"This is not the name of a {noun}.",
            why,
            f"Copy it from its page on {pages.rstrip('/')}.",
        )
    return name


class Repository:
    """A repository of the hub; a context manager. Methods raise MissingPart. name: in
    sentences. gated: makers approve downloads.
    """

    def __init__(
        self,
        repo_id: str,
        name: str,
        gated: bool,
        noun: Literal["model", "dataset"] = "model",
    ) -> None:
        self.id, self.name, self._gated, self._noun = repo_id, name, gated, noun
        self._page = repo_id if noun == "model" else f"datasets/{repo_id}"
        # Only a gated repository needs a token; looking for one may open the keyring's
        # window.
        token = hub_token.find() if gated else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = httpx.Timeout(30, connect=10)
        self._client = httpx.Client(
            base_url=endpoint(), headers=headers, timeout=timeout, follow_redirects=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def listing(self, wanted: str = "") -> Listing:
        """The commit `wanted`, else the newest."""
        answer = self._get(
            f"/api/{self._noun}s/{self.id}/revision/{wanted or 'main'}",
            {"blobs": "true"},
        )
        try:
            listing = answer.json()
            commit = str(listing["sha"])
            files = [
                RemoteFile(
                    str(it["rfilename"]),
                    int(it.get("size") or 0),
                    str((it.get("lfs") or {}).get("sha256", "")),
                )
                for it in listing["siblings"]
            ]
            repo_id = valid_name(str(listing.get("id") or self.id), self._noun)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.unavailable(
                "The hub sent an answer that this app does not understand."
            ) from error
        if not _COMMIT.fullmatch(commit) or (wanted and commit != wanted):
            raise self.unavailable(
                "The hub sent a different version from the one requested."
            )
        return Listing(repo_id, commit, files, listing)

    def download(
        self, commit: str, file: RemoteFile, path: Path, progress: Progress
    ) -> None:
        """Download a file of a commit to `path`, and check its size and SHA-256. A
        `path`.part there is resumed.
        """
        if path.is_file():
            progress(_size(path), here=True)
            return
        part = path.with_name(path.name + ".part")
        progress(_size(part), here=True)
        for attempt in range(_TRIES):
            try:
                self._stream(commit, file, part, progress)
                break
            except httpx.HTTPError as error:
                log.warning("%s was interrupted: %s", file.name, type(error).__name__)
                if attempt == _TRIES - 1:
                    raise MissingPart(
                        "The download was interrupted.",
                        f"{file.name} could not be downloaded completely.",
                        "Download again: it continues from here.",
                    ) from error
                progress()
                time.sleep(_PAUSE)
        if file.sha256 and manifest.digest(part, progress) != file.sha256:
            part.unlink()
            raise MissingPart(
                "The downloaded file is damaged.",
                f"The content of {file.name} is not what the hub announced.",
                "Download again: only this file starts over.",
            )
        replace_file(part, path)

    def _stream(
        self, commit: str, file: RemoteFile, part: Path, progress: Progress
    ) -> None:
        """Append what is missing to `part`. Raises httpx.HTTPError when the connection
        breaks.
        """
        have = _size(part)
        if have and have == file.size:
            return
        if file.size and have > file.size:
            part.unlink()
            progress(-have, here=True)
            have = 0
        address = f"/{self._page}/resolve/{commit}/{quote(file.name)}"
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        with self._client.stream("GET", address, headers=headers) as answer:
            if (
                not answer.history
            ):  # the hub's own refusal, not that of the host it redirects to
                self._check_access(answer)
            if answer.status_code in (401, 403, 404):
                raise self.unavailable(f"The hub does not provide {file.name}.")
            if (
                answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE
            ):  # of an unknown size: start anew
                part.unlink(missing_ok=True)
            if (
                not answer.is_success
            ):  # httpx's own error would contain the address, which may be signed
                raise httpx.ReadError(f"the answer was {answer.status_code}")
            if answer.status_code != httpx.codes.PARTIAL_CONTENT and have:
                progress(-have, here=True)
                have = 0
            length = answer.headers.get("Content-Length", "")
            if not (file.size or length.isdecimal()):
                raise self.unavailable(f"Nobody says how large {file.name} is.")
            size = file.size or have + int(length)
            with part.open("ab" if have else "wb") as out:
                for chunk in answer.iter_bytes(_CHUNK):
                    out.write(chunk)
                    progress(len(chunk))
                    if out.tell() > size:  # which nobody announced
                        break
        if part.stat().st_size != size:
            raise httpx.ReadError(f"{part.stat().st_size} of {size} bytes arrived")

    def _get(self, address: str, query: dict[str, str]) -> httpx.Response:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
            raise self._offline(
                "The environment variable HF_HUB_OFFLINE turns the network off."
            )
        try:
            answer = self._client.get(address, params=query)
        except httpx.HTTPError as error:
            log.warning(
                "the hub can't be reached: %s", type(error).__name__
            )  # its text may contain the token
            raise self._offline(
                f"{httpx.URL(endpoint()).host} can't be reached."
            ) from error
        self._check_access(answer)
        if answer.status_code == 404:
            raise self.unavailable(
                "The hub does not have it, or no longer has this version."
            )
        if answer.status_code >= 400:
            raise self.unavailable(f"The hub returned error {answer.status_code}.")
        return answer

    def _check_access(self, answer: httpx.Response) -> None:
        if answer.status_code not in (401, 403):
            return
        with_token = "Authorization" in answer.request.headers
        if not self._gated:
            why = f"The {self._noun} is not public, or does not exist."
        elif not with_token:
            why = "Its makers approve each download, and there is no access token that shows who you are."
        elif answer.status_code == 401:
            why = "Hugging Face does not accept the access token."
        else:
            why = "The access token is valid, but its owner has not been given access yet."
        raise MissingPart(
            f"You don't have access to {self.name}.",
            why,
            f"Open huggingface.co/{self._page} in a browser, sign in and accept the terms. Then create a token "
            "at huggingface.co/settings/tokens, save it in Apprentice (next to the model on the page, or with "
            f"`{PROGRAM} models --token`), and download again.",
        )

    def _offline(self, why: str) -> MissingPart:
        return MissingPart(
            f"{self.name} could not be downloaded: there is no network.",
            why,
            f"Connect this computer to the internet and try again, or use a {self._noun} that is already here.",
        )

    def unavailable(self, why: str) -> MissingPart:
        """The error of something that the hub does not provide, or that can't be used."""
        return MissingPart(
            f"{self.name} could not be downloaded.",
            why,
            f"Choose another {self._noun}.",
        )


def _texts(value: object) -> list[str]:
    """The texts in a value of a card, which may be one or a list; without anything
    else.
    """
    return [
        text
        for text in (value if isinstance(value, list) else [value])
        if isinstance(text, str) and text
    ]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
