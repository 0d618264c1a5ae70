"""The script that runs before gradio's own (static/js/gradio.js): those in `head` run only after gradio has begun."""

from collections.abc import Callable

from gradio.routes import templates
from jinja2 import BaseLoader, Environment

from backend.settings import PROJECT_ROOT

_SCRIPT = PROJECT_ROOT / "static" / "js" / "gradio.js"


class _WithScript(BaseLoader):
    """Gradio's pages with our script at the beginning of their head."""

    def __init__(self, pages: BaseLoader) -> None:
        self._pages = pages

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, file, is_current = self._pages.get_source(environment, template)
        script = f"<script>(() => {{\n{_SCRIPT.read_text('utf-8')}}})();</script>"
        before, head, after = source.partition("<head>")
        return f"{before}{head}{{% raw %}}{script}{{% endraw %}}{after}", file, is_current


def install() -> None:
    """Has every page of this process begin with it."""
    pages = templates.env.loader
    if pages and not isinstance(pages, _WithScript):
        templates.env.loader = _WithScript(pages)
