"""Who a visitor of a shared demo is: by a cookie that this server made, or by the account they signed in to."""

from __future__ import annotations

import time
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from backend.hosting.visitors import Visitors

COOKIE = "apprentice-visitor"
_COOKIE_AGE = 30 * 24 * 3600  # seconds; what a visitor made is deleted long before


def visitor_of(scope: Scope, visitors: Visitors, accounts: bool) -> tuple[str | None, str]:
    """The visitor who sent a request, and ""; or None and the reason, "restarted" or "no cookie"."""
    if accounts and (account := _account(scope.get("session") or {})):
        return visitors.of_account(account), ""
    key = _cookie(Headers(scope=scope).get("cookie", ""))
    if not key:
        return None, "no cookie"
    visitor = visitors.of_key(key)
    return visitor, "" if visitor else "restarted"


def new_cookie(key: str, https: bool) -> str:
    """The header that gives a browser its key."""
    # Inside a frame of another site, a browser takes a cookie only with these three.
    across = "SameSite=None; Secure; Partitioned" if https else "SameSite=Lax"
    return f"{COOKIE}={key}; HttpOnly; Path=/; Max-Age={_COOKIE_AGE}; {across}"


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _account(session: dict[str, Any]) -> str:
    """The id of the Hugging Face account that the visitor signed in to, from gradio's signed session; "" if none."""
    info = session.get("oauth_info") or {}
    if info.get("expires_at", 0) <= time.time():
        return ""
    return str((info.get("userinfo") or {}).get("sub") or "")
