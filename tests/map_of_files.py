"""docs/files.md: what is in each file, from the first sentence of its docstring.

python -m tests.map_of_files      writes it anew
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

from backend.settings import PROJECT_ROOT

DOCUMENT = PROJECT_ROOT / "docs" / "files.md"
_HEAD = """# What is in each file

Made by `.venv/bin/python -m tests.map_of_files` from the first sentences of the files. The head of a package, its
`__init__.py`, has its decisions. [ARCHITECTURE.md](../ARCHITECTURE.md) is the map that says how they work together.
"""


def first_sentence(path: Path) -> str:
    """Of a file's docstring, in one line; "" without one."""
    text = " ".join(
        (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")
        .split("\n\n")[0]
        .split()
    )
    return re.split(r"(?<=[.?!]) (?=[A-Z`])", text)[0]


def text() -> str:
    """The document."""
    packages: defaultdict[Path, list[str]] = defaultdict(list)
    for top in ("backend", "jobs", "ui"):
        for path in sorted((PROJECT_ROOT / top).rglob("*.py")):
            if path.name != "__init__.py":
                packages[path.parent].append(
                    f"| `{path.name}` | {first_sentence(path).replace('|', chr(92) + '|')} |"
                )
    parts = [_HEAD]
    for folder, lines in sorted(packages.items()):
        head = first_sentence(folder / "__init__.py")
        parts.append(
            "\n".join(
                [
                    f"## {folder.relative_to(PROJECT_ROOT).as_posix()}/",
                    "",
                    head,
                    "",
                    "| | |",
                    "|---|---|",
                    *lines,
                    "",
                ]
            )
        )
    return "\n".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(text(), "utf-8")
