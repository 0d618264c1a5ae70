"""Parts left in a text by mistake: placeholders, HTML, image references, separators, quoted mail."""

import html
import re
from collections.abc import Iterable
from functools import lru_cache

from backend.datasets.checks.patterns import BRACKET, DASH, DIGIT, ENDING, WORD_LISTS, WORDS, TextFault, any_of, pattern

_ENDS_LINE, _ITEM, _TAG, _CODE = map(pattern, ("html_line_end", "html_item", "html_tag", "code"))


def without_html(text: str) -> str:
    """The text of a piece of HTML, with its lines and list items, without its tags, entities as characters."""
    text = _TAG.sub("", _ITEM.sub("\n- ", _ENDS_LINE.sub("\n", text)))
    return re.sub(r"\n{3,}", "\n\n", html.unescape(text)).strip()


def _outside_code(match: re.Match[str]) -> str | None:
    text = match.string
    return None if text[match.start() - 1 : match.start()] == "`" or _has_code(text) else ""


@lru_cache(maxsize=1)  # it is asked about each match in one text
def _has_code(text: str) -> bool:
    return "```" in text or _CODE.search(text) is not None


_PLACEHOLDER = TextFault("placeholder", BRACKET | WORDS, pattern("placeholder"), _outside_code, drops=True)
_HTML = TextFault("html", BRACKET, pattern("html"), _outside_code, whole=without_html, answers_only=True)
_MEDIA = TextFault("media_marker", BRACKET, pattern("media_marker"), _outside_code, drops=True)
# OpenAI's legacy fine-tuning guide ("Preparing your dataset", 2022) ended prompts with "\n\n###\n\n" or " ->", and
# completions with " END" or "###".
_SEPARATOR = TextFault("legacy_separator", ENDING, pattern("legacy_separator"), at_least=3)
_QUOTED_MAIL = TextFault("quoted_mail", DASH | DIGIT, pattern("quoted_mail"), answers_only=True)
LEFTOVERS = (_PLACEHOLDER, _HTML, _MEDIA, _SEPARATOR, _QUOTED_MAIL)


# Harmless in training, since content is encoded apart from the template. But the text was pasted from a formatted
# prompt, and the model would learn to write them. They are from ChatML, Llama 2 and 3, Gemma, Phi, Mistral
# and DeepSeek.
def marker_fault(control_markers: Iterable[str] = ()) -> TextFault:
    """The fault for common markers and those of the model's tokenizer."""
    own = [re.escape(m) for m in sorted(control_markers, key=len, reverse=True) if m[:1] in ("<", "[")]
    return TextFault(
        "control_marker", BRACKET, any_of([*own, *WORD_LISTS["patterns"]["control_marker"]], flags=re.NOFLAG)
    )
