"""Python that uses an exported folder with transformers, peft, or through an
OpenAI-compatible server.
"""

import json
from collections.abc import Mapping
from string import Template

from backend.settings import PROJECT_ROOT

_TEMPLATES = PROJECT_ROOT / "static" / "snippets"


def _filled(template: str, **values: str) -> str:
    return Template((_TEMPLATES / f"{template}.txt").read_text("utf-8")).substitute(
        values
    )


def with_transformers(
    form: str,
    base: str,
    instruction: str = "",
    folder: str = ".",
    renamed: Mapping[str, str] | None = None,
) -> str:
    """Answers one question with what was exported to `folder`.

    form: "merged" for a model, or "adapter"
    base: the id of the model on which an adapter is
    renamed: the `key_mapping` of a model of which only the language part is loaded
        (models/causal_lm.py)
    """
    loaded = json.dumps(base) if form == "adapter" else "folder"
    names, first = "AutoModelForCausalLM, AutoTokenizer", ""
    if renamed:
        names, first = f"AutoConfig, {names}", _filled("part", base=loaded)
        loaded += f", config=part, key_mapping={json.dumps(dict(renamed))}"
    start = _filled(
        form, folder=json.dumps(folder), names=names, first=first, loaded=loaded
    )
    return f"{start}\n{_messages(instruction)}{_filled('answer')}"


def with_openai(url: str, key: str, model: str, instruction: str = "") -> str:
    """Asks a server with OpenAI's Python package."""
    return _filled(
        "openai", messages=_messages(instruction), **_as_json(url, key, model)
    )


def _messages(instruction: str) -> str:
    if not instruction:
        return 'messages = [{"role": "user", "content": "Hello"}]\n'
    return (
        f"instruction = {instruction!r}\n"
        'messages = [{"role": "system", "content": instruction}, {"role": "user", "content": "Hello"}]\n'
    )


def with_curl(url: str, key: str, model: str) -> str:
    """Asks a server from the command line."""
    return _filled("curl", url=url, key=key, model=model)


def as_web_form(url: str, key: str, model: str) -> str:
    """A page with a question and its answer."""
    return _filled("web_form", **_as_json(f"{url}/chat/completions", key, model))


def _as_json(url: str, key: str, model: str) -> dict[str, str]:
    return {"url": json.dumps(url), "key": json.dumps(key), "model": json.dumps(model)}
