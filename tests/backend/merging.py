"""Merging as an export does it, without the export."""

from collections.abc import Sequence
from pathlib import Path

from backend.export import merge as merging
from backend.records.exports import MergeCheck


def merge(
    model: Path, trained: Path, out: Path, texts: Sequence[list[int]]
) -> MergeCheck:
    """Saves the merged model in `out`; the check of it on `texts` (token ids)."""
    merging.write(model, trained, out)
    return merging.check(model, trained, out, texts)
