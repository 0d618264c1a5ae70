"""The person's access token for the Hugging Face Hub: where it is found, and where a
typed one is saved.

It is saved in the system's keyring or, if there is none, in this process's memory. It
is never written to a file.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from backend.errors import BadInput, MissingPart
from backend.files.listing import text_of
from backend.settings import PROGRAM, secrets_in_memory

TokenSource = Literal["environment", "memory", "keyring", "login", ""]

VARIABLE = "HF_TOKEN"
_KEYRING = ("apprentice", "hf_token")  # service and user name
_FORMAT = re.compile(r"hf_[!-~]{1,197}")
_SECURE = 1  # the priority from which the keyring library recommends a keyring; plain files and the like have less
_SENDABLE = re.compile(r"[!-~]+")  # in an HTTP header
_lookup = Lock()  # all threads of the page ask for the source
_locked = False  # whether the keyring failed to open the last time
_in_keyring: bool | None = (
    None  # whether it had a token then; None before the first time
)


def find() -> str | None:
    """The token from $HF_TOKEN, this process's memory, the system's keyring, or `hf
    auth login`, in this order. None if there is no token. Raises BadInput for one that
    can't be sent.
    """
    token = next(filter(None, (look() for look in _SOURCES.values())), None)
    if token and not _SENDABLE.fullmatch(token):
        raise BadInput(
            "The access token for Hugging Face can't be used.",
            "It contains characters that no token has.",
            f"Correct it where it is stored: {VARIABLE}, the keyring, or `hf auth login`.",
        )
    return token


def require(needs: str) -> str:
    """The token. needs: a sentence on what the person's wish takes. Raises as `find`,
    and MissingPart without one.
    """
    if token := find():
        return token
    raise MissingPart(
        "There is no access token for Hugging Face.",
        needs,
        f"Create one at huggingface.co/settings/tokens, then save it with `{PROGRAM} models --token`.",
    )


def source() -> TokenSource:
    """Where `find` gets the token from, "" if there is none. For the page, which asks
    often: the keyring is read only once, because reading it may open a window.
    """
    with _lookup:
        for name, look in _SOURCES.items():
            cached = name == "keyring" and (_locked or _in_keyring is not None)
            if (_in_keyring and not _locked) if cached else look():
                return name
    return ""


def storage() -> TokenSource:
    """Where `save` would put a token: "keyring", or "memory" if there is no secure
    keyring.
    """
    return "memory" if _locked or _keyring() is None else "keyring"


def save(typed: str) -> TokenSource:
    """Save the token that the person typed, and return where: in memory if the keyring
    rejects it. Raises BadInput if it is not a token, and while the environment variable
    overrides it.
    """
    global _in_keyring
    token = typed.strip()
    if not _FORMAT.fullmatch(token):
        raise BadInput(
            "This is not a Hugging Face access token.",
            "A token starts with hf_ and contains no spaces or special characters.",
            "Copy it again from huggingface.co/settings/tokens.",
        )
    if _SOURCES["environment"]():
        raise BadInput(
            "The token was not saved.",
            f"The environment variable {VARIABLE} is set and would be used instead.",
            "Remove the variable, then restart Apprentice.",
        )
    keyring = None if _locked else _keyring()
    with suppress(MissingPart), _open_keyring():
        if keyring is not None:
            keyring.set_password(*_KEYRING, token)
            secrets_in_memory.pop(VARIABLE, None)
            _in_keyring = True
            return "keyring"
    secrets_in_memory[VARIABLE] = token
    return "memory"


def delete() -> None:
    """Delete the token from memory and from the keyring. Raises BadInput if there is
    none or it is stored elsewhere, MissingPart if the keyring does not open.
    """
    global _in_keyring
    import keyring
    from keyring.errors import NoKeyringError

    deleted = False
    if not _SOURCES["environment"]():
        deleted = bool(secrets_in_memory.pop(VARIABLE, None))
        harmless = (NoKeyringError, MissingPart) if deleted else (NoKeyringError,)
        with suppress(*harmless), _open_keyring(NoKeyringError):
            if keyring.get_password(*_KEYRING):
                keyring.delete_password(*_KEYRING)
                deleted = True
            _in_keyring = False
    if not deleted:
        raise BadInput("There is no access token that Apprentice could delete.")


def hf_home() -> Path:
    """The folder that the Hugging Face libraries use for their files."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")


@contextmanager
def _open_keyring(*let_through: type[Exception]) -> Iterator[None]:
    """Wrap each use of the keyring: raises MissingPart for the many kinds of errors
    that keyrings raise.
    """
    global _locked
    try:
        yield
    except let_through:
        raise
    except Exception as error:
        _locked = True
        raise MissingPart(
            "The keyring of this computer can't be used now.",
            "It is locked, or the system denied access.",
            f"Unlock it and try again. The system's password manager lists the token as “{_KEYRING[0]}”.",
        ) from error
    _locked = False


def _keyring() -> Any:
    """The keyring to write to, the best one if there are several; None if none is
    secure.
    """
    import keyring

    with suppress(MissingPart), _open_keyring():
        current = keyring.get_keyring()
        best = max(
            getattr(current, "backends", None) or [current],
            key=lambda backend: backend.priority,
        )
        return best if best.priority >= _SECURE else None
    return None


def _from_keyring() -> str | None:
    global _in_keyring
    import keyring

    with suppress(MissingPart), _open_keyring():
        token: str | None = keyring.get_password(*_KEYRING)
        _in_keyring = bool(token)
        return token
    return None


def _from_login() -> str | None:
    token = text_of(hf_home() / "token").strip()
    return token if token and token.isascii() else None


_SOURCES: dict[
    TokenSource, Callable[[], str | None]
] = {  # the first one that has a token wins
    "environment": lambda: os.environ.get(VARIABLE, "").strip(),
    "memory": lambda: secrets_in_memory.get(VARIABLE),
    "keyring": _from_keyring,
    "login": _from_login,
}
