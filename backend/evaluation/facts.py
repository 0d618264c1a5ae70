"""Facts in the prompt instead of training (retrieval): the passages of a text that
match a question best.
"""

import re
from collections.abc import Callable
from pathlib import Path

from backend.errors import BadInput
from backend.evaluation.items import Item
from backend.evaluation.prompts import Conversation, WordSearch, with_instruction
from backend.text.conversation import content

FILE = "facts.txt"  # in the data folder of a job
LONGEST = 2_000_000  # characters
_WORDS = 80  # of a passage, about
_MOST = 4  # passages in a prompt


def passages(text: str) -> list[str]:
    """The paragraphs of `text`, each below the last heading; long ones are divided
    between lines or sentences. A heading without a paragraph is a passage by itself.
    """
    divided: list[str] = []
    heading, is_alone = "", False
    for block in re.split(r"\n\s*\n", text):
        block = block.strip()
        if not block:
            continue
        if "\n" not in block and (block.startswith("#") or block.endswith(":")):
            divided += [heading] * is_alone
            heading, is_alone = block, True
            continue
        for part in _divided(block):
            divided.append(f"{heading}\n{part}" if heading else part)
        is_alone = False
    return divided + [heading] * is_alone


def _divided(block: str) -> list[str]:
    if len(block.split()) <= _WORDS:
        return [block]
    parts, part = [], ""
    for piece in re.split(r"(?<=\n)|(?<=[.!?])\s+", block):
        if part and len(part.split()) + len(piece.split()) > _WORDS:
            parts.append(part.strip())
            part = ""
        part += piece if piece.endswith("\n") else f"{piece} "
    return list(filter(None, [*parts, part.strip()]))


class Facts:
    """A text of facts, searched by words. Raises BadInput for an empty or too long one."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            why = f"They have over {LONGEST:,} characters."
            raise BadInput("The facts are too long.", why, "Use a part of them.")
        self.passages = passages(text)
        if not self.passages:
            raise BadInput(
                "There are no facts.",
                "The text is empty.",
                "Write some, or choose another file.",
            )
        self._search = WordSearch(self.passages)

    def best(self, question: str, most: int = _MOST) -> list[str]:
        """At most `most` passages that share words with `question`, the best first."""
        return [
            self.passages[number]
            for number, score in self._search.best(question, most)
            if score > 0
        ]

    def conversation(
        self, item: Item, fits: Callable[[Conversation], bool]
    ) -> Conversation:
        """`item` with as many of its best passages before it as `fits` allows."""
        own = "\n\n".join(
            content(dict(m)) for m in item.messages if m["role"] == "system"
        )
        best = self.best(item.question)
        while best:
            system = "\n\n".join(
                [*([own] if own else []), "Answer from these facts:", *best]
            )
            conversation = with_instruction(item, system)
            if fits(conversation):
                return conversation
            best.pop()
        return list(item.messages)


def write_facts(job_folder: Path, text: str) -> None:
    """Stores a text of facts with a job that is being made. Raises BadInput for an
    empty one, OSError.
    """
    Facts(text)
    (job_folder / "data").mkdir(parents=True, exist_ok=True)
    (job_folder / "data" / FILE).write_text(text, "utf-8")


def read_facts(job_folder: Path) -> Facts | None:
    """The facts of a job; None where it has none. Raises BadInput when they can't be
    read.
    """
    try:
        return Facts((job_folder / "data" / FILE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadInput(
            "The facts can't be read.", str(error), "Start again with the same text."
        ) from error
