"""The classes of every record that packages share, and how one is read from its file."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.errors import BadInput, BadSetting
from backend.files.disk_errors import disk_words
from backend.files.json_file import read_json

FileVersion = tuple[int, int, int]

_FILES_IN_MEMORY = 4096


class Record(BaseModel):
    """A frozen record that rejects unknown keys, so that a misspelled name is an error
    and never a silent default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def requested(
        cls, values: dict[str, Any], what: str, advice: str = "Try again."
    ) -> Self:
        """The record with these values. Raises BadSetting with `what`, the first reason
        and `advice`.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise BadSetting(what, f"{error.errors()[0]['msg']}.", advice) from error


class StoredRecord(Record):
    """A record in a file of ours that an older or a newer version may have written:
    unknown keys are ignored.
    """

    model_config = ConfigDict(extra="ignore")

    def to_json(self, exclude: Iterable[str] = ()) -> dict[str, Any]:
        """The fields that were given, as JSON values; those that hold their defaults
        are not written.
        """
        return self.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude=set(exclude)
        )


R = TypeVar("R", bound=Record)


def file_version(path: str | Path) -> FileVersion | None:
    """Differs whenever the file was written: its time, size and inode; None if it can't
    be read.
    """
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def read_given(path: Path, advice: str) -> dict[str, Any]:
    """The JSON object in a file that a person named. Raises BadInput, with `advice`
    where it holds none.
    """
    try:
        return read_json(path)
    except OSError as error:
        raise BadInput(
            f"The file {path.name} can't be read.", disk_words(error)[0]
        ) from error
    except ValueError as error:
        raise BadInput(
            f"The file {path.name} holds no JSON object.", "", advice
        ) from error


def read_record(record: type[R], path: Path) -> R:
    """The record in a JSON file, from memory if the file has not changed. Raises
    OSError and ValueError.
    """
    return cast(R, _parse(record, path, file_version(path)))


@lru_cache(maxsize=_FILES_IN_MEMORY)
def _parse(record: type[Record], path: Path, version: FileVersion | None) -> Record:
    try:
        return record.model_validate(read_json(path))
    except OSError:
        raise
    except Exception as error:  # whatever a damaged file does, it is damaged
        raise ValueError(f"{path.name} holds no {record.__name__}") from error
