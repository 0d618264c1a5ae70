"""The page's stand-in services offer what the real ones do, with the same signatures, and all that the page calls."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT, Workspace
from tests.ui.fake_services import FakeApp
from ui.services.app import App

SERVICES = (
    "models", "downloads", "advice", "datasets", "fixes", "validation_files", "edits", "hub_data", "writing",
    "planning", "runs", "retries", "versions", "results", "chat", "documents", "prompt_trials", "evaluations",
    "blind_tests", "corrections", "endpoints", "hub_pushes", "model_imports",
)  # fmt: skip


def differences(real: object, fake: object, used: set[str]) -> list[str]:
    """How a stand-in differs from the real object, one line each. used: the names that the page uses of it."""
    found = [f"{name}: the page uses it, the real object lacks it" for name in used if not hasattr(real, name)]
    found += [f"{name}: the page uses it, the stand-in lacks it" for name in used if not hasattr(fake, name)]
    for name, method in _public_methods(fake):
        original = getattr(real, name, None)
        if not callable(original):
            found.append(f"{name}: only the stand-in has it")
        elif (wanted := _parameters(original)) != (has := _parameters(method)):
            found.append(f"{name}: takes {wanted}, the stand-in takes {has}")
    return sorted(found)


def _public_methods(thing: object) -> list[tuple[str, Any]]:
    return [(name, method) for name, method in inspect.getmembers(thing, inspect.ismethod) if name[0] != "_"]


def _parameters(method: Any) -> list[tuple[str, str, Any]]:
    """Name, kind and default of each parameter, in order."""
    return [(one.name, one.kind.name, one.default) for one in inspect.signature(method).parameters.values()]


def used_names(source: str) -> Iterator[tuple[str, str]]:
    """The names that a module of the page uses: ("runs", "job") for app.runs.job, ("", "validated") for its own."""
    tree = ast.parse(source)
    aliases = {
        node.targets[0].id: node.value.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_service(node.value)
        if isinstance(node.value, ast.Attribute)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        if isinstance(node.value, ast.Attribute) and _is_service(node.value):
            yield node.value.attr, node.attr
        elif isinstance(node.value, ast.Name) and node.value.id in aliases:
            yield aliases[node.value.id], node.attr
        elif _is_app(node.value) and node.attr not in SERVICES:
            yield "", node.attr


def _is_service(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in SERVICES and _is_app(node.value)


def _is_app(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id == "app") or (
        isinstance(node, ast.Attribute) and node.attr == "app"
    )


def used_by_page() -> dict[str, set[str]]:
    """The names that the page uses, by service; "" stands for the app itself."""
    found: dict[str, set[str]] = {name: set() for name in ("", *SERVICES)}
    for path in sorted((PROJECT_ROOT / "ui" / "web").rglob("*.py")):
        if path.name != "serve.py":  # which builds the real app
            for service, name in used_names(path.read_text("utf-8")):
                found[service].add(name)
    return found


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    made = App(Workspace.open(tmp_path_factory.mktemp("workspace")))
    yield made
    made.close()


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_the_stand_in_matches_the_real_service(app: App, service: str) -> None:
    used, fake = used_by_page()[service], FakeApp()
    assert used
    real, stand_in = (app, fake) if not service else (getattr(app, service), getattr(fake, service))
    assert differences(real, stand_in, used) == []


class Real:
    def __init__(self) -> None:
        self.simulated = None

    def plan(self, data_id: str, model_id: str = "") -> str:
        return ""

    def unused(self) -> None:
        pass


class Same(Real):
    pass


class LacksOne:
    def __init__(self) -> None:
        self.simulated = None


class HasMore(Real):
    def helper(self) -> None:
        pass


class Renamed(Real):
    def plan(self, data: str, model_id: str = "") -> str:  # type: ignore[override]
        return ""


class OtherDefault(Real):
    def plan(self, data_id: str, model_id: str = "x") -> str:
        return ""


class OtherOrder(Real):
    def plan(self, model_id: str = "", data_id: str = "") -> str:  # type: ignore[override]
        return ""


class OtherKind(Real):
    def plan(self, data_id: str, *, model_id: str = "") -> str:  # type: ignore[override]
        return ""


class OneMore(Real):
    def plan(self, data_id: str, model_id: str = "", name: str = "") -> str:
        return ""


USED = {"plan", "simulated"}


def test_a_stand_in_that_matches_has_no_differences() -> None:
    assert differences(Real(), Same(), USED) == []


@pytest.mark.parametrize("fake", [LacksOne, HasMore, Renamed, OtherDefault, OtherOrder, OtherKind, OneMore])
def test_a_stand_in_that_differs_is_found(fake: type) -> None:
    assert len(differences(Real(), fake(), USED)) == 1


@pytest.mark.parametrize("real", [LacksOne, Renamed, OtherDefault, OtherOrder, OtherKind, OneMore])
def test_a_change_of_the_real_service_is_found(real: type) -> None:
    class Fake(Real):
        unused = None  # type: ignore[assignment]

    assert differences(real(), Fake(), USED)


def test_a_renamed_method_of_each_real_service_is_found(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    for service, used in used_by_page().items():
        real = type(getattr(app, service)) if service else App
        fake = getattr(FakeApp(), service) if service else FakeApp()
        name = next(name for name in sorted(used) if inspect.isfunction(getattr(real, name, None)))
        with monkeypatch.context() as renaming:
            renaming.setattr(real, f"{name}_now", getattr(real, name), raising=False)
            renaming.delattr(real, name)
            found = differences(getattr(app, service) if service else app, fake, used)
        assert found == [f"{name}: only the stand-in has it", f"{name}: the page uses it, the real object lacks it"]


def test_names_are_found_however_the_page_reaches_them() -> None:
    source = (
        "def build(app):\n"
        "    app.planning.plan('')\n"
        "    pushes = self.app.hub_pushes\n"
        "    pushes.forms('')\n"
        "    page.app.validated(choice)\n"
        "    handler(app.chat.stop)\n"
        "    other.runs.start()\n"
    )
    assert set(used_names(source)) == {
        ("planning", "plan"),
        ("hub_pushes", "forms"),
        ("", "validated"),
        ("chat", "stop"),
    }
