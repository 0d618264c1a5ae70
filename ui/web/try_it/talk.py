"""The conversation on Try: its turns, what the browser stores of them, and what each
model reads next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ui.services.results.chat import Answer, Loading
from ui.services.results.documents import Part, Piece

PANES = ("base", "tuned")
TURNS_STORED = 40  # by the browser
LONGEST_QUESTION, LONGEST_ANSWER = 20_000, 100_000  # characters
_LONGEST_NOTE = 1_000
_CUT = f"Only the first {LONGEST_ANSWER:,} characters are shown."
_FINISHES = ("end", "length", "stopped")


@dataclass
class Turn:
    """A question and both answers.
    alone: asked by itself, outside the conversation. finish: by pane, how its answer
    ended; none while it is written. loading: what happens before the first word; not
    stored. document: the name of the file that was asked about. piece: the piece of it
    that is being answered. how: by pane, how the answers to the pieces were put
    together.
    """

    question: str
    base: str = ""
    tuned: str = ""
    expected: str = ""
    alone: bool = True
    finish: dict[str, str] = field(default_factory=dict)
    loading: str = ""
    document: str = ""
    piece: str = ""
    how: dict[str, str] = field(default_factory=dict)

    def text(self, pane: str) -> str:
        return self.base if pane == "base" else self.tuned

    def add_part(self, part: Part) -> None:
        """Apply the next part while both models answer."""
        match part:
            case Loading():
                self.loading = part.phase
            case Piece():
                self.piece = part.title
            case Answer():
                self.loading = ""
                setattr(self, part.pane, part.text[:LONGEST_ANSWER])
                if part.finish:
                    self.finish[part.pane] = part.finish
                    cut = f"{_CUT} " if len(part.text) > LONGEST_ANSWER else ""
                    self.how[part.pane] = f"{cut}{part.how}".strip()


def stored_talk(run_id: str, turns: Sequence[Turn]) -> dict[str, Any]:
    """A conversation, as the browser stores it. run_id: whose model answered."""
    return {"run": run_id, "turns": [asdict(turn) for turn in turns[-TURNS_STORED:]]}


def turns_with(models: str, talk: object) -> list[Turn]:
    """The turns that the browser stored, if they were with these models; malformed and
    too long ones are skipped.
    """
    turns = (
        talk.get("turns")
        if isinstance(talk, dict) and models and talk.get("run") == models
        else None
    )
    restored = map(_turn, turns[-TURNS_STORED:] if isinstance(turns, list) else [])
    return [turn for turn in restored if turn]


def _turn(value: object) -> Turn | None:
    texts = ("question", "base", "tuned", "expected")
    if not isinstance(value, dict) or not all(
        isinstance(value.get(name), str) for name in texts
    ):
        return None
    if (
        len(value["question"]) > LONGEST_QUESTION
        or max(len(value["base"]), len(value["tuned"])) > LONGEST_ANSWER
    ):
        return None
    finish, how = (
        part if isinstance(part := value.get(name), dict) else {}
        for name in ("finish", "how")
    )
    ended = {
        pane: finish[pane] if finish.get(pane) in _FINISHES else "stopped"
        for pane in PANES
    }
    document = str(value.get("document") or "")[:_LONGEST_NOTE]
    notes = {pane: str(how[pane])[:_LONGEST_NOTE] for pane in PANES if how.get(pane)}
    alone = value.get("alone") is not False
    return Turn(
        **{name: value[name] for name in texts},
        alone=alone,
        finish=ended,
        document=document,
        how=notes,
    )


def messages(
    pane: str,
    before: Sequence[Turn],
    turn: Turn,
    instruction: str,
    history: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """The messages that the model in `pane` reads: the instruction, the conversation so
    far and the new question.

    history: what precedes the question in its example, for one that is asked by itself
    """
    conversation: list[dict[str, Any]] = (
        [{"role": "system", "content": instruction}] if instruction.strip() else []
    )
    if turn.alone:
        conversation += [
            dict(message) for message in history if message.get("role") != "system"
        ]
    else:
        for earlier in before:
            if not earlier.alone:
                answer = {"role": "assistant", "content": earlier.text(pane)}
                conversation += [{"role": "user", "content": earlier.question}, answer]
    return [*conversation, {"role": "user", "content": turn.question}]
