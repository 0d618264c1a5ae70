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
    if accounts:  # gradio's signed session names the Hugging Face account
        login: dict[str, Any] = (scope.get("session") or {}).get("oauth_info") or {}
        account = str((login.get("userinfo") or {}).get("sub") or "")
        if account and login.get("expires_at", 0) > time.time():
            return visitors.of_account(account), ""
    try:
        cookie = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    if not (cookie and cookie.value):
        return None, "no cookie"
    visitor = visitors.of_key(cookie.value)
    return visitor, "" if visitor else "restarted"


def new_cookie(key: str, https: bool) -> str:
    """The header that gives a browser its key."""
    # Inside a frame of another site, a browser takes a cookie only with these three.
    across = "SameSite=None; Secure; Partitioned" if https else "SameSite=Lax"
    return f"{COOKIE}={key}; HttpOnly; Path=/; Max-Age={_COOKIE_AGE}; {across}"
