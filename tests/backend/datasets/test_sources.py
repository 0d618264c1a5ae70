"""What people have comes out as it should: as examples, with a question, or refused
with the reason. Nothing vanishes: whatever a source says is in an example, or is named
as passed over. Nothing is sure that isn't.
"""

import csv
import html
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.datasets.checks.report import understood
from backend.datasets.documents.questions import asks
from backend.datasets.read.load import ReadOptions, load
from backend.records.rows import Dataset
from tests.backend.datasets import sources
from tests.backend.datasets.sources import SourceFile, loaded

ALL = list(sources.sources())
FEWEST = 3  # words of a part; with fewer it may be a mark, a label or an id
CUT = 150  # characters of a part that is passed over, which are quoted
SOURCES = [source for source in ALL if source.outcome != "refused"]
READ = [source for source in SOURCES if source.group != "conversations"]
# What is no message, beside names and times: titles and settings, a date above the
# messages, markup as it is written.
_NO_MESSAGES = re.compile(
    r"Care of a knife|A short poem|Conversation naming|Gemini Apps|\(File not|Prompted |-{5}"
    r"|.*(?:<@U|<This|&lt;|Ã|angehängt)|\u200eMessages and calls"
    r"|Diese Nachricht|(?:From|Sent|To|Subject): |[A-Z][\w ]+(?:Name|Time|At|URLS?|Role)$"
)
_STAMP = re.compile(
    r"^[^:]*\d[:.]\d\d.*?(?:[:：]\s|$)"
)  # the name and the time before a message
_XML_PART = re.compile(
    r"(word/(document|comments|footnotes|header\d|footer\d)|content|xl/sharedStrings|xl/comments\S*)\.xml"
)
_BLOCK = re.compile(r"</(?:w:p|text:p|text:h|si|comment)>|<w:br/>")
_LABEL = re.compile(r"[:：．.)]|\[x\] |\s-\s|MESSAGE \w+")
_BARE_LABEL = re.compile(r"질의\d+ |답변|\[\w+[ \d]*\]")
_INVISIBLE = re.compile(r"<(script|style|head)\b.*?</\1>|<!--.*?-->", re.DOTALL)


def parts(path: Path) -> Iterator[str]:
    """What a file says, part by part, read as simply as can be."""
    suffixes = path.suffixes
    if path.suffix in (".xlsx", ".xlsm", ".ods", ".docx", ".odt"):
        with zipfile.ZipFile(path) as archive:
            texts = [
                archive.read(name).decode()
                for name in archive.namelist()
                if _XML_PART.fullmatch(name)
            ]
        yield from (
            re.sub(r"<[^>]*>", "", part)
            for text in texts
            for part in _BLOCK.split(text)
        )
    elif suffixes == [".csv"]:
        data = path.read_bytes()
        text = (
            data.decode("cp1252") if b"\xfc" in data else data.decode()
        ).removeprefix("sep=;")
        yield from (
            part
            for row in csv.reader(
                text.splitlines(keepends=True), delimiter=";" if ";" in text else ","
            )
            for cell in row
            for part in cell.split("\n")
        )
    elif path.suffix in (".json", ".jsonl"):
        lines = (
            path.read_text("utf-8").splitlines()
            if path.suffix == ".jsonl"
            else [path.read_text("utf-8")]
        )
        yield from (
            part
            for line in lines
            for leaf in leaves(json.loads(line))
            for part in re.split(r"\n|<\|\w*\|>|###", leaf)
        )
    elif path.suffix == ".html":
        yield from re.split(
            r"</?(?:p|li|td|th|h\d|dt|dd|summary|div|a|br)\b[^>]*>",
            _INVISIBLE.sub("", path.read_text("utf-8")),
        )
    elif path.suffix in (".txt", ".md"):
        yield from re.split(
            r"\n|\t|\||(?<=\w) \u200e", path.read_text("utf-8", "replace")
        )


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        yield from (
            leaf
            for inner in (value.values() if isinstance(value, dict) else value)
            for leaf in leaves(inner)
        )
    elif isinstance(value, str):
        yield value


def letters(text: str) -> str:
    """The letters and digits of a text, without markup, labels and marks."""
    return re.sub(
        r"[\W_]+", "", html.unescape(re.sub(r"<[^>]*>|<\|\w*\|>", " ", text))
    ).casefold()


def told(data: Dataset) -> str:
    """Everything that is in an example or is named."""
    said = [text for row in data.rows for text in sources.texts(row)]
    said += [message["content"] for row in data.rows for message in row.rejected or ()]
    said += [part.text for part in data.source.passed] + [
        p.quote + p.message for p in data.problems
    ]
    ignored = [
        str(row[name])
        for row in data.originals.values()
        for name in data.source.ignored
        if name in row
    ]
    return letters(
        "".join([*said, *ignored, *data.source.mapping.values(), *data.source.ignored])
    )


@pytest.mark.parametrize(
    "source", ALL, ids=lambda source: f"{source.group}/{source.file}"
)
def test_a_source_comes_out_as_the_table_says(source: SourceFile) -> None:
    found = sources.read(source.path)
    assert found.outcome == source.outcome, found
    assert found.question == source.question, found
    assert source.says in found.error, found
    if source.outcome == "refused":
        assert source.says
        return
    if source.options:
        found = sources.read(source.path, source.options)
    assert (found.rows, found.first, found.last) == (
        source.rows,
        source.first,
        source.last,
    )


def test_the_corpus_and_its_tables_are_whole() -> None:
    for group in sources.GROUPS:
        listed = sorted(source.file for source in ALL if source.group == group)
        assert listed == sorted(
            path.name for path in (sources.FOLDER / group).iterdir()
        )
    assert sources.DOCUMENT.read_text("utf-8") == sources.document(ALL)


@pytest.mark.parametrize(
    "source", SOURCES, ids=lambda source: f"{source.group}/{source.file}"
)
def test_nothing_of_a_source_vanishes(source: SourceFile) -> None:
    data = loaded(source.path, json.dumps(source.options))
    everything, said = told(data), parts(source.path)
    if source.group == "conversations":
        said = (
            words
            for part in said
            if not _NO_MESSAGES.match(words := _STAMP.sub("", part).strip())
        )
    missing = [
        part
        for part in said
        if len(part.split()) >= FEWEST
        and letters(part)[:CUT] not in everything
        and letters(_LABEL.split(part, 1)[-1])[:CUT] not in everything
        and letters(_BARE_LABEL.sub("", part)) not in everything
    ]
    assert not missing
    assert understood(data.source).startswith("Each example: ")


@pytest.mark.parametrize(
    "source", READ, ids=lambda source: f"{source.group}/{source.file}"
)
def test_no_reading_is_sure_that_the_file_contradicts(
    source: SourceFile, tmp_path: Path
) -> None:
    data = loaded(source.path, json.dumps(source.options))
    if source.outcome == "rows" and data.source.shape == "text":
        assert (
            sum(asks(line) for row in data.rows for line in str(row.text).split("\n"))
            < FEWEST
        )
    for row in data.rows:  # no question ended up in the answer of another one
        assert (
            not [line for line in sources.texts(row)[-1].split("\n")[1:] if asks(line)]
            or data.source.shape == "text"
        )
    if data.source.shape == "question_answer" and not data.source.details.cue:
        chosen = {"mapping": data.source.mapping}  # as they were found
        assert (
            load(source.path, options=ReadOptions(**source.options | chosen)).rows
            == data.rows
        )
    named = "column 1" not in {*data.source.mapping.values(), *data.source.ignored}
    if (
        source.path.suffix == ".csv"
        and named
        and data.source.shape == "question_answer"
    ):
        rows = [
            {**row, f"{data.source.mapping['answer']} 2": f"Another answer, {n}."}
            for n, row in data.originals.items()
        ]
        (tmp_path / "rival.json").write_text(json.dumps(rows))
        assert sources.read(tmp_path / "rival.json").outcome == "asks"
