"""The documents name only files, links and test commands that exist."""

from __future__ import annotations

import re

import pytest

from backend.settings import PROJECT_ROOT
from ui.cli.main import make_parser

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/your-first-change.md")
_PATH = re.compile(r"`((?:backend|jobs|ui|static|tests|docs)/[\w./]*)`")
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
_BENCHMARK = re.compile(r"\| `(\w+)` \|$", re.MULTILINE)


def text_of(document: str) -> str:
    return (PROJECT_ROOT / document).read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_it_names_exists(document: str) -> None:
    folder = (PROJECT_ROOT / document).parent
    named = [PROJECT_ROOT / path for path in _PATH.findall(text_of(document))]
    named += [folder / link for link in _LINK.findall(text_of(document))]
    assert named
    assert [str(path) for path in named if not path.exists()] == []


def test_every_benchmark_in_the_readme_exists() -> None:
    names = set(_BENCHMARK.findall(text_of("README.md")))
    assert len(names) >= 4
    assert [name for name in names if not (PROJECT_ROOT / f"tests/benchmarks/{name}.py").is_file()] == []


def test_the_commands_of_the_readme_exist() -> None:

    known = next(action.choices for action in make_parser()._actions if action.choices and "train" in action.choices)
    used = {
        word
        for line in re.findall(r"^\./start\.sh (.*)$", text_of("README.md"), re.MULTILINE)
        for word in [line.split()[0], *re.findall(r"\| (\w+)", line)]
    }
    assert used >= {"check", "train", "export"}
    assert used <= set(known)
