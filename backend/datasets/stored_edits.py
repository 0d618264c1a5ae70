"""The files of edits: <dataset>/edits/<id>.json, each written once. The dataset's info lists those that apply."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from backend.datasets.edits import Edit
from backend.errors import WorkspaceProblem
from backend.files.json_file import read_json, write_json
from backend.settings import child_path, new_id


class StoredEdits:
    """The edits in the folders of datasets."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, data_id: str, edit: Edit) -> str:
        """Stores an edit and returns its id. Raises OSError."""
        edit_id = new_id()
        path = self._path(data_id, edit_id)
        path.parent.mkdir(exist_ok=True)
        write_json(path, edit.to_json())
        return edit_id

    def read(self, data_id: str, ids: Iterable[str]) -> list[Edit]:
        """The edits with these ids. Raises WorkspaceProblem for a damaged file."""
        try:
            return [Edit.from_json(read_json(self._path(data_id, edit_id))) for edit_id in ids]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise WorkspaceProblem(
                "An edit of these examples can't be read.", f"{error}", "Undo it, or add the file again."
            ) from error

    def delete(self, data_id: str, ids: Iterable[str]) -> None:
        """Deletes edits that the dataset's info no longer lists; one that can't be deleted does no harm."""
        for edit_id in ids:
            with suppress(OSError):
                self._path(data_id, edit_id).unlink(missing_ok=True)

    def _path(self, data_id: str, edit_id: str) -> Path:
        return child_path(child_path(self._root, data_id) / "edits", f"{edit_id}.json")
