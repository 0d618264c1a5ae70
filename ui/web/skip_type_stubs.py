"""Keeps gradio from writing type stubs for its components, which halves the time to
import it.

At every import gradio 6.31 parses its own sources and writes a `.pyi` file next to each
(0.9 of 1.9 s, measured with `python -X importtime -c "import gradio"`), and it has no
switch for that. Nothing reads the stubs at run time.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

WRITER, MODULE = "create_or_modify_pyi", "gradio.component_meta"


class _NoStubs(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = (
            importlib.machinery.PathFinder.find_spec(name, path, target)
            if name == MODULE
            else None
        )
        if spec and spec.loader:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                setattr(module, WRITER, lambda *_: None)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Takes effect on the first import of gradio after this."""
    sys.meta_path.insert(0, _NoStubs())
