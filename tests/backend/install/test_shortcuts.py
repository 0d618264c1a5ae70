"""Shortcuts: .desktop files by the specification's rules; Windows' link and macOS's
bundle as those get them.
"""

import io
import os
import plistlib
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.install import shortcuts
from backend.settings import PROJECT_ROOT

ODD = 'Jörg\'s "new" folder $HOME `x` 100% \\ here'


def read_entry(text: str) -> dict[str, str]:
    """The values of a .desktop file, with the escapes of strings undone as the
    specification says.
    """
    head, *lines = text.splitlines()
    assert head == "[Desktop Entry]"
    escapes = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
    values = {}
    for line in lines:
        key, _, value = line.partition("=")
        parts = iter(value)
        values[key] = "".join(
            escapes[next(parts)] if letter == "\\" else letter for letter in parts
        )
    return values


def arguments(command: str) -> list[str]:
    """The arguments of an Exec value: quotes and the escapes in them, then the field
    codes.
    """
    words, word, quoted = [], "", False
    letters = iter(command)
    for letter in letters:
        if letter == '"':
            quoted = not quoted
        elif letter == "\\" and quoted:
            escaped = next(letters)
            assert escaped in '"`$\\', "nothing else may be escaped"
            word += escaped
        elif letter == " " and not quoted:
            words.append(word)
            word = ""
        else:
            assert quoted or letter not in "\t\n'\"\\><~|&;$*?#()`", (
                "reserved outside of quotes"
            )
            assert not quoted or letter not in '`$"', "must be escaped"
            word += letter
    assert not quoted
    found = []
    for one in [*words, word]:
        assert "%" not in one.replace("%%", ""), "a field code"
        found.append(one.replace("%%", "%"))
    return found


def test_a_desktop_file_starts_start_command_in_a_terminal(tmp_path: Path) -> None:
    project = tmp_path / ODD
    values = read_entry(shortcuts.desktop_entry(project))
    assert arguments(values["Exec"]) == [str(project / "start.command")]
    assert values["Icon"] == str(project / "static" / "icon.svg")
    assert (values["Type"], values["Name"], values["Terminal"]) == (
        "Application",
        "Apprentice",
        "true",
    )


def test_the_first_start_writes_a_desktop_file_into_the_checkout(
    tmp_path: Path,
) -> None:
    shortcuts.write_desktop_file(tmp_path)
    path = tmp_path / "Apprentice.desktop"
    assert path.read_text("utf-8") == shortcuts.desktop_entry(tmp_path)
    assert os.access(path, os.X_OK) or os.name == "nt"
    before = path.stat().st_mtime_ns
    shortcuts.write_desktop_file(tmp_path)
    assert path.stat().st_mtime_ns == before
    assert (
        "Apprentice.desktop"
        in (PROJECT_ROOT / ".gitignore").read_text("utf-8").splitlines()
    )


@pytest.mark.skipif(os.name != "posix", reason="made-up programs are scripts")
@pytest.mark.parametrize("desktop", ["Schreibtisch", ""])
def test_on_linux_it_is_on_desktop_and_in_menu(
    desktop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "Schreibtisch").mkdir(parents=True)
    program = tmp_path / "xdg-user-dir"
    program.write_text(
        f'#!/bin/sh\necho "{home}/{desktop}"\n', "utf-8"
    )  # the home itself: there is no desktop
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    shortcuts.create(PROJECT_ROOT, tmp_path)
    found = {path.relative_to(home).as_posix() for path in home.rglob("*.desktop")}
    assert found == {".local/share/applications/apprentice.desktop"} | (
        {"Schreibtisch/apprentice.desktop"} if desktop else set()
    )


def test_windows_gets_variables_and_asks_for_the_desktop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No character of a path is read as PowerShell: the script is the same for every
    path.
    """
    ran: list[tuple[list[str], dict[str, str]]] = []

    def run(
        command: list[str], env: dict[str, str], **_: Any
    ) -> subprocess.CompletedProcess[bytes]:
        ran.append((command, env))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setenv("SYSTEMROOT", "C:\\Windows")
    monkeypatch.setattr("sys.platform", "win32")
    shortcuts.create(PROJECT_ROOT, tmp_path)
    ((command, variables),) = ran
    assert command[0].startswith("C:\\Windows")
    assert str(PROJECT_ROOT) not in " ".join(command)
    assert "GetFolderPath('Desktop')" in command[-1], "which may be in OneDrive"
    assert Path(variables["APPRENTICE_TARGET"]) == PROJECT_ROOT / "start.bat"
    with Image.open(variables["APPRENTICE_ICON"]) as icon:
        assert (icon.format, icon.size) == ("ICO", (256, 256))


def test_a_mac_gets_an_application_that_opens_start_command_in_terminal(
    tmp_path: Path,
) -> None:
    project = tmp_path / re.sub(r'["\\]', "", ODD)  # no name on Windows
    (project / "static").mkdir(parents=True)
    (project / "static" / "icon.png").write_bytes(
        (PROJECT_ROOT / "static" / "icon.png").read_bytes()
    )
    shortcuts.make_mac_application(project, tmp_path)
    contents = tmp_path / "Apprentice.app" / "Contents"
    properties = plistlib.loads((contents / "Info.plist").read_bytes())
    program = contents / "MacOS" / properties["CFBundleExecutable"]
    assert os.access(program, os.X_OK) or os.name == "nt"
    assert shlex.split(program.read_text("utf-8").splitlines()[1]) == [
        *("exec", "open", "-a", "Terminal"),
        str(project / "start.command"),
    ]
    with Image.open(
        contents / "Resources" / f"{properties['CFBundleIconFile']}.icns"
    ) as icon:
        assert (icon.format, icon.size) == ("ICNS", (256, 256))


def test_the_icon_is_that_of_the_page() -> None:
    """Its corners are empty, its middle is the green of static/icon.svg."""
    with Image.open(
        io.BytesIO((PROJECT_ROOT / "static" / "icon.png").read_bytes())
    ) as icon:
        pixels = icon.convert("RGBA")
    assert (pixels.size, pixels.getpixel((0, 0))[3]) == ((256, 256), 0)
    green = "#{:02x}{:02x}{:02x}".format(*pixels.getpixel((128, 40))[:3])
    assert green in (PROJECT_ROOT / "static" / "icon.svg").read_text("utf-8")
