"""Data sets of the Hugging Face Hub: what there is to choose, and the files of a choice.

Only tables are downloaded (Parquet, JSON, CSV), of one commit, and never any program code. Which file belongs to
which split is read from the data set's card (https://huggingface.co/docs/hub/datasets-manual-configuration), else
from the names of files and folders (https://huggingface.co/docs/hub/datasets-file-names-and-splits).
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from filelock import FileLock

from backend.datasets.options import Cancelled, Limits
from backend.datasets.read.source import too_large
from backend.errors import BadInput, NotEnough, WorkspaceProblem
from backend.files.disk_errors import disk_words
from backend.models.hub import RemoteFile, Repository
from backend.records.units import MIB

ROWS = 2_000  # that are read unless another number is chosen
PREFIX = "hf:"
_PAGES = "https://huggingface.co/datasets/"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_TABLE = re.compile(r"\.(parquet|jsonl|ndjson|json|csv|tsv)(\.(?:gz|bz2|xz|zst))?$")
_FORMATS = ("parquet", "jsonl", "ndjson", "json", "csv", "tsv")  # where a split has several, the first one counts
_NOT_DATA = re.compile(r"(^|/)(\.|dataset_infos?\.json|dataset_dict\.json|state\.json|package(-lock)?\.json)")
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_OF = {word: split for split, words in _KEYWORDS.items() for word in words}
_KEYWORD = re.compile(rf"(?:^|[-._/ ])({'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))})(?=[-._/ 0-9]|$)")
_DISK_RESERVE = 500 * MIB  # stays free


@dataclass(frozen=True)
class HubSplit:
    """A part of a data set that can be chosen. name: "train", or "configuration/train" where there are several
    configurations. rows: as the card states them, None where it does not."""

    name: str
    files: tuple[RemoteFile, ...]
    rows: int | None = None

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class HubDataset:
    """A data set at one commit. licence: as the card states it, "" where it does not. gated: its makers approve each
    download."""

    id: str
    commit: str
    licence: str
    gated: bool
    splits: tuple[HubSplit, ...]

    def split(self, name: str) -> HubSplit:
        """The split of this name; "": "train", else the first. Raises BadInput when there is none."""
        named = {one.name: one for one in self.splits}
        usual = next((one for one in named if one.rpartition("/")[2] == "train"), self.splits[0].name)
        if (name or usual) not in named:
            raise BadInput(
                f"{self.id} has no split {name[:60]!r}.", f"It has {', '.join(named)[:300]}.", "Choose one."
            )
        return named[name or usual]

    def name_of(self, split: HubSplit) -> str:
        """A name for the examples that says exactly where they are from."""
        what = split.files[0].name if len(split.files) == 1 else split.name
        return f"{self.id}@{self.commit[:8]}/{what}"


def valid_name(typed: str) -> str:
    """The name of a data set as typed, or as copied from its page's address. Raises BadInput."""
    name = typed.strip().removeprefix(PREFIX).removeprefix(_PAGES).rstrip("/")
    if not _NAME.fullmatch(name) or ".." in name or "--" in name:
        raise BadInput(
            "This is not the name of a data set.",
            "A name has an owner and a title, such as databricks/databricks-dolly-15k.",
            "Copy it from the data set's page on huggingface.co/datasets.",
        )
    return name


def look_up(typed: str) -> HubDataset:
    """What there is to choose. Raises BadInput for a malformed name, MissingPart when the hub can't be reached, does
    not have the data set, or it has no tables."""
    name = valid_name(typed)
    with Repository(name, name, gated=False, noun="data set") as hub:
        commit, files, facts = hub.listing()
        card = facts.get("cardData")
        card = card if isinstance(card, dict) else {}
        tables = [file for file in files if _TABLE.search(file.name) and not _NOT_DATA.search(file.name)]
        splits = _configured(card, tables) or _by_names(tables)
        if not splits:
            raise hub.unavailable(
                "It has no tables in Parquet, JSON or CSV. Program code of a data set is never downloaded or run."
            )
    counts = _counts(card)
    splits = [HubSplit(one.name, one.files, counts.get(one.name)) for one in splits]
    return HubDataset(name, commit, _licence(card, facts), bool(facts.get("gated")), tuple(splits))


def download(
    found: HubDataset,
    split: HubSplit,
    rows: int,
    cache: Path,
    progress: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """Downloads as many of the split's files as hold so many rows, into `cache`; what is there already is taken.

    Their names are made here, from those on the hub. Raises MissingPart, BadInput when they are too large,
    NotEnough when the disk is too small, Cancelled.
    """
    folder = cache / "hub" / found.commit
    bar = _Bar(split.bytes, progress, cancelled)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with Repository(found.id, found.id, found.gated, "data set") as hub, FileLock(folder / ".lock"):
            return _downloaded(hub, found, split, rows, folder, bar)
    except OSError as error:
        raise WorkspaceProblem("The data set could not be saved.", *disk_words(error)) from error


def _downloaded(
    hub: Repository, found: HubDataset, split: HubSplit, rows: int, folder: Path, bar: _Bar
) -> list[Path]:
    paths: list[Path] = []
    have = size = 0
    for file in split.files:
        if have >= rows:
            break
        bar.check()
        size += file.size
        path = folder / _local_name(found.id, file.name)
        _require_room(found.id, file, path, size)
        hub.download(found.commit, file, path, bar)
        paths.append(path)
        have += _rows_in(path)
    return paths


class _Bar:
    """The progress of a download in fractions; see `models.hub.Progress`."""

    def __init__(self, total: int, progress: Callable[[float], None], cancelled: Callable[[], bool]) -> None:
        self._total, self._done, self._progress, self._cancelled = max(total, 1), 0, progress, cancelled

    def skip(self, count: int) -> None:
        self._done += count
        self.check()

    def add(self, count: int) -> None:
        self.skip(count)

    def check(self) -> None:
        if self._cancelled():
            raise Cancelled
        self._progress(min(self._done / self._total, 1.0))


def _local_name(repo: str, name: str) -> str:
    return (
        f"{hashlib.sha256(f'{repo}/{name}'.encode()).hexdigest()[:12]}-{re.sub(r'[^A-Za-z0-9.-]+', '-', name)[-80:]}"
    )


def _require_room(name: str, file: RemoteFile, path: Path, together: int) -> None:
    """together: bytes of this file and those before it."""
    if together > Limits().file_bytes:
        raise too_large(f"This part of {name}", together, Limits())
    if not path.exists() and shutil.disk_usage(path.parent).free < file.size + _DISK_RESERVE:
        raise NotEnough("There is not enough disk space.", f"{file.size // MIB:,} MiB are needed.", "Free some.")


def _rows_in(path: Path) -> int:
    """How many rows a file holds; 0 where that is only known once it is read."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return int(pq.ParquetFile(path).metadata.num_rows)
        except (pa.ArrowException, OSError):
            return 0  # which reading it reports
    if path.suffix in (".jsonl", ".ndjson"):
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(MIB), b""))
    return 0


def _licence(card: dict[str, Any], facts: dict[str, Any]) -> str:
    stated = card.get("license")
    names = stated if isinstance(stated, list) else [stated]
    tags = facts.get("tags")
    if not stated and isinstance(tags, list):
        names = [str(tag).removeprefix("license:") for tag in tags if str(tag).startswith("license:")]
    return ", ".join(str(name) for name in names if name)[:100]


def _objects(stated: Any) -> list[dict[str, Any]]:
    """The objects in what a card states: one, or a list of them."""
    return [one for one in (stated if isinstance(stated, list) else [stated]) if isinstance(one, dict)]


def _configured(card: dict[str, Any], tables: Sequence[RemoteFile]) -> list[HubSplit]:
    """The splits that the card names."""
    found: list[HubSplit] = []
    configurations = _objects(card.get("configs"))
    several = len(configurations) > 1
    for one in configurations:
        prefix = f"{one.get('config_name') or 'default'}/" if several else ""
        folder = f"{one['data_dir'].strip('/')}/" if isinstance(one.get("data_dir"), str) else ""
        inside = [file for file in tables if file.name.startswith(folder)]
        if one.get("data_files") is None:
            found += [HubSplit(prefix + split.name, split.files) for split in _by_names(inside)]
            continue
        for split, patterns in _data_files(one.get("data_files")):
            files = [file for file in inside if any(_matches(file.name, folder + one) for one in patterns)]
            found += [HubSplit(f"{prefix}{split}"[:100], _one_format(files))] if files else []
    return found


def _data_files(stated: Any) -> Iterator[tuple[str, list[str]]]:
    """Each split of a configuration with its patterns: stated as a pattern, patterns, or {split, path}."""
    entries = stated if isinstance(stated, list) else [stated]
    whole = [one for one in entries if isinstance(one, str)]
    if whole:
        yield "train", whole
    for one in _objects(stated):
        paths = one.get("path")
        yield str(one.get("split") or "train"), [str(p) for p in (paths if isinstance(paths, list) else [paths])]


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern of the card means this file: * stays in a folder, ** does not."""
    if "**" in pattern:
        return fnmatchcase(name, pattern) or fnmatchcase(name, pattern.replace("**/", ""))
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def _by_names(tables: Iterable[RemoteFile]) -> list[HubSplit]:
    """The splits by the words in the names of files and folders; "train" where no name has one."""
    tables = list(tables)
    found: dict[str, list[RemoteFile]] = {}
    for file in tables:
        if words := _KEYWORD.findall(file.name.lower()):
            found.setdefault(_SPLIT_OF[words[-1]], []).append(file)
    if not found and tables:
        found = {"train": tables}
    return [HubSplit(split, _one_format(found[split])) for split in _KEYWORDS if split in found]


def _one_format(files: Sequence[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The files of one format: the same rows are often there in several."""
    formats = {file: ending.group(1) for file in files if (ending := _TABLE.search(file.name))}
    first = min(formats.values(), key=_FORMATS.index)
    return tuple(sorted((file for file in formats if formats[file] == first), key=lambda file: file.name))


def _counts(card: dict[str, Any]) -> dict[str, int]:
    """The rows of each split, as the card states them."""
    infos = _objects(card.get("dataset_info"))
    counts: dict[str, int] = {}
    for info in infos:
        prefix = f"{info.get('config_name') or 'default'}/" if len(infos) > 1 else ""
        for split in _objects(info.get("splits")):
            if isinstance(split.get("num_examples"), int):
                counts[f"{prefix}{split.get('name')}"] = split["num_examples"]
    return counts
