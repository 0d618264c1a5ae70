"""Reads texts: web pages, Markdown and plain text, as the examples in them or as one
text to learn from.
"""

import re

from backend.datasets.convert.templates import conversations
from backend.datasets.documents.blocks import Document
from backend.datasets.documents.markdown import has_table, read_markdown
from backend.datasets.documents.markup import read_html
from backend.datasets.documents.questions import TEXT, propose
from backend.datasets.read.examples import open_text
from backend.datasets.read.file import File, OpenSource, Reader
from backend.records.rows import PassedOver
from backend.text.excerpt import excerpt

_FRONT = re.compile(
    r"\ufeff?--- *\n(?=\w)(?:(?!---)(?:[^\W\d][\w-]*:(?:[ \t].*)?|[ \t#-].*)\n){1,99}--- *(?:\n|\Z)"
)


def is_html(text: str) -> bool:
    """Whether a text is a web page, or begins as a part of one."""
    start = re.sub(
        r"^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*", "", text[:4000], flags=re.DOTALL
    )
    first = r"<(!doctype html|html|head|body|(table|dl|h[1-6]|div|section|article|details)\b[^>]*>)"
    return re.match(first, start, re.IGNORECASE) is not None


def _open_page(file: File) -> OpenSource:
    document = read_html(file.whole_text())
    opened = open_text(document, document.text, file.options, prose=False)
    opened.passed += [
        PassedOver(what, excerpt(text, width=200)) for what, text in document.asides
    ]
    return opened


def holds_examples(file: File) -> bool:
    """Whether the start of a plain text or of a table holds questions and answers in
    another way.
    """
    if file.has_suffix("csv", "tsv", "tab", last=True):
        return False
    if conversations(file.text):
        return True
    document = read_markdown(file.text, headings=_is_markdown(file))
    pairs = propose(document.blocks, TEXT)
    return (has_table(file.text) and bool(document.tables)) or bool(pairs)


def _is_markdown(file: File) -> bool:
    return file.has_suffix("md", "markdown", last=True)


def as_document(file: File) -> Document:
    """A text as a document, which has headings where it is Markdown."""
    return read_markdown(_without_front(file)[0], headings=_is_markdown(file))


def _without_front(file: File) -> tuple[str, list[PassedOver]]:
    """The text, with blank lines for the front matter of Markdown, and that. Keys that
    come back label examples.
    """
    text = file.whole_text()
    front = _FRONT.match(text) if _is_markdown(file) else None
    if front is None or any(
        f"\n{line.partition(':')[0]}:" in text[front.end() :]
        for line in front[0].split("\n")
    ):
        return text, []
    return "\n" * front[0].count("\n") + text[front.end() :], [
        PassedOver("front matter", front[0].strip("-\n"), 1)
    ]


def _open_text(file: File) -> OpenSource:
    text, front = _without_front(file)
    if file.options.shape != "text" and (prompts := conversations(text)):
        return OpenSource(
            iter([[(line, {"messages": messages}) for line, messages in prompts]])
        )
    document = read_markdown(text, headings=_is_markdown(file))
    opened = open_text(document, text.lstrip("\n") if front else text, file.options)
    opened.passed += front
    return opened


WEB_PAGE = Reader(
    "html",
    "a web page",
    lambda file: is_html(file.text),
    _open_page,
    lambda file: read_html(file.whole_text()),
)
MARKDOWN = Reader("markdown", "Markdown text", _is_markdown, _open_text, as_document)
PLAIN = Reader("text", "plain text", lambda file: True, _open_text, as_document)
