"""Reads texts: web pages, Markdown and plain text, as the examples in them or as one text to learn from."""

import re

from backend.datasets.convert.templates import conversations
from backend.datasets.documents.blocks import Document
from backend.datasets.documents.markdown import has_table, read_markdown
from backend.datasets.documents.markup import read_html
from backend.datasets.documents.questions import find_pairs
from backend.datasets.read.examples import find_examples, one_text
from backend.datasets.read.file import File, OpenSource, Reader
from backend.errors import BadInput
from backend.records.rows import PassedOver
from backend.text.excerpt import excerpt


def is_html(text: str) -> bool:
    """Whether a text is a web page, or begins as a part of one."""
    start = re.sub(r"^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*", "", text[:4000], flags=re.DOTALL)
    first = r"<(!doctype html|html|head|body|(table|dl|h[1-6]|div|section|article|details)\b[^>]*>)"
    return re.match(first, start, re.IGNORECASE) is not None


def _open_page(file: File) -> OpenSource:
    document = read_html(file.whole_text())
    opened = find_examples(document, file.options)
    if opened is None and file.options.shape != "text":
        raise BadInput(
            "No questions with answers were found in this web page.",
            "Its text is mixed with menus and notices that a model should not learn.",
            "Save the part that you need as text, or put questions and answers into a table.",
        )
    opened = opened or one_text(document.text, file.options)
    opened.passed += [PassedOver(what, excerpt(text, width=200)) for what, text in document.asides]
    return opened


def holds_examples(file: File) -> bool:
    """Whether the start of a plain text or of a table holds questions and answers in another way."""
    if file.has_suffix("csv", "tsv", "tab", last=True):
        return False
    if conversations(file.text):
        return True
    document = read_markdown(file.text, headings=_is_markdown(file))
    return (has_table(file.text) and bool(document.tables)) or find_pairs(document.blocks) is not None


def _is_markdown(file: File) -> bool:
    return file.has_suffix("md", "markdown", last=True)


def as_document(file: File) -> Document:
    """A text as a document, which has headings where it is Markdown."""
    return read_markdown(file.whole_text(), headings=_is_markdown(file))


def _open_text(file: File) -> OpenSource:
    text = file.whole_text()
    if file.options.shape != "text" and (prompts := conversations(text)):
        return OpenSource(iter([[(line, {"messages": messages}) for line, messages in prompts]]))
    return find_examples(read_markdown(text, headings=_is_markdown(file)), file.options) or one_text(text, file.options)


WEB_PAGE = Reader(
    "html", "a web page", lambda file: is_html(file.text), _open_page, lambda file: read_html(file.whole_text())
)
MARKDOWN = Reader("markdown", "Markdown text", _is_markdown, _open_text, as_document)
PLAIN = Reader("text", "plain text", lambda file: True, _open_text, as_document)
