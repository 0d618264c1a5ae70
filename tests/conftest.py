"""What all tests share: the bundled model, unpacked once and stored between runs, and
which tests are quick.
"""

import gc
import importlib.abc
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock

import ui.web  # noqa: F401  before gradio, which then writes no type stubs
from backend.gguf import base_file
from backend.gguf.requirement import has_llama_cpp
from backend.models import bundled
from backend.settings import HOME_VARIABLE, PROJECT_ROOT, Workspace
from jobs import process
from jobs.registry import JOB_TYPES
from tests.backend.shallow import use_first_layers
from tests.jobs import noop
from tests.linked_model import link_gguf_of, link_model
from tests.workers import end_workers

# As start.py does: what was installed is not compiled, and dozens of processes would
# each compile it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Before anything imports torch: as in backend/hardware/process.py, and no test may use
# the network or this computer's keyring.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # each process, and what it starts, has about a core of its own
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "APPRENTICE_NICENESS", "0"
)  # else a training that a test waits for comes after other tests
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"

BROWSER_TESTS = "tests/browser/"
WHOLE_WAY = "tests/browser/test_whole_way.py"  # it mostly waits for a training
ADVICE = ("tests/backend/advice/", "tests/ui/web/start/")  # the same estimates
SLOW_MARKERS = {"slow", "gpu", "browser"}
SLOW_FIXTURES = {"bundled_model", "tiny_model", "chromium"}
SLOW_PACKAGES = {
    "torch", "transformers", "trl", "peft", "accelerate", "datasets", "llama_cpp", "xllamacpp", "playwright",
}  # fmt: skip
MadeOnce = Callable[[str, Callable[[Path], object]], Path]
hidden = [
    0
]  # how many modules were loaded when the garbage collector was last told to pass over what there is


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Hides the thousands of tests and modules from the garbage collector, which would
    walk them again and again, and lets it run less often. The tests of the page need a
    third less processor time for it.
    """
    gc.set_threshold(10_000)
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before fixtures
def pytest_runtest_setup() -> None:
    """Hides also what the tests before imported, a million objects of torch and others:
    each training collects garbage at its end, which then takes a quarter of its time.
    """
    if len(sys.modules) > hidden[0] + 200:
        hidden[0] = len(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that may be quick (`-m quick` also skips each that imports one of
    SLOW_PACKAGES after all), and puts first what takes longest.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if not fixtures & SLOW_FIXTURES and not any(
            item.get_closest_marker(name) for name in SLOW_MARKERS
        ):
            item.add_marker("quick")
    first = (WHOLE_WAY, BROWSER_TESTS)
    items.sort(
        key=lambda item: (
            *(not item.nodeid.startswith(path) for path in first),
            "quick" in item.keywords,
        )
    )


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives each file to one process, and all browser tests but the whole way to the
    same one: no two shall compete. So are those of ADVICE, which remember what was
    computed. `start.py test` starts three processes on two cores, since a browser waits
    for half of its time.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file.startswith(BROWSER_TESTS) and file != WHOLE_WAY:
                return BROWSER_TESTS
            return ADVICE[0] if file.startswith(ADVICE) else file

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr == "quick":
        sys.meta_path.insert(0, SkipSlowImports())


class SkipSlowImports(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Skips the test that imports a slow package. `importlib.util.find_spec` still
    finds the package.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = (
            PathFinder.find_spec(name, path, target) if name in SLOW_PACKAGES else None
        )
        if spec is not None:
            spec.loader = self
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        pytest.skip(f"not quick: imports {module.__name__}", allow_module_level=True)


@pytest.fixture(scope="session")
def bundled_model(request: pytest.FixtureRequest) -> Path:
    """The folder of the unpacked bundled model. Read-only: tests that change it use
    `workspace_with_model`.
    """
    workspace = Workspace.open(request.config.cache.mkdir("apprentice"))
    if not bundled.is_ready(
        workspace
    ):  # in another process: this one must not import torch
        program = (
            "from backend.models import bundled\nfrom backend.settings import Workspace\n"
            "bundled.ensure(Workspace.open())"
        )
        environment = {
            **os.environ,
            HOME_VARIABLE: str(workspace.root),
            "PYTHONPATH": str(PROJECT_ROOT),
        }
        subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            check=True,
            capture_output=True,
        )
    return bundled.folder(workspace)


@pytest.fixture(scope="session")
def bundled_gguf(bundled_model: Path) -> Path | None:
    """The bundled model as llama.cpp answers from it, for `link_gguf`; None without
    llama.cpp.
    """
    if not has_llama_cpp():
        return None
    return base_file.base_file(
        Workspace.open(bundled_model.parent.parent), bundled_model, lambda *step: None
    )


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """made_once(name, make): the file or folder that `make` makes at a path, in the
    first test process that asks.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = (
        folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    )  # of all processes

    def once(name: str, make: Callable[[Path], object]) -> Path:
        path, made = folder / "once" / name, folder / "once" / f".{name}.made"
        made.parent.mkdir(exist_ok=True)
        with FileLock(made.with_suffix(".lock")):
            if not made.is_file():
                shutil.rmtree(path, ignore_errors=True)  # by a process that failed
                make(path)
                made.touch()
        return path

    return once


@pytest.fixture(scope="session")
def first_layers(bundled_model: Path, made_once: MadeOnce) -> Workspace:
    """A workspace with the bundled model's first layers in its place, also as llama.cpp
    answers from them. Read-only: tests that change it use `workspace_with_layers`.
    """

    def make(root: Path) -> None:
        workspace = Workspace.open(root)
        link_model(bundled_model, workspace)
        use_first_layers(workspace, bundled_model)
        if has_llama_cpp():
            base_file.base_file(
                workspace, bundled.folder(workspace), lambda *step: None
            )

    return Workspace.open(made_once("first-layers", make))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A new workspace, without a model."""
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def workspace_with_layers(
    first_layers: Workspace, tmp_path: Path
) -> Iterator[Workspace]:
    """A new workspace with those layers: all of a model's way in a fraction of the
    time.
    """
    workspace = Workspace.open(tmp_path / "workspace")
    link_gguf_of(
        first_layers, link_model(bundled.folder(first_layers), workspace), workspace
    )
    yield workspace
    end_workers(workspace)


@pytest.fixture
def noop_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job kind "noop" exists in this test and in the workers that it starts."""
    monkeypatch.setitem(JOB_TYPES, "noop", noop.NOOP)
    monkeypatch.setattr(process, "WORKER", noop.WORKER)


@pytest.fixture
def workspace_with_model(bundled_model: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A new workspace that contains the bundled model (hard links where the file system
    has them).
    """
    workspace = Workspace.open(tmp_path / "workspace")
    link_model(bundled_model, workspace)
    yield workspace
    end_workers(workspace)
