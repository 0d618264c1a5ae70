"""Decides whether a text or a document contains examples or is one text to learn, and
asks when it is not sure.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.datasets.chats.transcript import turns_in
from backend.datasets.convert.detect import Record
from backend.datasets.convert.mapping import SeveralReadings
from backend.datasets.documents.blocks import Block, Document, Rows, joined
from backend.datasets.documents.passages import sentences
from backend.datasets.documents.questions import (
    Pairs,
    asked_inside,
    asks,
    find_pairs,
    find_repeated,
)
from backend.datasets.read.cells import as_records, split_header, unique_names
from backend.datasets.read.file import Note, OpenSource
from backend.datasets.read.header import find_header, is_header, known_columns
from backend.errors import BadInput
from backend.files.json_file import read_json
from backend.records.reading import ReadOptions
from backend.records.rows import FileDetails, PassedOver
from backend.text.excerpt import excerpt
from backend.text.normalize import QUESTION_MARKS

_TABLE_ROWS = 3  # that a table without usual column names has at least
_MOSTLY = 0.6  # share of the text that is in tables
_LONGEST_CLOSING, _QUOTED, _TITLE = 200, 200, 40  # characters
_MIN_LENGTH = 200  # characters of a text to learn from
_MIN_LINES, _MAX_LINES = 3, 400  # that tell what kind of text it is
_TECHNICAL = re.compile(r"```|\]\(|://|^(?: {4}|>>> |\$ )", re.MULTILINE)
_SOME, _FEW = (
    0.2,
    10,
)  # share of the answers; answers of which one can tell what they have in common
_UNEVEN = 2.5  # times the mean length of the answers
_MIN_SHARE = 0.6  # of the lines that are not comments
_LETTERED = r"[^\W\d_](?:\s?[)）\]、]|[.．:：]\s)"
_OPTION = re.compile(rf"[\s{{(\[*_-]*({_LETTERED}|~(?!~)|\+(?!\d)|<\w+>)")
_BEFORE_OPTION = re.compile(rf"\n|(?<=\s)(?=[(\[*]*{_LETTERED})")
_MARKED, _ALIKE = (
    1 / 3,
    0.8,
)  # shares of the answers that are options with marks, or as many short lines each
_LEAST_LISTED, _OPTIONS, _SHORT = (
    5,
    range(3, 7),
    60,
)  # answers; short lines of one; characters of a short line
_SHOWN, _START = 3, 60  # pieces that don't fit and are named; their first characters
_MANY = 100  # lines of one form: cells, the marks of a test program, a colon at the end, a sign after the first words
_LISTED = tuple(
    map(
        re.compile,
        (
            r"[^|]*(?:\|[^|]*){2,}",
            "[=~].*",
            r"[^\W_].{1,120}[:：]",
            r"[^\W_][^,:;!?]{0,80}?\s[-–—=]\s.*",
        ),
    )
)
# What people write below a list of questions, in the languages that most write in.
_WORDS = read_json(Path(__file__).with_name("words.json"))
_CLOSING = re.compile(rf"\W*({'|'.join(_WORDS['closing'])})", re.IGNORECASE)


def one_text(text: str, options: ReadOptions) -> OpenSource:
    """A source whose only record is this text. Raises BadInput when it is too short to
    learn from, SeveralReadings when it is a list, unless the options decide.
    """
    if (length := len(text.strip())) < _MIN_LENGTH:
        raise BadInput(
            f"This text is too short to learn from: {length} characters.",
            "Plain text is used as a document, from which the model learns how to write.",
            f"Add questions with answers (as a table or as JSON), or a text of at least {_MIN_LENGTH} characters.",
        )
    if not (options.shape or options.mapping) and (listed := _listed(text)):
        what = f"{len(listed):,} lines have one form, as in a list: {_named([Block(0, line) for line in listed])}."
        how = "For questions with answers, put each question, a tab and its answer on a line, or Q: and A: before them;"
        how += " for a chat, a time such as 10:02 before each name."
        raise SeveralReadings(
            ("text",), f"{what} {how}", "Is this a text to learn from as a whole?"
        )
    opened = OpenSource(iter([[(1, {"text": text})]]))
    if name := _looks_like(text):
        message = f"This looks like {name}. The model would learn to write such lines."
        opened.notes.append(
            (
                "not_prose",
                message,
                "Choose another file if you picked this one by mistake.",
            )
        )
    return opened


def _listed(text: str) -> list[str]:
    """The lines of a text that have the same form, where they are many and differ, as
    those of a list do, or look like what somebody says but may be a program's; or those
    that ask, whose answers may stand elsewhere.
    """
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    forms: dict[tuple[int, int], list[str]] = {}
    for line in lines:
        form = next(
            (at for at, pattern in enumerate(_LISTED) if pattern.fullmatch(line)), -1
        )
        forms.setdefault((form, line.count("|")), []).append(line)
    most = max(
        (own for (form, _), own in forms.items() if form >= 0), key=len, default=[]
    )
    if len(most) >= max(_MANY, len(lines) / 4) and 2 * len({*most}) > len(most):
        return most
    turns = (
        []
        if turns_in(text, whole=True)
        else [f"{name}: {words}" for _, name, words in turns_in(text, unsure=True)]
    )
    if len(turns) >= max(_FEW, len(lines) / 4):
        return turns
    asked = [
        line
        for line in lines
        if line[0] not in "-–—" and asks(line) and len(sentences(line)) == 1
    ]
    return asked if len(asked) >= max(_SHOWN, len(lines) / 20) else []


def find_examples(document: Document, options: ReadOptions) -> OpenSource | None:
    """The examples in a document, None where it is a text to learn from as a whole.
    Raises SeveralReadings where it may be either, unless the options decide.
    """
    if options.shape == "text":
        return None
    tables = [rows for rows in document.tables if _header_of(rows)]
    in_tables = sum(
        len(block.text) for block in document.blocks if block.rows in tables
    )
    pairs = find_pairs(document.blocks)
    if tables and (
        pairs is None or not pairs.sure or 2 * in_tables > len(document.text)
    ):
        return _from_tables(tables, document)
    if pairs is not None:
        return _from_pairs(pairs, options)
    large = [rows for rows in document.tables if len(rows) >= _TABLE_ROWS]
    if large and sum(
        len(b.text) for b in document.blocks if b.rows in large
    ) > _MOSTLY * len(document.text):
        return _from_tables(large[:1], document)
    looks_like = not (options.shape or options.mapping) and _looks_like(document.text)
    pairs = None if looks_like else find_repeated(document.blocks)
    return (
        _from_pairs(pairs, options)
        if pairs and (options.shape or options.mapping or _is_even(pairs))
        else None
    )


def _is_even(pairs: Pairs) -> bool:
    """Whether what stands below a heading or an item is of one kind everywhere, as in a
    glossary. Sections of a text, such as a manual's, differ more in their length, and
    many hold links or code.
    """
    answers = [record["answer"] for _, record in pairs.records]
    technical = 2 * sum(bool(_TECHNICAL.search(answer)) for answer in answers) >= len(
        answers
    )
    share = max(_SOME, _UNEVEN / len(answers)) if technical else 2 * _SOME
    return max(map(len, answers)) <= share * sum(map(len, answers))


def _header_of(rows: Rows) -> tuple[str, ...]:
    """The header of a table with the usual column names of examples; () without them."""
    header, _ = find_header(rows)
    return (
        tuple(rows[header][1])
        if header is not None and known_columns(rows[header][1])
        else ()
    )


def _from_tables(tables: list[Rows], document: Document) -> OpenSource:
    """The rows of the first table, and of those with the same columns."""
    first = _header_of(tables[0])
    used = [
        tables[0],
        *(table for table in tables[1:] if first and _header_of(table) == first),
    ]
    rows = [
        *tables[0],
        *(row for table in used[1:] for row in table[find_header(table)[1] :]),
    ]
    if first or not is_header(rows[0][1]):
        names, below, _ = split_header(iter(rows))
    else:  # the first row of a table in a text is its header, however it looks
        names, below = unique_names(rows[0][1]), iter(rows[1:])
    opened = OpenSource(as_records(below, names, pad=True))
    _pass_over([block for block in document.blocks if block.rows not in used], opened)
    return opened


def _from_pairs(pairs: Pairs, options: ReadOptions) -> OpenSource:
    conversations = any("messages" in record for _, record in pairs.records)
    chosen, count = options.shape or options.mapping, len(pairs.records)
    shapes = ("messages" if conversations else "question_answer", "text")
    cue = f"{'conversation' if conversations else pairs.cue}, answer = {pairs.right or 'what follows'}"
    listed, inside = _option_lists(pairs), asked_inside(pairs)
    if not chosen and listed:
        raise SeveralReadings(
            shapes[::-1],
            f"{listed[1]} {listed[2]}",
            "Are these the questions of a test?",
        )
    if not chosen and (inside or not (pairs.sure and _are_answers(pairs))):
        unfit = [
            *inside,
            *(block for block in pairs.outside if len(block.text) > _TITLE),
        ]
        odd = [
            (line, record) for line, record in pairs.records if not _is_answer(record)
        ]
        unfit += [
            Block(line, record["question"] or record["answer"]) for line, record in odd
        ]
        doubt = ", but not all of it fits" if unfit or not pairs.right else ""
        if pairs.records and not (unfit or conversations or pairs.right):
            line, record = max(
                pairs.records, key=lambda record: len(record[1]["answer"])
            )
            unfit, doubt = (
                [Block(line, record["question"])],
                ", but the longest answer may go on with other text",
            )
        what, why = (
            "",
            f"It seems to hold {count:,} questions with answers"
            + " of the second speaker" * conversations,
        )
        if pairs.right:
            what, why = (
                "Are these the questions of a test?",
                f"Each example: question = {cue}; not used: other options",
            )
            why += f". {count:,} questions have options"
        raise SeveralReadings(
            shapes,
            f"{why}{doubt}: {_named(unfit)}." if unfit else f"{why}{doubt}.",
            what,
        )
    records: list[Record] = [(line, record) for line, record in pairs.records]
    opened = OpenSource(iter([records]))
    opened.details = FileDetails(cue=cue)
    _pass_over(pairs.outside, opened)
    opened.notes += [listed] if listed else []
    if inside:
        message = (
            f"Some answers hold other questions with their answers: {_named(inside)}."
        )
        opened.notes.append(
            (
                "several_questions",
                message,
                "Divide them, so that each question has its own answer.",
            )
        )
    answer = "" if conversations or not records else records[-1][1]["answer"]
    before, _, end = answer.rpartition("\n\n")
    if (
        before.strip() and len(end) <= _LONGEST_CLOSING and _CLOSING.match(end)
    ):  # such as "Last updated in May"
        message = f"The last answer ends with a line that may not belong to it: {excerpt(end, width=120)}"
        opened.notes.append(
            ("closing_line", message, "If it doesn't, remove it from the last example.")
        )
    return opened


def _are_answers(pairs: Pairs) -> bool:
    """Whether pairs that look sure have the answers that people write: few of them end
    in a colon or ask something, and none is as long as all others with their questions,
    so that other questions are probably in it.
    """
    answers = [record.get("answer", "").strip() for _, record in pairs.records]
    others = sum(not _is_answer(record) for _, record in pairs.records)
    written = sum(len(record.get("question", "")) for _, record in pairs.records) + sum(
        map(len, answers)
    )
    return len(answers) < _FEW or (
        others < (1 - _SOME) * len(answers) and 2 * max(map(len, answers)) <= written
    )


def _option_lists(pairs: Pairs) -> Note | None:
    """What to tell where many answers are the options of a test: lines with letters
    that count up, or with the signs of a test program, or short ones, as many in nearly
    each answer.
    """
    kinds: dict[object, list[str]] = {}
    for _, record in pairs.records:
        answer = re.sub(
            r"\A\s*1(?=[.)]\s)", "a", record.get("answer", "")
        )  # what may be left of a list with letters
        lines = [line.strip() for line in _BEFORE_OPTION.split(answer) if line.strip()]
        marks = [
            mark[1][0].casefold() for line in lines if (mark := _OPTION.match(line))
        ]
        rising = sorted({*marks})
        short = not any(
            len(line) > _SHORT or line[-1] in ".!?:;,…。！？؟।" for line in lines
        )
        many = (
            len(lines)
            if short and len(lines) in _OPTIONS and pairs.cue != "label"
            else 0
        )
        kind: object = many if asks(record.get("question", "")) else 0
        if "~" in marks or marks.count("+") == 1 or marks.count("<") > 1:
            kind = "signs"
        elif (
            rising[1:]
            and rising == marks[: len(rising)]
            and 2 * len(marks) >= len(lines)
            and _OPTION.match(answer)
        ):
            kind = marks[0]
        kinds.setdefault(kind, []).append(answer)
    kinds.pop(0, None)
    kind, most = max(kinds.items(), key=lambda item: len(item[1]), default=(0, []))
    if len(most) < max(
        _LEAST_LISTED,
        (_ALIKE if isinstance(kind, int) else _MARKED) * len(pairs.records),
    ):
        return None
    what = f"{len(most):,} of {len(pairs.records):,} answers look like the options of a test's question"
    why = "Which one is right isn't said in a way that can be read here, so a model would learn to list the options."
    fix = "Write the right answer under each question, or keep it as text."
    return "options_as_answers", f"{what}: {_named([Block(0, most[0])])}. {why}", fix


def _is_answer(record: dict[str, Any]) -> bool:
    """Whether a record has a question, and an answer that neither asks something nor
    ends in a colon.
    """
    answer = record.get("question", "-") and record.get("answer", "-").rstrip()
    return answer != "" and not answer.endswith((":", "：", *QUESTION_MARKS))


def _named(blocks: Sequence[Block]) -> str:
    """The first words of some of these blocks, each with its line."""
    starts = [
        (block.line, excerpt(" ".join(block.text.split()), width=_START))
        for block in blocks[:_SHOWN]
    ]
    return "; ".join(
        f"line {line:,}, “{start}”" if line else f"“{start}”" for line, start in starts
    )


def _pass_over(outside: Sequence[Block], opened: OpenSource) -> None:
    """Names the blocks that are in no example, and tells about them where they are more
    than titles.
    """
    opened.passed += [
        PassedOver(
            "text outside the examples", excerpt(block.text, width=_QUOTED), block.line
        )
        for block in outside
    ]
    if any(
        not block.level and not block.bold and len(block.text) > _TITLE
        for block in outside
    ):
        quoted = excerpt(" ".join(joined(outside).split()), width=_QUOTED)
        message = f"Text that belongs to no question was passed over: {quoted}"
        opened.notes.append(
            (
                "text_passed_over",
                message,
                "Give it a question if the model should learn it.",
            )
        )


_COMMENT, _LOG, _SETTING = (
    re.compile(rf"\s*(?:{'|'.join(_WORDS[name])})")
    for name in ("comment", "log", "setting")
)
_CHAT = re.compile(
    r"\s*\[[^\]\n]{0,40}\d{1,2}:\d\d[^\]\n]{0,12}\]"
)  # [1.3.26 10:00] ann
_KINDS = (
    (_CHAT, "a copied chat", 0.25),
    (_LOG, "a log", _MIN_SHARE),
    (_SETTING, "a configuration file", _MIN_SHARE),
)


def _looks_like(text: str) -> str:
    """The kind of text that this looks like: "a log", "a configuration file", "a copied
    chat", or "" for prose.
    """
    lines = [
        line
        for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]
        if line.strip() and not _COMMENT.match(line)
    ]
    for pattern, name, share in _KINDS if len(lines) >= _MIN_LINES else ():
        if sum(bool(pattern.match(line)) for line in lines) >= share * len(lines):
            return name
    return ""
