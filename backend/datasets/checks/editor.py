"""What a strict editor would send back: answers that are cut off, refuse, repeat the
question, or have labels.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from backend.datasets.checks import form
from backend.datasets.checks.form import Chats
from backend.datasets.checks.issues import problem
from backend.datasets.checks.language import usual_language
from backend.datasets.checks.patterns import WORD_LISTS, any_of, asks_for, pattern
from backend.records.rows import Problem, Row, Severity
from backend.text.conversation import content, last_answer
from backend.text.excerpt import excerpt
from backend.text.normalize import normalize

_REFUSES = any_of(WORD_LISTS["refusal"], WORD_LISTS["unless_told"])
_DENIES = any_of(WORD_LISTS["ai_denies"])
_OF_AI = any_of([*WORD_LISTS["ai_denies"], *WORD_LISTS["ai"]])
_AI = WORD_LISTS["ai_names"]  # one of which such an answer has
_SPEAKS_OF_AI = (
    "The answer speaks of being an AI; the model would learn to say so, too."
)
_MODEL = any_of(WORD_LISTS["model_names"])  # in the words of no persona
_LONGEST_REFUSAL = 300  # characters; a longer answer says more
CELL_ERROR = pattern("cell_error")
_NO_VALUE = pattern("no_value")  # may also be a label
# Words for an answer are labels at the very beginning only: the table asks for this
# group.
_LABEL = any_of(
    WORD_LISTS["role"],
    r"(?:(?:(\A)|\n)[ \t*#]*{}[ \t*]*|\A[qa] ?)[:：](?!\s*[{\[]+\s*?['\"\]}\n])",
)
_OPTIONS = re.compile(r"\bB\b['\"]?[:.)]")  # of which "A:" is one
_SPEAKER = re.compile(
    r"^[ \t*#>-]*([^\W\d_a-z][\w .]{0,18}?)[ \t*]*[:：](.+)", re.MULTILINE
)
_TOLD = any_of(WORD_LISTS["told"], r"(?:(?<!\w){}\s*[:=：]|\A\[|[.!?？]\s*A:)\s*")
_BLANK = any_of(WORD_LISTS["blank"], "{}[.!。]?")
_TYPED = any_of(WORD_LISTS["blank"][:1])
_MEDIA_FILE = pattern("media_file")
_ONLY_A_NAME = "The answer is only the name of a picture, video or sound; the model would learn to write such names."
_CUT_JSON, _ENDED, _NO_PROSE, _SENTENCE_ENDS = map(
    pattern, ("cut_json", "ended", "no_prose", "sentence_ends")
)
_OPENED = re.compile(
    r"[,、，]\Z|(?<![:;=8-])[(（\[][^)）\].!?]{0,60}\Z|„[^“”\".!?]*\Z|[「『][^」』。！？]*\Z"
)
# Characters of an answer, and of its last sentence, by which one can tell.
_LONG, _BEGUN = 40, 20
_TAIL = 2000  # characters in which a sentence begins that is cut off
_CUT_LENGTH = 100  # characters; shorter answers have one length by chance
_RARE = 0.05  # share of the answers; what so few have is no label
_COMMON = 0.2  # share of the answers; what so many do is how they are meant
_UNUSUAL = 0.1  # share of the answers; of sentences, hardly any has no end
_EDGES = 20  # characters by which two texts may differ that are the same but for marks and spaces at the ends
_SIGN_OFF = 60  # characters; so short an ending is the writer's voice
_GREETING = 13  # characters; so short a question may be answered in kind
_FEW_WORDS = re.compile(
    r"\s*(?:[^\s\u0e00-\u0eff\u3040-\u9fff]+\s*){1,3}"
)  # in scripts with spaces


def find(rows: Sequence[Row]) -> Iterator[Problem]:
    """Problems in the last answer of each conversation."""
    chats = [
        (row, last_answer(row).strip(), _asked(row))
        for row in rows
        if len(row.messages) > 1
    ]
    chats = [(row, answer, asked) for row, answer, asked in chats if answer and asked]
    if ending := form.ending(chats):
        if len(ending) > _SIGN_OFF:
            yield problem(None, "boilerplate", quote=excerpt(ending))
        chats = [
            (row, answer.removesuffix(ending).rstrip() or answer, asked)
            for row, answer, asked in chats
        ]
    yield from form.find(chats)
    yield from _cut_off(chats)
    for kind, severity, test, message in _TESTS:
        found = [
            row
            for row, answer, asked in chats
            if test(answer, asked) and not asks_for(kind, asked)
        ]
        if (
            kind == "placeholder"
        ):  # where people talk for longer, they also answer with dots alone
            found = [
                row
                for row in found
                if len(row.messages) < 4 or any(map(str.isalnum, last_answer(row)))
            ]
        meant: Severity | None = (
            "note" if len(found) > max(_COMMON * len(chats), 3) else severity
        )
        yield from (
            problem(row, kind, message, excerpt(last_answer(row)), meant)
            for row in found
        )
    short = [
        (row, text) for row, *texts in chats for text in texts if len(text) < _EDGES
    ]
    empty = [row for row, text in short if _NO_VALUE.fullmatch(text)]
    found = [row for row, text in short if CELL_ERROR.fullmatch(text)]
    for row in [*found, *(empty if len(empty) <= _RARE * len(chats) else ())]:
        yield problem(row, "cell_error", quote=excerpt(last_answer(row)))
    same = [
        (row, a == q)
        for row, a, q in chats
        if abs(len(a) - len(q)) < _EDGES and normalize(a) == normalize(q)
    ]
    most = len(same) > max(len(chats) / 2, 3)  # one column was taken for both
    times = Counter(answer for _, answer, _ in chats)
    for row, exact in same:
        meant_so = times[last_answer(row).strip()] > 1 or _FEW_WORDS.fullmatch(
            last_answer(row)
        )  # a label, or a name
        copied: Severity = (
            "error" if most else "warning" if exact and not meant_so else "note"
        )
        if most or len(last_answer(row).strip()) > _GREETING:
            yield problem(
                row,
                "answer_is_question",
                quote=excerpt(last_answer(row)),
                severity=copied,
            )


def _asked(row: Row) -> str:
    """The last question."""
    return next(
        (content(m).strip() for m in reversed(row.messages) if m["role"] == "user"), ""
    )


def _cut_off(chats: Chats) -> Iterator[Problem]:
    """Answers that end in mid-sentence: by their last word, by an open bracket, or as
    most do at one length.
    """
    written = [(row, answer) for row, answer, _ in chats if len(answer) >= _BEGUN]
    unended = [(row, answer) for row, answer in written if not _ENDED.search(answer)]
    prose = [
        (row, answer)
        for row, answer in unended
        if not _NO_PROSE.search(answer.rpartition("\n")[2])
    ]
    usual = usual_language([row for row, *_ in chats]) or ""
    words = WORD_LISTS["unfinished"].get(usual, "(?!)")
    edge = "" if usual in ("ja", "zh") else r"(?<![\w'’-])"
    ends = re.compile(rf"{edge}(?:{words})\Z")
    lengths = Counter(
        len(answer)
        for answer in {answer for _, answer in prose}
        if len(answer) >= _CUT_LENGTH
    )
    length, times = next(iter(lengths.most_common(1)), (0, 0))
    limit = length if times >= max(3, lengths.total() / 2) else -1
    alike = f"This answer and {times - 1:,} others end in mid-sentence after {length:,} characters."
    found = {
        row.row: alike for row, answer in prose if limit - 1 <= len(answer) <= limit
    }
    found |= {row.row: "" for row, answer, _ in chats if _CUT_JSON.match(answer)}
    if len(unended) <= _UNUSUAL * len(written):  # nearly all are sentences
        found |= {
            row.row: ""
            for row, answer in prose
            if row.row not in found and _is_cut(answer, ends)
        }
    maybe = {
        row.row
        for row, answer in prose
        if _is_cut(answer, ends) or _is_cut(answer, _OPENED)
    }
    maybe |= {row.row for row, answer, _ in chats if answer.count("```") % 2}
    for row, answer, _ in chats:
        if row.row in found or row.row in maybe:
            end = excerpt(answer, len(answer) - 1, len(answer))
            yield problem(
                row,
                "cut_off",
                found.get(row.row, ""),
                end,
                None if row.row in found else "note",
            )


def _is_cut(answer: str, ends: re.Pattern[str]) -> bool:
    begun = _SENTENCE_ENDS.split(answer[-_TAIL:])[-1]
    return (
        len(answer) >= _LONG and len(begun) >= _BEGUN and ends.search(begun) is not None
    )


def _starts_with_label(answer: str, asked: str) -> bool:
    """Whether an answer begins with the label of a speaker: a common one, or any before
    the question.
    """
    if _LABEL.match(answer) and not _OPTIONS.search(asked):
        return (
            len(_SPEAKER.findall(answer)) <= 1
        )  # "Answer: ..." and "Explanation: ..." are a form
    spoken = _SPEAKER.match(answer)
    return spoken is not None and normalize(spoken[2]) == normalize(asked)


def _holds_label(answer: str, asked: str) -> bool:
    """Whether an answer has a common label in another place, or several, which may be
    its form.
    """
    return _LABEL.search(answer) is not None and not (
        _OPTIONS.search(asked) or _starts_with_label(answer, asked)
    )


def _speaks_of_ai(answer: str, denies: bool) -> bool:
    """denies: something, as a language model; else who it is may be meant."""
    start = answer[:_LONGEST_REFUSAL]
    suspect = any(map(answer.__contains__, _AI)) and (
        not denies or _MODEL.search(answer) is not None
    )
    speaks = suspect and _OF_AI.search(start) is not None
    return speaks and denies == bool(_DENIES.search(start) and _MODEL.search(answer))


def _is_told(answer: str, asked: str) -> bool:
    """Whether a question holds its answer after a label: many tasks quote what they ask
    about.
    """
    said = answer.strip(" .").casefold()
    if not said or said not in asked.casefold():
        return False
    for match in _TOLD.finditer(asked):
        told = asked[match.end() : match.end() + len(said) + 1].casefold()
        if told.startswith(said) and not told[len(said) : len(said) + 1].isalnum():
            return True
    return False


_TESTS: tuple[tuple[str, Severity | None, Callable[[str, str], object], str], ...] = (
    ("answer_in_question", None, _is_told, ""),
    ("role_label", None, _starts_with_label, ""),
    ("role_label", "note", _holds_label, ""),
    (
        "placeholder",
        None,
        lambda a, asked: (
            (len(a) <= _LONG and _BLANK.fullmatch(a)) or _TYPED.fullmatch(asked)
        ),
        "",
    ),
    (
        "media_marker",
        "note",
        lambda answer, _: _MEDIA_FILE.fullmatch(answer),
        _ONLY_A_NAME,
    ),
    ("leftover_thought", None, lambda answer, _: "</think" in answer, ""),
    (
        "refusal",
        "note",
        lambda answer, _: len(answer) <= _LONGEST_REFUSAL and _REFUSES.match(answer),
        "",
    ),
    (
        "refusal",
        None,
        lambda answer, _: _speaks_of_ai(answer, denies=True),
        _SPEAKS_OF_AI,
    ),
    (
        "refusal",
        "note",
        lambda answer, _: _speaks_of_ai(answer, denies=False),
        _SPEAKS_OF_AI,
    ),
)
