"""The table of PyTorch builds: a machine for each row, and no row without one."""

from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from backend.install.builds import (
    TABLE,
    Machine,
    Row,
    command,
    cuda_of,
    has_code,
    pip_arguments,
    row_for,
)
from backend.settings import PROJECT_ROOT
from tests.cases import cases


def machines(table: str) -> dict[str, tuple[Machine, str]]:
    """Machines of a table by name, each with the index of its build."""

    def machine(facts: dict[str, Any]) -> Machine:
        return Machine(
            **{
                name: tuple(fact) if isinstance(fact, list) else fact
                for name, fact in facts.items()
            }
        )

    return {
        name: (machine(facts), build) for name, facts, build in cases("builds", table)
    }


MACHINES = machines("rows")  # in the order of the builds' table


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
    ("machine", "build"), machines("further").values(), ids=machines("further")
)
def test_further_machines(machine: Machine, build: str) -> None:
    assert row_for(machine).build == build


def test_every_build_fits_driver_and_requirements() -> None:
    for name, (machine, _) in MACHINES.items():
        row = row_for(machine)
        if row.cuda and machine.capability:
            assert has_code(row.cuda, machine.capability), name
            assert (
                machine.driver
                >= {"13.": (580,), "12.8": (570,), "12.6": (525,)}[row.cuda]
            ), name
    with pytest.raises(LookupError):
        row_for(Machine("FreeBSD", nvidia=True, driver=(580,), capability=(8, 6)))
    lines = (PROJECT_ROOT / "requirements.txt").read_text("utf-8").splitlines()
    app = next(Requirement(line) for line in lines if line.startswith("torch"))
    for row in TABLE:
        assert set(map(str, app.specifier)) & set(
            map(str, Requirement(row.torch).specifier)
        ), row.what
        assert all(
            version not in Requirement(row.torch).specifier
            for version in ("2.9.1", "3.0")
        )


@pytest.mark.parametrize(
    ("cuda", "capability", "known"),
    [
        ("12.6", (12, 0), False), ("12.6", (6, 1), True), ("13.2", (7, 0), False), ("13.0", (12, 1), True),
        ("12.4", (6, 1), None),
    ],
)  # fmt: skip
def test_the_gpus_that_a_build_has_code_for(
    cuda: str, capability: tuple[int, int], known: bool | None
) -> None:
    assert has_code(cuda, capability) is known


@pytest.mark.parametrize(
    ("text", "cuda"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: str | None = None\n", ""),
        ("__version__ = '2.13.0'\ncuda: str | None = '13.0'\nhip = None\n", "13.0"), ("cuda = '12.8'\n", "12.8"),
        (None, None),
    ],
)  # fmt: skip
def test_the_installed_build_is_read_from_its_files(
    tmp_path: Path, text: str | None, cuda: str | None
) -> None:
    if text is not None:
        (tmp_path / "version.py").write_text(text)
    assert cuda_of(tmp_path) == cuda


def test_the_command_names_the_python_the_versions_and_the_index() -> None:
    row: Row = row_for(MACHINES["GTX 1080 Ti"][0])
    assert pip_arguments(row) == [
        "torch>=2.10,<2.14",
        "--index-url",
        "https://download.pytorch.org/whl/cu126",
    ]
    typed = command(row, "/home/a b/.venv/bin/python")
    assert typed.startswith(
        '"/home/a b/.venv/bin/python" -m pip install --force-reinstall "torch>=2.10,<2.14" --ind'
    )
