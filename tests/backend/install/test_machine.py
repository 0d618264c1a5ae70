"""How the machine is read: `nvidia-smi`, /proc, /sys and the registry are all
simulated.
"""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.install import machine
from backend.install.machine import this_machine


@pytest.fixture(autouse=True)
def bare_linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Linux on x86 without any GPU; the folder stands for /proc, /sys and /etc."""
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("platform.mac_ver", lambda: ("", ("", "", ""), ""))
    monkeypatch.setattr("shutil.which", lambda name: None)
    for name in ("_WSL_SMI", "_KERNEL_MODULE", "_KERNEL_DEVICE", "_TEGRA", "_DRM"):
        monkeypatch.setattr(machine, name, tmp_path / name)
    return tmp_path


def answers(monkeypatch: pytest.MonkeyPatch, outputs: dict[str, str]) -> None:
    """Programs print what `outputs` has for an argument of theirs, or hang; without one
    they fail.
    """

    def run(
        command: list[str], timeout: float, **_: Any
    ) -> subprocess.CompletedProcess[str]:
        text = next((outputs[word] for word in command if word in outputs), None)
        if text == HANGS:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, int(text is None), text or "")

    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)


HANGS = "..."
BOTH, DRIVER = "--query-gpu=compute_cap,driver_version", "--query-gpu=driver_version"


@pytest.mark.parametrize(
    ("outputs", "nvidia", "capability", "driver"),
    [
        ({BOTH: "8.6, 560.35.03\n"}, True, (8, 6), (560, 35, 3)),
        (
            {BOTH: "6.1, 580.65\n8.6, 580.65\n"},
            True,
            (8, 6),
            (580, 65),
        ),  # the newest of two
        ({BOTH: "[N/A], 540.4.0\n"}, True, None, (540, 4, 0)),
        (
            {DRIVER: "470.256.02\n"},
            True,
            None,
            (470, 256, 2),
        ),  # it does not know the capability
        ({}, True, None, ()),  # it fails
        (
            {BOTH: "NVIDIA-SMI has failed", DRIVER: "NVIDIA-SMI has failed"},
            True,
            None,
            (),
        ),
        ({BOTH: HANGS}, True, None, ()),
        ({BOTH: "No devices were found"}, False, None, ()),  # a driver without a GPU
    ],
)
def test_capability_and_driver_are_those_of_nvidia_smi(
    monkeypatch: pytest.MonkeyPatch,
    outputs: dict[str, str],
    nvidia: bool,
    capability: Any,
    driver: tuple[int, ...],
) -> None:
    answers(monkeypatch, outputs)
    found = this_machine()
    assert (found.nvidia, found.capability, found.driver) == (
        nvidia,
        capability,
        driver,
    )


def test_the_kernel_module_names_the_driver_where_nvidia_smi_is_missing(
    bare_linux: Path,
) -> None:
    assert not this_machine().nvidia
    line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.07  Release Build"
    (bare_linux / "_KERNEL_MODULE").write_text(line)
    assert not this_machine().nvidia, "a container without a GPU sees this file too"
    (bare_linux / "_KERNEL_DEVICE").touch()
    assert this_machine().driver == (570, 133, 7)


@pytest.mark.parametrize(
    ("vendor", "gib", "found"),
    [("0x1002", 16, True), ("0x1002", 1, False), ("0x8086", 16, False)],
)
def test_an_amd_gpu_counts_if_it_has_memory_of_its_own(
    bare_linux: Path, vendor: str, gib: int, found: bool
) -> None:
    device = bare_linux / "_DRM" / "card1" / "device"
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "mem_info_vram_total").write_text(f"{gib << 30}\n")
    assert bool(this_machine().amd) == found


@pytest.mark.parametrize("name", ["AMD Radeon RX 7900 XTX", "Radeon RX 580 Series"])
def test_windows_names_the_amd_gpu(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    values = {"DriverDesc": name, "HardwareInformation.qwMemorySize": 24 << 30}

    def open_key(_: Any, path: str) -> str:
        if path.endswith("0001"):
            return path
        raise FileNotFoundError(path)

    registry = SimpleNamespace(
        HKEY_LOCAL_MACHINE=0,
        OpenKey=open_key,
        QueryValueEx=lambda key, name: (values[name], 1),
    )
    monkeypatch.setitem(sys.modules, "winreg", registry)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("platform.system", lambda: "Windows")
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    assert (this_machine().amd, this_machine().processor) == (name, "x86_64")


@pytest.mark.parametrize(
    ("processor", "translated", "rosetta"),
    [("x86_64", "1", True), ("x86_64", "", False), ("arm64", "0", False)],
)
def test_a_mac_is_read(
    monkeypatch: pytest.MonkeyPatch, processor: str, translated: str, rosetta: bool
) -> None:
    answers(monkeypatch, {"sysctl.proc_translated": translated})
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: processor)
    monkeypatch.setattr("platform.mac_ver", lambda: ("13.6.1", ("", "", ""), processor))
    found = this_machine()
    assert (found.nvidia, found.os_version, found.rosetta) == (
        False,
        (13, 6, 1),
        rosetta,
    )
