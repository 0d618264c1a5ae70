"""A chat template that would run forever or fill the memory is stopped; sound ones render as before."""

import sys
import time

import pytest

from backend.errors import BadInput
from backend.tokens import template_limits
from backend.tokens.chat_template import render
from tests.cases import cases

ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% set x = a * b %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% for a in range(9) recursive %}{{ loop(range(9)) }}{{ loop(range(9)) }}{% endfor %}",
    "{% set tick = 1 %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
]
HUGE = cases("templates", "huge")
MESSAGES = [{"role": "user", "content": "Hello?"}]


@pytest.mark.parametrize("template", ENDLESS, ids=range(len(ENDLESS)))
def test_an_endless_template_is_stopped(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_limits, "SECONDS", 0.2)
    started = time.thread_time()
    with pytest.raises(BadInput):
        render(template, MESSAGES, {})
    assert time.thread_time() - started < 5


@pytest.mark.parametrize("template", HUGE, ids=range(len(HUGE)))
def test_a_template_that_would_fill_the_memory_is_stopped(template: str) -> None:
    before = _peak()
    with pytest.raises(BadInput):
        render(template, MESSAGES, {})
    assert _peak() - before < 600, "MiB"


def _peak() -> float:
    resource = pytest.importorskip("resource")  # not on Windows
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)


def test_an_overlong_template_is_refused() -> None:
    with pytest.raises(BadInput):
        render("x" * (template_limits.LONGEST_TEMPLATE + 1), MESSAGES, {})


def test_a_long_conversation_renders() -> None:
    template = (
        "{% for m in messages %}{{ '<' ~ m.role + '>' + m.content.strip().replace('a', 'b') | trim }}{% endfor %}"
    )
    messages = [{"role": "user", "content": "ab " * 30_000}] * 100
    assert len(render(template, messages, {})) > 8_000_000
