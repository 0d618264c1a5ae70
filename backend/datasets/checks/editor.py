"""What a strict editor would send back: answers that are cut off, refuse, repeat the question, or have labels."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from backend.datasets.checks import form
from backend.datasets.checks.form import Chats
from backend.datasets.checks.issues import accidents, problem
from backend.datasets.checks.language import usual_language
from backend.datasets.checks.patterns import WORD_LISTS, any_of, asks_for, pattern
from backend.records.rows import Problem, Row
from backend.text.conversation import content, last_answer
from backend.text.excerpt import excerpt
from backend.text.normalize import normalize

_REFUSES, _OF_AI = any_of(WORD_LISTS["refusal"], WORD_LISTS["unless_told"]), any_of(WORD_LISTS["ai"])
_AI = WORD_LISTS["ai_names"]  # one of which such an answer has
_SPEAKS_OF_AI = "The answer speaks of being an AI; the model would learn to say so, too."
_LONGEST_REFUSAL = 300  # characters; a longer answer says more
CELL_ERROR, _NO_VALUE = pattern("cell_error"), pattern("no_value")  # the second may also be a label
# Words for an answer are labels at the very beginning only: the table asks for this group.
_LABEL = any_of(WORD_LISTS["role"], r"(?:(?:(\A)|\n)[ \t*#]*{}[ \t*]*|\A[qa] ?)[:：]")
_OPTIONS = re.compile(r"\bB\b['\"]?[:.)]")  # of which "A:" is one
_SPEAKER = re.compile(r"^[ \t*#>-]*([^\W\d_a-z][\w .]{0,18}?)[ \t*]*[:：](.+)", re.MULTILINE)
_TOLD = any_of(WORD_LISTS["told"], r"(?:(?<!\w){}\s*[:=：]|\A\[|[.!?？]\s*A:)\s*")
_BLANK = any_of(WORD_LISTS["blank"], "{}[.!。]?")
_TYPED = any_of(WORD_LISTS["blank"][:1])
_CUT_JSON, _ENDED, _NO_PROSE, _SENTENCE_ENDS = map(pattern, ("cut_json", "ended", "no_prose", "sentence_ends"))
_OPENED = r"[,、，]\Z|(?<![:;=8-])[(（\[][^)）\].!?]{0,60}\Z|„[^“”\".!?]*\Z|[「『][^」』。！？]*\Z"
_LONG, _BEGUN = 40, 20  # characters of an answer, and of its last sentence, by which one can tell
_TAIL = 2000  # characters in which a sentence begins that is cut off
_CUT_LENGTH = 100  # characters; shorter answers have one length by chance
_RARE = 0.05  # share of the answers; what so few have is no label
_COMMON = 0.2  # share of the answers; what so many do is how they are meant
_EDGES = 20  # characters by which two texts may differ that are the same but for marks and spaces at the ends
_SIGN_OFF = 60  # characters; so short an ending is the writer's voice
_GREETING = 13  # characters; so short a question may be answered in kind


def find(rows: Sequence[Row]) -> Iterator[Problem]:
    """Problems in the last answer of each conversation."""
    chats = [(row, last_answer(row).strip(), _asked(row)) for row in rows if len(row.messages) > 1]
    chats = [(row, answer, asked) for row, answer, asked in chats if answer and asked]
    if ending := form.ending(chats):
        if len(ending) > _SIGN_OFF:
            yield problem(None, "boilerplate", quote=excerpt(ending))
        chats = [(row, answer.removesuffix(ending).rstrip() or answer, asked) for row, answer, asked in chats]
    yield from form.find(chats)
    yield from _cut_off(chats)
    dialogues = 2 * sum(len(dict(_SPEAKER.findall(answer))) > 1 for _, answer, _ in chats) > len(chats)
    for kind, test, message in _TESTS:
        found = [row for row, answer, asked in chats if test(answer, asked) and not asks_for(kind, asked)]
        if len(found) <= max(_COMMON * len(chats), 3) and not (dialogues and kind == "role_label"):
            yield from (problem(row, kind, message, excerpt(last_answer(row))) for row in found)
    short = [(row, text) for row, *texts in chats for text in texts if len(text) < _EDGES]
    empty = [row for row, text in short if _NO_VALUE.fullmatch(text)]
    found = [row for row, text in short if CELL_ERROR.fullmatch(text)]
    for row in [*found, *(empty if len(empty) <= _RARE * len(chats) else ())]:
        yield problem(row, "cell_error", quote=excerpt(last_answer(row)))
    same = [row for row, a, q in chats if abs(len(a) - len(q)) < _EDGES and normalize(a) == normalize(q)]
    most = len(same) > max(len(chats) / 2, 3)  # one column was taken for both
    for row in same:
        if most or len(last_answer(row).strip()) > _GREETING:
            copy = problem(row, "answer_is_question", quote=excerpt(last_answer(row)))
            yield replace(copy, severity="error") if most else copy


def _asked(row: Row) -> str:
    """The last question."""
    return next((content(m).strip() for m in reversed(row.messages) if m["role"] == "user"), "")


def _cut_off(chats: Chats) -> Iterator[Problem]:
    """Answers that end in mid-sentence: by their last word, by an open bracket, or as most do at one length."""
    written = [(row, answer) for row, answer, _ in chats if len(answer) >= _BEGUN]
    unended = [(row, answer) for row, answer in written if not _ENDED.search(answer)]
    prose = [(row, answer) for row, answer in unended if not _NO_PROSE.search(answer.rpartition("\n")[2])]
    ended = len(written) - len(unended)
    usual = usual_language([row for row, *_ in chats]) or ""
    words = WORD_LISTS["unfinished"].get(usual, "(?!)")
    edge = "" if usual in ("ja", "zh") else r"(?<![\w'’-])"
    ends = re.compile(rf"{edge}(?:{words})\Z" + f"|{_OPENED}" * (len(prose) <= ended))
    lengths = Counter(len(answer) for answer in {answer for _, answer in prose} if len(answer) >= _CUT_LENGTH)
    length, times = next(iter(lengths.most_common(1)), (0, 0))
    limit = length if times >= max(3, lengths.total() / 2) else -1
    alike = f"This answer and {times - 1:,} others end in mid-sentence after {length:,} characters."
    found = {row.row: alike for row, answer in prose if limit - 1 <= len(answer) <= limit}
    found |= {row.row: "" for row, answer, _ in chats if answer.count("```") % 2 or _CUT_JSON.match(answer)}
    by_words = {row.row: "" for row, answer in prose if row.row not in found and _is_cut(answer, ends)}
    for cut in (found, by_words):
        problems = [
            problem(row, "cut_off", cut[row.row], excerpt(answer, len(answer) - 1, len(answer)))
            for row, answer, _ in chats
            if row.row in cut
        ]
        yield from problems if cut is found else accidents(problems, len(chats))


def _is_cut(answer: str, ends: re.Pattern[str]) -> bool:
    begun = _SENTENCE_ENDS.split(answer[-_TAIL:])[-1]
    return len(answer) >= _LONG and len(begun) >= _BEGUN and ends.search(begun) is not None


def _is_labelled(answer: str, asked: str) -> bool:
    """Whether an answer has a label of a speaker: a common one, one before the question, or two that alternate."""
    if ":" not in answer and "：" not in answer:
        return False
    if _LABEL.search(answer) and not _OPTIONS.search(asked):
        return True
    spoken = _SPEAKER.findall(answer) if answer.count("\n") else []
    names = [name for name, _ in spoken]
    sentences = len(spoken) == answer.count("\n") + 1 and all(said.rstrip()[-1:] in ".!?。！？" for _, said in spoken)
    alternate = sentences and len(names) > 2 and names[0] == names[2] != names[1]
    return alternate or (len(names) > 1 and normalize(spoken[0][1]) == normalize(asked))


def _is_told(answer: str, asked: str) -> bool:
    """Whether a question holds its answer after a label: many tasks quote what they ask about."""
    said = answer.strip(" .").casefold()
    if not said or said not in asked.casefold():
        return False
    for match in _TOLD.finditer(asked):
        told = asked[match.end() : match.end() + len(said) + 1].casefold()
        if told.startswith(said) and not told[len(said) : len(said) + 1].isalnum():
            return True
    return False


_TESTS: tuple[tuple[str, Callable[[str, str], object], str], ...] = (
    ("answer_in_question", _is_told, ""),
    ("role_label", _is_labelled, ""),
    ("placeholder", lambda a, asked: (len(a) <= _LONG and _BLANK.fullmatch(a)) or _TYPED.fullmatch(asked), ""),
    ("leftover_thought", lambda answer, _: "</think" in answer, ""),
    ("refusal", lambda answer, _: len(answer) <= _LONGEST_REFUSAL and _REFUSES.match(answer), ""),
    (
        "refusal",
        lambda answer, _: any(map(answer.__contains__, _AI)) and _OF_AI.search(answer[:_LONGEST_REFUSAL]),
        _SPEAKS_OF_AI,
    ),
)
