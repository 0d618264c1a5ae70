"""A long document on Try: both models answer each of its pieces, and their answers are
put together.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from backend.chat.documents import Combined, about, combine, split
from backend.datasets.background import NO_PROGRESS
from backend.datasets.read.as_text import read_document
from backend.datasets.stored_files import Run, run_here, without_progress
from backend.models import model_folder
from backend.records.specs import RunSpec
from backend.tokens.tokenizer import ChatTokenizer
from ui.services.results.chat import Answer, ChatSession, Loading, asked
from ui.services.results.trained_models import ResultService
from ui.services.training.runs import RunService

PANES = ("base", "tuned")
_HOW = {
    "join": "The answers follow each other.",
    "merge": "The answers are one JSON list, without repetitions.",
}


class Piece(NamedTuple):
    """A piece begins."""

    title: str


Part = Loading | Piece | Answer


class DocumentService:
    """Long documents answered by the models of a run. run: where they are read and
    divided.
    """

    def __init__(
        self,
        runs: RunService,
        results: ResultService,
        chat: ChatSession,
        run: Run = run_here,
    ) -> None:
        self._runs, self._results, self._chat, self._run = runs, results, chat, run

    def read(self, path: Path) -> str:
        """The text of a file: see `read_document`."""
        return self._run(
            NO_PROGRESS, partial(without_progress, partial(read_document, path)), path
        )

    def pieces(
        self,
        run_id: str,
        file: Path,
        question: str,
        instruction: str = "",
        answer: int = 256,
    ) -> list[str]:
        """A text file in pieces as long as the run's examples. Raises BadInput when it
        can't be read, or no room is left for a piece.

        question: about each piece
        instruction: the system message, "" for none
        answer: tokens to leave free for the answer
        """
        divide = partial(
            _pieces, file, self._runs.spec(run_id), asked(question, instruction), answer
        )
        return self._run(NO_PROGRESS, partial(without_progress, divide), file)

    def answers(
        self, run_id: str, file: Path, question: str, instruction: str, **sampling: Any
    ) -> Iterator[Part]:
        """The growing answers in both panes, to one piece after another (see `pieces`),
        then put together. A stop leaves the answers so far. `sampling` is that of
        `ResultService.answers`; raises what both raise.
        """
        most = int(sampling.get("max_new_tokens", 256))
        pieces = self.pieces(run_id, file, question, instruction, most)
        done: dict[str, list[Answer]] = {pane: [] for pane in PANES}
        with self._chat.question():
            for number, piece in enumerate(pieces, 1):
                yield Piece(f"Piece {number} of {len(pieces)}")
                messages = dict.fromkeys(
                    PANES, asked(about(piece, question), instruction)
                )
                last: dict[str, Answer] = {}
                for part in self._results.answers(
                    run_id, messages, ongoing=True, **sampling
                ):
                    if isinstance(part, Answer):
                        last[part.pane] = part
                        texts = [answer.text for answer in done[part.pane]]
                        yield Answer(part.pane, "\n\n".join([*texts, part.text]), "")
                    else:
                        yield part
                for pane, answer in last.items():
                    done[pane].append(answer)
                if any(answer.finish == "stopped" for answer in last.values()):
                    break
            yield from (_whole(pane, done[pane]) for pane in PANES)


def _pieces(
    path: Path, spec: RunSpec, messages: list[dict[str, Any]], answer: int
) -> list[str]:
    model = spec.model.path
    tokenizer, length = ChatTokenizer.load(model), model_folder.context_length(model)
    return split(
        read_document(path), tokenizer, spec.settings, length, messages, answer
    )


def _whole(pane: str, answers: list[Answer]) -> Answer:
    begun = [
        answer.text for answer in answers if answer.text or answer.finish != "stopped"
    ]
    if not begun:
        return Answer(pane, "", "stopped")
    combined = combine(begun, "auto")
    finishes = {answer.finish for answer in answers}
    finish = next(
        (reason for reason in ("stopped", "length") if reason in finishes), "end"
    )
    return Answer(pane, combined.text, finish, sentence(combined))


def sentence(combined: Combined) -> str:
    """How answers were put together; "" for a single one."""
    text = _HOW.get(combined.how, "")
    if combined.left_out:
        numbers = ", ".join(map(str, combined.left_out))
        text += f" Skipped, because they are not JSON: the answers to piece {numbers}."
    return text
