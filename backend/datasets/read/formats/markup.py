"""Reads texts with marks for programs: feeds (RSS, Atom), translations (.po) and LaTeX."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from backend.datasets.convert.detect import Record
from backend.datasets.documents.markdown import read_markdown
from backend.datasets.documents.markup import read_html
from backend.datasets.read.examples import open_text
from backend.datasets.read.file import File, OpenSource, Reader
from backend.errors import BadInput
from backend.files.json_file import read_json
from backend.records.rows import PassedOver

_FEED = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:rss|feed|rdf:RDF)\b",
    re.DOTALL,
)
_ITEM = re.compile(r"<(item|entry)(?:\s[^<>]*)?(?<!/)>")
_FIELD = re.compile(r"<([\w:]+)(?:\s[^<>]*)?(?<!/)>")
_MESSAGE = re.compile(
    r'^(msgid|msgid_plural|msgstr(?:\[(\d)\])?) ((?:".*"\s*)+)', re.MULTILINE
)
_FUZZY = re.compile(r"^#,.*\bfuzzy\b", re.MULTILINE)
_QUOTED = re.compile(r'"(.*)"')
_IS_LATEX = re.compile(
    r"(?:\s|%.*\n)*\\(?:documentclass|documentstyle|begin\{document\})"
)
_LATEX = [
    (re.compile(pattern), to)
    for pattern, to in read_json(Path(__file__).with_suffix(".json"))["latex"]
]


def _open_feed(file: File) -> OpenSource:
    text = file.whole_text().replace("<![CDATA[", "").replace("]]>", "")
    line = 1
    before = 0
    records: list[Record] = []
    for start, _, inside in _elements(text, _ITEM):
        line, before = line + text.count("\n", before, start), start
        fields = {
            name: read_html(html.unescape(value)).text
            for _, name, value in _elements(inside, _FIELD)
        }
        records.append((line, fields))
    if not records:
        raise BadInput("This feed has no entries.", "", "Choose another file.")
    return OpenSource(iter([records]))


def _elements(text: str, tag: re.Pattern[str]) -> Iterator[tuple[int, str, str]]:
    """(start, name, content) of the elements that begin with such a tag, up to the
    first one without an end.
    """
    start = tag.search(text)
    while start and (end := text.find(f"</{start[1]}>", start.end())) >= 0:
        yield start.start(), start[1], text[start.end() : end]
        start = tag.search(text, end)


def _open_translations(file: File) -> OpenSource:
    text, line, before, end = file.whole_text(), 1, 0, 0
    records = list[Record]()
    passed = list[PassedOver]()
    sources = list[str]()
    fuzzy = False
    for match in _MESSAGE.finditer(text):
        message = (
            "".join(_QUOTED.findall(match[3])).replace("\\n", "\n").replace('\\"', '"')
        )
        above, end = text[end : match.start()], match.end()
        if match[1] == "msgid":
            sources, fuzzy = [message], _FUZZY.search(above) is not None
        elif match[1] == "msgid_plural":
            sources.append(message)
        elif sources and sources[0]:  # else the header
            source = sources[min(int(match[2] or 0), len(sources) - 1)]
            line, before = line + text.count("\n", before, match.start()), match.start()
            if message and not fuzzy:
                records.append((line, {"source text": source, "target text": message}))
            else:
                why = (
                    "guess of a program (fuzzy)"
                    if message
                    else "text without a translation"
                )
                passed.append(PassedOver(why, source, line))
    if not records:
        raise BadInput(
            "Nothing in this file is translated yet.",
            "",
            "Choose a file with translations.",
        )
    return OpenSource(
        iter([records]), passed=sorted(passed, key=lambda part: part.why)
    )  # the guesses first


def _is_latex(file: File) -> bool:
    return _IS_LATEX.match(file.text) is not None or file.has_suffix("tex", last=True)


def _latex(file: File) -> str:
    text = file.whole_text()
    for pattern, to in _LATEX:
        text = pattern.sub(to, text)
    return text


def _open_latex(file: File) -> OpenSource:
    text = _latex(file)
    return open_text(read_markdown(text), text, file.options)


FEED = Reader(
    "rss",
    "a feed (RSS or Atom)",
    lambda file: _FEED.match(file.text) is not None,
    _open_feed,
)
READERS = (
    Reader(
        "po",
        "translations (gettext)",
        lambda file: file.has_suffix("po", "pot", last=True),
        _open_translations,
    ),
    Reader(
        "latex",
        "LaTeX",
        _is_latex,
        _open_latex,
        lambda file: read_markdown(_latex(file)),
    ),
)
