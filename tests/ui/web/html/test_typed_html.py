"""HTML is written only as a literal inside `Markup(...)`, and text is escaped by that
type.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from markupsafe import Markup

from backend.settings import PROJECT_ROOT
from tests.ui.conftest import in_loop
from ui.web import components

WEB = PROJECT_ROOT / "ui" / "web"
FILES = sorted(WEB.rglob("*.py"))
EVIL = "<img src=x>"


def faults(source: str) -> Iterator[tuple[int, str]]:
    """(line, what) of each place that makes HTML without escaping."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and any(map(_is_html, node.values)):
            yield node.lineno, "f-string"
        elif isinstance(node, ast.BinOp) and (
            _is_html(node.left) or _is_html(node.right)
        ):
            yield node.lineno, "operator on a plain string"
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and _is_html(called.value):
                yield node.lineno, f"method {called.attr} of a plain string"
            name = (
                called.attr
                if isinstance(called, ast.Attribute)
                else getattr(called, "id", "")
            )
            if name == "Markup" and not all(
                isinstance(one, ast.Constant) for one in node.args
            ):
                yield node.lineno, "Markup of something that is not a literal"
        elif isinstance(node, ast.ImportFrom) and node.module == "html":
            yield node.lineno, "escaping by hand"
        elif isinstance(node, (ast.Import, ast.ImportFrom)) and any(
            one.name.endswith("Markup") and one.asname for one in node.names
        ):
            yield node.lineno, "Markup under another name"


def _is_html(node: ast.AST) -> bool:
    """Whether it is a string that opens or closes a tag; the page's own <script> may be
    put together.
    """
    text = node.value if isinstance(node, ast.Constant) else ""
    return isinstance(text, str) and bool(
        re.search(r"<(?!/?script>)[a-z/!]", text, re.IGNORECASE)
    )


@pytest.mark.parametrize(
    "file", FILES, ids=lambda file: file.relative_to(WEB).as_posix()
)
def test_html_is_a_literal_in_markup(file: Path) -> None:
    assert list(faults(file.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        'f"<p>{text}</p>"', '"<p>" + text', 'text + "</p>"', '"<p>%s</p>" % text', '"<p>{}</p>".format(text)',
        '"<br>".join(parts)', "Markup(text)", "markupsafe.Markup(text)", 'Markup(f"{text}")',
        "from html import escape", "from markupsafe import Markup as Html",
    ],
)  # fmt: skip
def test_the_check_finds_each_way_around_the_type(source: str) -> None:
    assert list(faults(source))


def test_only_one_file_makes_html_components() -> None:
    using = [
        file.relative_to(WEB).as_posix()
        for file in FILES
        if "gr.HTML(" in file.read_text("utf-8")
    ]
    assert using == []


class TestComponent:
    """What gradio sends to the browser for an HTML component of ours."""

    @pytest.mark.parametrize("make", [components.html, components.clickable])
    def test_text_is_escaped_and_markup_is_not(self, make: type[gr.HTML]) -> None:
        def build() -> gr.HTML:
            with gr.Blocks(analytics_enabled=False):
                return make(EVIL)

        part = in_loop(build)
        assert (part.value, part.postprocess(EVIL)) == (
            "&lt;img src=x&gt;",
            "&lt;img src=x&gt;",
        )
        assert (
            part.postprocess(Markup("<p>{}</p>").format(EVIL))
            == "<p>&lt;img src=x&gt;</p>"
        )
        assert (part.postprocess(None), part.get_block_name()) == ("", "html")

    def test_a_component_that_gradio_makes_again_escapes_too(self) -> None:
        """After a `gr.update` gradio goes on with a new object of the same class."""

        def build() -> gr.HTML:
            with gr.Blocks(analytics_enabled=False):
                part = components.html("")
                return type(part)(**part.constructor_args)

        assert in_loop(build).postprocess(EVIL) == "&lt;img src=x&gt;"

    def test_no_stub_is_written_next_to_the_source(self) -> None:
        assert not list(WEB.rglob("*.pyi"))
