"""The table of PyTorch builds: a machine for each row, and no row without one."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from backend.install.builds import TABLE, Machine, Row, command, cuda_of, has_code, pip_arguments, row_for
from backend.settings import PROJECT_ROOT


def nvidia(system: str, capability: tuple[int, int] | None, *driver: int, **more: bool) -> Machine:
    return Machine(system, nvidia=True, capability=capability, driver=driver, **more)  # type: ignore[arg-type]


# In the order of the table: a machine, and the index of its build.
MACHINES: dict[str, tuple[Machine, str]] = {
    "Python for 32 bits": (Machine("Windows", "x86", is_32_bit=True), ""),
    "Rosetta": (Machine("Darwin", rosetta=True, os_version=(15, 1)), ""),
    "Intel Mac": (Machine("Darwin", os_version=(14, 2)), ""), "Windows on Arm": (Machine("Windows", "arm64"), ""),
    "macOS 13": (Machine("Darwin", "arm64", os_version=(13, 7)), "PyPI"),
    "M1": (Machine("Darwin", "arm64", os_version=(14, 0)), "PyPI"),
    "Radeon, Linux": (Machine("Linux", amd="AMD GPU"), "cpu"),
    "Radeon, Windows": (Machine("Windows", amd="AMD Radeon RX 7900 XTX"), "PyPI"),
    "no GPU, Linux": (Machine("Linux"), "cpu"), "no GPU, Windows": (Machine("Windows"), "PyPI"),
    "Jetson Orin, JetPack 6": (nvidia("Linux", (8, 7), 540, 4, jetson=True), "cpu"),
    "broken driver, Linux": (nvidia("Linux", None), "PyPI"),
    "broken driver, Windows": (nvidia("Windows", None), "cu126"),
    "Kepler": (nvidia("Linux", (3, 7), 470, 256), "cpu"), "driver 470": (nvidia("Linux", None, 470, 256), "cpu"),
    "RTX 5090, driver 565": (nvidia("Linux", (12, 0), 565, 57), "cpu"),
    "RTX 5090, driver 576": (nvidia("Windows", (12, 0), 576, 2), "cu128"),
    "GTX 1080 Ti": (nvidia("Windows", (6, 1), 580, 88), "cu126"),
    "T4, driver 535": (nvidia("Linux", (7, 5), 535, 104, 5), "cu126"),
    "RTX 4090, driver 580, Linux": (nvidia("Linux", (8, 9), 580, 65, 6), "PyPI"),
    "RTX 5090, driver 581, Windows": (nvidia("Windows", (12, 0), 581, 15), "cu130"),
}  # fmt: skip


@pytest.mark.parametrize(("number", "name"), list(enumerate(MACHINES)), ids=MACHINES)
def test_each_row_applies_to_its_machine(number: int, name: str) -> None:
    machine, build = MACHINES[name]
    row = row_for(machine)
    assert (row, row.build) == (TABLE[number], build)


def test_rows_have_a_machine_and_a_reason_or_an_advice() -> None:
    assert len(MACHINES) == len(TABLE)
    assert all(row.what and row.why and row.source for row in TABLE)
    for name, (machine, build) in MACHINES.items():
        gpu = machine.nvidia or machine.amd
        if not build or (gpu and not row_for(machine).cuda):
            assert row_for(machine).advice, name


@pytest.mark.parametrize(
    ("machine", "build"),
    [
        (nvidia("Linux", (7, 0), 580), "cu126"),  # V100
        (nvidia("Windows", (7, 5), 580), "cu130"),  # RTX 20xx
        (nvidia("Linux", (9, 0), 550), "cu126"),  # H100
        (nvidia("Linux", (12, 1), 580)._replace(processor="arm64"), "PyPI"),  # DGX Spark
        (nvidia("Linux", (11, 0), 580, jetson=True)._replace(processor="arm64"), "PyPI"),  # Jetson Thor
        (nvidia("Linux", None, 580), "PyPI"),
    ],
)
def test_further_machines(machine: Machine, build: str) -> None:
    assert row_for(machine).build == build


def test_every_build_fits_driver_and_requirements() -> None:
    for name, (machine, _) in MACHINES.items():
        row = row_for(machine)
        if row.cuda and machine.capability:
            assert has_code(row.cuda, machine.capability), name
            assert machine.driver >= {"13.": (580,), "12.8": (570,), "12.6": (525,)}[row.cuda], name
    with pytest.raises(LookupError):
        row_for(Machine("FreeBSD", nvidia=True, driver=(580,), capability=(8, 6)))
    lines = (PROJECT_ROOT / "requirements.txt").read_text("utf-8").splitlines()
    app = next(Requirement(line) for line in lines if line.startswith("torch"))
    for row in TABLE:
        assert set(map(str, app.specifier)) & set(map(str, Requirement(row.torch).specifier)), row.what
        assert all(version not in Requirement(row.torch).specifier for version in ("2.9.1", "3.0"))


@pytest.mark.parametrize(
    ("cuda", "capability", "known"),
    [
        ("12.6", (12, 0), False), ("12.6", (6, 1), True), ("13.2", (7, 0), False), ("13.0", (12, 1), True),
        ("12.4", (6, 1), None),
    ],
)  # fmt: skip
def test_the_gpus_that_a_build_has_code_for(cuda: str, capability: tuple[int, int], known: bool | None) -> None:
    assert has_code(cuda, capability) is known


@pytest.mark.parametrize(
    ("text", "cuda"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: str | None = None\n", ""),
        ("__version__ = '2.13.0'\ncuda: str | None = '13.0'\nhip = None\n", "13.0"), ("cuda = '12.8'\n", "12.8"),
        (None, None),
    ],
)  # fmt: skip
def test_the_installed_build_is_read_from_its_files(tmp_path: Path, text: str | None, cuda: str | None) -> None:
    if text is not None:
        (tmp_path / "version.py").write_text(text)
    assert cuda_of(tmp_path) == cuda


def test_the_command_names_the_python_the_versions_and_the_index() -> None:
    row: Row = row_for(MACHINES["GTX 1080 Ti"][0])
    assert pip_arguments(row) == ["torch>=2.10,<2.14", "--index-url", "https://download.pytorch.org/whl/cu126"]
    typed = command(row, "/home/a b/.venv/bin/python")
    assert typed.startswith('"/home/a b/.venv/bin/python" -m pip install --force-reinstall "torch>=2.10,<2.14" --ind')
