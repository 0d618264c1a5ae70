"""The job "try_prompts": how far does the base model get with a good prompt, before anything is trained? The job's
own folder holds the examples, laid out as in a run's. It writes the report into REPORT, and the answers of each
system into SYSTEMS_FILE, where an evaluation on the same examples finds them."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.errors import BadInput, BadSetting
from backend.evaluation.asking import CHOSEN_ON, Asking, Stopped, System, reporting
from backend.evaluation.examples import judging_items, training_items
from backend.evaluation.facts import Facts, read_facts
from backend.evaluation.models import choose_engine, load
from backend.evaluation.report import REPORT, all_answers, describe
from backend.evaluation.verdict import compare
from backend.files.json_file import read_json, write_json
from backend.hardware.process import prepare_process
from backend.models import bundled
from backend.records.base import Record
from backend.records.evaluation import BASE, FACTS, FEW_SHOT, PROMPT, TrialOutcome, TrialReport
from backend.records.specs import ModelRef
from backend.settings import Workspace
from backend.work import JobContext

SYSTEMS_FILE = "systems.json"
GOOD = 0.8  # the score from which on a prompt may do without any training
_NEXT: dict[TrialOutcome, str] = {
    "prompt_may_do": "You may not need any training.",
    "read_answers": "The wording is already close to your answers, but that does not show that the facts are right. "
    "Read the answers: if they are good, you may not need any training.",
    "train": "No prompt has been shown to do this well enough: train the model.",
}


class PromptTrialSpec(Record):
    """A base model to try on the examples, and perhaps facts, in the job's folder. items: how many questions at most.
    data: the id of their dataset. examples: their fingerprint."""

    model: ModelRef
    data: str
    examples: str
    items: int | None = None


def run(context: JobContext) -> dict[str, Any]:
    """Tries prompts, and returns the report without its answers; {} when stopped. Raises BadSetting for a wrong spec,
    RunProblem, MissingPart, BadInput without examples, ChatFailed."""
    try:
        spec = PromptTrialSpec.model_validate(context.spec)
    except ValidationError as error:
        raise BadSetting("This can't be tried.", f"{error.errors()[0]['msg']}.", "Choose it again.") from error
    prepare_process()
    progress, workspace = reporting(context), context.workspace
    try:
        engine = choose_engine(workspace, spec.model.path, [], progress)
        if spec.model.id == bundled.MODEL_ID:
            bundled.ensure(workspace, context.progress)
        models = load(workspace, engine, spec.model.path)
        items = judging_items(context.folder, spec.items)
        asking = Asking(models, items, training_items(context.folder), progress)
        systems = try_prompts(asking, read_facts(context.folder))
    except Stopped:
        return {}
    report = trial_report(asking, systems)
    stored = {name: system.to_json() for name, system in systems.items()}
    write_json(context.folder / SYSTEMS_FILE, {"precision": models.precision, "systems": stored})
    write_json(context.folder / REPORT, report.to_json())
    return report.to_json(exclude=["answers"])


def examples_read(questions: int) -> float:
    """How many average examples a trial with so many questions reads and answers, at most. Each question is answered
    and its expected answer read by the base as it is (2 examples), answered with the best instruction, which shows up
    to 3 examples (4), and with up to 8 examples (9); each of about 7 instructions is tried on up to 8 training rows."""
    return 15.0 * questions + 4 * 7 * CHOSEN_ON


def try_prompts(asking: Asking, facts: Facts | None = None) -> dict[str, System]:
    """The base as it is, with the best instruction, with examples, and with facts. Raises BadInput without training
    rows."""
    if not asking.train:
        raise BadInput("There are no examples to write a prompt from.", "All of them were set aside.", "Add some.")
    systems = {BASE: asking.base(), PROMPT: asking.best_prompt(), FEW_SHOT: asking.few_shot()}
    return {**systems, FACTS: asking.facts(facts)} if facts else systems


def trial_report(asking: Asking, systems: Mapping[str, System]) -> TrialReport:
    """How well the base model does with each kind of prompt."""
    scores = {name: system.scores for name, system in systems.items()}
    graded = asking.measure.graded
    comparisons = [compare(name, BASE, scores, asking.clusters, graded=graded) for name in systems if name != BASE]
    measured = describe(asking, systems, comparisons)
    best = max(systems, key=lambda name: measured.systems[name].score)
    reached = measured.systems[best].interval[0] >= GOOD
    kind: TrialOutcome = "train" if not reached else "read_answers" if graded else "prompt_may_do"
    return TrialReport(
        **vars(measured), best=best, next=_NEXT[kind], next_kind=kind, answers=all_answers(asking, systems, best)
    )


def find(workspace: Workspace, model_id: str, examples: str) -> str | None:
    """The id of the newest completed trial of this model on all questions of the examples with this fingerprint."""
    for file in sorted(workspace.runs.glob(f"[!.]*/{SYSTEMS_FILE}"), reverse=True):
        with suppress(OSError, ValueError):
            spec = PromptTrialSpec.model_validate(read_json(file.with_name("spec.json")))
            if (spec.model.id, spec.examples, spec.items) == (model_id, examples, None):
                return file.parent.name
    return None


def stored_systems(job_folder: Path, precision: str) -> dict[str, System]:
    """The answers of a trial, to reuse; {} when they can't be read or were computed in another precision."""
    try:
        stored = read_json(job_folder / SYSTEMS_FILE)
        if stored["precision"] != precision:
            return {}
        return {name: System.from_json(system) for name, system in stored["systems"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
