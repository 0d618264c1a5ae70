"""Parts left in a text by mistake: placeholders, HTML, image references, separators, quoted mail."""

import html
import re
from collections.abc import Iterable

from backend.datasets.checks.patterns import BRACKET, DASH, DIGIT, ENDING, WORD_LISTS, WORDS, TextFault, any_of

_SEVERAL = 3  # examples
_BLANK = (  # what a person is meant to fill in: a word that stands for something else
    r"name|date|time|company|address|e-?mail|phone|city|product|amount|number|link|url|title|customer|order|price|year"
    r"|firma|datum|adresse|telefon|betrag|nom|entreprise|nombre|empresa|fecha|correo|nome|azienda|data"
)
_TITLED = "|".join(word.capitalize() for word in _BLANK.split("|"))
_PLACEHOLDER = re.compile(
    r"\{\{ ?[^\W\d][\w .-]{0,40}\}\}"  # {{name}}
    rf"|(?<![\w{{$])\{{(?:[a-z]+[ _])?(?:{_BLANK})\}}(?!\}})"  # {first_name}
    r"|\[(?i:your|insert|enter|ihre?|votre|su|tu|il tuo|placeholder)\b[^\[\]\n]{0,40}\](?!\()"  # [YOUR NAME]
    rf"|\[(?:[A-Z]+[ _])?(?:{_BLANK.upper()})\](?!\()|\[(?:[A-Z][a-z]+ )?(?:{_TITLED})\](?!\()"
    r"|\[(?:X{2,}|_{2,}|\.{3})\]"
    r"|<(?i:your|insert|enter)[ _-][^<>\n]{1,40}>"
    r"|(?<!\w)<(?:(?:first|last|customer)[ _-]?)?"
    r"(?:name|date|company|city|product|amount|number|price|firma|datum|nombre|fecha)>"
    r"(?!.*</)|[\"'](?:TODO|TBD|FIXME|XXX)[\"']"
    r"|(?<![#/*] )\bTODO:|(?<![\w#/*])[\[(]?\bTODO\b[\])]?(?=[.\s]*\Z)|\[(?:TODO|TBD|FIXME)\]|\((?:TODO|TBD)\)"
    r"|\b[Ll]orem ipsum\b"
)
_TAGS = r"p|div|span|b|i|u|strong|em|ul|ol|li|a|h[1-6]|table|tr|td|th|font|blockquote|small|sup|sub"
_HTML = re.compile(
    r"<br ?/?>|&(?:nbsp|amp|lt|gt|quot|#\d{1,5});"
    rf"|<(?:{_TAGS})(?:\s[^<>]{{0,300}})?>\s*[^\s<][^<]{{0,2000}}</(?:{_TAGS})>",
    re.IGNORECASE,
)
_ENDS_LINE = re.compile(r"[ \t]*(?:<br ?/?>|</(?:p|div|ul|ol|tr|h[1-6]|table|blockquote)>)[ \t]*\n?", re.IGNORECASE)
_ITEM = re.compile(r"\s*<li(?:\s[^<>]{0,300})?>\s*", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{_TAGS}|img|hr|tbody|thead)(?:\s[^<>]{{0,300}})?/?>", re.IGNORECASE)


def without_html(text: str) -> str:
    """The text of a piece of HTML, with its lines and list items, without its tags, entities as characters."""
    text = _TAG.sub("", _ITEM.sub("\n- ", _ENDS_LINE.sub("\n", text)))
    return re.sub(r"\n{3,}", "\n\n", html.unescape(text)).strip()


def _outside_code(match: re.Match[str]) -> str | None:
    text = match.string
    return None if "```" in text or text[match.start() - 1 : match.start()] == "`" else ""


PLACEHOLDER = TextFault("placeholder", BRACKET | WORDS, _PLACEHOLDER, _outside_code, drops=True)
HTML = TextFault("html", BRACKET, _HTML, _outside_code, whole=without_html, answers_only=True)
MEDIA = TextFault(
    "media_marker",
    BRACKET,
    re.compile(
        r"<(?:image|video|audio|img)(?:[_ ]?\d+)?>|\[(?:image|img|video|audio)(?:[ :#_]{0,2}\d+)?\](?!\()",
        re.IGNORECASE,
    ),
    _outside_code,
    drops=True,
)
# OpenAI's legacy fine-tuning guide ("Preparing your dataset", 2022) ended prompts with "\n\n###\n\n" or " ->", and
# completions with " END" or "###".
SEPARATOR = TextFault(
    "legacy_separator", ENDING, re.compile(r"(?:\s*(?:###|->)|\s+(?:END|STOP))\s*\Z"), at_least=_SEVERAL
)
_QUOTED_MAIL = any_of(WORD_LISTS["quoted_mail"], r"\s*^[> \t]*{}[\s\S]*\Z", re.MULTILINE)
QUOTED_MAIL = TextFault("quoted_mail", DASH | DIGIT, _QUOTED_MAIL, answers_only=True)
LEFTOVERS = (PLACEHOLDER, HTML, MEDIA, SEPARATOR, QUOTED_MAIL)


# Harmless in training, since content is encoded apart from the template. But the text was pasted from a formatted
# prompt, and the model would learn to write them. They are from ChatML, Llama 2 and 3, Gemma, Phi, Mistral
# and DeepSeek.
_COMMON = (
    r"<\|[a-zA-Z0-9_ ]{2,40}\|>|<｜[^｜<>]{2,40}｜>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>"
    r"|\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\]|<(?:bos|eos|pad|unk)>"
)


def marker_fault(control_markers: Iterable[str] = ()) -> TextFault:
    """The fault for common markers and those of the model's tokenizer."""
    own = [re.escape(m) for m in sorted(control_markers, key=len, reverse=True) if m[:1] in ("<", "[")]
    return TextFault("control_marker", BRACKET, re.compile("|".join([*own, _COMMON])))
