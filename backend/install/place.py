"""Where the environment with the libraries is, and whether the system allows the paths
of its files there. Source:
https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath, PureWindowsPath

# The longest path in the wheels of the pins and of torch, below `site-packages`; a test
# compares it with those that are installed.
LONGEST_FILE = (
    "torch-2.13.0+cu130.dist-info/licenses/third_party/kineto/libkineto/third_party/dynolog/third_party/"
    "prometheus-cpp/3rdparty/civetweb/src/third_party/duktape-1.5.2/LICENSE.txt"
)
_LONGEST_PATHS = {"Windows": 259, "Darwin": 1023, "Linux": 4095}
_POLICY = r"SYSTEM\CurrentControlSet\Control\FileSystem"  # in Windows' registry


def environment(
    project: PurePath, system: str = "", variables: Mapping[str, str] = os.environ
) -> PurePath:
    """The folder of the environment for a checkout. On Linux and macOS it is `.venv` in
    the checkout. On Windows it has a short name in the user's local data: paths there
    are short, and no service synchronizes its 30,000 files. system: as in
    `platform.system`, by default this one. variables: of the environment.
    """
    if (system or platform.system()) != "Windows":
        return project / ".venv"
    local = (
        variables.get("LOCALAPPDATA") or rf"{variables['USERPROFILE']}\AppData\Local"
    )
    name = hashlib.sha256(str(project).lower().encode()).hexdigest()[:6]
    return PureWindowsPath(local) / "apprentice-env" / name


def longest_path(folder: PurePath, system: str) -> int:
    """The length of the longest path in an environment in this folder, counted as the
    system does.
    """
    if system == "Windows":
        return (
            len(rf"{folder}\Lib\site-packages\{LONGEST_FILE}".encode("utf-16-le")) // 2
        )
    return len(os.fsencode(f"{folder}/lib/python3.14/site-packages/{LONGEST_FILE}"))


def problem(folder: Path, system: str = "") -> str:
    """What keeps the environment from being in this folder and what helps; "" if
    nothing does. Creates the folder's parent and measures its real path: Windows
    redirects what a Python from its store writes.
    """
    system = system or platform.system()
    folder.parent.mkdir(parents=True, exist_ok=True)
    length = longest_path(Path(os.path.realpath(folder.parent)) / folder.name, system)
    most = _LONGEST_PATHS.get(system, _LONGEST_PATHS["Linux"])
    if length <= most or _allows_long_paths():
        return ""
    text = f"In {folder}, the libraries would have paths of {length} characters; this system allows {most}. "
    if system != "Windows":
        return (
            text
            + "Move the folder of Apprentice to where its path is shorter, then start again."
        )
    return (
        text
        + "Allow long paths: open a terminal as administrator, type the next line, then start again.\n"
        rf'reg add "HKLM\{_POLICY}" /v LongPathsEnabled /t REG_DWORD /d 1 /f'
    )


def _allows_long_paths() -> bool:
    """Whether Windows was told to allow paths above 259."""
    if sys.platform == "win32":
        import winreg

        with (
            suppress(OSError),
            winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _POLICY) as key,
        ):
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    return False
