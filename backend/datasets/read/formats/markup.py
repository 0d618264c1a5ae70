"""Reads texts with marks for programs: feeds (RSS, Atom), translations (.po) and LaTeX."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from backend.datasets.convert.detect import Record
from backend.datasets.documents.markdown import read_markdown
from backend.datasets.documents.markup import read_html
from backend.datasets.read.examples import find_examples, one_text
from backend.datasets.read.file import File, OpenSource, Reader
from backend.errors import BadInput
from backend.files.json_file import read_json

_FEED = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:rss|feed|rdf:RDF)\b", re.DOTALL)
_ITEM = re.compile(r"<(item|entry)(?:\s[^<>]*)?(?<!/)>")
_FIELD = re.compile(r"<([\w:]+)(?:\s[^<>]*)?(?<!/)>")
_MESSAGE = re.compile(r'^(msgid|msgid_plural|msgstr(?:\[(\d)\])?) ((?:".*"\s*)+)', re.MULTILINE)
_QUOTED = re.compile(r'"(.*)"')
_IS_LATEX = re.compile(r"(?:\s|%.*\n)*\\(?:documentclass|documentstyle|begin\{document\})")
_LATEX = [(re.compile(pattern), to) for pattern, to in read_json(Path(__file__).with_suffix(".json"))["latex"]]


def _open_feed(file: File) -> OpenSource:
    text, line, before = file.whole_text(), 1, 0
    records: list[Record] = []
    for start, _, inside in _elements(text, _ITEM):
        line, before = line + text.count("\n", before, start), start
        records.append((line, {name: _shown(value) for _, name, value in _elements(inside, _FIELD)}))
    if not records:
        raise BadInput("This feed has no entries.", "", "Choose another file.")
    return OpenSource(iter([records]))


def _elements(text: str, tag: re.Pattern[str]) -> Iterator[tuple[int, str, str]]:
    """(start, name, content) of the elements that begin with such a tag, up to the first one without an end."""
    found = tag.search(text)
    while found and (end := text.find(f"</{found[1]}>", found.end())) >= 0:
        yield found.start(), found[1], text[found.end() : end]
        found = tag.search(text, end)


def _shown(value: str) -> str:
    return read_html(html.unescape(value.replace("<![CDATA[", "").replace("]]>", ""))).text


def _open_translations(file: File) -> OpenSource:
    text, line, before = file.whole_text(), 1, 0
    records, sources = list[Record](), list[str]()
    for found in _MESSAGE.finditer(text):
        said = "".join(_QUOTED.findall(found[3])).replace("\\n", "\n").replace('\\"', '"')
        if found[1] == "msgid":
            sources = [said]
        elif found[1] == "msgid_plural":
            sources.append(said)
        elif sources and sources[0]:  # else the header
            source = sources[min(int(found[2] or 0), len(sources) - 1)]
            line, before = line + text.count("\n", before, found.start()), found.start()
            records.append((line, {"source text": source, "target text": said}))
    return OpenSource(iter([records]))


def _open_latex(file: File) -> OpenSource:
    text = file.whole_text()
    for pattern, to in _LATEX:
        text = pattern.sub(to, text)
    return find_examples(read_markdown(text), file.options) or one_text(text)


FEED = Reader("rss", "a feed (RSS or Atom)", lambda file: _FEED.match(file.text) is not None, _open_feed)
READERS = (
    Reader("po", "translations (gettext)", lambda file: file.ends_with(".po", ".pot"), _open_translations),
    Reader(
        "latex", "LaTeX", lambda file: _IS_LATEX.match(file.text) is not None or file.ends_with(".tex"), _open_latex
    ),
)
