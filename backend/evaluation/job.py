"""The job "evaluate": is the model of a run any good? The whole report lies in REPORT
in the job's folder.
"""

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.errors import BadSetting
from backend.evaluation import against_parent, answers_so_far, diagnosis, general
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.asking import Asking
from backend.evaluation.evaluate import evaluate
from backend.evaluation.facts import read_facts
from backend.evaluation.items import judging_items, judging_texts, training_items
from backend.evaluation.models import choose_engine, load
from backend.evaluation.report import REPORT
from backend.evaluation.texts import TextEvaluation
from backend.files.atomic import replace_file
from backend.files.json_file import write_json
from backend.gguf import base_file
from backend.hardware.process import prepare_process
from backend.models import bundled, local
from backend.models.local import relocate
from backend.records.base import Record
from backend.records.evaluation import EvaluationReport
from backend.records.lengths import LengthLimits
from backend.records.specs import RunSpec
from backend.records.training import TrainingResult, result_of
from backend.runs import own_answers, start
from backend.runs.answer_form import answer_form
from backend.tokens.tokenizer import ChatTokenizer
from backend.work import JobContext, Report

log = logging.getLogger(__name__)

QUICK = 180.0  # seconds that an evaluation may take to start automatically


class EvaluationSpec(Record):
    """An evaluation of a run (by its id). items: how many questions at most. baselines:
    try prompts on the base too. A text of facts to compare with lies in the job's
    folder (facts.py).
    """

    run: str
    baselines: bool = False
    items: int | None = None
    trial: str | None = None  # of older versions; not read


def run(context: JobContext) -> dict[str, Any]:
    """Evaluates the run that `context.spec` names, and returns the report without its
    answers. Raises
    BadSetting for a wrong spec, RunProblem, MissingPart, BadInput without held-out
    examples, ChatFailed, Stopped.
    """
    spec = EvaluationSpec.requested(
        context.spec, "This can't be evaluated.", "Choose it again."
    )
    prepare_process()
    folder = context.workspace.run_folder(spec.run)
    trained = local.read_run(folder)
    report = _evaluate(context, spec, folder, trained)
    falling = diagnosis.still_falling(diagnosis.validation_losses(folder))
    result = result_of(folder)
    cut = diagnosis.cut_short(trained, result.steps)
    report = diagnosis.with_next_step(
        report, falling, stopped=result.state == "stopped", cut=cut
    )
    report = report.model_copy(
        update={"retry": diagnosis.change(report.next_kind, trained.settings, falling)}
    )
    write_json(context.folder / REPORT, report.to_json())
    with suppress(OSError):  # a virus scanner may hold it
        if spec.items is None:
            replace_file(folder / answers_so_far.FILE, folder / answers_so_far.LATEST)
        else:
            (folder / answers_so_far.FILE).unlink()
    return report.to_json(exclude=["answers"])


def _evaluate(
    context: JobContext, spec: EvaluationSpec, folder: Path, trained: RunSpec
) -> EvaluationReport:
    """The report on the run in `folder`: of its questions, or of plain texts where it
    has none.
    """
    progress, workspace, base = Report(context), context.workspace, trained.model.path
    learned = local.learned(folder, trained.settings.method)
    items = judging_items(folder, spec.items)
    texts = [] if items else judging_texts(folder, spec.items)
    versions = [learned, *against_parent.learned_before(workspace, trained)]
    engine = choose_engine(workspace, base, versions, progress, texts=bool(texts))
    models = load(workspace, engine, base, learned)
    progress("Reading the trained weights", 0, 1)
    so_far = AnswersSoFar(
        folder / answers_so_far.FILE,
        base=answers_so_far.beside_dataset(workspace, trained.data.data_id, base),
        general=workspace.cache / "base_answers" / f"{base_file.key(base)}.json",
        shipped=general.OF_BUNDLED if trained.model.id == bundled.MODEL_ID else None,
        weights=start.digest(learned),
        **models.decides,
    )
    keep_general = (
        None if trained.settings.trainer == "dpo" else trained.settings.keep_general
    )
    if texts:
        lengths = LengthLimits.from_settings(trained.settings)
        return TextEvaluation(
            models, texts, lengths.size, lengths.overlap, progress, so_far, keep_general
        ).run()
    asking = Asking(models, items, training_items(folder), progress, so_far)
    report, tuned = evaluate(
        asking,
        baselines=spec.baselines,
        facts=read_facts(context.folder),
        keep_general=keep_general,
        usual=list(own_answers.read(folder).values()),
        form=_form(folder),
    )
    precision = (
        models.precision if models.on_processor else ""
    )  # both versions answer in the same one
    del models  # so that they are gone when those of the previous version are loaded
    return against_parent.add_parent(
        report,
        workspace,
        folder,
        asking,
        tuned,
        lambda old: load(workspace, engine, base, old.learned, precision),
    )


def _form(folder: Path) -> str:
    """The form of the run's answers; "" for none, or one that can't be used: the
    evaluation goes on without.
    """
    try:
        return json.dumps(form) if (form := answer_form(folder)) else ""
    except BadSetting as error:
        log.warning("answers are not held to a form: %s", error)
        return ""


def after_training(
    context: JobContext, result: dict[str, Any]
) -> dict[str, Any] | None:
    """The spec of the evaluation that follows a completed training; None where it would
    take longer than QUICK, or nothing was held out, or the run's spec declines it.
    """
    spec, trained = (
        RunSpec.model_validate(context.spec),
        TrainingResult.model_validate(result),
    )
    if (
        not spec.evaluate
        or not trained.weights_changed
        or not trained.tokens_per_second
    ):
        return None
    items, texts = judging_items(context.folder), judging_texts(context.folder)
    if not items and not texts:
        return None
    base = relocate(spec, context.folder).model.path
    tokenizer = ChatTokenizer.load(base)
    if items:
        tokens = sum(
            tokenizer.encode([*map(dict, item.messages), item.expected]).tokens
            for item in items
        )
    else:
        tokens = sum(tokenizer.count(texts))
    # All models answer each item and compute the loss of its expected answer. Reading
    # and answering together are counted at the speed of the training, which is slower
    # than reading and faster than answering. The general prompts don't count: their
    # answers are short, and only they show what the run lost.
    answering = 2 * (3 if spec.descent else 2) * tokens / trained.tokens_per_second
    if answering + base_file.seconds_to_make(context.workspace, base) > QUICK:
        return None
    return EvaluationSpec(run=context.folder.name).model_dump()
