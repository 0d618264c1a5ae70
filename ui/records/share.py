"""Records about sharing a model: exports, uploads and endpoints."""

from dataclasses import dataclass
from pathlib import Path

from backend.records.exports import AnsweredTable, ExportResult
from jobs.records import Job


@dataclass(frozen=True)
class ExportStatus:
    """An export: its job, which is named after what it makes and failed where its
    result is damaged, and its result, with the files in `folder`.
    """

    job: Job
    folder: Path
    result: ExportResult


@dataclass(frozen=True)
class HubUpload:
    """An upload to Hugging Face before it starts: the size of each file (MiB).
    instruction: of the examples, which the card quotes; "" for none. card: Markdown.
    mark: differs with any of this, and with the files; consent names it.
    """

    form: str
    repo: str
    private: bool
    sizes: dict[str, float]
    instruction: str
    card: str
    mark: str


@dataclass(frozen=True)
class AnsweredSpreadsheet:
    """A spreadsheet that is being answered, or was. file: to download, None before it
    has completed.
    """

    job: Job
    result: AnsweredTable
    file: Path | None


@dataclass(frozen=True)
class Endpoint:
    """An endpoint for other programs. url: "" until it is ready. tokens_per_second: of
    the latest answer.
    """

    job: Job
    url: str = ""
    requests: int = 0
    tokens: int = 0
    tokens_per_second: float = 0.0
