"""The documents and the heads of packages name only files, modules, links, commands and
names that exist.
"""

import ast
import builtins
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from backend.settings import PROJECT_ROOT
from tests import map_of_files
from ui.cli.main import make_parser

DOCUMENTS = (
    "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/your-first-change.md",
    "docs/formats.md", "docs/hardware.md", "docs/performance.md", "docs/recipes.md", "docs/using-exports.md",
    "docs/clusters.md", "docs/coming-from-openai.md", "docs/walk.md",
)  # fmt: skip
EXAMPLES = {
    "adam_beta2",
    "test_the_log_is_exported_as_it_is",
}  # what docs/your-first-change.md adds to the code
# of Slurm and Kubernetes, in docs/clusters.md; of OpenAI, in docs/coming-from-openai.md
VARIABLES = {
    "PIP_CERT", "SLURM_JOB_NODELIST", "SLURM_NNODES", "SLURM_NODEID", "JOB_COMPLETION_INDEX",
    "n_epochs", "OPENAI_BASE_URL", "OPENAI_API_KEY", "learning_rate_multiplier", "training_file", "validation_file",
}  # fmt: skip
SOURCES = ("app.py", "start.py", "backend", "jobs", "ui", "static", "tests")
_BLOCK = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?:[\w.]+/)+[\w.]*|\w+\.py")
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
_MODULE = re.compile(r"-m ((?:backend|jobs|ui|tests)[.\w]*\w)")
_NAME = re.compile(
    r"\b(?:_?[a-z]\w*_\w+|_[a-z]\w+|[A-Z]+_[A-Z_\d]+|[A-Z][a-z]+[A-Z]\w+)\b"
)
_PARTS = ("Decision", "Because", "Proof", "Reconsider when")
_BENCHMARK = re.compile(r"(?<=\|) `(\w+)` \|", re.MULTILINE)


def text_of(document: str) -> str:
    return (PROJECT_ROOT / document).read_text("utf-8")


@cache
def files() -> dict[str, str]:
    """The text of every source file by its path."""
    found = [PROJECT_ROOT / name for name in SOURCES]
    found += [file for folder in found if folder.is_dir() for file in folder.rglob("*")]
    texts = [
        file
        for file in found
        if file.suffix in (".py", ".js", ".css") and file != Path(__file__)
    ]
    return {
        file.relative_to(PROJECT_ROOT).as_posix(): file.read_text("utf-8")
        for file in texts
    }


@cache
def words() -> set[str]:
    """Every word in the code and the data beside it, the names of its files included."""
    data = [
        file.read_text("utf-8")
        for name in ("backend", "ui")
        for file in (PROJECT_ROOT / name).rglob("*.json")
    ]
    texts = [*(f"{path} {text}" for path, text in files().items()), *data]
    found = {word for text in texts for word in re.findall(r"\w+", text)}
    return found | set(dir(builtins))


def is_in_tree(path: str) -> bool:
    """Whether a file or folder has this path, or one that ends with it."""
    if (PROJECT_ROOT / path).exists():
        return True
    end = "/" + path.strip("/")
    return any(name.endswith(end) or f"{end}/" in f"/{name}" for name in files())


def spans(document: str) -> list[str]:
    """The code inside the document's sentences."""
    return _SPAN.findall(_BLOCK.sub("", text_of(document)))


def map_of_the_tree() -> Iterator[str]:
    """The paths in ARCHITECTURE.md's map: names up to two spaces, inside the folder
    that is indented less.
    """
    folders: dict[int, str] = {}
    for line in _BLOCK.findall(text_of("ARCHITECTURE.md"))[0].splitlines():
        indent = len(line) - len(line.lstrip())
        folders = {depth: folder for depth, folder in folders.items() if depth < indent}
        for name in re.split(r"\s{2,}", line.strip())[0].split():
            if name.endswith(("/", ".py", ".sh", ".bat", ".txt")):
                yield "".join(folders.values()) + name
        if name.endswith("/"):
            folders[indent] = name


def heads() -> dict[str, str]:
    """The docstring of every package of the program, by its path."""
    packages = {
        path.rpartition("/")[0]
        for path in files()
        if path.split("/")[0] in ("backend", "jobs", "ui")
    }
    sources = {
        package: files()[f"{package}/__init__.py"] for package in sorted(packages)
    }
    return {
        package: ast.get_docstring(ast.parse(source)) or ""
        for package, source in sources.items()
    }


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_it_names_exists(document: str) -> None:
    ours = [
        span
        for span in spans(document)
        if _PATH.fullmatch(span) and span.split("/")[0] != "exports"
    ]
    peers = (
        {"src/llamafactory/webui/components/eval.py", "routes/inference.py"}
        if document == "README.md"
        else set()
    )
    assert [path for path in ours if path not in peers and not is_in_tree(path)] == []
    folder = (PROJECT_ROOT / document).parent
    assert [
        link
        for link in _LINK.findall(text_of(document))
        if not (folder / link).exists()
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_that_it_runs_exists(document: str) -> None:
    paths = [
        module.removesuffix(".NAME").replace(".", "/")
        for module in _MODULE.findall(text_of(document))
    ]
    assert [
        path for path in paths if not is_in_tree(path) and f"{path}.py" not in files()
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_name_of_the_code_that_it_uses_exists(document: str) -> None:
    code = [
        *spans(document),
        *(_BLOCK.findall(text_of(document)) if document.startswith("docs/") else ()),
    ]
    used = {name for piece in code for name in _NAME.findall(piece)}
    assert {name for name in used if name not in words()} <= EXAMPLES | {
        name.upper() for name in EXAMPLES
    } | VARIABLES


def test_the_map_is_true_whole_and_short() -> None:
    paths = list(map_of_the_tree())
    assert len(paths) >= 40
    assert [path for path in paths if not (PROJECT_ROOT / path).exists()] == []
    shown = {path.rstrip("/") for path in map_of_the_tree()}
    packages = {
        path.rpartition("/")[0]
        for path in files()
        if path.split("/")[0] in ("backend", "jobs", "ui")
    }
    assert {"/".join(package.split("/")[:2]) for package in packages} <= shown
    assert sum(head.count("\nDecision: ") for head in heads().values()) >= 50
    assert len(text_of("ARCHITECTURE.md").encode()) <= 12_000


@pytest.mark.parametrize(("package", "head"), heads().items(), ids=list(heads()))
def test_the_head_of_a_package_says_what_it_is(package: str, head: str) -> None:
    assert head.split("\n\n")[0].endswith((".", ":")), package
    assert len(head.splitlines()) < 75, (
        "move some of its decisions to a package within it"
    )


def test_every_file_says_what_it_holds_and_the_list_of_files_is_current() -> None:
    assert "|  |" not in map_of_files.text(), "a file without a docstring"
    assert text_of("docs/files.md") == map_of_files.text(), (
        "run: python -m tests.map_of_files"
    )


@pytest.mark.parametrize(("package", "head"), heads().items(), ids=list(heads()))
def test_a_decision_has_a_reason_a_proof_and_an_end(package: str, head: str) -> None:
    for decision in re.split(r"\n\n(?=Decision:)", head)[1:]:
        parts = re.split(r"^([A-Z][a-z]+(?: when)?): ", decision, flags=re.MULTILINE)[
            1:
        ]
        assert tuple(parts[::2]) == _PARTS, decision
        assert all(part.strip().endswith((".", ")")) for part in parts[1::2]), decision
        assert [
            path for path in _PATH.findall(parts[5]) if not is_in_tree(path.rstrip("."))
        ] == []


def test_the_workspace_and_the_changelog_are_those_of_the_code() -> None:
    (layout,) = (
        block
        for block in _BLOCK.findall(text_of("ARCHITECTURE.md"))
        if block.startswith("WORKSPACE/")
    )
    named = set(re.findall(r"[\w.]+\.(?:json|jsonl|txt|lock|safetensors)\b", layout))
    assert len(named) >= 10
    assert {
        name for name in named if not any(name in text for text in files().values())
    } == set()
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    number, date = re.findall(
        r"^## (\S+) \((.+)\)$", text_of("CHANGELOG.md"), re.MULTILINE
    )[0]
    assert version == (f"{number}.dev0" if date == "unreleased" else number)


def test_benchmarks_workflows_and_commands_are_those_named() -> None:
    for file in (PROJECT_ROOT / ".github" / "workflows").iterdir():
        jobs = yaml.safe_load(file.read_text("utf-8"))["jobs"]
        assert all(
            step.keys() & {"uses", "run"}
            for job in jobs.values()
            for step in job["steps"]
        ), file.name
    names = set(_BENCHMARK.findall(text_of("docs/performance.md")))
    assert len(names) >= 8
    assert [
        name
        for name in names
        if not (PROJECT_ROOT / f"tests/benchmarks/{name}.py").is_file()
    ] == []
    known = next(
        action.choices
        for action in make_parser()._actions
        if action.choices and "train" in action.choices
    )
    used = {
        word
        for line in re.findall(
            r"^\./start\.sh (.*)$", text_of("README.md"), re.MULTILINE
        )
        for word in [line.split()[0], *re.findall(r"\| (\w+)", line)]
    }
    assert used == set(known) | {"compile"}  # which is a word of start.py itself
