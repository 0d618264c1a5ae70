"""The whole way of a training run: read, load, practise, prove, save."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from backend.hardware.process import prepare_process
from backend.models.local import relocate
from backend.models.model_folder import context_length
from backend.records.specs import RunSpec, TrainSettings
from backend.runs.token_rows import TokenRow, read_rows
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import device, dpo_reference, fused_lora, model, oom, trainer
from backend.training.collate import Collator, needs_mask
from backend.training.distributed import process_group, sharding
from backend.training.distributed.collective import SINGLE_PROCESS, ProcessGroup
from backend.training.preconditions import check_packing, check_rows
from backend.training.prefix_sharing import with_prefix_sharing
from backend.training.schedule import schedule
from backend.training.session import TESTED_ROWS, TrainingSession
from backend.training.state import checkpoints, result, resume, verify
from backend.training.state import save as state_saving
from backend.training.state.resume import tell
from backend.training.train_step import RESCUES, TrainStep
from backend.training.work import Work

T = TypeVar("T")

_PROVED_ROWS = 16


def run(context: Work) -> dict[str, Any]:
    """Trains as `context.spec` (a RunSpec) says, on the rows in `context.folder`; goes on from its newest checkpoint.

    Leaves result/adapter (result/model where all weights are trained) with the best weights by validation loss.
    Gives state ("completed" or "stopped"), steps, train_loss (mean of the last epoch), best_step (of the weights that
    are kept), eval_loss and eval_step (of their last test), first_eval_loss, tokens_per_second and
    learned_tokens_per_second (padding not counted, of the training steps), peak_memory_mib, seconds, weights_changed,
    base_unchanged, precision, trainable_parameters, and settings_changed: those used otherwise than planned, because
    memory ran short.
    Raises TrainingFailed, OutOfMemory, NotEnough, MissingPart, BadSetting, OSError (a full disk).
    """
    gpus = process_group.visible_gpus()
    prepare_process(*gpus[:1])
    spec = relocate(RunSpec.model_validate(context.spec), context.folder)
    with oom.memory_errors():
        context.progress("Preparing")
        train, validation = read_rows(context.folder)
        used = _settings(context, spec.settings, [*train, *validation])
        process_group.check(used, gpus)
        if used.num_processes > 1:  # else each might choose its own
            used = used.changed(precision=device.choose(used).precision)
        used_spec = spec.model_copy(update={"settings": used})
        with process_group.running(context, used_spec, gpus) as group:
            told = _run(context, used_spec, train, validation, group)
    return {**told, "settings_changed": oom.differing(spec.settings, oom.settings_used(context.folder, used))}


def _settings(context: Work, planned: TrainSettings, rows: Sequence[TokenRow]) -> TrainSettings:
    """The settings to use in this attempt: for less memory, where the one before ran out of it."""
    if context.short_of_memory:
        step = oom.step_down(context.folder, planned, max((row.longest for row in rows), default=0))
        what = "The run is tried again and goes on from its last checkpoint, with less memory."
        tell(context, "Memory ran out", f"{what} {step.sentence}")
    return oom.settings_used(context.folder, planned)


def _run(
    context: Work, spec: RunSpec, train: Sequence[TokenRow], validation: Sequence[TokenRow], group: ProcessGroup
) -> dict[str, Any]:
    session, engine, net = set_up(context, spec, train, validation, group=group)
    before = verify.fingerprint(net, spec.model.path)
    weighed = spec.settings.trainer == "sft" or dpo_reference.weigh(session, net)
    step = _practise(session, engine, net) if weighed else 0
    if not group.sharded:  # the first process does the rest alone
        session.train_step.group = SINGLE_PROCESS
        group.finished.set()
    if not step or not (group.is_main or group.sharded):
        return _summary(session, net, step)  # stopped before the first step: there is nothing to keep
    best = _choose(session, net, step)
    context.progress("Saving")
    target = result.folder_of(context.folder, spec.settings.method)
    rows = proved_rows(session.train, session.validation)

    def loss() -> float:
        return session.train_step.mean_loss(net, rows)

    with result.saved(net, spec.model.path, target, session.train_step.group) as folder:
        context.progress("Checking")
        proved = verify.prove(net, before, spec.model.path, folder, loss, len(rows))
    context.emit(proved)
    return {**_summary(session, net, step), **best, "weights_changed": True, "base_unchanged": True}


def set_up(
    context: Work,
    spec: RunSpec,
    train: Sequence[TokenRow],
    validation: Sequence[TokenRow],
    session_of: Callable[..., TrainingSession] = TrainingSession,
    rescues: int = RESCUES,
    group: ProcessGroup = SINGLE_PROCESS,
) -> tuple[TrainingSession, Any, Any]:
    """The run, its trainer and its model, ready for the first step. Raises TrainingFailed, MissingPart, BadSetting.

    practice_of: makes the run from what `Practice` takes. rescues: see `Learner`. group: the processes that train it.
    """
    settings = spec.settings
    check_packing(spec.model.path, settings)
    longest = max((row.longest for row in [*train, *validation]), default=0)
    check_rows(train, longest, context_length(spec.model.path))
    plan = schedule(len(train), len(validation), settings)
    tokenizer = ChatTokenizer.load(spec.model.path)

    context.progress("Loading the model")
    place = resume.device_for(context.folder, settings)
    net = model.build(spec.model.path, spec.model.id, settings, place, longest)
    collator = Collator(tokenizer.pad_id, place.kind, settings.packing, needs_mask(net.config))

    def made_room(*words: str) -> None:
        oom.keep(context.folder, settings.changed(**oom.micro(settings, train_step.micro)))
        tell(context, *words)

    train_step = TrainStep(collator, place, settings, made_room, context.alive, rescues, group)
    session = session_of(context, spec, place, tokenizer, train, spread(validation, TESTED_ROWS), plan, train_step)
    engine = trainer.build(net, session)
    model.settle(net, place)
    fused_lora.fuse(net)
    if group.sharded:
        sharding.shard(net, settings, place.kind)
    else:
        train_step.collator = with_prefix_sharing(collator, net, train, settings, place)
    return session, engine, net


def proved_rows(train: Sequence[TokenRow], validation: Sequence[TokenRow]) -> list[TokenRow]:
    """The rows whose loss must be the same after saving and loading."""
    return spread(validation or train, _PROVED_ROWS)


def spread(rows: Sequence[T], count: int) -> list[T]:
    """At most `count` of `rows`, evenly spread."""
    return [rows[i * len(rows) // count] for i in range(count)] if len(rows) > count else list(rows)


def _practise(session: TrainingSession, engine: Any, net: Any) -> int:
    """Trains from the newest checkpoint, or from the start; gives the step reached."""
    if session.train_step.group.is_main:
        found = resume.checkpoint_of(session.work, session.spec.model.path)
    else:
        found = checkpoints.find(session.checkpoints).newest
    if found:
        session.history = state_saving.read_history(found)
        step = checkpoints.step_of(found)
        resume.tell_other_versions(session.work, session.spec.versions)
        state_saving.load_weights(found, net)
        if step in session.schedule.evaluations and session.history.eval_step != step:
            session.test(net, step)  # the stop left it out
        if step >= session.schedule.total or session.exhausted:
            return step
        session.tell_progress(step)
    elif session.validation:
        session.test(net, 0)
    if session.should_stop() and not found:
        session.stopping = True
        return 0
    engine.train(resume_from_checkpoint=str(found) if found else None)
    if session.exhausted and engine.state.global_step < session.schedule.total:
        tell(
            session.work,
            "Stopped early",
            f"The test loss has not improved since step {session.history.best_step}, so the run ended at step "
            f"{engine.state.global_step}. The model of step {session.history.best_step} is kept.",
        )
    return int(engine.state.global_step)


def _choose(session: TrainingSession, net: Any, step: int) -> dict[str, Any]:
    """Puts the best weights into `net`; gives their step (`best_step`), and the loss and step of their last test.

    A stop between two tests is not followed by another one: the last weights are then kept, with the loss of the test
    before (its step says so), unless that one already was worse than an earlier one.
    """
    history = session.history
    if history.stale and history.best_step is not None:
        best = checkpoints.path(session.checkpoints, history.best_step)
        if checkpoints.is_valid(best, content=True):
            state_saving.load_weights(best, net)
            told = {"eval_loss": history.best_loss, "eval_step": history.best_step, "best_step": history.best_step}
            return {**told, **history.best_figures}
        what = f"The best version, of step {history.best_step}, can't be read any more. The last one is kept."
        tell(session.work, "A saved state was damaged", what, "Check the disk.")
    figures = history.best_figures if history.eval_step == history.best_step else {}
    return {"best_step": step, **figures}


def _summary(session: TrainingSession, net: Any, step: int) -> dict[str, Any]:
    history = session.history
    return {
        "state": "stopped" if session.stopping else "completed",
        "steps": step,
        "train_loss": history.train_loss,
        "eval_loss": history.eval_loss,
        "eval_step": history.eval_step,
        "first_eval_loss": history.first_eval_loss,
        "best_step": history.best_step,
        "tokens_per_second": round(history.per_second(history.tokens), 1),
        "learned_tokens_per_second": round(history.per_second(history.learned_tokens), 1),
        "peak_memory_mib": session.device.peak_memory_mib(),
        "seconds": round(session.elapsed, 1),
        "weights_changed": False,
        "base_unchanged": True,
        "precision": session.device.precision,
        "trainable_parameters": sum(parameter.numel() for parameter in model.trainable(net).values()),
    }
