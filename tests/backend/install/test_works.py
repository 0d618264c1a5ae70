"""The import of torch after an installation: what a system prints, and what the person
is told.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

from backend.install import works

# As torch/__init__.py prints it on Windows without the runtime, in English and in
# German; as macOS's dyld does.
NO_RUNTIME = r"""
Microsoft Visual C++ Redistributable is not installed, this may lead to the DLL load failure.
It can be downloaded at https://aka.ms/vs/17/release/vc_redist.x64.exe
OSError: [WinError 126] The specified module could not be found. Error loading "C:\env\torch\lib\c10.dll" or one of
"""
GERMAN = (
    r"OSError: [WinError 126] Das angegebene Modul wurde nicht gefunden. Error loading "
)
OLD_RUNTIME = r"OSError: [WinError 1114] A dynamic link library (DLL) initialization routine failed. Error loading "
OLD_MACOS = """
ImportError: dlopen(torch/_C.cpython-312-darwin.so, 0x0002): Symbol not found: __ZNSt3__122__libcpp_verbose_abortEPKcz
  Referenced from: torch/lib/libtorch_cpu.dylib (built for macOS 14.0 which is newer than running OS)
"""


@pytest.mark.parametrize(
    ("code", "output", "words"),
    [
        (1, NO_RUNTIME, "https://aka.ms/vs/17/release/vc_redist.x64.exe"),
        (1, GERMAN, "winget install -e --id Microsoft.VCRedist"),
        (1, OLD_RUNTIME, "Visual C++"),
        (1, OLD_MACOS, "macOS is too old"),
        (-4, "", "AVX2"),  # SIGILL
        (3221225501, "", "AVX2"),  # STATUS_ILLEGAL_INSTRUCTION, as Windows reports it
        (-1073741795, "", "AVX2"),  # the same with a sign
        (
            1,
            "ModuleNotFoundError: No module named 'typing_extensions'",
            "No module named 'typing_extensions'",
        ),
        (-9, "", "exit code -9"),
    ],
)
def test_the_cause_is_told_with_what_helps(code: int, output: str, words: str) -> None:
    told = works.cause(code, output)
    assert words in told
    assert "can't" in told


@pytest.mark.skipif(os.name != "posix", reason="made-up programs are scripts")
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", ""),
        (f"kill -{int(signal.SIGILL)} $$", "AVX2"),
        ("echo 'WinError 126' >&2; exit 1", "Visual C++"),
    ],
)
def test_torch_is_tried_in_a_process_of_its_own(
    script: str, words: str, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    python.chmod(0o755)
    told = works.problem(python)
    assert words in told
    assert bool(told) == bool(words)


def test_the_torch_that_is_installed_here_runs() -> None:
    assert works.problem(Path(sys.executable)) == ""
