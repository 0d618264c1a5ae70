"""The visitors of a shared demo: who sent a request, by a cookie or an account, and
which files are whose.
"""

import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from gradio.utils import LRUCache
from starlette.types import Scope

from backend.hosting.visitors import Visitors
from backend.records.units import MIB
from ui.web.guard import cookie

COOKIE = "apprentice-visitor"
_COOKIE_AGE = 30 * 24 * 3600  # seconds; what a visitor made is deleted long before
_MOST_UPLOADS, _MOST_VISITORS = (
    50,
    1000,
)  # remembered; a visitor's older uploads are deleted


def visitor_of(
    scope: Scope, visitors: Visitors, accounts: bool
) -> tuple[str | None, str]:
    """The visitor who sent a request, and ""; or None and the reason, "restarted" or
    "no cookie".
    """
    if accounts:  # gradio's signed session names the Hugging Face account
        login: dict[str, Any] = (scope.get("session") or {}).get("oauth_info") or {}
        account = str((login.get("userinfo") or {}).get("sub") or "")
        if account and login.get("expires_at", 0) > time.time():
            return visitors.of_account(account), ""
    key = cookie(scope, COOKIE)
    if not key:
        return None, "no cookie"
    visitor = visitors.of_key(key)
    return visitor, "" if visitor else "restarted"


def new_cookie(key: str, https: bool) -> str:
    """The header that gives a browser its key."""
    # Inside a frame of another site, a browser takes a cookie only with these three.
    across = "SameSite=None; Secure; Partitioned" if https else "SameSite=Lax"
    return f"{COOKIE}={key}; HttpOnly; Path=/; Max-Age={_COOKIE_AGE}; {across}"


class VisitorFiles:
    """The uploads of each visitor, by the paths that gradio gave them, and the folders
    of their exports.
    """

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors
        self._uploaded = LRUCache[str, OrderedDict[str, None]](
            _MOST_VISITORS
        )  # by visitor, the paths

    def note_uploads(self, visitor: str, paths: list[str]) -> None:
        """Remembers that this visitor uploaded these files."""
        own = self._uploaded[visitor] = self._uploaded.get(visitor, OrderedDict())
        own.update(dict.fromkeys(paths))
        while len(own) > _MOST_UPLOADS:
            Path(own.popitem(last=False)[0]).unlink(missing_ok=True)

    def oldest_over(self, visitor: str, most: float) -> list[str]:
        """The visitor's oldest uploads, without which the others take at most `most`
        MiB. They are forgotten.
        """
        own, over = self._uploaded.get(visitor, OrderedDict()), []
        sizes = {
            path: os.path.getsize(path) / MIB for path in own if os.path.exists(path)
        }
        while own and sum(sizes.values()) > most:
            path, _ = own.popitem(last=False)
            over.append(path)
            sizes.pop(path, None)
        return over

    def may_name(self, visitor: str, value: Any) -> bool:
        """Whether every file that an event names was uploaded by this visitor. value:
        the event, as JSON.
        """
        if isinstance(value, dict):
            named = [value["path"]] if "path" in value else []
            own = self._uploaded.get(visitor, OrderedDict())
            return all(isinstance(path, str) and path in own for path in named) and all(
                self.may_name(visitor, part) for part in value.values()
            )
        return not isinstance(value, list) or all(
            self.may_name(visitor, part) for part in value
        )

    def may_read(self, visitor: str, path: str) -> bool:
        """Whether this is a file that the visitor exported or uploaded."""
        if not path or "\0" in path:
            return False
        if path in self._uploaded.get(visitor, {}):
            return True
        exports = self._visitors.folder(visitor).resolve() / "exports"
        return Path(os.path.realpath(path)).is_relative_to(exports)
