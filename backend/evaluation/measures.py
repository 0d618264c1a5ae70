"""How an answer is scored against the expected one. The main measure is chosen from the
data, before any answer.

preference  of a pair, the better answer likelier than the worse  right or wrong
tool_call   the right tool with the right arguments, or none where none is expected  right or wrong
json        the same JSON value, whatever its layout         right or wrong; `fields` says which fields differ
label       one of a few fixed answers                       right or wrong
exact       the same short text                              right or wrong
chrf        how alike two longer texts are, 0 to 1           graded (Popović 2015, by sacrebleu)
perplexity  of plain texts, e to the nats per token; lower is better: see texts.py

Where only some answers call tools, those that do are right or wrong too, under any
measure of the others.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.files.json_file import value_of
from backend.records.evaluation import MeasureName
from backend.records.rows import Message
from backend.text.conversation import content
from backend.text.normalize import normalize

_MOST = (
    0.9  # of the expected answers must have a form for it to be the form of the task
)
_LABELS = 20  # at most so many different answers are labels
_LABEL_WORDS = 6
_EXACT_WORDS = 5
NO_LABEL = "(none of these)"
_MISSING = object()


@dataclass(frozen=True)
class Measure:
    """The main measure of a dataset. labels: the answers that there are, where they are
    labels.
    """

    name: MeasureName
    labels: tuple[str, ...] = ()

    @property
    def graded(self) -> bool:
        """Whether a score can have any value, instead of being right (1) or wrong (0)."""
        return self.name in ("chrf", "perplexity")

    def score(self, expected: Message, answer: str) -> float:
        """The score of an answer, from 0 to 1."""
        if self.name == "tool_call" or expected.get("tool_calls"):
            calls = [
                _call(call.get("function", call))
                for call in expected.get("tool_calls") or ()
            ]
            return float(calls == _calls_in(answer))
        if self.name == "json":
            return float(_same(parse_json(content(expected)), parse_json(answer)))
        if self.name == "chrf":
            return chrf(content(expected), answer)
        return float(normalize(content(expected)) == normalize(answer))


def choose_measure(expected: Sequence[Message]) -> Measure:
    """The measure that fits these answers: those of the training rows and the held-out
    ones together.
    """
    if not expected:
        return Measure("chrf")
    texts = [content(message) for message in expected if not message.get("tool_calls")]
    if len(expected) - len(texts) >= _MOST * len(expected):
        return Measure("tool_call")
    enough = _MOST * len(texts)
    if sum(isinstance(parse_json(text), (dict, list)) for text in texts) >= enough:
        return Measure("json")
    counts = Counter(map(normalize, texts))
    short = sum(len(text.split()) <= _LABEL_WORDS for text in texts) >= enough
    if short and 1 < len(counts) <= min(_LABELS, len(texts) // 3):
        return Measure("label", tuple(sorted(counts)))
    if sum(len(text.split()) <= _EXACT_WORDS for text in texts) >= enough:
        return Measure("exact")
    return Measure("chrf")


def parse_json(text: str) -> Any:
    """The JSON value of an answer, also in a Markdown code fence; where it is none, a
    value that equals no other.
    """
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    return value_of(text, _MISSING)


def may_follow(expected: Message, begun: str) -> bool:
    """Whether an answer that begins with `begun` may yet be right where the measure is
    JSON.
    """
    begun, wanted = begun.lstrip(), parse_json(content(expected))
    return (
        not begun
        or begun[0] in "{[`"
        or not isinstance(wanted, (dict, list))
        or bool(expected.get("tool_calls"))
    )


def fields(expected: str, answer: str) -> dict[str, bool]:
    """Which of the expected JSON object's fields the answer has right; {} where no
    object is expected.
    """
    wanted, given = parse_json(expected), parse_json(answer)
    if not isinstance(wanted, dict):
        return {}
    has = given if isinstance(given, dict) else {}
    return {
        str(name): _same(value, has.get(name, _MISSING))
        for name, value in wanted.items()
    }


def is_json(text: str) -> bool:
    return parse_json(text) is not _MISSING


def _same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: numbers by value, and true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            _same(value, right[name]) for name, value in left.items()
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return left is not _MISSING and bool(left == right)


def chrf(expected: str, answer: str) -> float:
    """chrF of an answer, 0 to 1: the F-score (recall counts twice) over character
    n-grams up to 6.
    """
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().sentence_score(answer, [expected]).score) / 100


def confusion(
    pairs: Sequence[tuple[str, str]], labels: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How often each label was answered, by expected label; an answer that is no label
    counts as NO_LABEL.
    """
    table: dict[str, dict[str, int]] = {}
    for expected, answer in pairs:
        given = normalize(answer)
        row = table.setdefault(normalize(expected), {})
        key = given if given in labels else NO_LABEL
        row[key] = row.get(key, 0) + 1
    return table


def _call(function: Any) -> tuple[str, Any]:
    arguments = function.get("arguments")
    return str(function.get("name")), parse_json(arguments) if isinstance(
        arguments, str
    ) else arguments


def _calls_in(answer: str) -> list[tuple[str, Any]]:
    """The tool calls that a model wrote as JSON objects with name and arguments, each
    on a line or in tags.
    """
    calls, decoder, at = [], json.JSONDecoder(), 0
    while (start := answer.find("{", at)) >= 0:
        try:
            value, at = decoder.raw_decode(answer, start)
        except ValueError:
            at = start + 1
            continue
        if isinstance(value, dict) and "name" in value:
            calls.append(_call({"arguments": value.get("parameters"), **value}))
    return calls
