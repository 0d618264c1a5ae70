"""Prompts that let the base model do the task without training: instructions, and
examples in the prompt.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from backend.errors import BadInput
from backend.evaluation.items import Item
from backend.evaluation.measures import Measure, parse_json
from backend.text.conversation import content
from backend.text.normalize import words_of
from backend.text.signs import own_phrases

Conversation = list[Mapping[str, Any]]
_SHOWN = 3  # examples inside an instruction
_FEW = 8  # examples in the prompt at most
_K1, _B = 1.2, 0.75
_SHORTEN = 400  # characters of an example inside an instruction


def instructions(train: Sequence[Item], measure: Measure) -> list[str]:
    """At least five ways to ask for this task, written from the training items: the
    data's own instruction first.
    """
    texts = [item.answer for item in train]
    length = round(median(len(text.split()) for text in texts)) if texts else 20
    pairs = (
        (item.question[:_SHORTEN], item.answer[:_SHORTEN]) for item in train[:_SHOWN]
    )
    shown = "\n\n".join(
        f"Question: {question}\nAnswer: {answer}" for question, answer in pairs
    )
    own = Counter(
        content(dict(m))
        for item in train
        for m in item.messages
        if m["role"] == "system"
    ).most_common(1)
    return [
        *(text for text, _ in own),
        *_of_the_form(texts, measure),
        f"Answer as in these examples.\n\n{shown}",
        f"Answer in about {length} words, and with nothing else.",
        f"You answer questions. Keep exactly to the form and the style of these answers:\n\n{shown}",
        f"Answer the last message in about {length} words, in the tone of these answers:\n\n"
        + "\n".join(f"- {text[:_SHORTEN]}" for text in texts[:_SHOWN]),
        "Answer briefly, correctly and with nothing but the answer.",
    ]


def _of_the_form(texts: Sequence[str], measure: Measure) -> list[str]:
    values = [value for text in texts if isinstance(value := parse_json(text), dict)]
    if measure.name == "json":
        keys = list(dict.fromkeys(key for value in values for key in value))
        return [
            f"Answer with one JSON object and nothing else. Its keys are: {', '.join(keys)}.",
            f"Turn the message into JSON with the keys {', '.join(keys)}, null where nothing is said. For example:\n"
            + "\n".join(texts[:_SHOWN]),
        ]
    if measure.name == "label":
        return [
            f"Answer with exactly one of these, and nothing else: {', '.join(measure.labels)}."
        ]
    if measure.name == "tool_call":
        names = ", ".join(
            dict.fromkeys(str(value["name"]) for value in values if value.get("name"))
        )
        return [
            f'Answer with one JSON object with the keys "name" and "arguments". The names are: {names}.'
        ]
    phrases = own_phrases(texts)
    return [f"Write as we do. We often say: {'; '.join(phrases)}."] if phrases else []


def with_instruction(item: Item, instruction: str) -> Conversation:
    """The conversation with `instruction` in place of its system message."""
    return [
        {"role": "system", "content": instruction},
        *(m for m in item.messages if m["role"] != "system"),
    ]


def without_system(conversation: Sequence[Mapping[str, Any]]) -> Conversation:
    """The conversation for a template that knows no system message: its text goes
    before the first question.
    """
    system = "\n\n".join(
        content(dict(m)) for m in conversation if m["role"] == "system"
    )
    rest = [dict(m) for m in conversation if m["role"] != "system"]
    if system and rest:
        rest[0] = {**rest[0], "content": f"{system}\n\n{content(rest[0])}"}
    return list(rest)


def accepted(
    conversation: Conversation, prompt_ids: Callable[[Conversation], list[int]]
) -> list[int]:
    """The token ids of `conversation`, in the form that the model's template accepts.
    Raises BadInput for neither.
    """
    try:
        return prompt_ids(conversation)
    except BadInput:
        return prompt_ids(without_system(conversation))


class WordSearch:
    """Ranks texts by the words that they share with a question: BM25 (Robertson and
    Zaragoza 2009, doi:10.1561/1500000019) with the usual k1 and b, and the idf of
    Lucene, which is never negative.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._words = [Counter(words_of(text)) for text in texts]
        self._mean = sum(map(Counter.total, self._words)) / max(1, len(texts)) or 1.0
        seen = Counter(word for words in self._words for word in words)
        self._idf = {
            word: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
            for word, n in seen.items()
        }

    def best(self, question: str, most: int) -> list[tuple[int, float]]:
        """The numbers of at most `most` texts with their scores, the best first; 0
        where no word is shared.
        """
        wanted = set(words_of(question))
        scores = []
        for words in self._words:
            length = _K1 * (1 - _B + _B * words.total() / self._mean)
            shared = wanted & words.keys()
            scores.append(
                sum(
                    self._idf[word] * words[word] * (_K1 + 1) / (words[word] + length)
                    for word in shared
                )
            )
        return [
            (at, scores[at])
            for at in sorted(range(len(scores)), key=lambda at: -scores[at])[:most]
        ]


class NearestExamples:
    """The training items that are most like a question."""

    def __init__(self, train: Sequence[Item]) -> None:
        self._train, self._search = train, WordSearch([item.question for item in train])

    def conversation(
        self, item: Item, fits: Callable[[Conversation], bool]
    ) -> Conversation:
        """`item` after as many similar examples as `fits` allows, the most similar one
        nearest to the question.
        """
        system = [m for m in item.messages if m["role"] == "system"]
        rest = [m for m in item.messages if m["role"] != "system"]
        best: Conversation = list(item.messages)
        shown: Conversation = []
        for at, _ in self._search.best(item.question, _FEW):
            example = self._train[at]
            pair = [
                {"role": "user", "content": example.question},
                {"role": "assistant", "content": example.answer},
            ]
            shown = [*pair, *shown]
            if not fits([*system, *shown, *rest]):
                break
            best = [*system, *shown, *rest]
        return best
