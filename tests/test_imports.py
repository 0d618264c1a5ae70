"""Which room may import which, and what is never imported where a module is merely loaded.

app -> ui -> {backend, jobs}      jobs -> backend.settings, backend.errors      only ui and app -> gradio
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.settings import PROJECT_ROOT

ROOMS = ("app", "ui", "backend", "jobs")
MAY_IMPORT = {
    "app": {"app", "ui", "backend", "jobs"},
    "ui": {"ui", "backend", "jobs"},
    "backend": {"backend"},
    "jobs": {"jobs", "backend.settings", "backend.errors"},
}
WITHOUT_GRADIO = ("backend", "jobs", "ui.services", "ui.command_line")
HEAVY = {
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "llama_cpp",
    "bitsandbytes",
    "pyarrow",
    "pandas",
    "openpyxl",
    "accelerate",
}


def sources() -> list[Path]:
    files = [PROJECT_ROOT / "app.py"] if (PROJECT_ROOT / "app.py").exists() else []
    for room in ("ui", "backend", "jobs"):
        files += sorted((PROJECT_ROOT / room).rglob("*.py"))
    return files


def module_name(path: Path) -> str:
    parts = path.relative_to(PROJECT_ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, package: str = "") -> Iterator[tuple[str, bool]]:
    """Each imported module ("backend.settings") and whether it is imported as soon as the file is loaded."""

    def walk(node: ast.AST, at_load: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*([package] if node.level else []), *([node.module] if node.module else [])])
            yield from ((f"{base}.{alias.name}", at_load) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from walk(child, False)
            for child in node.orelse:
                yield from walk(child, at_load)
        else:
            inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for child in ast.iter_child_nodes(node):
                yield from walk(child, at_load and not inside)

    yield from walk(ast.parse(source), True)


def problems(module: str, source: str) -> list[str]:
    room, package = module.split(".")[0], module.rpartition(".")[0] or module
    found = []
    for name, at_load in imports(source, package):
        top = name.split(".")[0]
        if top in ROOMS and not any(name == ok or name.startswith(ok + ".") for ok in MAY_IMPORT[room]):
            found.append(f"{module} imports {name}")
        if top == "gradio" and any(module == bare or module.startswith(bare + ".") for bare in WITHOUT_GRADIO):
            found.append(f"{module} imports gradio")
        if top in HEAVY and at_load:
            found.append(f"{module} imports {name} when it is loaded")
    return found


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_imports_go_in_their_direction(path: Path) -> None:
    assert problems(module_name(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("jobs.worker", "from backend import specs"),
        ("jobs.worker", "import backend.training"),
        ("jobs.worker", "def f():\n    from ui import layout"),
        ("backend.chat", "from jobs.models import State"),
        ("backend.chat", "def f():\n    import gradio"),
        ("backend.data.load", "from ui.present import shown"),
        ("ui.services", "import gradio as gr"),
        ("ui.layout", "import app"),
        ("backend.chat", "import torch"),
        ("backend.chat", "try:\n    from transformers import AutoModel\nexcept ImportError:\n    pass"),
        ("backend.chat", "class A:\n    import pandas"),
        ("ui.layout", "import pyarrow.parquet"),
    ],
)
def test_a_wrong_import_is_noticed(module: str, source: str) -> None:
    assert len(problems(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app", "import gradio, ui.layout"),
        ("ui.layout", "import gradio as gr\nfrom jobs.runner import Runner\nfrom backend import specs"),
        ("jobs.worker", "from backend.settings import Workspace\nfrom jobs import store\nfrom backend import errors"),
        ("backend.chat", "def load():\n    import torch\n    from transformers import AutoModel"),
        ("backend.chat", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
    ],
)
def test_a_right_import_is_let_through(module: str, source: str) -> None:
    assert problems(module, source) == []
