"""A person's access token for the Hugging Face hub: found where it was put, and kept where a person asks for that.

It is kept in the system's keyring or, where that can't be had, in this process's memory. We write it into no file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from backend.errors import BadInput, MissingPart
from backend.settings import secrets_in_memory

TokenSource = Literal["environment", "memory", "keyring", "login", ""]

VARIABLE = "HF_TOKEN"
_KEYRING = ("apprentice", "hf_token")  # service and name
_FORM = re.compile(r"hf_[!-~]{1,197}")
_FIT = 1  # the priority from which the keyring library recommends a keyring; plain files and the like are below
_SENDABLE = re.compile(r"[!-~]+")
_asking = Lock()  # the page's threads all ask
_shut = False  # whether the keyring did not open when it was last asked
_holds: bool | None = None  # whether it held a token then; None before it was asked


def find() -> str | None:
    """From $HF_TOKEN, this process's memory, the system's keyring, or where `hf auth login` put it; None where there
    is none. Raises BadInput for one that no request can carry."""
    found = next((found for look in _SOURCES.values() if (found := look())), None)
    if found and not _SENDABLE.fullmatch(found):
        raise BadInput(
            "The access token for Hugging Face can't be used.",
            "It holds signs that no token has.",
            f"Correct it where it is kept: {VARIABLE}, the keyring, or `hf auth login`.",
        )
    return found


def source() -> TokenSource:
    """Where `find` has the token from, "" where there is none.

    For a page, which asks often: the keyring is asked once, since each asking may open a window.
    """
    with _asking:
        for name, look in _SOURCES.items():
            known = name == "keyring" and (_shut or _holds is not None)
            if (_holds and not _shut) if known else look():
                return name
    return ""


def storage() -> TokenSource:
    """Where `save` would put a token: "keyring", or "memory" where there is none that is fit for it."""
    return "memory" if _shut or _keyring() is None else "keyring"


def save(typed: str) -> TokenSource:
    """Keeps the token that a person typed, and says where: as `keeper` promised, and in memory where the keyring does
    not take it.

    Raises BadInput for what is no token, and where the environment's is used before any other.
    """
    global _holds
    token = typed.strip()
    if not _FORM.fullmatch(token):
        raise BadInput(
            "This is not an access token of Hugging Face.",
            "A token begins with hf_ and is one word without umlauts and the like.",
            "Copy it anew from huggingface.co/settings/tokens.",
        )
    if _SOURCES["environment"]():
        raise BadInput(
            "The token was not kept.",
            f"The environment variable {VARIABLE} holds one, and that one is used.",
            "Remove the variable, then start Apprentice again.",
        )
    keyring = None if _shut else _keyring()
    with suppress(MissingPart), _opened():
        if keyring is not None:
            keyring.set_password(*_KEYRING, token)
            secrets_in_memory.pop(VARIABLE, None)
            _holds = True
            return "keyring"
    secrets_in_memory[VARIABLE] = token
    return "memory"


def delete() -> None:
    """Deletes the token from the memory and the keyring.

    Raises BadInput where it lies elsewhere or there is none, MissingPart where the keyring does not open.
    """
    global _holds
    import keyring
    from keyring.errors import NoKeyringError

    gone = False
    if not _SOURCES["environment"]():
        gone = bool(secrets_in_memory.pop(VARIABLE, None))
        harmless = (NoKeyringError, MissingPart) if gone else (NoKeyringError,)
        with suppress(*harmless), _opened(NoKeyringError):
            if keyring.get_password(*_KEYRING):
                keyring.delete_password(*_KEYRING)
                gone = True
            _holds = False
    if not gone:
        raise BadInput("There is no access token that Apprentice could delete.")


def hf_home() -> Path:
    """Where the Hugging Face libraries keep their things."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")


@contextmanager
def _opened(*let_through: type[Exception]) -> Iterator[None]:
    """For asking the keyring. Raises MissingPart for whatever its systems raise, which are errors of many kinds."""
    global _shut
    try:
        yield
    except let_through:
        raise
    except Exception as error:
        _shut = True
        raise MissingPart(
            "The keyring of this computer can't be used now.",
            "It is locked, or the system did not allow it.",
            f"Unlock it and try again. The system's own program for passwords shows the token as “{_KEYRING[0]}”.",
        ) from error
    _shut = False


def _keyring() -> Any:
    """The keyring to write to, the best one where there are several; None where none is fit to keep a secret."""
    import keyring

    with suppress(MissingPart), _opened():
        found = keyring.get_keyring()
        best = max(getattr(found, "backends", None) or [found], key=lambda one: one.priority)
        return best if best.priority >= _FIT else None
    return None


def _from_keyring() -> str | None:
    global _holds
    import keyring

    with suppress(MissingPart), _opened():
        kept: str | None = keyring.get_password(*_KEYRING)
        _holds = bool(kept)
        return kept
    return None


def _from_login() -> str | None:
    try:
        return (hf_home() / "token").read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


_SOURCES: dict[TokenSource, Callable[[], str | None]] = {  # in the order in which they count
    "environment": lambda: os.environ.get(VARIABLE, "").strip(),
    "memory": lambda: secrets_in_memory.get(VARIABLE),
    "keyring": _from_keyring,
    "login": _from_login,
}
