"""The job "answer": a spreadsheet with a trained model's answers in a new column.

The answers so far lie in the job's folder, so that a job that was stopped continues
where it stopped.
"""

import time
from pathlib import Path
from typing import Any

from backend.datasets.read.table import Table, read_table
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.models import Answer, choose_engine, load
from backend.export.formats import slug
from backend.hardware.process import prepare_process
from backend.models import local
from backend.records.base import Record
from backend.records.evaluation import TUNED
from backend.records.exports import AnsweredTable
from backend.runs import start
from backend.runs.conversations import usual_instruction
from backend.work import JobContext, Report

MOST_ROWS = 5_000
LONGEST = 256  # tokens of an answer
_TABLE, _SO_FAR = "data/table", "answers_so_far.json"  # in the job's folder
_AT_ONCE = 16  # answers until they are saved


class AnswersSpec(Record):
    """The run whose model answers, the column with the questions, and the file's name."""

    run: str
    column: str
    name: str


def table_file(job_folder: Path) -> Path:
    """Where the uploaded spreadsheet lies."""
    return job_folder / _TABLE


def run(context: JobContext) -> dict[str, Any]:
    """Answers the spreadsheet that `context.spec` (an `AnswersSpec`) names. Returns an
    `AnsweredTable` as JSON, with the file in WORKSPACE/exports/<job id>/. Raises
    BadInput for a table that can't be read, RunProblem, MissingPart, ChatFailed,
    OSError (a full disk), Stopped.
    """
    spec = AnswersSpec.model_validate(context.spec)
    prepare_process()
    table = read_table(table_file(context.folder), spec.name, MOST_ROWS)
    answers = _answers(
        context, spec.run, [row[spec.column].strip() for row in table.rows]
    )
    return write(context, spec, table, answers).to_json()


def _answers(context: JobContext, run_id: str, questions: list[str]) -> list[Answer]:
    """The answer to each question; an empty one to an empty question, and to one that
    is too long to read.
    """
    folder, workspace, progress = (
        context.workspace.run_folder(run_id),
        context.workspace,
        Report(context),
    )
    trained = local.read_run(folder)
    base, learned = trained.model.path, local.learned(folder, trained.settings.method)
    progress("Loading the model", 0, 0)
    engine = choose_engine(workspace, base, [learned], progress)
    models = load(workspace, engine, base, learned)
    instruction = usual_instruction(folder)
    system = [{"role": "system", "content": instruction}] if instruction else []
    prompts = [
        models.prompt_ids([*system, {"role": "user", "content": question}], ())
        for question in questions
    ]
    asked = [
        n
        for n, ids in enumerate(prompts)
        if questions[n] and len(ids) + LONGEST <= models.context_length
    ]
    so_far = AnswersSoFar(
        context.folder / _SO_FAR,
        None,
        None,
        None,
        start.digest(learned),
        **models.decides,
    )
    once, began = (
        sorted({questions[n]: n for n in reversed(asked)}.values()),
        time.monotonic(),
    )

    def answered(done: int) -> None:
        left = (time.monotonic() - began) / done * (len(once) - done) if done else None
        progress("Answering", done, len(once), left)

    given = so_far.ask(
        models, TUNED, [prompts[n] for n in once], LONGEST, answered, at_once=_AT_ONCE
    )
    answers = {questions[n]: answer for n, answer in zip(once, given, strict=True)}
    return [answers.get(question, Answer("", ended=True)) for question in questions]


def write(
    context: JobContext, spec: AnswersSpec, table: Table, answers: list[Answer]
) -> AnsweredTable:
    """Writes the table with its answers to WORKSPACE/exports/<job id>/. Raises OSError."""
    folder = context.workspace.exports / context.folder.name
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{slug(Path(spec.name).stem)}-answers{table.suffix}"
    table.with_column("answer", [answer.text.strip() for answer in answers]).write(file)
    lack, cut = (
        sum(not answer.text.strip() for answer in answers),
        sum(not answer.ended for answer in answers),
    )
    rows, skipped = len(answers), table.skipped
    return AnsweredTable(
        file=file.name, rows=rows, unanswered=lack, cut=cut, skipped=skipped
    )
