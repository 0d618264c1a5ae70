"""Which files belong to which visitor of a shared demo: those they uploaded, and their exports."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

from backend.hosting.visitors import Visitors

_MOST_UPLOADS, _MOST_VISITORS = 50, 1000  # remembered; an upload that is forgotten can't be used any more


class VisitorFiles:
    """The uploads of each visitor, by the paths that gradio gave them, and the folders of their exports."""

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors
        self._uploaded: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()  # by visitor, the paths

    def note_uploads(self, visitor: str, paths: list[str]) -> None:
        """Remembers that this visitor uploaded these files."""
        own = self._uploaded.setdefault(visitor, OrderedDict())
        own.update(dict.fromkeys(paths))
        self._uploaded.move_to_end(visitor)
        while len(own) > _MOST_UPLOADS:
            own.popitem(last=False)
        while len(self._uploaded) > _MOST_VISITORS:
            self._uploaded.popitem(last=False)

    def may_name(self, visitor: str, value: Any) -> bool:
        """Whether every file that an event names was uploaded by this visitor. value: the event, as JSON."""
        if isinstance(value, dict):
            named = [value["path"]] if "path" in value else []
            own = self._uploaded.get(visitor, OrderedDict())
            return all(isinstance(path, str) and path in own for path in named) and all(
                self.may_name(visitor, part) for part in value.values()
            )
        return not isinstance(value, list) or all(self.may_name(visitor, part) for part in value)

    def may_read(self, visitor: str, path: str) -> bool:
        """Whether this is a file that the visitor exported or uploaded."""
        if not path or "\0" in path:
            return False
        if path in self._uploaded.get(visitor, {}):
            return True
        exports = self._visitors.folder(visitor).resolve() / "exports"
        return Path(os.path.realpath(path)).is_relative_to(exports)
