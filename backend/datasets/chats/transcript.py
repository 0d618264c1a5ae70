"""Reads a chat as a text with times but no dates, as chat widgets and meetings save it.

[10:02:11] Visitor 4001: Are you open?          10:02 AM - Sue: Yes.          Sue (10:02): Yes.
"""

import re
from collections.abc import Iterator

from backend.datasets.chats.format import ChatFormat
from backend.datasets.convert.detect import Record

TRANSCRIPT = ChatFormat("a chat transcript", thread="thread", time=("time",))
_TIME = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?: ?[AaPp]\.?[Mm]\.?)?"
_NAME = r"[^\s:：\[(][^:：\n\[(]{0,50}?"
_LINE = re.compile(
    rf"(?:[\[(]{_TIME}[\])]|{_TIME})\s{{0,9}}(?:[-–|]\s{{0,9}})?(?P<name>{_NAME})\s{{0,9}}[:：]\s+(?P<text>\S.*)"
    rf"|(?P<before>{_NAME})\s{{0,9}}[\[(]{_TIME}[\])]\s{{0,9}}[:：]\s*(?P<said>\S.*)"
)
_LEVELS = frozenset(("debug", "info", "warn", "warning", "error", "critical", "fatal", "trace", "notice"))
_LOOKED_AT, _FEWEST, _SHARE = 200, 4, 0.5  # lines; messages; of the lines


def is_transcript(text: str) -> bool:
    """Whether most lines begin with a time and a name, and several people take turns."""
    lines = [line for line in text.lstrip("\ufeff").split("\n") if line.strip()][:_LOOKED_AT]
    names = [name for line in lines if (name := _parts(line)[0])]
    speaking = {name for name in names if names.count(name) > 1}
    return (
        len(names) >= max(_FEWEST, _SHARE * len(lines))
        and bool(speaking)
        and len(set(names)) > 1
        and not any(name.casefold() in _LEVELS for name in names)
    )


def transcript_messages(text: str) -> Iterator[list[Record]]:
    """The messages as records of the format TRANSCRIPT, divided at blank lines if people take turns in each part."""
    parts: list[list[tuple[int, dict[str, str]]]] = [[]]
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        author, spoken = _parts(line.rstrip("\r"))
        if author:
            parts[-1].append((number, {"author": author, "text": spoken, "time": str(number)}))
        elif line.strip() and parts[-1]:
            parts[-1][-1][1]["text"] += "\n" + line.strip()
        elif parts[-1]:
            parts.append([])
    parts = [part for part in parts if part]
    divided = all(len({message["author"] for _, message in part}) > 1 for part in parts)
    threads = [(str(number) if divided else "", part) for number, part in enumerate(parts)]
    yield [(line, {**message, "thread": thread}) for thread, part in threads for line, message in part]


def outside(text: str) -> str:
    """The lines that belong to no message: above the first one, or below a blank line."""
    inside, lines = False, []
    for line in text.lstrip("\ufeff").split("\n"):
        inside = bool(_parts(line)[0]) or (inside and bool(line.strip()))
        if line.strip() and not inside:
            lines.append(line.strip())
    return "\n".join(lines)


def _parts(line: str) -> tuple[str, str]:
    """Who speaks on a line, and what; ("", "") where nobody begins to."""
    match = _LINE.match(line.strip())
    return ((match["name"] or match["before"]).strip(), match["text"] or match["said"]) if match else ("", "")
