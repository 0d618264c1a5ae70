"""Windows' rules for files, imitated on Linux in this process and, through
site/sitecustomize.py, in those it starts.

An open or mapped file can't be deleted, renamed or replaced, and a mapped one can't be
emptied; a folder with an open file in it can't be renamed; a rename replaces nothing; a
symbolic link needs a right; some names, and paths above 259 characters, are refused.
All of that holds for what the program itself does below the system's temporary folder,
not for what the tests do. Each breach fails as on Windows, and is added to a log; not
one that `backend.files.atomic.retry_while_in_use` gets over within seconds.
"""

import errno
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

VARIABLE = (
    "APPRENTICE_WINDOWS_RULES"  # the first process, and the log of breaches: "PID:FILE"
)
_HERE = Path(__file__).resolve().parent
_PROJECT = os.fspath(_HERE.parents[1]) + os.sep
_RULES = os.fspath(_HERE) + os.sep
_PROGRAM = ("backend", "jobs", "ui", "app.py")
_RETRIES = os.path.join("backend", "files", "atomic.py")  # a breach is of the caller
_LINKS = os.path.join(
    "ui", "services", "demo", "visitor_apps.py"
)  # makes junctions on Windows
_PREFIX = 60  # characters that a workspace's own path usually has, as in C:\\Users\\Max Mustermann\\AppData\\Local\\…
_LONGEST = 259
_FORBIDDEN = re.compile(
    r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?$',
    re.IGNORECASE,
)
_OF_TEST = re.compile(r".*/pytest-\d+/[^/]+/")  # a test's own folder

_COPIES = 200  # descriptors from here on are copies that tests/faults/failing_disk.c keeps for a power cut
_PAUSE = 1.0  # seconds; with a longer one, a retry has waited too long for what our own processes hold

_readlink, _listdir = os.readlink, os.listdir
_ours: dict[str, bool] = {}


def install() -> None:
    """Let the rules hold in this process; `VARIABLE` must be set."""
    root = os.path.realpath(tempfile.gettempdir()) + os.sep

    def checked(path: Any, folder: int | None) -> str | None:
        """The full path if the rules hold for it and the program is at work."""
        if not _place()[0]:
            return None
        name = os.fsdecode(path)
        if folder is not None:
            name = os.path.join(_readlink(f"/proc/self/fd/{folder}"), name)
        full = os.path.join(
            os.path.realpath(os.path.dirname(name) or "."), os.path.basename(name)
        )
        return full if full.startswith(root) else None

    def require_free(path: Any, folder: int | None = None) -> None:
        full = checked(path, folder)
        is_folder = full is not None and os.path.isdir(full)
        if full and (holder := next(_holders(full, inside=is_folder), None)):
            _refuse(
                PermissionError,
                errno.EACCES,
                5 if is_folder else 32,
                "in use",
                full,
                holder,
            )

    def one_path(real: Callable[..., None]) -> Callable[..., None]:
        def deleting(path: Any, *, dir_fd: int | None = None) -> None:
            require_free(path, dir_fd)
            real(path, dir_fd=dir_fd)

        return deleting

    def two_paths(real: Callable[..., None], replaces: bool) -> Callable[..., None]:
        def moving(
            source: Any,
            target: Any,
            *,
            src_dir_fd: int | None = None,
            dst_dir_fd: int | None = None,
        ) -> None:
            require_free(source, src_dir_fd)
            if replaces:
                require_free(target, dst_dir_fd)
            elif (full := checked(target, dst_dir_fd)) and os.path.lexists(full):
                _refuse(FileExistsError, errno.EEXIST, 183, "exists already", full)
            real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        return moving

    def symlink(
        source: Any, target: Any, *more: Any, dir_fd: int | None = None, **options: Any
    ) -> None:
        if (full := checked(target, dir_fd)) and not _place()[0].startswith(_LINKS):
            _refuse(OSError, errno.EPERM, 1314, "needs a right", full)
        real_symlink(source, target, *more, dir_fd=dir_fd, **options)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "os.mkdir") or not isinstance(
            arguments[0], (str, bytes)
        ):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if not path.startswith(root) or not _place()[0]:
            return
        if any(_FORBIDDEN.search(part) for part in path[len(root) :].split(os.sep)):
            _refuse(OSError, errno.EINVAL, 123, "is no name", path)
        if len(_OF_TEST.sub("", path)) + _PREFIX > _LONGEST:
            _refuse(FileNotFoundError, errno.ENOENT, 206, "is too long", path)
        if (
            event == "open"
            and arguments[2] & os.O_TRUNC
            and (holder := next(_holders(path, opened=False), None))
        ):
            _refuse(OSError, errno.EINVAL, 1224, "in use", path, holder)

    real_symlink = os.symlink
    os.unlink = os.remove = one_path(os.unlink)  # type: ignore[assignment]
    os.rmdir = one_path(os.rmdir)  # type: ignore[assignment]
    os.replace = two_paths(os.replace, replaces=True)  # type: ignore[assignment]
    os.rename = two_paths(os.rename, replaces=False)  # type: ignore[assignment]
    os.symlink = symlink  # type: ignore[assignment]
    sys.addaudithook(audit)
    warnings.filterwarnings(
        "error", category=EncodingWarning, module=r"(backend|jobs|ui|app)\b"
    )  # in children too


def _refuse(
    kind: type[OSError],
    number: int,
    winerror: int,
    why: str,
    path: str,
    holder: str = "",
) -> None:
    """Log a breach and raise its error."""
    place, is_retried = _place()
    if not is_retried:
        breach = {"place": place, "why": why, "path": path, "holder": holder}
        log = os.open(
            os.environ[VARIABLE].partition(":")[2],
            os.O_WRONLY | os.O_CREAT | os.O_APPEND,
        )
        os.write(log, (json.dumps(breach) + "\n").encode())
        os.close(log)
    error = kind(number, f"{why} (as on Windows)", path)
    error.winerror = winerror  # type: ignore[attr-defined]
    raise error


def _place() -> tuple[str, bool]:
    """The line of the program that is at work ("" if it is a test's, or neither's), and
    whether it will retry.
    """
    frame, is_retried = (
        sys._getframe(1).f_back,
        False,
    )  # none while Python opens the script it is to run
    while frame:
        file = frame.f_code.co_filename
        if frame.f_code is shutil.move.__code__:  # which copies what it can't rename
            return "", True
        if file.startswith(_PROJECT) and not file.startswith(_RULES):
            name = file.removeprefix(_PROJECT)
            top = name.split(os.sep)[0]
            if frame.f_code.co_name == "retry_while_in_use":
                is_retried = frame.f_locals["pause"] <= _PAUSE
            elif top in _PROGRAM and name != _RETRIES:
                return f"{name}:{frame.f_lineno} {frame.f_code.co_name}", is_retried
            elif top == "tests":
                break
        frame = frame.f_back  # type: ignore[assignment]
    return "", False


def _holders(path: str, inside: bool = False, opened: bool = True) -> Iterator[str]:
    """Who of our processes has the file open or mapped. inside: a file in this folder.
    opened: also if only open.
    """

    def is_it(other: str) -> bool:
        return other == path or (inside and other.startswith(path + os.sep))

    for pid in filter(_is_ours, filter(str.isdigit, _listdir("/proc"))):
        try:
            for descriptor in _listdir(f"/proc/{pid}/fd") if opened else ():
                try:
                    link = f"/proc/{pid}/fd/{descriptor}"
                    if (
                        int(descriptor) < _COPIES
                        and is_it(_readlink(link))
                        and stat.S_ISREG(os.stat(link).st_mode)
                    ):
                        yield f"{_readlink(link)} is open in {_command(pid)}"
                except OSError:  # closed meanwhile
                    continue
            with open(f"/proc/{pid}/maps", "rb") as maps:
                for line in maps:
                    parts = line.split(None, 5)
                    if len(parts) == 6 and is_it(
                        mapped := os.fsdecode(parts[5].rstrip(b"\n"))
                    ):
                        yield f"{mapped} is mapped in {_command(pid)}"
        except OSError:  # the process has ended
            continue


def _is_ours(pid: str) -> bool:
    if pid not in _ours:
        first = pid in (os.environ[VARIABLE].partition(":")[0], str(os.getpid()))
        try:
            with open(f"/proc/{pid}/environ", "rb") as environment:
                _ours[pid] = first or f"{VARIABLE}=".encode() in environment.read()
        except OSError:
            return first
    return _ours[pid]


def _command(pid: str) -> str:
    with open(f"/proc/{pid}/cmdline", "rb") as command:
        return os.fsdecode(command.read().replace(b"\0", b" "))[:80]
