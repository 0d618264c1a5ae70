"""Records about sharing a model: exports, uploads and endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.records import Failure, Progress, State


@dataclass(frozen=True)
class ExportFile:
    """A file to download. sha256: its checksum, in hexadecimal; "" in an export of an older version."""

    name: str
    path: Path
    size_mib: float
    sha256: str


@dataclass(frozen=True)
class GgufSize:
    """A GGUF file of an export. loss: mean divergence of its next words from the 16-bit model's (nats), same_choice:
    the share of `places` positions with the same word; None where it was not measured. too_narrow: the share of the
    weights that take a larger type. task: how it did on held-out examples, in words; "" where it was not tried."""

    kind: str
    size_mib: float
    loss: float | None
    same_choice: float | None
    places: int
    too_narrow: float
    recommended: bool
    task: str = ""


@dataclass(frozen=True)
class ProgramGuide:
    """Where an export can be used: a program, what it is, the steps, what to type or run ("" for nothing), and the
    address where it documents that."""

    name: str
    what: str
    steps: tuple[str, ...]
    code: str
    source: str


@dataclass(frozen=True)
class ExportStatus:
    """An export: its progress, or its files, its checks as (passed, None without a verdict; sentence), its guides."""

    id: str
    to: str
    state: State
    active: bool
    progress: Progress | None
    failure: Failure | None
    files: tuple[ExportFile, ...] = ()
    checks: tuple[tuple[bool | None, str], ...] = ()
    guides: tuple[ProgramGuide, ...] = ()
    sizes: tuple[GgufSize, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether one of its checks failed."""
        return any(ok is False for ok, _ in self.checks)


@dataclass(frozen=True)
class HubUpload:
    """An upload to Hugging Face before it starts: the size of each file (MiB), and the small files that are written
    for it. instruction: of the examples, which the card quotes; "" for none. card: Markdown.

    mark: differs with anything of this, and with the content of the files; consent names it.
    """

    form: str
    repo: str
    private: bool
    sizes: dict[str, float]
    written: tuple[str, ...]
    instruction: str
    card: str
    mark: str


@dataclass(frozen=True)
class HubPush:
    """An upload to Hugging Face. url: where it is once it has completed."""

    id: str
    form: str
    state: State
    active: bool
    phase: str
    failure: Failure | None
    url: str = ""
    repo: str = ""
    private: bool = True


@dataclass(frozen=True)
class Endpoint:
    """An endpoint for other programs. url: "" until it is ready. tokens_per_second: of the latest answer."""

    id: str
    run_id: str
    state: State
    active: bool
    phase: str
    failure: Failure | None
    url: str = ""
    requests: int = 0
    tokens: int = 0
    tokens_per_second: float = 0.0
