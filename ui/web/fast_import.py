"""Gradio imports in half the time: it is kept from writing type stubs for its components.

At each import gradio parses its own sources to write `.pyi` files beside them (0.9 of 1.9 s here, measured with
`python -X importtime -c "import gradio"`). Nothing at run time reads them, and a packaged app should not write there.
Where gradio no longer has that function, nothing changes.
"""

from __future__ import annotations

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
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            if hasattr(module, WRITER):
                setattr(module, WRITER, lambda *_: None)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Takes effect on the first import of gradio after this."""
    if MODULE not in sys.modules and not any(isinstance(finder, _NoStubs) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoStubs())
