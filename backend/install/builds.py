"""Which build of PyTorch fits a machine, as a table (builds.json).

The first row of `TABLE` whose conditions all hold applies.

Sources, read in November 2026:
  RELEASE   https://github.com/pytorch/pytorch/blob/main/RELEASE.md, the compatibility matrices of 2.10 to 2.14
  2.15      https://github.com/pytorch/pytorch/issues/190385: the last builds for Maxwell to Volta are of 2.14
  DRIVERS   https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
  PYPI      the wheels on PyPI, asked with `pip install --dry-run --platform`
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from backend.install.pins import first_untested_torch

INDEX = "https://download.pytorch.org/whl/"  # https://pytorch.org/get-started/locally/
Version = tuple[int, ...]


class Machine(NamedTuple):
    """Facts that the choice depends on. capability: of the newest NVIDIA GPU. driver:
    its version, () if unknown. os_version: of macOS. amd: the name of an AMD GPU with
    memory of its own. jetson: an NVIDIA Jetson board. rosetta: a Python for Intel
    processors on a Mac with an Apple processor.
    """

    system: str
    processor: str = "x86_64"
    nvidia: bool = False
    capability: Version | None = None
    driver: Version = ()
    os_version: Version = ()
    amd: str = ""
    jetson: bool = False
    rosetta: bool = False
    is_32_bit: bool = False


class Row(NamedTuple):
    """A kind of machine and the build for it. build: the name of an index of PyTorch's,
    "PyPI", or "" if there is no build and the app can't run. below: the first version
    of torch without this build. cuda: how the CUDA version of a fitting build begins,
    "" for one without CUDA. From `system` to `needs`: what must hold; "", () and None
    stand for anything, and versions are [least, below). keep: whether any installed
    build is as good. falls_back: whether the processor trains in place of a GPU; else
    training waits until the advice was followed. why: the reason. advice: what the
    person should know or do. source: of the fact.
    """

    what: str
    build: str
    below: Version = (3,)
    cuda: str = ""
    system: str = ""
    processor: str = ""
    nvidia: bool | None = None
    capability: tuple[Version, Version] = ((), ())
    driver: tuple[Version, Version] = ((), ())
    os_version: tuple[Version, Version] = ((), ())
    needs: str = ""  # a field of `Machine` that must be true
    keep: bool = False
    falls_back: bool = False
    why: str = ""
    advice: str = ""
    source: str = ""

    @property
    def torch(self) -> str:
        """The requirement: versions that have this build, up to those that the tests
        have seen.
        """
        return "torch>=2.10,<" + ".".join(
            map(str, min(self.below, first_untested_torch()))
        )


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


_ROWS = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
TABLE = tuple(
    Row(**{name: _frozen(value) for name, value in row.items()}) for row in _ROWS
)

# For which GPUs the builds have code: CUDA's version to [least, below) of the
# capability (RELEASE.md). Builds with CUDA 12.8 had Volta up to PyTorch 2.10.
_CODE: dict[str, tuple[Version, Version]] = {
    "12.6": ((5, 0), (10, 0)),
    "12.8": ((7, 0), (13,)),
    "13.": ((7, 5), (13,)),
}


def row_for(machine: Machine) -> Row:
    """The row of the table that applies. Raises LookupError for a system that PyTorch
    has no builds for.
    """
    if machine.system not in ("Linux", "Windows", "Darwin"):
        raise LookupError(machine.system)
    return next(row for row in TABLE if _applies(row, machine))


def _applies(row: Row, machine: Machine) -> bool:
    capability = (
        machine.capability if machine.capability is not None else (8, 0)
    )  # unknown: one of most people's
    return (
        row.system in ("", machine.system)
        and row.processor in ("", machine.processor)
        and (row.nvidia is None or row.nvidia == machine.nvidia)
        and _within(capability, row.capability)
        and _within(machine.driver, row.driver)
        and _within(machine.os_version, row.os_version)
        and (not row.needs or bool(getattr(machine, row.needs)))
    )


def _within(version: Version, limits: tuple[Version, Version]) -> bool:
    least, below = limits
    return least <= version and (not below or version < below)


def has_code(cuda: str, capability: Version) -> bool | None:
    """Whether a build for this CUDA version has code for a GPU; None for a build that
    is not in the matrix.
    """
    return next(
        (
            _within(capability, limits)
            for name, limits in _CODE.items()
            if cuda.startswith(name)
        ),
        None,
    )


def fits(row: Row, cuda: str | None) -> bool:
    """Whether an installed build is right for the row. cuda: its CUDA version, "" for
    none, None if not installed.
    """
    return cuda is not None and (
        row.keep or (cuda.startswith(row.cuda) if row.cuda else not cuda)
    )


def pip_arguments(row: Row) -> list[str]:
    """The arguments with which `pip install` gets the row's build."""
    return (
        [row.torch]
        if row.build == "PyPI"
        else [row.torch, "--index-url", INDEX + row.build]
    )


def command(row: Row, python: str) -> str:
    """The command that installs the row's build with this Python."""
    return f'"{python}" -m pip install --force-reinstall ' + " ".join(
        f'"{word}"' if "<" in word else word for word in pip_arguments(row)
    )


def release_of(torch: Path) -> Version:
    """The major and minor version of the torch in this folder, () if there is none."""
    match = re.search(
        r"^__version__[^=\n]*=\s*['\"](\d+)\.(\d+)",
        text_of(torch / "version.py"),
        re.MULTILINE,
    )
    return tuple(map(int, match.groups())) if match else ()


def cuda_of(torch: Path) -> str | None:
    """The CUDA version of the torch in this folder, "" for none, None if there is no
    torch.
    """
    text = text_of(torch / "version.py")
    match = re.search(r"^cuda[^=\n]*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    return match.group(1) if match else "" if text else None


def text_of(file: Path) -> str:
    """The text in a file, "" if it can't be read."""
    with suppress(OSError):
        return file.read_text("utf-8", "replace")
    return ""
