"""What a question asks for: what is no fault of its answer then, such as a web page, and more than a word."""

from backend.datasets.checks.patterns import WORD_LISTS, any_of

_ASKED = {kind: any_of(patterns) for kind, patterns in WORD_LISTS["asked"].items()}
_OPEN, _ASKING, _FILLER = (any_of(WORD_LISTS[name]) for name in ("open", "asking", "filler"))


def asks_for(kind: str, question: str) -> bool:
    """Whether `question` asks for what is a problem of this kind elsewhere."""
    return kind in _ASKED and _ASKED[kind].search(question) is not None


def asks_for_more(question: str, answer: str) -> bool:
    """Whether so short an answer can't be one: to how or why, or "ok" to where."""
    filler = _FILLER.fullmatch(answer.strip(" .!。")) is not None
    return (_ASKING if filler else _OPEN).search(question) is not None
