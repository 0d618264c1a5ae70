"""This machine, as far as the choice of PyTorch depends on it. Never raises."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from backend.install.builds import Machine, Version, text_of

_AMD_GIB = 3  # an AMD GPU with less memory of its own is part of the processor
_AMD_VENDOR = "0x1002"
_DRM = Path("/sys/class/drm")
_WSL_SMI = Path("/usr/lib/wsl/lib/nvidia-smi")
_KERNEL_MODULE = Path(
    "/proc/driver/nvidia/version"
)  # also in a container that was given no GPU
_KERNEL_DEVICE = Path("/dev/nvidiactl")
_TEGRA = Path("/etc/nv_tegra_release")
_DISPLAYS = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"  # in Windows' registry


def this_machine() -> Machine:
    """This machine, as the standard library and `nvidia-smi` describe it."""
    system, architecture = platform.system(), processor()
    capability, driver = _nvidia_smi() if system != "Darwin" else (None, None)
    return Machine(
        system,
        architecture,
        driver is not None,
        capability,
        driver or (),
        version_of(platform.mac_ver()[0]),
        "" if driver is not None else _amd(),
        is_jetson(),
        system == "Darwin"
        and architecture == "x86_64"
        and _run(["/usr/sbin/sysctl", "-n", "sysctl.proc_translated"])[0].strip()
        == "1",
        sys.maxsize < 1 << 32,
    )


def processor() -> str:
    """ "x86_64" or "arm64", whatever the system calls it."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "aarch64": "arm64"}.get(name, name)


def is_jetson() -> bool:
    """Whether this is a Jetson board of NVIDIA's."""
    return _TEGRA.exists()


def _nvidia_smi() -> tuple[Version | None, Version | None]:
    """The capability of the newest GPU (None if unknown) and the driver's version (()
    if it does not answer); the driver is None without an NVIDIA GPU. Drivers before 510
    do not know the question for the capability.
    """
    program = shutil.which("nvidia-smi") or (
        str(_WSL_SMI) if _WSL_SMI.exists() else None
    )
    kernel = text_of(_KERNEL_MODULE) if _KERNEL_DEVICE.exists() else ""
    if program is None and not kernel:
        return None, None
    for fields in ("compute_cap,driver_version", "driver_version"):
        text, ran = (
            _run([program, f"--query-gpu={fields}", "--format=csv,noheader"])
            if program
            else ("", False)
        )
        if "no devices" in text.lower():
            return None, None
        lines = [
            line.split(",")
            for line in text.splitlines()
            if ran and version_of(line.split(",")[-1])
        ]
        if lines:
            capabilities = [version_of(line[0]) for line in lines if len(line) == 2]
            return max(filter(None, capabilities), default=None), version_of(
                lines[0][-1]
            )
    version = re.search(r"\s(\d{3}(?:\.\d+)+)\s", kernel)
    return None, version_of(version.group(1)) if version else ()


def _run(command: list[str]) -> tuple[str, bool]:
    """A program's standard output, and whether it succeeded."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=30
        )
        return done.stdout, done.returncode == 0
    return "", False


def _amd() -> str:
    """The name of an AMD GPU with memory of its own, "" if there is none."""
    cards = _cards_in_registry() if sys.platform == "win32" else _cards_in_sysfs()
    return next(
        (
            name
            for name, memory in cards
            if re.search("AMD|Radeon", name) and memory >= _AMD_GIB << 30
        ),
        "",
    )


def _cards_in_sysfs() -> list[tuple[str, int]]:
    """Names and bytes of memory."""
    cards = []
    for card in sorted(_DRM.glob("card[0-9]*/device")):
        memory = text_of(card / "mem_info_vram_total").strip()
        amd = text_of(card / "vendor").strip() == _AMD_VENDOR
        cards.append(("AMD GPU" if amd else "", int(memory) if memory.isdigit() else 0))
    return cards


def _cards_in_registry() -> list[tuple[str, int]]:
    """Names and bytes of memory."""
    cards: list[tuple[str, int]] = []
    if sys.platform == "win32":
        import winreg

        for number in range(16):
            with suppress(OSError, ValueError, TypeError):
                key = winreg.OpenKey(
                    winreg.HKEY_LOCAL_MACHINE, f"{_DISPLAYS}\\{number:04}"
                )
                name, memory = (
                    winreg.QueryValueEx(key, value)[0]
                    for value in ("DriverDesc", "HardwareInformation.qwMemorySize")
                )
                cards.append((str(name), int(memory)))
    return cards


def version_of(text: str) -> Version:
    """ "580.65.06" as (580, 65, 6); () for a text that is no version."""
    parts = text.strip().split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()
