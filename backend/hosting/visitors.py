"""The visitors of a shared demo: who is who, each one's folder, and when it is deleted.
A browser is known by a key that this server made and signed; a person who signed in, by
the id of the account. Neither is ever part of a path: a folder's name is a keyed hash
of it, so no name can be guessed, chosen or typed.
"""

import hashlib
import hmac
import os
import secrets
import shutil
import threading
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Literal

from backend.errors import NotInDemo, WorkspaceProblem
from backend.files.atomic import replace_file, write_bytes
from backend.hosting.policy import Limits
from backend.records.units import MIB, format_size

Loss = Literal["restarted", "expired"]

ACCOUNT = "s"  # begins the names of those who signed in, and no other
_SECRET_BYTES = 32
_AWAY = 180.0  # seconds after the last request of an open page
_TOUCH = 60.0  # seconds between two updates of a folder's time
_MEASURE = 30.0  # seconds between two measurements of everybody's disk space
_MOST_LOSSES = 1000
_LEAVING = ".leaving-"
_AGAIN = "On your own computer there is no such limit."


class Visitors:
    """The visitors whose folders lie in `root`. A folder's modification time is the
    time of the last visit. Whoever can read `root` can read what visitors made; it is
    created for its owner only.
    """

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root, self._limits = root, limits
        self._seen: dict[
            str, float
        ] = {}  # by visitor, the monotonic time of the last visit
        self._addresses: dict[str, str] = {}  # by visitor, the latest address
        self._lock = threading.RLock()
        self._losses: dict[str, Loss] = {}
        self._measured = -_MEASURE, 0.0  # when, and the disk space of all
        self._secret = _read_secret(root)

    # Identity

    def new_key(self) -> str:
        """A key for a browser that has none."""
        number = secrets.token_hex(_SECRET_BYTES)
        return f"{number}.{self._sign('key', number)}"

    def of_key(self, key: str) -> str | None:
        """The visitor with this key; None unless this server made it and still has its
        own secret.
        """
        number, _, signature = key.partition(".")
        own = self._sign("key", number).encode()
        made_here = len(number) == 2 * _SECRET_BYTES and hmac.compare_digest(
            signature.encode(), own
        )
        return self._sign("browser", number)[:32] if made_here else None

    def of_account(self, account: str) -> str:
        """The visitor who signed in to this account."""
        return ACCOUNT + self._sign("account", account)[:31]

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(
            self._secret, f"{purpose}\0{text}".encode(), hashlib.sha256
        ).hexdigest()

    # Their folders

    def visit(self, visitor: str) -> Path:
        """The visitor's folder, created at the first visit; its modification time is
        updated. Raises NotInDemo when there is no room for another visitor.
        """
        folder = self.folder(visitor)
        with self._lock:
            if not folder.is_dir():
                if crowd := self._crowd(visitor):
                    here = (
                        ""
                        if len(crowd) >= self._limits.visitors
                        else " from your address"
                    )
                    raise NotInDemo(
                        "This demo is full.",
                        f"{len(crowd)} people have used it lately{here}, and it has room for no more.",
                        f"Come back later. {_AGAIN}",
                    )
                folder.mkdir(mode=0o700)
            self._seen[visitor] = (
                time.monotonic()
            )  # not of somebody who was refused, whom nothing would remove
            if time.time() - folder.stat().st_mtime >= _TOUCH:
                os.utime(folder)
        return folder

    def folder(self, visitor: str) -> Path:
        return self.root / visitor

    def _crowd(self, visitor: str) -> list[str]:
        """Those who leave no place for a new visitor: all, or the people at the same
        address, who get half of the places. Nobody where there is room. People who
        signed in have places of their own.
        """
        rivals = [
            other
            for other in self.all()
            if other.startswith(ACCOUNT) == visitor.startswith(ACCOUNT)
        ]
        here = {folder.name for folder in self.at_the_same_address(visitor)}
        neighbours = [other for other in rivals if other in here]
        if len(neighbours) >= self._limits.visitors / 2:
            return neighbours
        return rivals if len(rivals) >= self._limits.visitors else []

    def dispensable(self, visitor: str) -> str | None:
        """Who has to leave for a new visitor: of those who made nothing, the one who
        was away longest. None where there is room, or nobody to leave.
        """
        crowd = [] if self.folder(visitor).is_dir() else self._crowd(visitor)
        for other in sorted(crowd, key=lambda other: self._seen.get(other, 0.0)):
            if not any(
                any((self.folder(other) / name).glob("[!.]*"))
                for name in ("runs", "datasets", "exports")
            ):
                return other
        return None

    def note_address(self, visitor: str, address: str) -> None:
        """Remembers from where a visitor came last."""
        if self._addresses.get(visitor) != address:
            with self._lock:
                self._addresses[visitor] = address
                while (
                    len(self._addresses) > _MOST_LOSSES
                ):  # first of those who made nothing
                    empty = (
                        other
                        for other in self._addresses
                        if not self.folder(other).is_dir()
                    )
                    del self._addresses[next(empty, next(iter(self._addresses)))]

    def at_the_same_address(self, visitor: str) -> set[Path]:
        """The folders of all visitors who came last from this one's address; none where
        it is unknown.
        """
        with self._lock:
            here, root = self._addresses.get(visitor), self.root.resolve()
            return {
                root / other
                for other, address in self._addresses.items()
                if here and address == here
            }

    def all(self) -> list[str]:
        """Every visitor with a folder."""
        with os.scandir(self.root) as inside:
            return [
                entry.name
                for entry in inside
                if entry.is_dir() and not entry.name.startswith(_LEAVING)
            ]

    def away(self) -> list[str]:
        """Who has no page open any more, so far as one can tell: one that is seen asks
        every few seconds.
        """
        before = time.monotonic() - _AWAY
        with self._lock:
            return [visitor for visitor, seen in self._seen.items() if seen < before]

    def is_expired(self, visitor: str) -> bool:
        """Whether this visitor has a folder, and was last here longer ago than it is
        stored.
        """
        try:
            return (
                self.folder(visitor).stat().st_mtime
                < time.time() - self._limits.lifetime
            )
        except OSError:  # just deleted
            return False

    def set_aside(self, visitor: str, why: Loss | None = "expired") -> None:
        """Takes a visitor's folder away, for `delete_set_aside`; the next visit makes a
        new one. why: told at that visit, unless it is None. Raises OSError.
        """
        with self._lock:
            replace_file(
                self.folder(visitor), self.root / f"{_LEAVING}{secrets.token_hex(8)}"
            )
            self._seen.pop(visitor, None)
        if why:
            self.note_loss(visitor, why)

    def delete_set_aside(self) -> None:
        """Deletes all that was set aside. Shared files are only linked, so they stay."""
        for folder in self.root.glob(f"{_LEAVING}*"):
            shutil.rmtree(folder, ignore_errors=True)

    # Disk space

    def require_disk(self, visitor: str) -> None:
        """Raises NotInDemo when this visitor, or all together, have used up their disk
        space, or the visitor has very many datasets and jobs, which each click lists.
        """
        folder, mib, most = (
            self.folder(visitor),
            self._limits.visitor_disk,
            self._limits.visitor_folders,
        )
        count = sum(1 for _ in chain(folder.glob("datasets/*"), folder.glob("runs/*")))
        if count >= most or disk_mib(folder) >= mib:
            take = (
                f"are {most:g}, with what was made of them"
                if count >= most
                else f"take {format_size(mib)}"
            )
            raise NotInDemo(
                "There is no room left for you in this demo.",
                f"Your examples and models {take}, which is the limit here.",
                f"Delete a run under My models, or some examples. {_AGAIN}",
            )
        at, used = self._measured
        if time.monotonic() - at > _MEASURE:
            used = disk_mib(self.root)
            self._measured = time.monotonic(), used
        if used >= self._limits.disk:
            raise NotInDemo(
                "This demo is out of disk space.",
                f"Everybody's work together takes {format_size(self._limits.disk)}, which is the limit here.",
                f"Come back later: what others made is deleted some time after they leave. {_AGAIN}",
            )

    # Lost work

    def note_loss(self, visitor: str, why: Loss) -> None:
        """Remembers that this visitor's earlier work is gone, until they are told."""
        with self._lock:
            self._losses[visitor] = why
            while len(self._losses) > _MOST_LOSSES:
                del self._losses[next(iter(self._losses))]

    def loss(self, visitor: str) -> Loss | None:
        """Why the visitor's earlier work is gone; reported once."""
        with self._lock:
            return self._losses.pop(visitor, None)


def disk_mib(folder: Path) -> float:
    """The size of the files in a folder in MiB, linked files excluded."""
    total = 0
    for inside, folders, files in os.walk(os.path.realpath(folder)):
        if (
            os.path.realpath(inside) != inside
        ):  # a junction of Windows, which os.walk follows before Python 3.12
            folders.clear()
            continue
        for name in files:
            with suppress(OSError):  # just deleted
                total += os.lstat(os.path.join(inside, name)).st_size
    return total / MIB


def _read_secret(root: Path) -> bytes:
    """This server's secret, created at its first start. Raises WorkspaceProblem when it
    can't be stored.
    """
    file = root.parent / f"{root.name}.secret"
    try:
        root.mkdir(parents=True, mode=0o700, exist_ok=True)
        root.chmod(0o700)
        with suppress(FileNotFoundError):
            stored = file.read_bytes()
            if len(stored) == _SECRET_BYTES:
                return stored
        made = secrets.token_bytes(_SECRET_BYTES)
        write_bytes(file, made)
        return made
    except OSError as error:
        raise WorkspaceProblem(
            "The folder for visitors can't be written.",
            f"The system reports: {error.strerror or error}.",
            "Choose another folder with --workspace DIR.",
        ) from error
