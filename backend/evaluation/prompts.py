"""Prompts that let the base model do the task without training: instructions, and examples in the prompt."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from backend.errors import BadInput
from backend.evaluation.items import Item
from backend.evaluation.measures import Measure, parse_json
from backend.text.conversation import content
from backend.text.signs import own_phrases

Conversation = list[Mapping[str, Any]]
_SHOWN = 3  # examples inside an instruction
_FEW = 8  # examples in the prompt at most
_SHORTEN = 400  # characters of an example inside an instruction


def instructions(train: Sequence[Item], measure: Measure) -> list[str]:
    """At least five ways to ask for this task, written from the training items: the data's own instruction first."""
    texts = [item.answer for item in train]
    length = round(median(len(text.split()) for text in texts)) if texts else 20
    shown = "\n\n".join(
        f"Question: {item.question[:_SHORTEN]}\nAnswer: {item.answer[:_SHORTEN]}" for item in train[:_SHOWN]
    )
    own = Counter(content(dict(m)) for item in train for m in item.messages if m["role"] == "system").most_common(1)
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
        return [f"Answer with exactly one of these, and nothing else: {', '.join(measure.labels)}."]
    if measure.name == "tool_call":
        names = ", ".join(dict.fromkeys(str(value["name"]) for value in values if value.get("name")))
        return [f'Answer with one JSON object with the keys "name" and "arguments". The names are: {names}.']
    phrases = own_phrases(texts)
    return [f"Write as we do. We often say: {'; '.join(phrases)}."] if phrases else []


def with_instruction(item: Item, instruction: str) -> Conversation:
    """The conversation with `instruction` in place of its system message."""
    return [{"role": "system", "content": instruction}, *(m for m in item.messages if m["role"] != "system")]


def without_system(conversation: Sequence[Mapping[str, Any]]) -> Conversation:
    """The conversation for a template that knows no system message: its text goes before the first question."""
    system = "\n\n".join(content(dict(m)) for m in conversation if m["role"] == "system")
    rest = [dict(m) for m in conversation if m["role"] != "system"]
    if system and rest:
        rest[0] = {**rest[0], "content": f"{system}\n\n{content(rest[0])}"}
    return list(rest)


def accepted(conversation: Conversation, prompt_ids: Callable[[Conversation], list[int]]) -> list[int]:
    """The token ids of `conversation`, in the form that the model's template accepts. Raises BadInput for neither."""
    try:
        return prompt_ids(conversation)
    except BadInput:
        return prompt_ids(without_system(conversation))


class NearestExamples:
    """The training items that are most like a question, by the words that they share (TF-IDF, cosine)."""

    def __init__(self, train: Sequence[Item]) -> None:
        self._train = list(train)
        questions = [Counter(_words(item.question)) for item in self._train]
        seen = Counter(word for counts in questions for word in counts)
        self._weight = {word: math.log((1 + len(questions)) / n) for word, n in seen.items()}
        self._vectors = [self._vector(counts) for counts in questions]

    def near(self, question: str, most: int = _FEW) -> list[Item]:
        """At most `most` items, the most similar first."""
        wanted = self._vector(Counter(_words(question)))
        likeness = [sum(value * vector.get(word, 0.0) for word, value in wanted.items()) for vector in self._vectors]
        order = sorted(range(len(self._train)), key=lambda number: -likeness[number])
        return [self._train[number] for number in order[:most]]

    def conversation(self, item: Item, fits: Callable[[Conversation], bool]) -> Conversation:
        """`item` after as many similar examples as `fits` allows, the most similar one nearest to the question."""
        system = [m for m in item.messages if m["role"] == "system"]
        rest = [m for m in item.messages if m["role"] != "system"]
        best: Conversation = list(item.messages)
        shown: Conversation = []
        for example in self.near(item.question):
            pair = [{"role": "user", "content": example.question}, {"role": "assistant", "content": example.answer}]
            shown = [*pair, *shown]
            if not fits([*system, *shown, *rest]):
                break
            best = [*system, *shown, *rest]
        return best

    def _vector(self, counts: Counter[str]) -> dict[str, float]:
        weighed = {word: n * self._weight.get(word, 0.0) for word, n in counts.items()}
        length = math.sqrt(sum(value * value for value in weighed.values())) or 1.0
        return {word: value / length for word, value in weighed.items()}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
