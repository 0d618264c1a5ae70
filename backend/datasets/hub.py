"""Datasets on the Hugging Face Hub: what there is to choose, and the files of a choice.

Only tables are downloaded (Parquet, JSON, CSV), of one commit, and never any program
code.
"""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from filelock import FileLock

from backend.datasets import hub_splits
from backend.datasets.hub_splits import HubSplit
from backend.datasets.read.file import File, decoded
from backend.datasets.read.readers import open_file
from backend.datasets.read.source import open_path, too_large
from backend.datasets.read.together import ManyFiles
from backend.errors import BadInput, WorkspaceProblem
from backend.files.disk_errors import disk_words
from backend.models.hub import Repository, valid_name
from backend.records.reading import Cancelled, Limits, ReadOptions
from backend.records.units import MIB
from backend.work import require_disk

ROWS = 2_000  # that are read unless another number is chosen
PREFIX = "hf:"
_PAGES = "https://huggingface.co/datasets/"
_DISK_RESERVE = 500 * MIB  # stays free


@dataclass(frozen=True)
class HubDataset:
    """A dataset at one commit. licence: as the card states it, else "". gated: its
    makers approve each download.
    """

    id: str
    commit: str
    licence: str
    gated: bool
    splits: tuple[HubSplit, ...]

    def split(self, name: str) -> HubSplit:
        """The split of this name; "": "train", else the first. Raises BadInput when
        there is none.
        """
        named = {split.name: split for split in self.splits}
        usual = next(
            (title for title in named if title.rpartition("/")[2] == "train"),
            self.splits[0].name,
        )
        if (name or usual) not in named:
            raise BadInput(
                f"{self.id} has no split {name[:60]!r}.",
                f"It has {', '.join(named)[:300]}.",
            )
        return named[name or usual]

    def name_of(self, split: HubSplit) -> str:
        """A name for the examples that says exactly where they are from."""
        what = split.files[0].name if len(split.files) == 1 else split.name
        return f"{self.id}@{self.commit[:8]}/{what}"


def is_named(text: str) -> bool:
    """Whether a text is "hf:OWNER/NAME" or the address of a dataset's page."""
    return text.strip().startswith((PREFIX, _PAGES))


def look_up(typed: str) -> HubDataset:
    """The dataset with its splits. Raises BadInput for a malformed name, MissingPart
    when the hub can't be reached, does not have the dataset, or it has no tables.
    """
    name = valid_name(typed, "dataset")
    with Repository(name, name, gated=False, noun="dataset") as hub:
        listing = hub.listing()
        splits = tuple(hub_splits.splits(listing.card, listing.files))
        if not splits:
            raise hub.unavailable(
                "It has no tables in Parquet, JSON or CSV. Its code is never downloaded or run."
            )
    return HubDataset(
        name, listing.commit, listing.licence, bool(listing.facts.get("gated")), splits
    )


def download(
    dataset: HubDataset,
    split: HubSplit,
    rows: int,
    cache: Path,
    progress: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """Downloads as many of the split's files as hold so many rows. Raises MissingPart,
    BadInput when they are too large, NotEnough when the disk is too small, Cancelled
    once `cancelled` returns True.

    cache: a folder; what it has already is not downloaded again
    progress: receives the fraction downloaded, 0 to 1
    """
    folder, whole, done = cache / "hub" / dataset.commit, max(split.bytes, 1), 0
    paths: list[Path] = []
    have = size = 0

    def report(count: int = 0, *, here: bool = False) -> None:
        nonlocal done
        done += count
        if cancelled():
            raise Cancelled
        progress(min(done / whole, 1.0))

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            Repository(dataset.id, dataset.id, dataset.gated, "dataset") as hub,
            FileLock(folder / ".lock"),
        ):
            for file in split.files:
                if have >= rows:
                    break
                report()
                size += file.size
                digest = hashlib.sha256(
                    f"{dataset.id}/{file.name}".encode()
                ).hexdigest()
                path = (
                    folder
                    / f"{digest[:12]}-{re.sub(r'[^A-Za-z0-9.-]+', '-', file.name)[-80:]}"
                )
                if size > Limits().file_bytes:  # with the files before it
                    raise too_large(f"This part of {dataset.id}", size, Limits())
                if not path.exists():
                    require_disk(folder, file.size + _DISK_RESERVE)
                hub.download(dataset.commit, file, path, report)
                paths.append(path)
                have += _rows_in(path, rows - have)
    except OSError as error:
        raise WorkspaceProblem(
            "The dataset could not be saved.", *disk_words(error)
        ) from error
    return paths


def _rows_in(path: Path, most: int) -> int:
    """How many rows a file holds, or `most` if more; 0 for one that can't be read,
    which reading it reports.
    """
    options = ReadOptions(shape="question_answer")  # it need not look like examples

    def count(file: File) -> int:
        return sum(
            1 for _ in islice(chain.from_iterable(open_file(file).records), most)
        )

    with (
        suppress(BadInput, ManyFiles),
        open_path(path, options.limits, None, None) as source,
    ):
        return decoded(source, path.name, options, count)
    return 0
