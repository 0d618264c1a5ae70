"""Shortcuts to Apprentice, with its icon: on the desktop, and on Linux also in the menu
of programs. Sources: the Desktop Entry Specification 1.5 of freedesktop.org; Windows
Script Host's `CreateShortcut`; Apple's Bundle Programming Guide; the formats ICO and
ICNS, both of which hold a PNG.
"""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import struct
import subprocess
import sys
from pathlib import Path

_NAME = "Apprentice"
_PNG = "static/icon.png"  # 256 x 256
_POWERSHELL = r"System32\WindowsPowerShell\v1.0\powershell.exe"
# The paths are variables, so that no character in them has a meaning here. Only Windows
# knows where its desktop is.
_CREATE_SHORTCUT = """
$desktop = [Environment]::GetFolderPath('Desktop')
$link = (New-Object -ComObject WScript.Shell).CreateShortcut((Join-Path $desktop 'Apprentice.lnk'))
$link.TargetPath = $env:APPRENTICE_TARGET
$link.WorkingDirectory = Split-Path $env:APPRENTICE_TARGET
$link.IconLocation = $env:APPRENTICE_ICON
$link.Save()
"""


def write_desktop_file(project: Path) -> None:
    """Writes Apprentice.desktop into the checkout, for a double click on Linux."""
    path = project / f"{_NAME}.desktop"
    text = desktop_entry(project)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
        path.chmod(0o755)


def desktop_entry(project: Path) -> str:
    """The text of a .desktop file that starts the Apprentice in this checkout in a
    terminal.
    """
    program = str(project / "start.command")
    for special in '\\"`$':  # in a quoted argument
        program = program.replace(special, f"\\{special}")
    program = program.replace("%", "%%")
    lines = {
        "Type": "Application",
        "Name": _NAME,
        "Comment": "Teach a small language model your way",
        "Exec": f'"{program}"'.replace("\\", "\\\\"),  # a string doubles them once more
        "Icon": str(project / "static" / "icon.svg").replace("\\", "\\\\"),
        "Terminal": "true",
        "Categories": "Education;",
    }
    return "[Desktop Entry]\n" + "".join(
        f"{key}={value}\n" for key, value in lines.items()
    )


def create(project: Path, data: Path) -> None:
    """Puts a shortcut on the desktop. data: a folder for the icon. Raises OSError or
    SubprocessError if it can't.
    """
    if sys.platform == "win32":
        _on_windows(project, data)
    elif sys.platform == "darwin":
        make_mac_application(project, Path.home() / "Desktop")
    else:
        _on_linux(project)


def _on_linux(project: Path) -> None:
    places = [
        Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        / "applications"
    ]
    places[0].mkdir(parents=True, exist_ok=True)
    program = shutil.which("xdg-user-dir")
    asked = (
        subprocess.run([program, "DESKTOP"], capture_output=True).stdout.strip()
        if program
        else b""
    )
    desktop = Path(os.fsdecode(asked) or Path.home() / "Desktop")
    if desktop.is_dir() and desktop != Path.home():
        places.append(desktop)
    for place in places:
        path = place / "apprentice.desktop"
        path.write_text(desktop_entry(project), "utf-8")
        path.chmod(0o755)
        if place == desktop and (
            gio := shutil.which("gio")
        ):  # else GNOME's desktop asks first
            subprocess.run(
                [gio, "set", str(path), "metadata::trusted", "true"],
                capture_output=True,
            )


def _on_windows(project: Path, data: Path) -> None:
    icon = data / "icon.ico"
    icon.write_bytes(as_ico((project / _PNG).read_bytes()))
    variables = {
        "APPRENTICE_TARGET": str(project / "start.bat"),
        "APPRENTICE_ICON": str(icon),
    }
    powershell = str(Path(os.environ["SYSTEMROOT"]) / _POWERSHELL)
    command = [
        powershell,
        "-NoProfile",
        "-NonInteractive",
        "-Command",
        _CREATE_SHORTCUT,
    ]
    subprocess.run(
        command, env={**os.environ, **variables}, check=True, capture_output=True
    )


def make_mac_application(project: Path, folder: Path) -> None:
    """Makes Apprentice.app in a folder: it opens start.command in Terminal."""
    contents = folder / f"{_NAME}.app" / "Contents"
    for name in ("MacOS", "Resources"):
        (contents / name).mkdir(parents=True, exist_ok=True)
    program = contents / "MacOS" / "apprentice"
    program.write_text(
        f"#!/bin/sh\nexec open -a Terminal {shlex.quote(str(project / 'start.command'))}\n",
        "utf-8",
    )
    program.chmod(0o755)
    (contents / "Resources" / "icon.icns").write_bytes(
        as_icns((project / _PNG).read_bytes())
    )
    properties = {
        "CFBundleName": _NAME,
        "CFBundleIdentifier": "local.apprentice",
        "CFBundleExecutable": program.name,
        "CFBundleIconFile": "icon",
        "CFBundlePackageType": "APPL",
    }
    (contents / "Info.plist").write_bytes(plistlib.dumps(properties))


def as_ico(png: bytes) -> bytes:
    """A PNG of 256 x 256 pixels as an icon of Windows'."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(png), 22) + png


def as_icns(png: bytes) -> bytes:
    """A PNG of 256 x 256 pixels as an icon of macOS's."""
    return (
        b"icns"
        + struct.pack(">I", len(png) + 16)
        + b"ic08"
        + struct.pack(">I", len(png) + 8)
        + png
    )
