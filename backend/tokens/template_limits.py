"""Jinja's immutable sandbox with limits on time and memory: a chat template comes with a model and is untrusted code.

A render may take SECONDS of processor time and make CHARACTERS of text. Both are counted at every pass of a loop,
call, filter and operator; what could make a long text in a single step is refused beforehand. The checks are part of
the compiled template, so that it can't replace them by variables of its own.
"""

import functools
import inspect
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

SECONDS = 10.0
CHARACTERS = 200_000_000
LONGEST_TEMPLATE = 1_000_000  # characters
_LARGEST = 100_000  # number that a template may give as a width, a count or an exponent
_LARGEST_BITS = 100_000  # of a number
_GROWING = {"replace", "join", "indent", "expandtabs", "translate", "do_replace", "do_join", "do_indent"}
_WIDE = re.compile(r"\d{6,}|\*")  # a width in a format
_ENTRY = 8  # an entry of a list counts as so many characters
_TICKS = 64  # counted steps between two checks of the clock
_THIS = f"{__name__}."


class LimitReached(TemplateError):
    """The template takes too long or makes too much text."""


class _Budget(threading.local):
    until = 0.0
    characters = 0
    ticks = 0


_budget = _Budget()


@contextmanager
def limits() -> Iterator[None]:
    """Set the limits of one render in this thread."""
    _budget.until, _budget.characters = time.thread_time() + SECONDS, CHARACTERS
    yield


def tick() -> str:
    """One step of the template. Raises LimitReached."""
    _budget.ticks += 1
    if _budget.ticks % _TICKS == 0 and time.thread_time() > _budget.until:
        raise LimitReached("the template takes too long")
    return ""


def joined(*parts: Any) -> str:
    """`a ~ b`."""
    return concat(map(str, parts))


def concat(parts: Iterable[str]) -> str:
    """The parts as one text. Raises LimitReached."""
    texts: list[str] = []
    made = 0
    for part in parts:
        texts.append(part)
        made += len(part)
        if made > _budget.characters or len(texts) % _TICKS == 0:
            _spend(made)
            made = 0
    _spend(made)
    return "".join(texts)


def _spend(characters: int) -> None:
    _budget.characters -= characters
    if _budget.characters < 0:
        raise LimitReached("the template makes too much text")


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, list | tuple | dict):
        return _ENTRY * len(value) + sum(len(item) for item in value if isinstance(item, str))
    return 0


def _check(name: str, values: list[Any]) -> None:
    """Before a call: the sizes that its result may have. Raises LimitReached."""
    tick()
    for value in values:
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise LimitReached("a number is too large")
    if name == "format" and any(isinstance(value, str) and _WIDE.search(value) for value in values):
        raise LimitReached("a width is too large")
    if name in _GROWING:
        largest = sorted(map(_size, values))[-2:]
        widths = [value for value in values if isinstance(value, int)]
        _spend(sum(map(_size, values)) + largest[-1] * max([0, *largest[:-1], *widths]))


def limited_filter(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(work)  # with the marks by which Jinja passes its context
    def limited(*args: Any, **kwargs: Any) -> Any:
        values = [list(value) if isinstance(value, Iterator) else value for value in args]
        _check(name, [*values, *kwargs.values()])
        result = work(*values, **kwargs)
        _spend(_size(result))
        return result

    return limited


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox; render its templates within `limits`."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})
    concat = staticmethod(concat)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters = {name: limited_filter(name, work) for name, work in self.filters.items()}
        self.globals.pop("lipsum")  # makes text of any length

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > LONGEST_TEMPLATE:
            raise LimitReached("the template is too long")
        template = _Counting().visit(super()._parse(source, name, filename))
        return template.set_environment(self)  # type: ignore[no-any-return]

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        if __obj is tick or __obj is joined:
            return __obj(*args)
        name = getattr(__obj, "__name__", "")
        method = inspect.unwrap(__obj) if name == "format" else __obj  # Jinja wraps str.format
        _check(name, [getattr(method, "__self__", None), *args, *kwargs.values()])
        result = super().call(__context, __obj, *args, **kwargs)
        _spend(_size(result))
        return result

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            _spend(len(left) + len(right))
            return left + right
        tick()
        sizes, numbers = sorted((_size(left), _size(right))), [v for v in (left, right) if isinstance(v, int)]
        if operator == "%" and isinstance(left, str) and _WIDE.search(left):
            raise LimitReached("a width is too large")
        if operator == "**" and any(abs(number) > _LARGEST for number in numbers):
            raise LimitReached("a number is too large")
        if operator == "*" and sizes[1] and numbers:
            _spend(sizes[1] * max(0, *numbers))
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and result.bit_length() > _LARGEST_BITS:
            raise LimitReached("a number is too large")
        _spend(_size(result))
        return result


class _Counting(NodeTransformer):
    """Counts each pass of a loop and each call of a macro, and each `~`."""

    def visit_For(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, nodes.Output([_call("tick", [], node.lineno)], lineno=node.lineno))
        return node  # type: ignore[no-any-return]

    visit_Macro = visit_For

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call("joined", node.nodes, node.lineno)


def _call(name: str, values: list[Any], line: int) -> nodes.Call:
    return nodes.Call(nodes.ImportedName(_THIS + name), values, [], None, None, lineno=line)
