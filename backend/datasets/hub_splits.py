"""The splits of a dataset from the Hugging Face Hub: which of its tables belong to
which.

From its card (https://huggingface.co/docs/hub/datasets-manual-configuration), else from
the names of files and folders
(https://huggingface.co/docs/hub/datasets-file-names-and-splits).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from backend.models.hub import RemoteFile

_TABLE = re.compile(r"\.(parquet|jsonl|ndjson|json|csv|tsv)(\.(?:gz|bz2|xz|zst))?$")
_FORMATS = (
    "parquet",
    "jsonl",
    "ndjson",
    "json",
    "csv",
    "tsv",
)  # where a split has several, the first one counts
_NOT_DATA = re.compile(
    r"(^|/)(\.|dataset_infos?\.json|dataset_dict\.json|state\.json|package(-lock)?\.json)"
)
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_OF = {word: split for split, words in _KEYWORDS.items() for word in words}
_KEYWORD = re.compile(
    rf"(?:^|[-._/ ])({'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))})(?=[-._/ 0-9]|$)"
)


@dataclass(frozen=True)
class HubSplit:
    """A part of a dataset that can be chosen. name: "train", or "configuration/train"
    where there are several configurations.
    """

    name: str
    files: tuple[RemoteFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


def splits(card: dict[str, Any], files: Iterable[RemoteFile]) -> list[HubSplit]:
    """The splits to choose from; [] without tables."""
    tables = [
        file
        for file in files
        if _TABLE.search(file.name) and not _NOT_DATA.search(file.name)
    ]
    return _configured(card, tables) or _by_names(tables)


def _objects(stated: Any) -> list[dict[str, Any]]:
    """The objects in what a card states: one, or a list of them."""
    return [
        value
        for value in (stated if isinstance(stated, list) else [stated])
        if isinstance(value, dict)
    ]


def _configured(card: dict[str, Any], tables: list[RemoteFile]) -> list[HubSplit]:
    """The splits that the card names."""
    result: list[HubSplit] = []
    configurations = _objects(card.get("configs"))
    several = len(configurations) > 1
    for configuration in configurations:
        prefix = f"{configuration.get('config_name') or 'default'}/" if several else ""
        stated = configuration.get("data_dir")
        path = stated.removeprefix(".").strip("/") if isinstance(stated, str) else ""
        folder = f"{path}/" if path else ""
        inside = [file for file in tables if file.name.startswith(folder)]
        if configuration.get("data_files") is None:
            result += [
                HubSplit(prefix + split.name, split.files)
                for split in _by_names(inside)
            ]
            continue
        for split, patterns in _data_files(configuration.get("data_files")):
            files = [
                file
                for file in inside
                if any(_matches(file.name, folder + pattern) for pattern in patterns)
            ]
            result += (
                [HubSplit(f"{prefix}{split}"[:100], _one_format(files))]
                if files
                else []
            )
    return result


def _data_files(stated: Any) -> Iterator[tuple[str, list[str]]]:
    """Each split of a configuration with its patterns: stated as a pattern, patterns,
    or {split, path}.
    """
    entries = stated if isinstance(stated, list) else [stated]
    if whole := [entry for entry in entries if isinstance(entry, str)]:
        yield "train", whole
    for entry in _objects(stated):
        paths = entry.get("path")
        yield (
            str(entry.get("split") or "train"),
            [str(p) for p in (paths if isinstance(paths, list) else [paths])],
        )


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern of the card means this file: * stays in a folder, ** does not."""
    if "**" in pattern:
        return fnmatchcase(name, pattern) or fnmatchcase(
            name, pattern.replace("**/", "")
        )
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def _by_names(tables: list[RemoteFile]) -> list[HubSplit]:
    """The splits by the words in the names of files and folders; "train" where no name
    has one.
    """
    by_split: dict[str, list[RemoteFile]] = {}
    for file in tables:
        if keywords := _KEYWORD.findall(file.name.lower()):
            by_split.setdefault(_SPLIT_OF[keywords[-1]], []).append(file)
    if not by_split and tables:
        by_split = {"train": tables}
    return [
        HubSplit(split, _one_format(by_split[split]))
        for split in _KEYWORDS
        if split in by_split
    ]


def _one_format(files: Sequence[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The files of one format: the same rows are often there in several."""
    formats = {
        file: ending.group(1) for file in files if (ending := _TABLE.search(file.name))
    }
    first = min(formats.values(), key=_FORMATS.index)
    return tuple(
        sorted(
            (file for file in formats if formats[file] == first),
            key=lambda file: file.name,
        )
    )
