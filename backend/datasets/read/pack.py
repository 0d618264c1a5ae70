"""Puts several files, or a folder, into one archive, which is then read as any other."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

from backend.datasets.read.source import require_file, too_large
from backend.datasets.read.together import MOST_FILES
from backend.errors import BadInput, WorkspaceProblem
from backend.files.disk_errors import disk_words
from backend.files.listing import files_in, is_hidden
from backend.records.reading import Limits
from backend.records.units import MIB


@contextmanager
def as_one_file(paths: Sequence[Path]) -> Iterator[Path]:
    """The only file of `paths`, or a temporary archive of all of them; a folder stands
    for the files in it. Links and files that a system made for itself are excluded.
    Raises BadInput when a file is missing, a folder is empty, or there are too many or
    too large ones; WorkspaceProblem when the disk is full.
    """
    if len(paths) == 1 and not paths[0].is_dir():
        yield paths[0]
        return
    files = _files(paths)
    if (
        size := sum(file.stat().st_size for file in files.values())
    ) > Limits().file_bytes:
        raise too_large(name_of(paths), size, Limits())
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "files.zip"
        try:
            with zipfile.ZipFile(archive, "w") as target:
                for (
                    name,
                    file,
                ) in (
                    files.items()
                ):  # without their times, so that the same ones make the same archive
                    with (
                        file.open("rb") as source,
                        target.open(zipfile.ZipInfo(name), "w") as part,
                    ):
                        shutil.copyfileobj(source, part, MIB)
        except OSError as error:
            raise WorkspaceProblem(
                "These files could not be put together.", *disk_words(error)
            ) from error
        yield archive


def name_of(paths: Sequence[Path]) -> str:
    """A name for all of them: "faq.docx", or "faq.docx and 2 more"."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0].resolve().name}{more}"


def _files(paths: Sequence[Path]) -> dict[str, Path]:
    """The files by their names in the archive."""
    files: dict[str, Path] = {}
    for path in paths:
        if not path.is_dir():
            require_file(path)
        base = path if path.is_dir() else path.parent
        for file in files_in(path) if path.is_dir() else [path]:
            name = (
                file.relative_to(base).as_posix().encode("utf-8", "replace").decode()
            )  # Linux allows other names
            if path.is_dir() and (file.is_symlink() or is_hidden(name)):
                continue
            stem, dot, ending = name.rpartition(".")
            numbered = (
                f"{stem or name} ({number}){dot}{ending if stem else ''}"
                for number in count(2)
            )
            files[
                next(
                    unused for unused in chain([name], numbered) if unused not in files
                )
            ] = file
            if len(files) > MOST_FILES:
                raise BadInput(
                    f"There are over {MOST_FILES} files.", "", "Use a part of them."
                )
    if not files:
        raise BadInput(
            f"The folder {name_of(paths)} has no files.", "", "Choose another one."
        )
    return files
