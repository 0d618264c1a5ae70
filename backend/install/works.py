"""Whether the installed torch runs on this computer, and what helps if it doesn't."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

# Loads every library of torch and runs the code that is chosen by the processor's
# abilities.
_PROGRAM = "import torch; x = torch.ones(64, 64); assert float((x @ x).sum()) == 64**3"

_ILLEGAL_INSTRUCTION = 0xC000001D  # Windows' STATUS_ILLEGAL_INSTRUCTION
_RUNTIME = (
    "PyTorch can't be loaded, because this Windows has no current Visual C++ runtime. Install it from\n"
    "https://aka.ms/vs/17/release/vc_redist.x64.exe, or type: winget install -e --id Microsoft.VCRedist.2015+.x64\n"
    "Then start again."
)
_OLD_MACOS = (
    "PyTorch can't be loaded, because this macOS is too old for it. Update to macOS 14 or newer (System Settings,\n"
    "General, Software Update), then start again."
)
_OLD_PROCESSOR = (
    "PyTorch can't run on this processor, which lacks instructions that it uses, probably AVX2. Use a computer with\n"
    "a newer processor. In a virtual machine, give it the processor of its host."
)
# The words of an import that failed, in any language of the system.
_CAUSES = (
    (
        re.compile(
            r"WinError (126|127|1114)\b|Visual C\+\+ Redistributable|vcruntime140|msvcp140"
        ),
        _RUNTIME,
    ),
    (
        re.compile(
            r"newer than running OS|built for (macOS|newer macOS)|macOS \d+.* or later"
        ),
        _OLD_MACOS,
    ),
)


def problem(python: Path) -> str:
    """Imports torch in a process of its own; returns why that fails and what helps, ""
    if it works.
    """
    command = [str(python), "-I", "-X", "utf8", "-c", _PROGRAM]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace"
    )
    return cause(done.returncode, done.stdout + done.stderr) if done.returncode else ""


def cause(code: int, output: str) -> str:
    """What an import of torch that failed means for the person. code: the process's
    exit code; a signal's number below 0, or Windows' status. output: what it printed.
    """
    if code == -signal.SIGILL or code & 0xFFFFFFFF == _ILLEGAL_INSTRUCTION:
        return _OLD_PROCESSOR
    meaning = next((text for pattern, text in _CAUSES if pattern.search(output)), "")
    return (
        meaning
        or f"PyTorch was installed, but it can't be loaded:\n{output[-1500:].strip() or f'exit code {code}'}"
    )
