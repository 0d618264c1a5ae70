"""The job "try_prompts": how far does the base model get with a good prompt, before
anything is trained? The job's own folder holds the examples, laid out as in a run's. It
writes the report into REPORT; its answers lie beside the dataset (answers_so_far.py),
where a later evaluation finds them.
"""

from collections.abc import Mapping
from typing import Any

from backend.errors import BadInput
from backend.evaluation.answers_so_far import AnswersSoFar, beside_dataset
from backend.evaluation.asking import CHOSEN_ON, Asking, System
from backend.evaluation.facts import Facts, read_facts
from backend.evaluation.items import judging_items, training_items
from backend.evaluation.models import choose_engine, load
from backend.evaluation.report import REPORT, all_answers, describe
from backend.evaluation.verdict import compare
from backend.files.json_file import write_json
from backend.hardware.process import prepare_process
from backend.records.base import Record
from backend.records.evaluation import (
    BASE,
    FACTS,
    FEW_SHOT,
    PROMPT,
    TrialOutcome,
    TrialReport,
)
from backend.records.specs import ModelRef
from backend.work import JobContext, Report

GOOD = 0.8  # the score from which on a prompt may do without any training
_NEXT: dict[TrialOutcome, str] = {
    "prompt_may_do": "You may not need any training.",
    "read_answers": "The wording is already close to your answers, but that does not show that the facts are right. "
    "Read the answers: if they are good, you may not need any training.",
    "train": "No prompt has been shown to do this well enough: train the model.",
}


class PromptTrialSpec(Record):
    """A base model to try on the examples, and perhaps facts, in the job's folder.
    items: how many questions at most. data: the id of their dataset. examples: their
    fingerprint.
    """

    model: ModelRef
    data: str
    examples: str
    items: int | None = None


def run(context: JobContext) -> dict[str, Any]:
    """Tries prompts, and returns the report without its answers. Raises BadSetting for
    a wrong spec, RunProblem, MissingPart, BadInput without examples, ChatFailed,
    Stopped.
    """
    spec = PromptTrialSpec.requested(
        context.spec, "This can't be tried.", "Choose it again."
    )
    prepare_process()
    progress, workspace = Report(context), context.workspace
    engine = choose_engine(workspace, spec.model.path, [], progress)
    models = load(workspace, engine, spec.model.path)
    items = judging_items(context.folder, spec.items)
    base = beside_dataset(workspace, spec.data, spec.model.path)
    so_far = AnswersSoFar(None, base, None, None, "", **models.decides)
    asking = Asking(models, items, training_items(context.folder), progress, so_far)
    systems = try_prompts(asking, read_facts(context.folder))
    report = trial_report(asking, systems)
    write_json(context.folder / REPORT, report.to_json())
    return report.to_json(exclude=["answers"])


def examples_read(questions: int) -> float:
    """How many average examples a trial with so many questions reads and answers, at
    most. Each question is answered and its expected answer read by the base as it is (2
    examples), answered with the best instruction, which shows up to 3 examples (4), and
    with up to 8 examples (9); each of about 7 instructions is tried on up to 8 training
    rows.
    """
    return 15.0 * questions + 4 * 7 * CHOSEN_ON


def try_prompts(asking: Asking, facts: Facts | None = None) -> dict[str, System]:
    """The base as it is, with the best instruction, with examples, and with facts.
    Raises BadInput without training rows.
    """
    if not asking.train:
        raise BadInput(
            "There are no examples to write a prompt from.",
            "All of them were set aside.",
            "Add some.",
        )
    systems = {
        BASE: asking.base(),
        PROMPT: asking.best_prompt(),
        FEW_SHOT: asking.few_shot(),
    }
    return {**systems, FACTS: asking.facts(facts)} if facts else systems


def trial_report(asking: Asking, systems: Mapping[str, System]) -> TrialReport:
    """How well the base model does with each kind of prompt."""
    scores = {name: system.scores for name, system in systems.items()}
    graded = asking.measure.graded
    comparisons = [
        compare(name, BASE, scores, asking.clusters, graded=graded)
        for name in systems
        if name != BASE
    ]
    measured = describe(asking, systems, comparisons)
    best = max(systems, key=lambda name: measured.systems[name].score)
    reached = measured.systems[best].interval[0] >= GOOD
    kind: TrialOutcome = (
        "train" if not reached else "read_answers" if graded else "prompt_may_do"
    )
    answers = all_answers(asking, systems, best)
    return TrialReport(
        **vars(measured), best=best, next=_NEXT[kind], next_kind=kind, answers=answers
    )
