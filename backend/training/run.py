"""A training run from start to end: read the rows, load the model, train, save, verify."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from backend.errors import TrainingFailed
from backend.hardware import gpu_memory
from backend.hardware.gpu_choice import require_usable_gpu
from backend.hardware.process import prepare_process
from backend.models.local import learned, relocate
from backend.models.model_folder import context_length
from backend.records.events import NoteEvent
from backend.records.specs import RunSpec
from backend.records.training import TrainingResult
from backend.runs import start
from backend.runs.token_rows import TokenRow, TokenRows, read_rows
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import dpo, fused_lora, model, oom, trainer
from backend.training.collate import Collator, needs_mask
from backend.training.loss import with_prefix_sharing
from backend.training.preconditions import check_packing, check_rows
from backend.training.samples import general_rows
from backend.training.schedule import schedule
from backend.training.session import VALIDATION_ROWS, TrainingSession
from backend.training.state import checkpoints, result, resume, verify
from backend.training.state import save as saved_state
from backend.training.train_step import OOM_RETRIES, TrainStep
from backend.work import Work

T = TypeVar("T")

_VERIFICATION_ROWS = 16


def run(context: Work) -> TrainingResult:
    """Trains as `context.spec` (a RunSpec) describes, on the rows in `context.folder`,
    from its newest checkpoint, else from the version that it continues, else from the
    base model. Writes result/adapter (result/model where all weights are trained) with
    the best weights by validation loss. Raises UnusableGpu, TrainingFailed,
    OutOfMemory, NotEnough, MissingPart, BadSetting, OSError (a full disk).
    """
    require_usable_gpu()
    prepare_process()
    spec = relocate(RunSpec.model_validate(context.spec), context.folder)
    with oom.memory_errors():
        context.progress("Preparing")
        train, validation = read_rows(context.folder)
        if context.short_of_memory:  # as the attempt before ended
            step = oom.step_down(context.folder, spec.settings, spec.data.longest)
            what = f"The run continues from its last checkpoint with less memory. {step.sentence}"
            context.emit(NoteEvent("Out of memory", what))
        outcome = _run(context, oom.spec_used(context.folder, spec), train, validation)
    planned = spec.settings.model_dump(mode="json")
    used = oom.spec_used(context.folder, spec).settings.model_dump(mode="json")
    changed = {name: value for name, value in used.items() if value != planned[name]}
    return outcome.model_copy(update={"settings_changed": changed})


def _run(
    context: Work, spec: RunSpec, train: TokenRows, validation: TokenRows
) -> TrainingResult:
    session, engine, net = set_up(context, spec, train, validation)
    before = verify.fingerprint(net, spec.model.path)
    ready = spec.settings.trainer == "sft" or dpo.compute_reference_logprobs(
        session, net
    )
    engine.train_dataset = trainer.dataset(session.train)
    step = _train(session, engine, net) if ready else 0
    if not step:
        return _summary(
            session, net, step
        )  # stopped before the first step: there is nothing to save
    best = _restore_best(session, net, step)
    context.progress("Saving", seconds_left=0.0)  # also where it ended early
    target = learned(context.folder, spec.settings.method)
    rows = verification_rows(session.train, session.validation)
    loss = partial(session.train_step.mean_loss, net, rows)
    with result.saved(net, spec.model.path, target) as folder:
        context.progress("Verifying")
        verification = verify.verify(
            net, before, spec.model.path, folder, loss, len(rows)
        )
    context.emit(verification)
    return _summary(session, net, step).model_copy(
        update={**best, "weights_changed": True}
    )


def set_up(
    context: Work,
    spec: RunSpec,
    train: TokenRows,
    validation: TokenRows,
    session_of: Callable[..., TrainingSession] = TrainingSession,
    oom_retries: int = OOM_RETRIES,
) -> tuple[TrainingSession, Any, Any]:
    """The session, its trainer and its model, ready for the first step. Raises
    TrainingFailed, MissingPart, BadSetting.

    spec: of the run, with the settings of this attempt
    session_of: creates the session from the arguments of `TrainingSession`
    oom_retries: see `TrainStep`
    """
    settings = spec.settings
    check_packing(spec.model.path, settings)
    longest = max((row.longest for row in chain(train, validation)), default=0)
    check_rows(train, longest, context_length(spec.model.path))
    tokenizer = ChatTokenizer.load(spec.model.path)

    context.progress("Loading the model")
    place = resume.choose_device(context.folder, settings)
    gpu_memory.stay_in_memory(place.kind)
    net = model.build(spec.model.path, spec.model.id, settings, place, longest)
    if missing := " ".join(model.missing_kernels(net, place)):
        what = f"Its kernels for NVIDIA GPUs are not installed: {missing}. The result is the same without them."
        way_out = (
            f'On Linux, install them with: "{sys.executable}" -m pip install {missing}'
        )
        context.emit(NoteEvent("This model can be trained faster", what, way_out))
    answered = general_rows(context, spec, net, tokenizer, place)
    if not answered and settings.general_rows(len(train)) and not context.should_stop():
        why = "The base model gave no usable short answers to everyday questions"
        what = f"{why}, so your model may answer everything as if it were your task."
        context.emit(NoteEvent("Only your examples are trained", what))
    train = train.with_general(answered)
    plan = schedule(len(train), len(validation), settings)
    _load_start(net, spec, context.folder)
    collator = Collator(
        tokenizer.pad_id, place.kind, settings.packing, needs_mask(net.config)
    )

    def on_smaller_batch(title: str, what: str) -> None:
        oom.save_settings(
            context.folder,
            settings.changed(**oom.with_micro_batch(settings, train_step.micro)),
        )
        context.emit(NoteEvent(title, what))

    train_step = TrainStep(
        collator, place, settings, on_smaller_batch, context.alive, oom_retries
    )
    tests = spread(validation, VALIDATION_ROWS)
    session = session_of(
        context, spec, place, tokenizer, train, tests, plan, train_step
    )
    engine = trainer.build(net, session)
    model.prepare_trainable(net, place)
    fused_lora.fuse(net)
    train_step.collator = with_prefix_sharing(collator, net, train, settings, place)
    return session, engine, net


def _load_start(net: Any, spec: RunSpec, run_folder: Path) -> None:
    """Loads the weights that the run starts from, where it continues another one: the
    very ones that its spec names. Raises TrainingFailed when its copy of them is
    missing, has changed, or does not fit.
    """
    if not start.continues(spec):
        return
    what, way_out = (
        "This run can't start.",
        "Train again: continue that version, or start from the base model.",
    )
    if not start.is_intact(spec, run_folder):
        raise TrainingFailed(
            what,
            "Its copy of the version that it continues is missing or has changed.",
            way_out,
        )
    try:
        result.load(net, start.folder(run_folder))
    except (KeyError, RuntimeError) as error:
        why = "The version that it continues has another shape, so that its weights do not fit."
        raise TrainingFailed(what, why, way_out) from error


def verification_rows(
    train: Sequence[TokenRow], validation: Sequence[TokenRow]
) -> list[TokenRow]:
    """The rows whose loss must not change by saving and loading."""
    return spread(validation or train, _VERIFICATION_ROWS)


def spread(rows: Sequence[T], count: int) -> list[T]:
    """At most `count` of `rows`, evenly spread."""
    return (
        [rows[i * len(rows) // count] for i in range(count)]
        if len(rows) > count
        else list(rows)
    )


def _train(session: TrainingSession, engine: Any, net: Any) -> int:
    """Trains from the newest checkpoint, or from the start; returns the last step."""
    checkpoint = resume.find_checkpoint(session.work, session.spec.model.path)
    if checkpoint:
        session.checkpoint = checkpoint
        session.metrics = saved_state.read_metrics(checkpoint)
        step = checkpoints.step_of(checkpoint)
        resume.report_versions(session.work, session.spec.versions)
        saved_state.load_weights(checkpoint, net)
        if step in session.schedule.evaluations and session.metrics.eval_step != step:
            session.evaluate(net, step)  # skipped when the run was stopped
        if step >= session.schedule.total or session.out_of_patience:
            return step
        session.report_progress(step)
    elif session.validation and not session.work.should_stop():
        session.evaluate(net, 0)
    if session.work.should_stop() and not checkpoint:
        session.stopping = True
        return 0
    engine.train()
    last = session.steps_before + int(engine.state.global_step)
    if session.out_of_patience and last < session.schedule.total:
        best = session.metrics.best_step
        what = f"The validation loss has not improved since step {best}, so training ended at step {last}."
        session.work.emit(
            NoteEvent("Stopped early", f"{what} The model of step {best} is saved.")
        )
    return last


def _restore_best(
    session: TrainingSession, net: Any, step: int
) -> dict[str, float | None]:
    """Loads the best weights into `net`; returns their `best_step`, and the loss and
    step of their last evaluation. A run stopped between two evaluations is not
    evaluated again: its last weights are used, with the loss of the evaluation before
    (and its step), unless that was already worse than an earlier one.
    """
    metrics = session.metrics
    if metrics.stale and metrics.best_step is not None:
        best = checkpoints.path(session.checkpoints, metrics.best_step)
        if checkpoints.is_valid(best, content=True):
            saved_state.load_weights(best, net)
            steps = {"eval_step": metrics.best_step, "best_step": metrics.best_step}
            return {"eval_loss": metrics.best_loss, **steps, **metrics.best_rewards}
        what = f"The best checkpoint, from step {metrics.best_step}, can't be read. The last weights are used."
        session.work.emit(NoteEvent("A checkpoint is damaged", what, "Check the disk."))
    return {"best_step": step, **metrics.rewards}


def _summary(session: TrainingSession, net: Any, step: int) -> TrainingResult:
    metrics = session.metrics
    return TrainingResult(
        state="stopped" if session.stopping else "completed",
        steps=step,
        weights_changed=False,
        train_loss=metrics.train_loss,
        eval_loss=metrics.eval_loss,
        eval_step=metrics.eval_step,
        first_eval_loss=metrics.first_eval_loss,
        best_step=metrics.best_step,
        tokens_per_second=round(metrics.per_second(metrics.tokens), 1),
        learned_tokens_per_second=round(metrics.per_second(metrics.learned_tokens), 1),
        peak_memory_mib=session.device.peak_memory_mib(),
        seconds=round(session.elapsed, 1),
        base_unchanged=True,
        precision=session.device.precision,
        trainable_parameters=sum(
            parameter.numel() for parameter in model.trainable(net).values()
        ),
    )
