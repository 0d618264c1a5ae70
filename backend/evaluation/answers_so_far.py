"""Answers that an evaluation need not ask for again.

Those of the tuned model lie in its run's folder, until the evaluation has ended under
FILE, then under LATEST for the next version. Those of the base model to the questions
of a dataset, with the prompts that were tried, stay beside it for every version of the
model, those to general prompts in the workspace's cache for every run with the same
base; for the bundled one they come with the app. All are the likeliest ones, so that
one holds until something changes that decides it: the prompt, the length at which it is
cut, the weights, the engine, the precision.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from backend.chat.engine import Enough, looping
from backend.errors import WorkspaceProblem
from backend.evaluation.models import Answer, Models
from backend.files.json_file import read_json, write_json
from backend.gguf import base_file
from backend.records.evaluation import BASE
from backend.settings import Workspace, child_path

FILE, LATEST = "answers_so_far.json", "answers.json"  # in the run's folder
_AT_ONCE = 64  # answers until they are saved
_MOST = 5000  # answers of a base model; the oldest go first

log = logging.getLogger(__name__)


def beside_dataset(workspace: Workspace, data_id: str, model: Path) -> Path | None:
    """Where the answers of the base model in the folder `model` to the questions of a
    dataset lie, to be deleted with it; None where there is no such dataset.
    """
    with suppress(WorkspaceProblem):  # a run from elsewhere may name none
        dataset = child_path(workspace.datasets, data_id)
        return (
            dataset / f"base_answers-{base_file.key(model)}.json"
            if dataset.is_dir()
            else None
        )
    return None


class AnswersSoFar:
    """file: for the answers of the tuned model, None to save nothing. base: for those
    of its base, in a folder that is there, None to save them in `file`, too. general:
    for those of the base to general prompts. shipped: a file with some of the latter.
    weights: of the tuned model. settings: all else that decides an answer, besides its
    prompt and where it is cut.
    """

    def __init__(
        self,
        file: Path | None = None,
        base: Path | None = None,
        general: Path | None = None,
        shipped: Path | None = None,
        weights: str = "",
        **settings: object,
    ) -> None:
        self._file, self._base, self._general, self._weights, self._settings = (
            file,
            base,
            general,
            weights,
            settings,
        )
        self._known: dict[Path | None, dict[str, Answer]] = {
            name: _read(name) for name in (file, base, general)
        }
        if general:
            self._known[general] = _read(shipped) | self._known[general]

    def ask(
        self,
        models: Models,
        pane: str,
        prompts: Sequence[list[int]],
        limit: int,
        each: Callable[[int], None],
        enough: Enough = looping,
        *,
        general: bool = False,
        at_once: int = _AT_ONCE,
    ) -> list[Answer]:
        """The answers to `prompts`, in their order; the model in `pane` is asked for
        those that are not known.

        limit: tokens of an answer
        each: called with the number of answers so far; what it raises ends the work
        enough: see `Engine.answer_all`; it depends on the prompt and the limit alone
        general: whether the prompts are those of the app, not of a dataset
        at_once: answers until they are saved
        """
        answers = [self.get(pane, prompt, limit, general=general) for prompt in prompts]
        missing = [number for number, answer in enumerate(answers) if answer is None]
        for start in range(0, len(missing), at_once):
            numbers, before = (
                missing[start : start + at_once],
                len(prompts) - len(missing) + start,
            )
            asked = [prompts[number] for number in numbers]

            def answered(done: int, before: int = before) -> None:
                each(before + done)

            def says_enough(
                number: int, ids: Sequence[int], numbers: Sequence[int] = numbers
            ) -> bool:
                return enough(numbers[number], ids)

            new = models.answer(pane, asked, limit, answered, says_enough)
            self.add(pane, asked, limit, new, general=general)
            for number, answer in zip(numbers, new, strict=True):
                answers[number] = answer
        return [answer for answer in answers if answer]

    def get(
        self, pane: str, prompt: Sequence[int], limit: int, *, general: bool = False
    ) -> Answer | None:
        """The answer of the model in `pane`; None if it is not known."""
        file = self._file_of(pane, general)
        return self._known[file].get(self._key(file, pane, prompt, limit))

    def add(
        self,
        pane: str,
        prompts: Sequence[Sequence[int]],
        limit: int,
        answers: list[Answer],
        *,
        general: bool = False,
    ) -> None:
        """Saves answers. A full disk costs only the time to ask again."""
        file = self._file_of(pane, general)
        keys = [self._key(file, pane, prompt, limit) for prompt in prompts]
        self._known[file] |= zip(keys, answers, strict=True)
        if file:
            newest = list(self._known[file].items())[-_MOST:]
            try:
                if file == self._general:
                    file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, {key: list(answer) for key, answer in newest})
            except OSError:
                log.warning("the answers so far could not be saved", exc_info=True)

    def _file_of(self, pane: str, general: bool) -> Path | None:
        return (
            pane == BASE and (self._general if general else self._base)
        ) or self._file

    def _key(
        self, file: Path | None, pane: str, prompt: Sequence[int], limit: int
    ) -> str:
        weights = self._weights if file == self._file else ""
        asked = json.dumps(
            [pane, list(prompt), limit, weights, self._settings], sort_keys=True
        )
        return hashlib.sha256(asked.encode()).hexdigest()


def _read(file: Path | None) -> dict[str, Answer]:
    """A damaged file has no answers."""
    with suppress(OSError, ValueError, TypeError):
        if file:
            return {
                key: Answer(str(text), bool(ended))
                for key, (text, ended) in read_json(file).items()
            }
    return {}
