"""Reads the examples of JSON Lines, or of a JSON document, without loading the whole
file.

A document is a list of examples, an object with one such list, or objects one after
another (each over several lines). This module only finds where each example ends;
`strict_json` then parses it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any

from backend.datasets.chats.format import IN_CONVERSATIONS
from backend.datasets.chats.paths import find, first
from backend.datasets.convert.detect import Record
from backend.datasets.convert.nested import flat
from backend.datasets.convert.shapes import NAMES, plain_name
from backend.datasets.read.columns import open_records
from backend.datasets.read.file import File, OpenSource, Reader
from backend.datasets.read.formats.delimited import sniff_delimiter
from backend.datasets.read.source import HEAD
from backend.errors import BadInput
from backend.files.json_file import value_of
from backend.records.reading import Limits, RowFault, row_too_large
from backend.records.rows import PassedOver
from backend.records.units import MIB, format_size
from backend.text.excerpt import excerpt
from backend.text.strict_json import MOST_PARTS, check_size, parse, parse_text

_TEXT = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_WHOLE_TEXT = re.compile(_TEXT, re.DOTALL)
_BETWEEN = re.compile(
    _TEXT + rb'|["\[\]{},]', re.DOTALL
)  # a single quote: a text that continues in the next block
_INSIDE = re.compile(_TEXT + rb'|["\[\]{}]', re.DOTALL)
_NAMED_LIST = re.compile(rb'"([^"\\]{1,200})"\s*:\s*(\[)\s*\{')
_OF_ROWS = (
    "messages",
    "chosen",
    "rejected",
    "tools",
    "history",
    "prompt",
    "completion",
)
_IN_ROWS = {*IN_CONVERSATIONS, *(name for field in _OF_ROWS for name in NAMES[field])}
_OBJECT = re.compile(
    r'(?<![, \t\r\n])[, \t\r\n]*(\{)\s*"([^"\\]*)'
)  # what is around, where one begins, its first name
_DECODER = json.JSONDecoder()
_AROUND = ", \t\r\n"  # an example in a list
_TRIES = (
    50  # times the length of a damaged text that is read to find the examples in it
)
_MAX_DEPTH = 10_000
_LINKED = re.compile(
    r'\s*\{\s*"data"\s*:\s*\[\s*\{(?=[^]]*"relationships")(?=[^]]*"attributes")'
)
# No text that begins with [1] or [[a link]].
_IS_LIST = re.compile(
    r"(?!\[[^\[\]{}\n]*\]\s*[^\s,\[\]{])(?:\[\s*)+([{\"'\]]|-?\d[\d.eE+-]*\s*([,\]]|$)|null|true|false|$)"
)
_OPEN, _CLOSE, _QUOTE, _COMMA = b"[{", b"]}", ord('"'), ord(",")


def _is_document(file: File) -> bool:
    text = file.text.lstrip()
    if text[:1] == "{":
        return file.has_suffix("json") or text[1:].lstrip()[:1] in ('"', "}", "'", "")
    return _IS_LIST.match(text) is not None


def _is_lines(file: File) -> bool:
    """Whether each line is a JSON value of its own, even if some lines are broken."""
    lines = [line for line in map(str.strip, file.text.split("\n")) if line]
    if not file.source.whole and len(lines) > 1:
        lines.pop()  # cut off
    lines = lines[:50]
    if not _is_document(file):
        mostly = 2 * _parsing(lines[:20]) >= len(lines[:20])
        return mostly or (
            file.has_suffix("jsonl", "ndjson") and not sniff_delimiter(file)
        )
    if file.text.lstrip()[0] == "[":
        return len(lines) > 1 and _parsing(lines[:1]) == 1
    if len(lines) == 1:
        return find_list(lines[0].encode("utf-8", "replace")) is None
    first_is_whole = _parsing(lines[:1]) == 1 or (
        len(lines[0]) > 1 and lines[0].endswith("}")
    )
    return first_is_whole or (
        2 * _parsing(lines) >= len(lines) and lines[0][-1] not in "[{,"
    )  # which goes on


def _parsing(lines: Sequence[str]) -> int:
    """How many of the lines are an object or a list."""
    return sum(isinstance(value_of(line), (dict, list)) for line in lines)


def find_list(head: bytes) -> tuple[int, str] | None:
    """The position and the name of the list inside an object; None when the object is
    itself an example.
    """
    for match in _NAMED_LIST.finditer(head):
        before = _WHOLE_TEXT.sub(b"", head[: match.start()])
        if before.count(b"{") - before.count(b"}") == 1 and before.count(
            b"["
        ) == before.count(b"]"):
            name = match[1].decode("utf-8", "replace")
            return None if plain_name(name) in _IN_ROWS else (match.start(2), name)
    return None


def document(
    blocks: Iterator[bytes], limits: Limits, beside: list[PassedOver] | None = None
) -> Iterator[list[Record]]:
    """Batches of the examples in a JSON document in UTF-8, with a RowFault in place of
    an unreadable value. Raises BadInput when an example is over the line limit, or for
    a second list.

    blocks: of the document, whose list, if it has one, begins in the first of them
    beside: receives what else the object around the list has
    """
    head, beside = next(blocks, b""), [] if beside is None else beside
    place = (
        (head.index(b"["), "")
        if head.lstrip().startswith(b"[")
        else find_list(head[:HEAD])
    )
    start, name = place or (
        None,
        "",
    )  # of the list; without one, there are objects one after another
    scanner = _Scanner(start is not None, bool(name), limits)
    after = bytearray()  # what follows the list in an object
    if start is not None:
        scanner.line += head.count(b"\n", 0, start)
        before = _beside_list(head[:start] + b"[]}") if name else []
        damaged = excerpt(head[:start].decode(errors="replace"), width=200)
        beside += (
            [PassedOver("text before the list", damaged)] if before is None else before
        )
        head = head[start + 1 :]
    for block in chain([head], blocks):
        if scanner.ended:
            after += block[: max(0, limits.line_bytes + 1 - len(after))]
        else:
            yield scanner.add(block)
    if not scanner.ended:
        yield scanner.add(b"", last=True)
    rest, is_complete = scanner.rest() + after, False
    inside = b"{" + rest.lstrip(b" \t\r\n,")
    entries = _beside_list(inside) if scanner.ended else None
    if entries is not None:
        beside += entries
        if find_list(b'{"": 0' + rest[:HEAD]) is not None:
            lists = [
                name,
                *(
                    other
                    for other, value in value_of(inside).items()
                    if isinstance(value, list)
                ),
            ]
            what = f"This file has several lists: {' and '.join(map(repr, lists))}."
            so = "Save each as its own file."
            raise BadInput(what, "It is unclear which one to learn from.", so)
    elif rest.strip():
        yield (last := scanner.example(rest))
        is_complete = rest.rstrip(b" \t\r\n}").endswith(b"]") and any(
            isinstance(value, RowFault) for _, value in last
        )
    if start is not None and not (scanner.closed or is_complete):
        fault = RowFault(
            "bad_json",
            "The file ends in the middle of its list.",
            "Check that the file is complete.",
        )
        yield [(scanner.line, fault)]


def _lines(file: File) -> Iterator[list[Record]]:
    """Batches of records, one per line that is not blank."""
    first, limits = 1, file.options.limits
    for lines in file.lines():
        yield [
            (n, _parse(line, limits))
            for n, line in enumerate(lines, first)
            if line is None or line.strip()
        ]
        first += len(lines)


def _parse(text: bytes | None, limits: Limits, line: int = 0) -> Any:
    """The value of a text, or the fault in it. line: its first one, where it may have
    several.
    """
    try:
        return (
            row_too_large(limits.line_bytes, "bytes")
            if text is None
            else parse(text, limits, line)
        )
    except RowFault as fault:
        return fault


def _beside_list(text: bytes) -> list[PassedOver] | None:
    """What stands beside the list in an object; None where that is damaged. text: the
    object without the list.
    """
    try:
        check_size(text.decode(errors="replace"))
    except RowFault:
        return None
    if not isinstance(value := value_of(text), dict):
        return None
    entries = (
        f"{name}: {inner}"
        for name, inner in value.items()
        if inner not in ([], None, "")
    )
    return [
        PassedOver("entry beside the list", excerpt(entry, width=200))
        for entry in entries
    ]


class _Scanner:
    """Finds where examples end in a stream of blocks, and parses them. inside: their
    list is in an object.
    """

    def __init__(self, in_list: bool, inside: bool, limits: Limits) -> None:
        self._in_list, self._inside, self._limits = in_list, inside, limits
        self._buffer = b""
        self._begin = self._at = 0  # start of the current example; scanned up to _at
        self._depth = 0
        self._needed = (
            0  # bytes to wait for before looking again for the end of a long text
        )
        self._names = set[str]()  # of the first example
        self._counted = 0  # line ends are counted up to here
        self.line = 1
        self.closed = False  # a list ended, and no other began

    @property
    def ended(self) -> bool:
        """Whether what follows is no example."""
        return self.closed and self._inside

    def rest(self) -> bytes:
        """The bytes after the last example."""
        return self._buffer[self._begin :]

    def add(self, block: bytes, last: bool = False) -> list[Record]:
        """The examples that this block completes."""
        self._count_lines(self._begin)
        self._buffer = self._buffer[self._begin :] + block
        self._at, self._begin, self._counted = self._at - self._begin, 0, 0
        records: list[Record] = []
        if len(self._buffer) - self._at >= self._needed or last:
            self._needed = 0
        while (
            not self.ended
            and not self._needed
            and (end := self._next_end()) is not None
        ):
            records += self.example(
                self._buffer[self._begin : end], self._buffer[end : self._at] == b","
            )
            self._begin = self._at
        if not self.ended and len(self._buffer) - self._begin > self._limits.line_bytes:
            self._count_lines(self._begin)
            most = format_size(self._limits.line_bytes / MIB)
            raise BadInput(
                f"The example on line {self.line} is too large.",
                f"The limit is {most}. Perhaps a bracket or a quote is never closed.",
                "Correct it, or remove it.",
            )
        return records

    def example(self, text: bytes, comma: bool = False) -> list[Record]:
        """The records of `text`, usually one; none for blank text, unless there is a
        comma after it.
        """
        inner = text.strip() if self._in_list else text.strip(b" \t\r\n,")
        self._count_lines(self._begin + text.find(inner))
        if not inner and not (self._in_list and comma):
            return []
        if len(inner) > self._limits.line_bytes:
            return [(self.line, row_too_large(self._limits.line_bytes, "bytes"))]
        value = _parse(inner, self._limits, self.line)
        if isinstance(value, RowFault):
            parts = inner.count(b'"') // 2 + sum(
                map(inner.count, (b"[", b"]", b"{", b"}"))
            )  # from wherever it is read
            too_many = parts > MOST_PARTS or value.kind in ("row_too_large", "too_deep")
            return [(self.line, value)] if too_many else self._recovered(inner, value)
        self._names = self._names or set(value if isinstance(value, dict) else ())
        return [(self.line, value)]

    def _recovered(self, text: bytes, fault: RowFault) -> list[Record]:
        """The examples in a text that a missing comma, bracket or quote has made one,
        and faults that name what of it is not read. After such a part, only what has
        most names of the first example is one. fault: of the whole.
        """
        string = text.decode("utf-8", "surrogateescape")
        names = self._names or {first[2] for first in [_OBJECT.match(string)] if first}
        edges, tried = [0, 0], 0  # where examples begin and end; characters
        for match in _OBJECT.finditer(string):
            if (begin := match.start(1)) < edges[-1]:
                continue
            if tried > _TRIES * len(string):
                break
            try:
                value, end = _DECODER.raw_decode(string, begin)
            except (ValueError, RecursionError) as error:
                upto = getattr(error, "pos", len(string))
                tried += (
                    upto - begin + upto // _TRIES + 1
                )  # an error counts the lines from the beginning
                continue
            tried += end - begin
            if match.start() == edges[-1] or 2 * len(names & value.keys()) > len(names):
                edges += [begin, end]
        records: list[Record] = []
        line, whole = self.line, len(string.strip(f"{_AROUND}]"))
        for begin, end in pairwise([*edges, len(string)]):
            if string[begin:end].strip(f"{_AROUND}]}}"):
                inner = string[begin:end].strip(f"{_AROUND}]")
                at = line + string.count("\n", begin, string.index(inner, begin))
                value = _parse(
                    inner.encode("utf-8", "surrogateescape"), self._limits, at
                )
                last = at + inner.count("\n")
                if isinstance(value, RowFault):
                    lines = f"lines {at:,} to {last:,}"
                    lost = (
                        lines
                        if last > at
                        else f"{len(inner):,} of the characters of line {at:,}"
                    )
                    only = last == at and len(inner) == whole
                    value.message += (
                        " This example was not read." if only else f" Not read: {lost}."
                    )
                records.append((at, value))
            line += string.count("\n", begin, end)
        self.closed |= string[edges[-1] :].strip(_AROUND) == "]"
        return records or [(self.line, fault)]

    def _count_lines(self, upto: int) -> None:
        self.line += self._buffer.count(b"\n", self._counted, upto)
        self._counted = upto

    def _next_end(self) -> int | None:
        """Where the current example ends; None when that is not in the buffer yet."""
        while mark := (_INSIDE if self._depth else _BETWEEN).search(
            self._buffer, self._at
        ):
            byte = self._buffer[mark.start()]
            if byte == _QUOTE and mark.end() - mark.start() == 1:
                self._at = mark.start()
                self._needed = 2 * (
                    len(self._buffer) - self._at
                )  # doubled, so that rescanning stays cheap
                return None
            self._at = mark.end()
            if (
                byte == _OPEN[0]
                and self.closed
                and not self._buffer[self._begin : mark.start()].strip(b" \t\r\n,")
            ):
                # another list
                self._in_list, self.closed = True, False
                self._begin = mark.end()
            elif byte in _OPEN:
                self._depth += 1
                if self._depth > _MAX_DEPTH:
                    raise BadInput(
                        "This file is not a dataset.",
                        "Its lists and objects are nested too deeply.",
                    )
            elif byte in _CLOSE and self._depth:
                self._depth -= 1
                if not self._depth and not self._in_list:
                    return mark.end()
            elif byte in _CLOSE:
                was_list, self._in_list = self._in_list, False
                self.closed |= was_list
                return mark.start() if was_list else mark.end()
            elif byte == _COMMA and self._in_list:
                return mark.start()
        self._at = len(self._buffer)
        return None


def _open_document(file: File) -> OpenSource:
    beside: list[PassedOver] = []
    records = document(file.blocks(), file.options.limits, beside)
    return open_records(records, file, beside)


def _open_linked(file: File) -> OpenSource:
    """A document of JSON:API (https://jsonapi.org), such as the reviews of App Store
    Connect: what an entry refers to, such as a reply, stands in a list of its own.
    """
    whole = parse_text(file.whole_text(), file.options.limits)
    included = {
        _reference(entry): first(entry, "attributes")
        for entry in find(whole, "included[]")
    }
    records: list[Record] = []
    for number, entry in enumerate(find(whole, "data[]"), 1):
        to = {
            name: first(entry, f"relationships.{name}.data")
            for name in _object(first(entry, "relationships"))
        }
        beside = {name: included.get(_reference(at)) for name, at in to.items() if at}
        linked = {name: attributes for name, attributes in beside.items() if attributes}
        records.append(
            (number, flat({**_object(first(entry, "attributes")), **linked}))
        )
    return OpenSource(iter([records]))


def _reference(entry: Any) -> tuple[str, str]:
    return str(first(entry, "type")), str(
        first(entry, "id")
    )  # texts, but a damaged file may have lists there


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


LINKED = Reader(
    "json", "JSON", lambda file: _LINKED.match(file.text) is not None, _open_linked
)
LINES = Reader(
    "jsonl",
    "JSON lines",
    _is_lines,
    lambda file: open_records(_lines(file), file),
)
DOCUMENT = Reader("json", "JSON", _is_document, _open_document)
