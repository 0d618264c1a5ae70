"""A zip file from an untrusted source, accepted only as Apprentice writes it.

It holds plain files with plain names in one folder, and whatever is read is compared
with the manifest. Raises BadInput for anything else.
"""

import hashlib
import json
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from backend.datasets.documents.archive import open_zip
from backend.errors import BadInput
from backend.files import manifest
from backend.files.listing import of_system
from backend.records.reading import ZIP_ERRORS, RowFault
from backend.records.units import MIB
from backend.text.strict_json import check_size

_MOST_FILES = 1000
_LARGEST_TEXT = 64 * MIB  # bytes of JSON, which is read into memory
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_MAY_RUN_CODE = {
    ".bin",
    ".pt",
    ".pth",
    ".pkl",
    ".pickle",
    ".ckpt",
    ".joblib",
    ".dill",
    ".npy",
    ".npz",
}


class CheckedZip:
    """An opened zip file. top: the name of the folder at its top; listed: the SHA-256
    of each file in its manifest. Files are named by their paths below the folder at the
    top.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int, holds: str) -> None:
        self._archive = archive
        self.top = _check_entries(archive, size, holds)
        self.listed = _manifest(archive, self.top)

    def size(self, name: str) -> int:
        """The bytes of a file."""
        return self._archive.getinfo(f"{self.top}/{name}").file_size

    def read(self, name: str) -> str:
        """The text of a JSON file, with as many values as such files have."""
        text = _read(self._archive, f"{self.top}/{name}")
        if hashlib.sha256(text.encode()).hexdigest() != self.listed.get(name):
            raise refusal(f"{self.top}/{name} is damaged.")
        return text

    def extract(self, name: str, target: Path) -> None:
        """Writes a file to `target`, which must not exist. JSON is checked, but for a
        tokenizer, which a box reads.
        """
        if name.endswith(".json") and not name.endswith("/tokenizer.json"):
            self.read(name)
        try:
            with (
                self._archive.open(f"{self.top}/{name}") as source,
                target.open("xb") as file,
            ):
                shutil.copyfileobj(source, file, MIB)
        except ZIP_ERRORS as error:
            raise refusal(f"{self.top}/{name} is damaged.") from error
        if manifest.digest(target) != self.listed[name]:
            raise refusal(
                f"{self.top}/{name} is damaged: its checksum (SHA-256) is not the one in {manifest.NAME}."
            )


@contextmanager
def opened(path: Path, holds: str) -> Iterator[CheckedZip]:
    """The zip file at `path`, which must hold the file `holds`."""
    with ExitStack() as closing:
        try:
            archive = open_zip(closing.enter_context(path.open("rb")))
        except ZIP_ERRORS as error:
            raise refusal("It is not a complete zip file.") from error
        yield CheckedZip(archive, path.stat().st_size, holds)


def _check_entries(archive: zipfile.ZipFile, size: int, holds: str) -> str:
    """The name of the only folder at the top. Raises BadInput for what Apprentice would
    not have written.
    """
    entries = [entry for entry in archive.infolist() if not of_system(entry.filename)]
    names = [entry.orig_filename for entry in entries]
    tops = {name.partition("/")[0] for name in names}
    if len(tops) != 1 or f"{next(iter(tops))}/{holds}" not in names:
        raise refusal(
            "It is not a file “Everything in one file” made by this version of Apprentice."
        )
    if not 0 < len(entries) <= _MOST_FILES:
        raise refusal(f"It holds {len(entries):,} files.")
    for entry, name in zip(entries, names, strict=True):
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.filename != name or not all(map(_NAME.fullmatch, name.split("/"))):
            raise refusal(
                f"It holds a file with a path that Apprentice does not write: {name[:80]!r}."
            )
        if kind not in (0, stat.S_IFREG):
            raise refusal(f"{name} is not a plain file but a link or the like.")
        if PurePosixPath(name).suffix.lower() in _MAY_RUN_CODE:
            raise refusal(
                f"{name} is of a kind that may run program code when it is read."
            )
        if entry.compress_type != zipfile.ZIP_STORED:
            raise refusal(f"{name} is compressed.")
    if len({name.lower() for name in names}) != len(names):
        raise refusal("It holds two files with the same name.")
    if sum(entry.file_size for entry in entries) > size:
        raise refusal("Its files claim to be larger than the zip file.")
    return tops.pop()


def _manifest(archive: zipfile.ZipFile, top: str) -> dict[str, str]:
    """The SHA-256 of each file, by its name below the folder at the top. Raises
    BadInput if one is missing.
    """
    try:
        files = json.loads(_read(archive, f"{top}/{manifest.NAME}"))["files"]
        listed = {str(name): str(values["sha256"]) for name, values in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise refusal(f"Its {manifest.NAME} is missing or damaged.") from error
    if missing := sorted(
        {f"{top}/{name}" for name in listed}.difference(archive.namelist())
    ):
        raise refusal(f"{missing[0][:100]} is missing.")
    return listed


def _read(archive: zipfile.ZipFile, name: str) -> str:
    """The text of JSON. Without NUL, so that a reader of the bytes does not take them
    for UTF-16.
    """
    if archive.getinfo(name).file_size > _LARGEST_TEXT:
        raise refusal(f"{name} is too large.")
    try:
        text = archive.read(name).decode("utf-8")
        if "\0" in text:
            raise refusal(f"{name} is damaged.")
        check_size(text)
        return text
    except (*ZIP_ERRORS, RowFault) as error:
        raise refusal(f"{name} is damaged.") from error


def refusal(why: str) -> BadInput:
    """The error for a rejected file."""
    advice = "Use the zip file as Share made it (“Everything in one file”), or make it again."
    return BadInput("This file was not imported.", why, advice)
