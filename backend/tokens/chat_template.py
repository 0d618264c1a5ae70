"""Rendering a chat template as transformers does, in Jinja's immutable sandbox, without
transformers.

A template comes with a model and is untrusted code (CVE-2024-34359): it never runs
outside the sandbox. That limits neither time nor memory: any but the bundled model's
runs in a box (box.py) too. The names a template may use (raise_exception, strftime_now,
tojson, the generation tag, break and continue) are those that transformers 5.24
provides in `apply_chat_template`; a test compares the two.
"""

import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from backend.errors import BadInput

log = logging.getLogger(__name__)


class GenerationTag(Extension):
    """{% generation %} … {% endgeneration %}: marks in some templates, which here only
    pass text through.
    """

    tags = {"generation"}  # noqa: RUF012 (Jinja requires this name and form)

    def parse(self, parser: Parser) -> Node | list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class TemplateRejection(jinja2.TemplateError):
    """The template called raise_exception: it does not accept the conversation."""


def _raise_exception(message: str) -> NoReturn:
    raise TemplateRejection(str(message))


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


@lru_cache(maxsize=64)
def _compiled(source: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(
        form
    )
    template = environment.from_string(source)
    template.globals = dict(
        template.globals
    )  # copying the chain of them takes a third of a rendering
    return template


def render(
    chat_template: str,
    messages: Sequence[Mapping[str, Any]],
    special_tokens: Mapping[str, str | bool],
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = False,
) -> str:
    """The text that a chat template makes of a conversation. Raises BadInput, with the
    template's own message as the reason, when it rejects the conversation or fails.

    chat_template: in Jinja
    special_tokens: bos_token, eos_token and the like, by name
    add_generation_prompt: whether the text ends where the model's answer begins
    """
    try:
        return _compiled(chat_template).render(
            messages=messages,
            tools=tools or None,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            **special_tokens,
        )
    except TemplateRejection as rejection:
        raise BadInput(
            "This model's chat template does not accept the conversation.",
            f"It says: {str(rejection)[:200]}.",
            "Change the order or the roles of the messages, or choose another model.",
        ) from rejection
    except (
        Exception
    ) as error:  # a template is foreign code: any error in it counts as bad input
        log.info("chat template failed", exc_info=True)
        raise BadInput(
            "This model's chat template could not turn the conversation into text.",
            f"The template failed with: {type(error).__name__}.",
            "Choose another model, or fix the conversation's roles and contents.",
        ) from error
