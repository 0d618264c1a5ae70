"""Models that answer as a test says."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backend.chat.engine import Enough, looping
from backend.evaluation.items import Item
from backend.evaluation.models import Answer

_ASKED: dict[
    tuple[str, str], int
] = {}  # what was asked, with which tools, and its token
Said = Callable[
    [str, str], str
]  # pane, with the form it is held to, and all it was given -> its answer


class Spoken:
    """Models whose answers are given by a function. decides: what else decides them."""

    name, panes, context_length, all_at_once = "spoken", ("base", "tuned"), 4096, True

    def __init__(self, said: Said, **decides: str) -> None:
        self._said, self.decides = said, decides

    def opening(self) -> list[int]:
        return []

    def prompt_ids(
        self,
        conversation: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
    ) -> list[int]:
        """One token for each conversation."""
        text = "\n".join(str(m["content"]) for m in conversation)
        return [_ASKED.setdefault((text, repr(tools) if tools else ""), len(_ASKED))]

    def tokens(self, text: str) -> int:
        return len(text)

    def answer(
        self, pane: str, prompts: Sequence[list[int]], limit: int, each: Callable[[int], None],
        enough: Enough = looping, form: str = "",
    ) -> list[Answer]:  # fmt: skip
        each(len(prompts))
        given = [text for text, _ in _ASKED]
        texts = [self._said(pane + form, given[number]) for (number,) in prompts]
        ends = [
            next(
                (
                    end
                    for end in range(len(text))
                    if enough(number, self.text_ids(text[:end]))
                ),
                None,
            )
            for number, text in enumerate(texts)
        ]
        return [
            Answer(text[:end], end is None)
            for text, end in zip(texts, ends, strict=True)
        ]

    def written(self, item: Item) -> str:
        return item.answer

    def loss(self, pane: str, item: Item) -> float:
        if "zrk" in item.answer:
            return 9.0
        return 2.0 if pane == "base" else 1.0

    def text_ids(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def nats(self, pane: str, ids: Sequence[int], first: int) -> float:
        return (len(ids) - first) * (2.0 if pane == "base" else 1.0)
