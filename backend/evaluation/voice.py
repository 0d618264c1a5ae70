"""What the answers of the examples have in common, and how many answers of a model have
it too. Pure text.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backend.records.evaluation import VoiceCount, VoiceFault
from backend.text import signs

_OWN, _TOGETHER = (
    0.15,
    0.8,
)  # of the answers that begin (or end) with one word, and with one of such words
_USUAL = 0.9  # of the answers are of one form, and within the usual length
_ROOM = 2.0  # times shorter or longer than usual that an answer may be


@dataclass(frozen=True)
class Voice:
    """greetings, sign_offs: first and last words, () where the answers have none in
    common. words: of an answer, at least and at most. lines: whether answers have
    several; None where some do and some don't.
    """

    greetings: frozenset[str]
    sign_offs: frozenset[str]
    words: tuple[float, float]
    lines: bool | None

    def fault(self, answer: str) -> VoiceFault | None:
        """What tells an answer from those of the examples, the worst first; None where
        nothing does.
        """
        first, last, words, lines = _look(answer)
        if signs.repeats(answer):
            return "loop"
        if self.greetings and first not in self.greetings:
            return "greeting"
        if self.sign_offs and last not in self.sign_offs:
            return "sign_off"
        if not self.words[0] <= words <= self.words[1]:
            return "too_short" if words < self.words[0] else "too_long"
        return "form" if self.lines not in (None, lines) else None


def voice(answers: Sequence[str]) -> Voice:
    """The voice of the examples. Raises ValueError without answers."""
    firsts, lasts, words, lines = zip(*map(_look, answers), strict=True)
    ordered, several = sorted(words), sum(lines) / len(lines)
    at = int((1 - _USUAL) * (len(ordered) - 1))
    usual = ordered[at] / _ROOM, ordered[-1 - at] * _ROOM
    has_lines = several >= _USUAL if not 1 - _USUAL < several < _USUAL else None
    return Voice(_common(firsts), _common(lasts), usual, has_lines)


def count(learned: Sequence[str], given: Sequence[str]) -> VoiceCount | None:
    """How many of the answers `given` are in the voice of `learned`; None where that is
    empty.
    """
    if not learned:
        return None
    own = voice(learned)
    faults = Counter(own.fault(answer) for answer in given)
    counted = {fault: number for fault, number in faults.most_common() if fault}
    return VoiceCount(
        in_voice=faults[None],
        signed=bool(own.greetings or own.sign_offs),
        faults=counted,
    )


def _look(answer: str) -> tuple[str, str, int, bool]:
    """The first and the last word, how many words there are, and whether they are on
    several lines.
    """
    words = [word.casefold().strip(".,;:!?\"'()-*") for word in answer.split()]
    words = [word for word in words if word] or [""]
    return words[0], words[-1], len(answer.split()), "\n" in answer.strip()


def _common(words: Sequence[str]) -> frozenset[str]:
    own = {
        word: n
        for word, n in Counter(words).items()
        if n >= _OWN * len(words) and word not in signs.COMMON
    }
    return (
        frozenset(own)
        if sum(own.values()) >= _TOGETHER * len(words) and len(words) > 1
        else frozenset()
    )
