"""The templates that the page offers are read as what they show: two examples."""

import base64
import re

import pytest

from backend.datasets.read.load import load
from backend.settings import TEMPLATES
from ui.web.data import views

FILES = sorted(path.name for path in TEMPLATES.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_a_template_holds_two_examples(name: str) -> None:
    data = load(TEMPLATES / name)
    assert ([len(row.messages) for row in data.rows], data.problems) == ([2, 2], [])


def test_the_page_contains_each_template_as_a_download() -> None:
    links = re.findall(
        r'href="data:[^,]*;base64,([^"]+)" download="([^"]+)"', views.templates()
    )
    assert {name: base64.b64decode(data) for data, name in links} == {
        name: (TEMPLATES / name).read_bytes() for name in FILES
    }
