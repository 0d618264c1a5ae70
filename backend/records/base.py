"""The classes of every record that packages share."""

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.errors import BadSetting


class Record(BaseModel):
    """A frozen record that rejects unknown keys, so that a misspelled name is an error and never a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def requested(cls, values: dict[str, Any], what: str, advice: str = "Try again.") -> Self:
        """The record with these values. Raises BadSetting with `what`, the first reason and `advice`."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise BadSetting(what, f"{error.errors()[0]['msg']}.", advice) from error


class StoredRecord(Record):
    """A record in a file of ours that an older or a newer version may have written: unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore")

    def to_json(self, exclude: Iterable[str] = ()) -> dict[str, Any]:
        """The fields that were given, as JSON values; those that hold their defaults are not written."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(exclude))


def lacks_fields(error: ValidationError) -> bool:
    """Whether a stored record is refused for missing fields: then an older version wrote it, else it is damaged."""
    return any(one["type"] == "missing" for one in error.errors())
