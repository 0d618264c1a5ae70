"""The class of every record that packages share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen pydantic record that rejects unknown keys, so that a misspelled name is an error and never a silent
    default."""

    model_config = ConfigDict(frozen=True, extra="forbid")
