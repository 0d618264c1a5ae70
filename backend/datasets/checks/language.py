"""Detects the language of a text by its script or its common words; unclear texts get
no answer.

No model and no download: scripts, their letters and common words are enough to name
whole rows. Among languages that share a script, the one whose common words occur most
often wins, if by a clear margin. Short or mixed texts get no answer.

Not py3langid 0.4.0, which was tried on 10,500 translated program messages: it names
more (80 % of those under 40 characters instead of 48 %) and errs less, but takes 0.25
to 0.5 ms for each text instead of 0.04, so that checking 100,000 rows would take a
minute longer, and 80 MB in the page's process. Reconsider when it is compiled.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path

from backend.datasets.checks.issues import problem
from backend.datasets.checks.patterns import CODE, asks_for
from backend.files.json_file import read_json
from backend.records.rows import Problem, Row
from backend.text.conversation import last_answer, question, texts
from backend.text.excerpt import excerpt

_WORDS = read_json(Path(__file__).with_suffix(".json"))
LANGUAGE_NAMES: dict[str, str] = _WORDS["names"]
_COMMON: dict[str, set[str]] = {
    code: set(words.split()) for code, words in _WORDS["common"].items()
}
QUESTION_WORDS = frozenset(_WORDS["asking"].split())
FUNCTION_WORDS = (
    frozenset(chain(*_COMMON.values()))
    - QUESTION_WORDS
    - set(_WORDS["negations"].split())
)
_TELLING = {
    word for word in chain(*_COMMON.values()) if len(word) > 1
}  # one letter tells nothing
_LANGUAGES_OF = {
    word: [code for code, own in _COMMON.items() if word in own] for word in _TELLING
}

# A script, its language by default (None: unclear), and letters that tell one, with
# those that speak against it.
_SCRIPTS: list[tuple[str, str | None, list[tuple[str, str, str | None]]]] = _WORDS[
    "scripts"
]
_BESIDE = 0.1  # so many letters of the language beside for one of its own; more tell that it is another one
_OF_TEXT = 0.4  # of the letters are of the script
_WORD = re.compile(r"[^\W\d_]+")
_NO_WORDS = re.compile("<[^<>]{1,300}>|&#?\\w+;")  # tags and entities
_SAMPLE = 2000  # characters
_MIN_WORDS = 6
_MIN_HITS = 4  # different common words of two letters or more
_RELATED = ({"da", "no", "sv"}, {"cs", "pl"}, {"es", "pt"}, {"zh", "ja"})
_MIN_SHARE = 0.15  # of the words must be common words of the language
_MARGIN = 1.25  # times as many as for the second best language


def detect(text: str) -> str | None:
    """The ISO 639-1 code of the language of `text`, None when it is unclear."""
    text = text[:_SAMPLE]
    if not text.isascii() and (by_script := _by_script(text)):
        return by_script
    tokens = _WORD.findall(_NO_WORDS.sub(" ", text).lower())
    if len(tokens) < _MIN_WORDS:
        return None
    hits = Counter(chain.from_iterable(map(_LANGUAGES_OF.get, tokens, repeat(()))))
    *_, next_most, most = sorted([0, 0, *hits.values()])
    clear = most >= _MIN_SHARE * len(tokens) and most >= _MARGIN * next_most
    return max(hits, key=hits.__getitem__) if clear else None


def is_another(text: str, usual: str) -> str | None:
    """The language of `text` if it is clearly not `usual`; closely related languages
    are not told apart.
    """
    sample = text[:_SAMPLE]
    by_script = None if sample.isascii() else _by_script(sample)
    told = _TELLING.intersection(_WORD.findall(_NO_WORDS.sub(" ", sample).lower()))
    least = max(_MIN_HITS, 2 * len(told & _COMMON.get(usual, set())))
    if not by_script and len(told) < least:
        return None  # as with nearly all texts: so many words of another language are not in it
    detected = by_script or detect(text)
    if (
        detected is None
        or detected == usual
        or any({detected, usual} <= group for group in _RELATED)
    ):
        return None
    if by_script:
        return detected
    return (
        detected
        if len(told & _COMMON.get(detected, set())) >= least and not CODE.search(text)
        else None
    )


def _by_script(text: str) -> str | None:
    letters = sum(map(str.isalpha, text))
    for script, usual, rare in _SCRIPTS:
        own = len(re.findall(script, text))
        if own < 2 or own < _OF_TEXT * letters:
            continue
        for code, own_letters, foreign in rare:
            count = len(re.findall(own_letters, text))
            if count and (
                foreign is None or len(re.findall(foreign, text)) <= _BESIDE * count
            ):
                return code
        return usual
    return None


_ROWS = 400  # spread over the file
_SHARE = 0.3  # of the letters in a clear language; below it there is no warning
_MIN_ROWS = 5  # rows, or texts of rows
_PART = 0.1  # of the texts in a clear language, where fewer are a chance resemblance; of all letters
_PARTS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("question", question),
    ("answer", last_answer),
)
_USUAL = 0.9  # of the rows with a known language; below it the file is in several


def usual_language(
    rows: Sequence[Row],
    text: Callable[[Row], str] = lambda row: row.text or last_answer(row),
) -> str | None:
    """The language of most answers and texts, or of another `text` of each row; None
    where it is not clear.
    """
    counts = Counter(
        filter(None, map(detect, map(text, rows[:: max(1, len(rows) // _ROWS)])))
    )
    usual, count = next(iter(counts.most_common(1)), (None, 0))
    return usual if count >= max(_MIN_ROWS, _USUAL * counts.total()) else None


def find(
    rows: Sequence[Row], model_languages: Sequence[str] | None
) -> Iterator[Problem]:
    """Languages that differ from most rows', and common ones that the model does not
    know.
    """
    chats = [row for row in rows if row.text is None]
    named: set[int] = set()
    for part, text in _PARTS:
        if (usual := usual_language(chats, text)) is None:
            continue
        for row in chats:
            other = is_another(text(row), usual) if row.row not in named else None
            if other and not asks_for("other_language", question(row)):
                named.add(row.row)
                message = f"The {part} seems to be in {_named(other)}; most are in {_named(usual)}."
                yield problem(row, "other_language", message, excerpt(text(row)))
    yield from _unknown(rows, model_languages)


def _unknown(
    rows: Sequence[Row], model_languages: Sequence[str] | None
) -> Iterator[Problem]:
    if not model_languages or not rows:
        return
    said = [
        (detect(text), text[:_SAMPLE])
        for row in rows[:: max(1, len(rows) // _ROWS)]
        for text in texts(row)
    ]
    times = Counter(code for code, _ in said if code)
    letters = Counter(
        code for code, text in said for letter in text if letter.isalpha()
    )
    known = letters.total() - letters[None]
    least = max(_MIN_ROWS, _PART * times.total())
    foreign = [
        code
        for code, count in times.most_common()
        if code not in model_languages and count >= least
    ]
    share = sum(letters[code] for code in foreign) / max(known, 1)
    if share < _SHARE or known < _PART * letters.total():
        return
    theirs, its = (
        ", ".join(map(_named, codes)) for codes in (foreign, model_languages)
    )
    message = f"About {share:.0%} of the text in a clear language is in {theirs}; the model was made for {its}."
    so = "It needs many more examples to learn this way; choose a model that knows the language."
    yield problem(None, "language_mismatch", f"{message} {so}")


def _named(code: str) -> str:
    return LANGUAGE_NAMES.get(code, code)
