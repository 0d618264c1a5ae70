"""Trained models: tried next to their base model, and exported."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from backend.datasets.checks.dataset import of_health
from backend.errors import ApprenticeError, RunProblem
from backend.export import page_to_give
from backend.export.formats import HOME, PAGE, slug
from backend.gguf import sizes as gguf_sizes
from backend.gguf.convert import TYPES
from backend.models import bundled, local
from backend.records.chat import ChatAnswer
from backend.records.exports import ExportFile
from backend.runs.conversations import read_conversations, usual_instruction
from backend.settings import Workspace
from backend.text.conversation import content
from backend.tokens.tokenizer import ChatTokenizer
from jobs.records import State
from jobs.runner import Runner
from ui.records.runs import RunInfo, UnseenQuestion
from ui.records.share import ExportStatus
from ui.services.data import samples
from ui.services.results import evaluated
from ui.services.results.chat import Answer, ChatSession, ChatTarget, Loading, asked
from ui.services.results.exports import export_status, needs, sizes
from ui.services.results.first import FIRST, FOLDER
from ui.services.training.runs import RunService

DELETED = "The files of this model were deleted from this computer."
_MAX_READY = 3  # models offered to try


class ResultService:
    """The trained models of a workspace: the chat with them, and their exports."""

    def __init__(
        self, workspace: Workspace, runner: Runner, runs: RunService, chat: ChatSession
    ) -> None:
        self._runner, self._runs, self._chat = runner, runs, chat
        self._export = partial(export_status, workspace.exports)
        self._first = ChatTarget(FIRST, bundled.folder(workspace), FOLDER)
        self._instructions: dict[str, str] = {}  # by run; its examples never change
        self._of_health: dict[str, bool] = {}

    # Models

    def has_model(self, run_id: str) -> bool:
        """Whether a run completed or was stopped, and saved its model; not where it
        does not exist or is damaged.
        """
        with suppress(ApprenticeError):
            ended = self._runs.job(run_id).state in (State.COMPLETED, State.STOPPED)
            return ended and self._folder(run_id).is_dir()
        return False

    def ready_to_try(self) -> list[RunInfo]:
        """The runs with a model, the latest three, last ended first."""
        jobs = sorted(self._runs.jobs(), key=lambda job: job.ended or 0.0, reverse=True)
        return list(
            islice(
                (self._runs.info(job.id) for job in jobs if self.has_model(job.id)),
                _MAX_READY,
            )
        )

    def model_folder(self, run_id: str) -> Path:
        """The folder of the adapter or model that a run saved. Raises RunProblem before
        there is one and after.
        """
        folder, state = self._folder(run_id), self._runs.job(run_id).state
        if (
            state in (State.COMPLETED, State.STOPPED, State.INTERRUPTED)
            and folder.is_dir()
        ):
            return folder
        if state is State.COMPLETED:
            raise RunProblem(
                "This model is no longer here.",
                DELETED,
                "Train it again from your examples.",
            )
        raise RunProblem(
            "This run has nothing to try yet.",
            "It has not saved a model.",
            "Wait until it ends.",
        )

    def _folder(self, run_id: str) -> Path:
        return local.learned(
            self._runs.folder(run_id), self._runs.spec(run_id).settings.method
        )

    # The chat

    def answers(
        self,
        run_id: str,
        conversations: dict[str, Any],
        *,
        ongoing: bool = False,
        **sampling: Any,
    ) -> Iterator[Loading | Answer]:
        """The growing answers of the base and the trained model.
        run_id: of the trained model, or `FIRST`. conversations: by pane, "base" and
        "tuned". ongoing: inside `ChatSession.question`. sampling: see `Sampling`; at
        most 256 tokens unless it says otherwise.
        """
        sampling = {"max_new_tokens": 256, **sampling}
        return self._chat.answers(
            self._target(run_id), conversations, ongoing=ongoing, **sampling
        )

    def answer_once(
        self,
        run_id: str,
        prompt: str,
        base: bool = False,
        gguf: Path | None = None,
        seed: int | None = None,
        each: Callable[[str], None] = lambda text: None,
    ) -> ChatAnswer:
        """One answer, after the instruction that most examples carry, as on Try: see
        `ChatSession.answer_once`.

        base: the base model answers
        gguf: an exported file that answers
        seed: varies the answer; None for the likeliest
        each: called with every piece of its text
        """
        sampling = {} if seed is None else {"temperature": 0.8, "seed": seed}
        self._runs.job(run_id)
        messages, pane = (
            asked(prompt, self.instruction(run_id)),
            "base" if base else "tuned",
        )
        return self._chat.answer_once(
            gguf or self._target(run_id), pane, messages, each, **sampling
        )

    def _target(self, run_id: str) -> ChatTarget:
        if run_id == FIRST:
            return self._first
        return ChatTarget(
            run_id, self._runs.spec(run_id).model.path, self.model_folder(run_id)
        )

    def unseen_questions(self, run_id: str) -> list[UnseenQuestion]:
        """See `samples.unseen_questions`; [] for a damaged file, which
        `EvaluationService.judging` reports.
        """
        with suppress(OSError, ValueError):
            return samples.unseen_questions(self._runs.folder(run_id))
        return []

    def instruction(self, run_id: str) -> str:
        """The system message that most of the run's examples carry; "" if most have
        none, or none can be read.
        """
        if run_id not in self._instructions:
            self._instructions[run_id] = usual_instruction(self._runs.folder(run_id))
        return self._instructions[run_id]

    def speaks_of_health(self, run_id: str) -> bool:
        """Whether the answers that the run learned from got the warning about allergens
        and health.
        """
        if run_id not in self._of_health:
            with suppress(OSError, ValueError):
                learned = read_conversations(self._runs.folder(run_id), "train")
                self._of_health[run_id] = bool(
                    of_health(
                        [content(messages[-1]) for messages in learned if messages]
                    )
                )
        return self._of_health.get(run_id, False)

    def system_message(self, run_id: str) -> str:
        """The instruction, or else the template's own, which some programs leave out;
        "" where it is unknown.
        """
        try:
            base = self._runs.spec(run_id).model.path
            return (
                self.instruction(run_id)
                or ChatTokenizer.of_training(
                    base, self._folder(run_id)
                ).default_instruction
            )
        except ApprenticeError:
            return ""

    # Exports

    def start_export(self, run_id: str, to: str) -> str:
        """Queues an export ("gguf:Q8_0", "gguf:F16,gguf:Q4_K_M", "adapter", "script",
        …); returns its job id. Raises NotEnough for a page with too large a model.
        """
        if to != "script":  # which needs no trained model
            self.model_folder(run_id)
        if to == PAGE:
            page_to_give.kind_for(self._runs.spec(run_id).model.path)
        run = self._runs.job(run_id)
        spec: dict[str, Any] = {"run": run_id, "to": to, "name": run.name}
        if judged := evaluated.current(self._runner, run):
            spec |= {
                "evaluation": judged.job_id,
                "scores": asdict(evaluated.for_model_card(judged.summary)),
            }
        return self._runner.submit("export", spec, to, parent=run_id)

    def stop_export(self, run_id: str, export_id: str) -> None:
        """Asks an export of the run to end; one that has ended stays as it is."""
        if any(
            made.job.id == export_id and not made.job.state.is_terminal
            for made in self.exports(run_id)
        ):
            self._runner.stop(export_id)

    def finished_export(self, run_id: str, to: str) -> ExportStatus | None:
        """The export that `start_export` would make again: of the model as it is now,
        under its present name, with all its files and no failed check; None where there
        is none.
        """
        run = self._runs.job(run_id)
        judged = evaluated.current(self._runner, run)
        evaluation = (
            judged.job_id if judged and to == HOME else None
        )  # the zip file holds its report
        for made in self.current_exports(run_id):
            result, name = made.result, slug(run.name)
            # Older versions could also merge into the rounded weights of QLoRA.
            if made.job.name != to or made.job.result.get("base") == "trained":
                continue
            of_this_evaluation = evaluation is None or result.evaluation == evaluation
            if (
                of_this_evaluation
                and result.files
                and all(_is_here(made.folder, file, name) for file in result.files)
            ):
                return made
        return None

    def exports(self, run_id: str) -> list[ExportStatus]:
        """The exports of a run, newest first."""
        return list(map(self._export, self._runner.jobs(kind="export", parent=run_id)))

    def current_exports(self, run_id: str) -> Iterator[ExportStatus]:
        """Those of the model as it is now that are complete, are here and passed their
        checks, newest first.
        """
        for made in map(
            self._export,
            evaluated.completed(self._runner, self._runs.job(run_id), "export"),
        ):
            if (
                made.job.state is State.COMPLETED
                and made.result.passed
                and made.folder.is_dir()
            ):
                yield made

    def export_needs(self, run_id: str) -> str:
        """See `exports.needs`."""
        return needs(self._runs.spec(run_id).model.path)

    def too_narrow(self, run_id: str) -> dict[str, float]:
        """The share of the weights that take a larger GGUF type, because their width
        does not fit it, by type.
        """
        model = self._runs.spec(run_id).model.path
        return {kind: gguf_sizes.too_narrow(model, kind) for kind in TYPES}

    def export_sizes(self, run_id: str) -> dict[str, tuple[float, float]]:
        """The size of each kind of export, from and to (MiB)."""
        return sizes(self._runs.spec(run_id).model.path, self.model_folder(run_id))


def _is_here(folder: Path, file: ExportFile, name: str) -> bool:
    """Whether a file of an export is still whole, and named after the run's present
    name.
    """
    try:
        return (
            file.name.startswith(name)
            and (folder / file.name).stat().st_size == file.bytes
        )
    except OSError:
        return False
