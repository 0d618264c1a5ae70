"""What a strict editor would send back: answers that are cut off, refuse, repeat the question, or have labels."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backend.datasets.checks.issues import problem
from backend.files.json_file import read_json
from backend.records.rows import Problem, Row
from backend.text.conversation import content, last_answer
from backend.text.excerpt import excerpt
from backend.text.normalize import normalize

_WORDS = read_json(Path(__file__).with_name("words.json"))
_REFUSES = re.compile("|".join(_WORDS["refusal"]), re.IGNORECASE)
_LONGEST_REFUSAL = 300  # characters; a longer answer says more
_LABEL = re.compile(rf"(?:\A|\n)[ \t*#]*(?:{'|'.join(_WORDS['role'])})[ \t*]*[:：]", re.IGNORECASE)
_TOLD = re.compile(rf"(?:{'|'.join(_WORDS['told'])})\s*[:=：]\s*", re.IGNORECASE)
CELL_ERROR = re.compile(r"#(?:N/A|NV|[¡¿]?[A-ZÄÖÜ/0]{2,9}[!?])|\[object Object\]")
_NO_VALUE = re.compile(r"nan|null|undefined|none|n/a", re.IGNORECASE)  # which may also be a label
_ENDS = re.compile(r"[^\W_][\"'’]?\Z|[,\-–(]\Z")  # in mid-sentence
_JSON = re.compile(r"\{\s*[\"}]|\[\s*[{\"]")
_LONG, _LINE = 60, 4  # characters of an answer, and words of its last sentence, by which one can tell
_USUALLY = 0.7  # share of the longer answers that end as sentences do
_RARE = 0.05  # share of the answers; what so few have is no label
_COMMON = 0.2  # share of the answers; what so many do is how they are meant
_EDGES = 20  # characters by which two texts may differ that are the same but for marks and spaces at the ends
_QUOTED = 20  # characters of an answer that is no accident in a question


def find(rows: Sequence[Row]) -> Iterator[Problem]:
    """Problems in the last answer of each conversation."""
    chats = [(row, last_answer(row).strip(), _asked(row)) for row in rows if len(row.messages) > 1]
    chats = [(row, answer, asked) for row, answer, asked in chats if answer and asked]
    yield from _cut_off(chats)
    for kind, test, message in (
        ("answer_in_question", _is_told, "The question holds its answer, so the model only learns to copy it."),
        ("role_label", _is_labelled, "The answer has a label such as “User:” or “Answer:”; the model would write it."),
    ):
        found = [row for row, answer, asked in chats if test(answer, asked)]
        if len(found) <= max(_COMMON * len(chats), 3):
            yield from (problem(row, kind, message, excerpt(last_answer(row))) for row in found)
    message = "A cell of this row held an error of the spreadsheet, or nothing, instead of a text."
    short = [(row, text) for row, *texts in chats for text in texts if len(text) < _EDGES]
    empty = [row for row, text in short if _NO_VALUE.fullmatch(text)]
    found = [row for row, text in short if CELL_ERROR.fullmatch(text)]
    for row in [*found, *(empty if len(empty) <= _RARE * len(chats) else ())]:
        yield problem(row, "cell_error", message, excerpt(last_answer(row)))
    message, most = "The answer is the question itself.", max(len(chats) / 2, 3)
    found = [row for row, a, q in chats if abs(len(a) - len(q)) < _EDGES and normalize(a) == normalize(q)]
    for same in (problem(row, "answer_is_question", message, excerpt(last_answer(row))) for row in found):
        yield replace(same, severity="error") if len(found) > most else same  # one column was taken for both
    for row, answer, _ in chats:
        if len(answer) <= _LONGEST_REFUSAL and _REFUSES.search(answer):
            message = "The model would learn to refuse, or to speak of being an AI."
            yield problem(row, "refusal", message, excerpt(answer))


_Chats = Sequence[tuple[Row, str, str]]


def _asked(row: Row) -> str:
    """The last question."""
    return next((content(m).strip() for m in reversed(row.messages) if m["role"] == "user"), "")


def _cut_off(chats: _Chats) -> Iterator[Problem]:
    """Answers that end in mid-sentence, where others of that length don't."""
    longer = [(row, answer) for row, answer, _ in chats if len(answer) >= _LONG or _JSON.match(answer)]
    cut = [(row, answer) for row, answer in longer if _is_cut(answer)]
    if len(cut) <= (1 - _USUALLY) * len(longer):
        message = "The answer ends in mid-sentence."
    elif len({len(answer) for _, answer in cut}) == 1 and len(cut) > 2:
        message = f"This answer and {len(cut) - 1:,} others end in mid-sentence after {len(cut[0][1]):,} characters."
    else:
        return
    for row, answer in cut:
        yield problem(row, "cut_off", message, excerpt(answer, len(answer) - 1, len(answer)))


def _is_cut(answer: str) -> bool:
    last = answer.rpartition("\n")[2]
    if _JSON.match(answer):
        return answer[-1] not in "}]"
    listed = re.match(r"\s*(?:[-*•+|>]|\d+[.)])", last) or "```" in answer or "://" in last.split(" ")[-1]
    begun = re.split(r"[.!?…:]\s", last)[-1]  # of a few words only, it is a signature
    return not listed and begun.count(" ") >= _LINE and _ENDS.search(answer) is not None


def _is_labelled(answer: str, asked: str) -> bool:
    return _LABEL.search(answer) is not None


def _is_told(answer: str, asked: str) -> bool:
    """Whether a question ends with its answer after a label, or is little more than its answer."""
    before, found, rest = asked.casefold().rpartition(answer.casefold())
    if not found or rest.strip(" .\n\"'"):
        return False
    labelled = [match.end() for match in _TOLD.finditer(before)]
    return bool(before.strip()) and (labelled[-1:] == [len(before)] or (len(answer) >= _QUOTED and len(before) < 200))
