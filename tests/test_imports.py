"""Which package may import which, and what is never imported where a module is merely
loaded.

A module that others need from below counts as a package too. Every import between two
packages goes down in LAYERS, those for type checkers included, and no modules import
each other in a circle.

    python -m tests.test_imports      prints the packages by layer
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.settings import PROJECT_ROOT

# From the lowest up. A module belongs to the longest name that fits; a package imports
# only packages of lower layers.
LAYERS = (
    ("backend", "backend.errors", "backend.files", "backend.install", "backend.watchdog"),
    ("backend.records", "backend.settings"),
    ("backend.child_process",),
    ("backend.estimate", "backend.hosting", "backend.text", "backend.tokens", "backend.work"),
    ("backend.hardware", "backend.models", "backend.datasets.checks", "backend.datasets.convert",
     "backend.datasets.documents"),
    ("backend.gguf", "backend.datasets.chats"),
    ("backend.chat", "backend.datasets.read"),
    ("backend.datasets",),
    ("backend.advice", "backend.drafts", "backend.runs"),
    ("backend.evaluation", "backend.serving", "backend.training"),
    ("backend.export", "jobs"),  # jobs is above the backend, and itself takes only GROUND_OF_JOBS
    ("ui", "ui.records"),
    ("ui.text",),
    ("ui.services", "ui.web.html"),
    ("ui.cli", "ui.web"),
    ("app",),  # where command line and page meet
)  # fmt: skip
GROUND_OF_JOBS = (
    "backend.errors",
    "backend.settings",
    "backend.records",
    "backend.files",
)
MAY_IMPORT_GRADIO = ("app", "ui.web")
HEAVY = {
    "torch", "transformers", "trl", "peft", "datasets", "llama_cpp", "xllamacpp", "bitsandbytes", "pyarrow", "pandas",
    "openpyxl", "python_calamine", "accelerate",
}  # fmt: skip
_LAYER = {package: number for number, layer in enumerate(LAYERS) for package in layer}


def sources() -> dict[str, Path]:
    """Every module of the program by its name."""
    files = [PROJECT_ROOT / "app.py"]
    for package in ("backend", "jobs", "ui"):
        files += sorted((PROJECT_ROOT / package).rglob("*.py"))
    return {_name(path): path for path in files}


def _name(path: Path) -> str:
    parts = path.relative_to(PROJECT_ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def package_of(module: str) -> str:
    """The package of a module of ours. Raises ValueError for one that no layer names."""
    return max((package for package in _LAYER if _within(module, package)), key=len)


def imports(source: str, package: str = "") -> Iterator[tuple[str, bool]]:
    """Each imported name ("backend.settings.child") and whether it is imported as soon
    as the file is loaded.
    """

    def walk(node: ast.AST, at_load: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(
                [
                    *([package] if node.level else []),
                    *([node.module] if node.module else []),
                ]
            )
            yield from ((f"{base}.{alias.name}", at_load) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from walk(child, False)
            for child in node.orelse:
                yield from walk(child, at_load)
        else:
            inside = isinstance(
                node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
            )
            for child in ast.iter_child_nodes(node):
                yield from walk(child, at_load and not inside)

    yield from walk(ast.parse(source), True)


def problems(module: str, source: str) -> list[str]:
    """What is wrong with the imports of a module, one line each."""
    package, found = package_of(module), []
    for name, at_load in imports(source, module.rpartition(".")[0] or module):
        top = name.split(".")[0]
        if top in ("app", "ui", "backend", "jobs"):
            other = package_of(name)
            above = other != package and _LAYER[other] >= _LAYER[package]
            if above or (
                top == "backend"
                and _within(module, "jobs")
                and other not in GROUND_OF_JOBS
            ):
                found.append(f"{module} imports {name}")
        if top == "gradio" and not any(
            _within(module, where) for where in MAY_IMPORT_GRADIO
        ):
            found.append(f"{module} imports gradio")
        if top in HEAVY and at_load:
            found.append(f"{module} imports {name} when it is loaded")
    return found


def circles(imported: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, each in one list, given whom each
    module imports.
    """
    reached: dict[str, set[str]] = {}
    for start in imported:
        waiting, reached[start] = list(imported[start]), set()
        while waiting:
            module = waiting.pop()
            if module not in reached[start]:
                reached[start].add(module)
                waiting += imported.get(module, ())
    groups = {
        frozenset({a, *(b for b in reached[a] if a in reached.get(b, ()))})
        for a in imported
        if a in reached[a]
    }
    return sorted(sorted(group) for group in groups)


def imported_modules() -> dict[str, set[str]]:
    """Which of our modules each of our modules imports."""
    modules = sources()
    imported: dict[str, set[str]] = {}
    for module, path in modules.items():
        named = (
            name
            for name, _ in imports(path.read_text("utf-8"), module.rpartition(".")[0])
        )
        found = (name if name in modules else name.rpartition(".")[0] for name in named)
        imported[module] = {name for name in found if name in modules} - {module}
    return imported


@pytest.mark.parametrize(("module", "path"), sources().items(), ids=str)
def test_imports_go_down(module: str, path: Path) -> None:
    assert problems(module, path.read_text("utf-8")) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(imported_modules()) == []
    assert {package_of(module) for module in sources()} == {*_LAYER}
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [
        ["a", "b", "c"]
    ]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("jobs.worker", "from backend.models import local"),
        ("jobs.worker", "import backend.training"),
        ("jobs.worker", "def f():\n    from ui.web import page"),
        ("backend.chat.client", "from jobs.records import State"),
        ("backend.chat.client", "def f():\n    import gradio"),
        ("backend.datasets.read.load", "from ui.text.format import loss"),
        (
            "backend.datasets.read.load",
            "from backend.datasets.store import DatasetStore",
        ),
        (
            "backend.tokens.tokenizer",
            "import typing\nif typing.TYPE_CHECKING:\n    import backend.runs.prepare",
        ),
        ("ui.services.app", "import gradio as gr"),
        ("ui.web.page", "import app"),
        ("backend.chat.client", "import torch"),
        (
            "backend.chat.client",
            "try:\n    from transformers import AutoModel\nexcept ImportError:\n    pass",
        ),
        ("backend.chat.client", "class A:\n    import pandas"),
        ("ui.web.page", "import pyarrow.parquet"),
    ],
)
def test_a_wrong_import_is_noticed(module: str, source: str) -> None:
    assert len(problems(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app", "import ui.web.page"),
        (
            "ui.web.page",
            "import gradio as gr\nfrom jobs.runner import Runner\nfrom backend.records import specs",
        ),
        (
            "jobs.worker",
            "from backend.settings import Workspace\nfrom jobs import store\nfrom backend import errors",
        ),
        (
            "backend.chat.client",
            "def load():\n    import torch\n    from transformers import AutoModel",
        ),
        (
            "backend.chat.client",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
        ),
    ],
)
def test_an_allowed_import_is_accepted(module: str, source: str) -> None:
    assert problems(module, source) == []


def main() -> None:
    """Prints the layers from the top; the tests show that nothing runs against them."""
    imported = imported_modules()
    between = {
        (package_of(a), package_of(b))
        for a, some in imported.items()
        for b in some
        if package_of(a) != package_of(b)
    }
    for number in reversed(range(len(LAYERS))):
        print(f"{number + 1:3}  {', '.join(LAYERS[number])}")
    print(
        f"{len(_LAYER)} packages, {len(LAYERS)} layers, {len(between)} imports between packages"
    )


if __name__ == "__main__":
    main()
