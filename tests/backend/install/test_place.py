"""Where the environment is: every path of the pins must be one that Windows accepts."""

from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from backend.install import place

DEEP = PureWindowsPath(
    r"C:\Users\Max Mustermann\OneDrive\Desktop\apprentice-main\apprentice-main"
)
MAX = {
    "LOCALAPPDATA": r"C:\Users\Max Mustermann\AppData\Local",
    "USERPROFILE": r"C:\Users\Max Mustermann",
}


def installed_files() -> list[str]:
    """Every file of every installed package, below `site-packages`; torch's with the
    longest name of a build.
    """
    files = [
        str(file)
        for package in metadata.distributions()
        for file in package.files or ()
    ]
    assert any(file.startswith("torch-") for file in files)
    return [
        file.replace("+cpu.dist-info", "+cu130.dist-info")
        for file in files
        if not file.startswith("..")
    ]


def refused_by_windows(folder: PureWindowsPath, files: list[str]) -> list[str]:
    """The paths that CreateFile and CreateDirectory refuse: from 260 characters on with
    the final NUL, and folders that leave no room for a name of eight letters and three.
    """
    paths = {rf"{folder}\Lib\site-packages\{file}" for file in files}
    folders = {
        path.replace("/", "\\").rpartition("\\")[0] for path in paths
    }  # whose parents are shorter
    return [path for path in paths if len(path) + 1 > 260] + [
        path for path in folders if len(path) + 1 > 260 - 12
    ]


def test_every_path_is_accepted_and_each_checkout_has_its_own() -> None:
    files = installed_files()
    folder = place.environment(DEEP, "Windows", MAX)
    assert isinstance(folder, PureWindowsPath)
    assert refused_by_windows(folder, files) == []
    assert refused_by_windows(DEEP / ".venv", files)
    assert not folder.is_relative_to(DEEP)
    assert max(map(len, files)) <= len(place.LONGEST_FILE), (
        "update LONGEST_FILE with the pins"
    )
    other = PureWindowsPath(r"D:\apprentice")
    folders = [
        place.environment(checkout, "Windows", MAX)
        for checkout in (DEEP, other, PureWindowsPath(str(DEEP).upper()))
    ]
    assert folders[0] != folders[1]
    assert folders[0] == folders[2], "Windows' paths have no case"
    assert (
        place.environment(DEEP, "Windows", {"USERPROFILE": MAX["USERPROFILE"]})
        == folders[0]
    )


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_elsewhere_it_is_in_the_checkout(system: str) -> None:
    assert place.environment(
        PurePosixPath("/home/anna/apprentice"), system, {}
    ) == PurePosixPath("/home/anna/apprentice/.venv")


@pytest.mark.parametrize("more", [0, 1])
def test_one_character_too_many_is_refused(
    more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "env"
    monkeypatch.setattr(
        place,
        "LONGEST_FILE",
        "x" * (259 + more - len(rf"{folder}\Lib\site-packages") - 1),
    )
    told = place.problem(folder, "Windows")
    assert bool(told) == bool(more)
    if more:
        assert "260" in told
        assert "LongPathsEnabled" in told


def test_the_real_path_counts_where_windows_redirects_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python from Microsoft's Store is given another folder under the name of the
    user's local data.
    """
    real = tmp_path / (
        "Packages-PythonSoftwareFoundation.Python.3.12_qbz5n2kfra8p0-LocalCache-Local"
        * 3
    )
    real.mkdir()
    (tmp_path / "Local").symlink_to(real)
    monkeypatch.setattr(place, "LONGEST_FILE", "x")
    assert "260" not in place.problem(tmp_path / "env", "Windows")
    assert "this system allows 259" in place.problem(
        tmp_path / "Local" / "env", "Windows"
    )
