"""Reads a chat or a meeting as a text in which a time stands beside each name,
whichever program wrote it.

[10:02] Sue: Yes.   10:02 AM - Sue: Yes.   Sue (10:02): Yes.   [Sue] [10:02] Yes.   10:02 From Sue to Everyone: Yes.
10:02 <tab> Sue <tab> Yes.   [1/3/2025 10:02] Sue, or Sue 10:02, above the text.   Subtitles: <v Sue>Yes, or Sue: Yes.
"""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from backend.datasets.chats import clean
from backend.datasets.chats.format import WORDS, ChatFormat
from backend.datasets.convert.detect import Record
from backend.datasets.convert.shapes import SPEAKERS

TRANSCRIPT = ChatFormat(
    "a chat transcript", thread="thread", time=("time",), pauses=True
)
_FROM = "|".join(WORDS["from"])
_CLOCK = r"(?:(?:오전|오후|午前|午後|上午|下午)\s?)?\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?: ?[AaPp]\.?[Mm]\.?)?"
_DAY = r"(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{4}년 \d{1,2}월 \d{1,2}일|[^\W\d]{3,9} \d{1,2}, \d{4})"
_TIME = rf"(?P<time>(?:{_DAY},?\s{{1,3}})?{_CLOCK}(?:[.,]\d{{3,6}}\b)?|{_CLOCK},?\s{{1,3}}{_DAY})"
_BRACKETS = rf"[\[(]\s?{_TIME}\s?[\])]"
_NAME = r"(?P<name>[^\s:：\[(][^:：\n\[(]{0,50}?(?:\s?\([^\d:：\n()][^:：\n()]{0,30}\))?)"  # "Sue (guest)"
_TEXT = r"(?P<text>\S.*)"
_SAID = rf"\s{{0,9}}[:：]\s+{_TEXT}"
# How a message begins. Of those that fit the most lines the first one counts; without
# `text` it stands below.
_BEGINNINGS = (
    rf"{_TIME}\s{{1,9}}(?:{_FROM})\s{{1,9}}{_NAME}(?:\s{{1,9}}(?:to|an|à|a|para|aan)\s[^:：\n]{{1,60}})?\s{{0,9}}:(?P<text>.*)",
    rf"{_BRACKETS}\s{{0,9}}(?:[-–|]\s{{0,9}})?{_NAME}{_SAID}",
    rf"{_TIME}\s{{0,9}}(?:[-–|,]\s{{0,9}})?{_NAME}{_SAID}",
    rf"{_NAME}\s{{0,9}}{_BRACKETS}\s{{0,9}}[:：]\s*{_TEXT}",
    rf"{_TIME}\t{_NAME}\t{_TEXT}",
    rf"\[(?P<name>[^\[\]\n]{{1,50}})\] {_BRACKETS} {_TEXT}",
    rf"{_BRACKETS}\s{{0,9}}{_NAME}",
    rf"{_NAME}\s{{1,9}}(?:[|-]\s)?{_TIME}",
)
_PATTERNS = [re.compile(beginning, re.IGNORECASE) for beginning in _BEGINNINGS]
_NAMED = re.compile(rf"{_NAME}\s{{0,9}}[:：]\s*{_TEXT}")
_ONLY_NAME, _ONLY_TIME = re.compile(_NAME), re.compile(_TIME)
_ONLY_DAY = re.compile(
    rf"[-–—=\s]{{0,40}}(?P<day>{_DAY})(?: {_CLOCK})?\s?(?:\([^()\n]{{1,12}}\)|[^\W\d]{{1,12}})?[-–—=\s]{{0,40}}"
)
_NO_WORDS = re.compile(r"\[[^\[\]\n]{1,40}\]")  # "[Sticker]"
_NOTICE = re.compile(rf"{_TIME}\t[^\t]*")  # "10:02 <tab> Sue joined the group"
_CUE = re.compile(r"(?P<time>(?:\d{1,2}:)?\d{1,2}:\d{2})[.,]\d{3} --> .*")
_SPEAKER = re.compile(
    rf"(?:<v(?:\.\w+)? (?P<voice>[^<>\n]{{1,60}})>|{_NAME}[:：]\s)(?P<text>.*)"
)
_TAG = re.compile(r"</?[a-z][^<>]{0,60}>")
_LEVELS = ("debug", "info", "warn", "error", "critical", "fatal", "trace", "notice")
_KEY = re.compile(
    r"[\d'\"{<.-]|.*[{}=\",|]"
)  # no name of a person: a time, a key of a program's record
_LOOKED_AT, _FEWEST, _SHARE = 200, 4, 0.5  # lines; messages; of the lines


@dataclass
class _Message:
    line: int
    author: str
    lines: list[str]
    time: str = ""  # with a date, else ""
    gap: bool = False  # a blank line precedes

    @property
    def text(self) -> str:
        """What is said; "" for "[Sticker]" and the like."""
        text = "\n".join(self.lines)
        if len(self.lines) > 1 and text.startswith('"') and text.endswith('"'):
            return text[1:-1]  # how some programs keep the lines of a message together
        return "" if _NO_WORDS.fullmatch(text) else text


def is_transcript(text: str) -> bool:
    """Whether most lines begin with a time and a name, or stand below them, and several
    people take turns.
    """
    return _pattern_of(_lines(text)) is not None


def read_transcript(text: str) -> tuple[list[Record], str]:
    """The messages as records of the format TRANSCRIPT, divided at blank lines if
    people take turns in each part; and the lines that belong to no message: above the
    first one, or below a blank line.
    """
    messages, passed = _read(text)
    starts = [at for at, message in enumerate(messages) if message.gap or not at]
    parts = [
        messages[at:end]
        for at, end in zip(starts, [*starts[1:], len(messages)], strict=True)
    ]
    divided = all(
        len({message.author for message in part if message.author}) > 1
        for part in parts
    )
    records: list[Record] = [
        (
            m.line,
            {
                "author": m.author,
                "text": m.text,
                "time": m.time or str(m.line),
                "thread": str(number * divided),
            },
        )
        for number, part in enumerate(parts)
        for m in part
    ]
    return records, "\n".join(passed)


def turns_in(
    cell: str, whole: bool = False, unsure: bool = False
) -> list[tuple[int, str, str]]:
    """Who says what on which line of a conversation that is one cell of a table, or a
    text; [] for another one. whole: it's a text, which may be a list; unsure: also
    where those who speak may be no people.
    """
    text = clean.html(cell)
    first = text.strip().partition("\n")[0].strip()
    fitting = (it for it in (*_PATTERNS, _NAMED) if it.fullmatch(first))
    if (pattern := next(fitting, None)) is None:
        return []
    messages = _read(text, pattern)[0]
    names = [message.author for message in messages]
    named = pattern is not _NAMED or names[0].casefold() in SPEAKERS
    named = named or (_are_people(names) if whole else len({*names}) < len(names))
    sure = unsure or (named and not is_log(names))
    return [(m.line, m.author, m.text) for m in messages if sure and len({*names}) > 1]


def is_log(names: list[str]) -> bool:
    """Whether a program writes what these say: most begin with a level of its messages."""
    levels = sum(name.casefold().startswith(_LEVELS) for name in {*names})
    return 2 * levels > len({*names})


def _are_people(names: list[str]) -> bool:
    """Whether these may be the names of people who talk: enough come back, and few are
    keys.
    """
    counts = Counter(names)
    come_back = sum(count for count in counts.values() if count > 1)
    keys = sum(name[0].islower() or bool(_KEY.match(name)) for name in counts)
    return come_back >= max(2, len(names) / 3) and 2 * keys < len(counts)


def _read(
    text: str, pattern: re.Pattern[str] | None = None
) -> tuple[list[_Message], list[str]]:
    """The messages, and the lines that belong to none. pattern: of a cell, of which
    every line does.
    """
    lines, cell = _lines(text), pattern is not None
    pattern = pattern or _pattern_of(lines) or _PATTERNS[0]
    # paragraphs belong to the name above them
    below = cell or "text" not in pattern.groupindex
    messages: list[_Message] = []
    passed: list[str] = []
    day, gap = "", True
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if match := pattern.fullmatch(stripped):
            parts = match.groupdict("")
            when, spoken = parts.get("time", ""), parts.get("text", "").strip()
            if not re.search(_DAY, when):
                when = f"{day} {when}" if day else ""
            author, said = match["name"].strip(), [spoken] if spoken else []
            messages.append(_Message(number, author, said, when, gap))
        elif only := _ONLY_DAY.fullmatch(stripped):
            day = only["day"]
        elif _NOTICE.fullmatch(stripped):
            before = messages[-1].time if messages else ""
            messages.append(_Message(number, "", [], before))
        elif stripped and messages and (below or not gap):
            said = messages[-1].lines
            said += ["", stripped] if gap and said else [stripped]
        elif stripped:
            passed.append(stripped)
        gap = not stripped
    closing = messages[-1].lines if below and not cell and messages else []
    if "" in closing and not any("" in it.lines for it in messages[:-1]):
        end = closing.index("")  # "Transcribed by ..."
        passed += filter(None, closing[end:])
        del closing[end:]
    return messages, passed


def _pattern_of(lines: list[str]) -> re.Pattern[str] | None:
    lines = [line.strip() for line in lines if line.strip()]
    lines = [line for line in lines if not _ONLY_DAY.fullmatch(line)][:_LOOKED_AT]
    best, most = None, 0
    for pattern in _PATTERNS:
        matches = [match for line in lines if (match := pattern.fullmatch(line))]
        names = [match["name"].strip() for match in matches]
        share = _SHARE if "text" in pattern.groupindex else _SHARE / 2
        enough = len(names) >= max(_FEWEST, share * len(lines), most + 1)
        if enough and 1 < len({*names}) < len(names) and not is_log(names):
            best, most = pattern, len(names)
    return best


def _lines(text: str) -> list[str]:
    """The lines, where a name with a time below it is one line, and so are the words of
    each speaker of subtitles.
    """
    lines = [line.rstrip() for line in text.lstrip("\ufeff").split("\n")]
    cues = [at for at, line in enumerate(lines) if _CUE.fullmatch(line.strip())]
    if len(cues) >= _FEWEST:
        return _spoken(lines, cues)
    for at, (name, below) in enumerate(pairwise(lines)):
        if _ONLY_TIME.fullmatch(below.strip()) and _ONLY_NAME.fullmatch(name.strip()):
            lines[at], lines[at + 1] = "", f"{name}  {below.strip()}"
    return lines


def _spoken(lines: list[str], cues: list[int]) -> list[str]:
    """Subtitles as lines with a time, a name and a text, each where its first cue
    stands.
    """
    spoken: list[list[str]] = [[] for _ in lines]
    name, first = "", 0
    for at, end in zip(cues, [*cues[1:], len(lines)], strict=True):
        text = " ".join(
            line.strip()
            for line in lines[at + 1 : end]
            if line.strip() and not line.strip().isdecimal()
        )
        if speaker := _SPEAKER.match(text):
            text, who = speaker["text"], (speaker["voice"] or speaker["name"]).strip()
            if who != name:
                name, first = who, at
                spoken[at] = [f"[{lines[at].strip().partition('-->')[0][:-5]}] {name}:"]
        spoken[first if name else at].append(_TAG.sub("", text))
    return [" ".join(parts) for parts in spoken]
