"""The new version of a model against the one before, on held-out questions that neither
has learned from. Questions whose row, or a near-copy of it, trained either version or
chose its checkpoint are left out for both; corrected questions are among them, since a
corrected answer is trained on.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backend.errors import ApprenticeError, RunProblem
from backend.evaluation.answers_so_far import LATEST, AnswersSoFar
from backend.evaluation.asking import Asking, System
from backend.evaluation.items import Item
from backend.evaluation.models import Answer, Models
from backend.evaluation.verdict import compare, mean_score
from backend.files.disk_errors import disk_words
from backend.models import local
from backend.records.evaluation import (
    PARENT,
    TUNED,
    EvaluationReport,
    ParentComparison,
    ReportedAnswer,
    SystemScore,
)
from backend.records.rows import Row
from backend.records.specs import RunSpec
from backend.runs import division, start
from backend.runs.conversations import read_conversations
from backend.settings import Workspace
from backend.statistics import least_provable_gain

_DELETED = "The previous version was deleted."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parent:
    """The previous version. learned: the folder of what it learned."""

    folder: Path
    spec: RunSpec
    learned: Path


Load = Callable[[Parent], Models]


def add_parent(
    report: EvaluationReport,
    workspace: Workspace,
    run_folder: Path,
    asking: Asking,
    tuned: System,
    load: Load,
) -> EvaluationReport:
    """The report on the run in `run_folder`, and how its model compares with the
    previous version. Adds `against_parent`, the verdict on the new version; `parent`,
    what it rests on (None for a first version); an entry in `comparisons`; and in
    `answers` what the previous version answered.

    asking: the evaluation of the new version; its models are given up before `load` is
        called
    tuned: what the new version answered
    load: loads what the previous version learned; called only where its stored answers
        do not suffice
    """
    spec = local.read_run(run_folder)
    if spec.descent is None:
        return report.model_copy(
            update={"against_parent": "not_measured", "parent": None}
        )
    about = ParentComparison(run=spec.descent.parent)
    try:
        parent = _find(workspace, spec.descent.parent)
        numbers = _fair(run_folder, parent.folder, asking.items)
        counts = {"items": len(numbers), "left_out": len(asking.items) - len(numbers)}
        about = about.model_copy(update={"version": parent.spec.version, **counts})
        if not numbers:
            raise RunProblem("One of the two versions learned from every question.")
        items = [asking.items[number] for number in numbers]
        before, asked = _answers_of(parent, asking, items, load)
    except (ApprenticeError, OSError) as error:
        log.warning("not compared with %s", spec.descent.parent, exc_info=True)
        about = about.model_copy(
            update={"why_not": _why_not(error, workspace, spec.descent.parent)}
        )
        return report.model_copy(
            update={"against_parent": "not_measured", "parent": about}
        )
    scores = {
        PARENT: before.scores,
        TUNED: [tuned.scores[number] for number in numbers],
    }
    clusters, graded = [item.cluster for item in items], asking.measure.graded
    count = len(set(clusters))
    answered = dict(
        zip(numbers, zip(before.answers, before.scores, strict=True), strict=True)
    )
    measured = {
        "asked": asked,
        "clusters": count,
        "least_provable_gain": None if graded else least_provable_gain(count),
        "systems": {
            name: SystemScore(score=mean, interval=(low, high))
            for name, of_items in scores.items()
            for mean, low, high in [mean_score(of_items, clusters, graded=graded)]
        },
    }
    return report.model_copy(
        update={
            "comparisons": (
                *report.comparisons,
                compare(PARENT, TUNED, scores, clusters, graded=graded),
            ),
            "against_parent": compare(
                TUNED, PARENT, scores, clusters, graded=graded
            ).verdict,
            "parent": about.model_copy(update=measured),
            "answers": _with_answers(report.answers, tuned.scores, answered),
        }
    )


def _with_answers(
    answers: Sequence[ReportedAnswer],
    tuned: Sequence[float],
    before: Mapping[int, tuple[Answer, float]],
) -> tuple[ReportedAnswer, ...]:
    """The answers of a report, which are sorted by the scores `tuned` of its items,
    with those of the previous version, by the item's number.
    """
    both = []
    for number, answer in zip(
        sorted(range(len(tuned)), key=tuned.__getitem__), answers, strict=True
    ):
        if number in before:
            text, score = before[number][0].text, before[number][1]
            texts, scores = (
                {**answer.texts, PARENT: text},
                {**answer.scores, PARENT: score},
            )
            answer = answer.model_copy(update={"texts": texts, "scores": scores})
        both.append(answer)
    return tuple(both)


def learned_before(workspace: Workspace, trained: RunSpec) -> list[Path]:
    """The folder of what the previous version learned; none for a first version, or
    where it is gone.
    """
    try:
        return (
            [_find(workspace, trained.descent.parent).learned]
            if trained.descent
            else []
        )
    except ApprenticeError:
        return []


def _why_not(
    error: ApprenticeError | OSError, workspace: Workspace, parent: str
) -> str:
    """Why two versions were not compared. parent: the id of the previous one, which may
    just be gone.
    """
    with suppress(ApprenticeError):
        if not workspace.run_folder(parent).is_dir():
            return _DELETED
    if isinstance(error, ApprenticeError):
        return error.what
    return f"The previous version could not be asked: {disk_words(error)[0]}"


def _find(workspace: Workspace, run_id: str) -> Parent:
    """Raises RunProblem when the previous version is no longer there."""
    folder = workspace.run_folder(run_id)
    if not folder.is_dir():
        raise RunProblem(_DELETED)
    spec = local.read_run(folder)
    learned = local.learned(folder, spec.settings.method)
    if not learned.is_dir():
        raise RunProblem("The previous version no longer has a model.")
    return Parent(folder, spec, learned)


def _fair(run_folder: Path, parent: Path, items: Sequence[Item]) -> list[int]:
    """The positions of the items that neither version learned from. Raises RunProblem
    for damaged files.
    """
    try:
        chats = read_conversations(run_folder, "held_out")
        sides = [*division.read(run_folder), *division.read(parent)]
    except (OSError, ValueError) as error:
        raise RunProblem(
            "The examples of one of the two versions can't be read.", str(error)
        ) from error
    fair = division.unseen(
        [Row(number, number, chat) for number, chat in enumerate(chats, 1)], sides
    )
    return [number for number, item in enumerate(items) if fair[item.row]]


def _answers_of(
    parent: Parent, asking: Asking, items: Sequence[Item], load: Load
) -> tuple[System, int]:
    """The answers of the previous version, and how many of them could not be taken from
    its own evaluation.
    """
    answers: list[Answer | None] = [None] * len(items)
    if asking.measure.name != "preference":  # which needs no answers but probabilities
        file, weights = parent.folder / LATEST, start.digest(parent.learned)
        so_far = AnswersSoFar(file, None, None, None, weights, **asking.models.decides)
        answers = [
            so_far.get(TUNED, asking.prompt(item), asking.limit) for item in items
        ]
    missing = [number for number, answer in enumerate(answers) if answer is None]
    scores = [
        asking.score(item, answer.text) if answer else 0.0
        for item, answer in zip(items, answers, strict=True)
    ]
    if missing:
        progress, phase = asking.progress, "Asking the previous version"
        del asking.models  # two models at once may not fit into memory
        some = [items[number] for number in missing]
        again = Asking(
            load(parent),
            some,
            asking.train,
            lambda _, done, total: progress(phase, done, total),
        )
        again.measure, again.limit = asking.measure, asking.limit
        answered = again.tuned()
        for number, answer, score in zip(
            missing, answered.answers, answered.scores, strict=True
        ):
            answers[number], scores[number] = answer, score
    return System([answer for answer in answers if answer], scores), len(missing)
