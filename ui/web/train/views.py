"""A training plan and a run as HTML: what is about to happen, progress, losses, and sample answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from backend.advice.diagnose import Verdict
from backend.records.events import NoteEvent, SampleEvent
from backend.training.session import STEP_PHASES
from jobs.records import Job, Progress
from ui.records import Curve, Losses, Plan, RunInfo, Shortening
from ui.services import losses
from ui.text import format as fmt
from ui.text.memory_parts import PARTS
from ui.text.settings_help import SETTINGS
from ui.web.html import components, loss_curve

PLAN = "Your training plan"
GOALS = {
    "sft": ("from the good answers; the bad ones are not used", "supervised fine-tuning, SFT"),
    "dpo": ("the difference between good and bad answers", "direct preference optimization, DPO"),
}
NOTICES = 4  # shown at once
METHODS = {
    "lora": ("a small addition to the model", "LoRA"),
    "qlora": ("a small addition to the model, compressed to 4 bits", "QLoRA"),
    "full": ("the whole model", "full fine-tuning"),
}


@dataclass(frozen=True)
class Watched:
    """A run as the tab shows it. queue: runs that go before it. has_model: whether there is a model to try. rate: the
    learning rate that was set. shorter: what training with shorter examples would mean, where that might help.
    chooses: see `losses.compute`."""

    job: Job
    curve: Curve
    verdict: Verdict | None
    queue: int
    has_model: bool
    origin: RunInfo
    rate: float = 0.0
    shorter: Shortening | None = None
    chooses: bool = True

    @property
    def state(self) -> str:
        return self.job.state.value

    @property
    def can_stop(self) -> bool:
        return not self.job.state.is_terminal

    @property
    def losses(self) -> Losses:
        return losses.compute(self.job, self.curve, self.chooses)


def plan(ahead: Plan, why: Mapping[str, str], by_hand: Collection[str]) -> Markup:
    """The plan, where each number says whether it was computed or measured.

    why: the reason for each recommended setting. by_hand: the settings that the person changed.
    """
    set_aside = fmt.number(ahead.set_aside)
    time_how = "from this computer's measured speed" if ahead.time_measured else "estimated"
    memory_how = "measured on your longest examples" if ahead.memory_measured else "estimated"
    of_memory = f"of {fmt.size(ahead.available_mib)} memory, {memory_how}"
    numbers = [
        (fmt.count(ahead.train_rows, "example"), f"to learn from; {set_aside} set aside to check the result"),
        _duration(ahead),
        (fmt.span(*ahead.seconds), time_how) if ahead.seconds else ("not known yet", "training time"),
    ]
    bar = components.EMPTY
    if ahead.memory_mib:
        numbers.append((fmt.size(ahead.memory_mib), of_memory))
        bar = memory_bar(ahead)
    return components.card(
        PLAN,
        components.facts(numbers),
        components.text(ahead.proves, "small"),
        bar,
        components.rows(_plan_lines(ahead)),
        _reasons(why, by_hand),
        *(components.alert("warn", note) for note in ahead.notes),
        lead="Nothing has started yet. Everything stays on this computer.",
    )


def memory(ahead: Plan) -> Markup:
    """The memory part by part: its size, what it is, and the source of its formula."""
    if not ahead.memory_mib:
        return components.EMPTY
    how = "The total is measured, its parts are estimated." if ahead.memory_measured else "Estimated, part by part."
    lines = [
        (PARTS[name].words if name in PARTS else name, fmt.size(mib), PARTS[name].source if name in PARTS else "")
        for name, mib in sorted(ahead.memory_parts.items(), key=lambda part: -part[1])
        if mib >= 0.05
    ]
    parts = components.fold(
        "What uses the memory", components.text(how, "small"), components.rows(lines), key="memory"
    )
    return Markup('<div class="memory"><h3>Memory: {} of {}</h3>{}{}</div>').format(
        fmt.size(ahead.memory_mib), fmt.size(ahead.available_mib), memory_bar(ahead), parts
    )


def memory_bar(ahead: Plan) -> Markup:
    """The parts of the needed memory against what the computer has."""
    how = "measured on your longest examples" if ahead.memory_measured else "estimated"
    label = f"Needs {fmt.size(ahead.memory_mib)} of {fmt.size(ahead.available_mib)} memory, {how}."
    return components.memory_bar(fmt.memory_parts(ahead.memory_parts), ahead.available_mib, label)


def _duration(ahead: Plan) -> tuple[str, str]:
    """How long training takes, in epochs or in the number of steps that was set."""
    if ahead.settings.max_steps > 0:
        return fmt.count(ahead.steps, "step"), "then training ends (maximum steps)"
    epochs, steps = ahead.settings.num_train_epochs, fmt.count(ahead.steps, "step")
    return f"{epochs:g} {'pass' if epochs == 1 else 'passes'}", f"over your examples (epochs), {steps} in all"


def _reasons(why: Mapping[str, str], by_hand: Collection[str]) -> Markup:
    """The reason for each setting."""
    reasons = [(name, "You changed this." if name in by_hand else reason) for name, reason in why.items()]
    reasons += [(name, "You changed this.") for name in by_hand if name not in why]
    lines = [(SETTINGS[name].label, words, "") for name, words in reasons if name in SETTINGS]
    return components.fold("Why these settings", components.rows(lines)) if lines else components.EMPTY


def _plan_lines(ahead: Plan) -> list[tuple[str, str, str]]:
    settings = ahead.settings
    what, term = METHODS[settings.method]
    if settings.method != "full":
        term += f", rank {settings.lora_rank}, alpha {settings.lora_alpha}"
    batch, batches = settings.per_device_train_batch_size, settings.gradient_accumulation_steps
    length = "tokens not counted yet"
    if ahead.longest:
        learned, longest = fmt.number(ahead.learned_tokens), fmt.number(ahead.longest)
        length = f"{learned} tokens to learn, {longest} in the longest"
    rate = fmt.setting(settings.learning_rate)
    best = "the best version is saved (early stopping)" if settings.early_stopping and ahead.chooses else ""
    measured = []
    if ahead.memory_measured_mib:
        off = 100 * (ahead.memory_measured_mib / ahead.memory_computed_mib - 1)
        estimate = f"estimate: {fmt.size(ahead.memory_computed_mib)}, {off:+.0f}%; the larger one counts"
        measured = [("Memory measured on your longest examples", fmt.size(ahead.memory_measured_mib), estimate)]
    return [
        ("Model", ahead.model_name, ""),
        ("Examples", ahead.data_name, length),
        *([("Learns", *GOALS[settings.trainer])] if ahead.has_pairs or settings.trainer == "dpo" else []),
        ("What is trained", what, term),
        ("Examples per step", str(settings.effective_batch), f"effective batch size, {batch} x {batches}"),
        ("Learning rate", rate, f"{settings.lr_scheduler_type} schedule"),
        ("Checks along the way", fmt.count(ahead.evaluations, "check"), best),
        *measured,
    ]


def guide(watched: Watched) -> Markup:
    words = {
        "queued": ("Your training is waiting its turn.", "It starts by itself."),
        "starting": ("Training is about to start.", "You can close this page; training continues."),
        "running": ("Training is running.", "You can close this page; training continues."),
        "stopping": ("Stopping.", "What it has learned is being saved."),
        "stopped": ("Training was stopped.", "Try what it has learned so far, or continue training."),
        "completed": ("Training is done.", "Next, compare its answers with those of the base model."),
        "failed": ("Training failed.", "See below for what happened and what to do."),
        "interrupted": ("Training was interrupted.", "Nothing saved was lost. You can continue where it left off."),
    }
    if watched.state == "stopped" and not watched.has_model:
        words["stopped"] = ("Training was stopped.", "It had not learned anything yet. You can continue training.")
    return components.guide(3, *words.get(watched.state, ("", ""))) + components.run_line(watched.origin)


def status(watched: Watched) -> Markup:
    """The phase, a bar, the time left and the numbers, or how the run ended."""
    job, progress = watched.job, watched.job.progress
    badge = components.badge(*fmt.state(watched.state))
    failure = components.problem_alert(job.failure) if job.failure else components.EMPTY
    if watched.shorter:
        words = components.text(fmt.shorter(watched.shorter))
        again = components.button("Try again with shorter examples", "shorter", kind="firm")
        failure += Markup('<div class="after-alert">{}{}</div>').format(words, again)
    if watched.state == "queued":
        lead = f"{fmt.count(watched.queue, 'run goes', 'runs go')} first." if watched.queue else "It is next."
        return components.card(job.name, badges=badge, lead=lead)
    done = fmt.percent(progress.done, progress.total) if progress else 0
    title = progress.phase if progress and watched.can_stop else job.name
    lead, bar = "", components.EMPTY
    if watched.can_stop:
        lead = time_left(progress)
        bar = components.progress(done if progress and progress.total else None, title)
    elif job.started and job.ended:
        since = " since it was resumed" if job.attempt > 1 else ""
        lead = f"It took {fmt.duration(job.ended - job.started)}{since}."
    spoken = Markup('<p class="unseen" role="status" aria-live="polite">{}</p>').format(_spoken(title, done, watched))
    body = (bar, components.facts(numbers(watched)), _awake(watched), notices(watched.curve.notes), failure, spoken)
    return components.card(title, *body, badges=badge, lead=lead)


def _awake(watched: Watched) -> Markup:
    known = watched.can_stop and watched.curve.awake is not None
    return components.text(fmt.awake(bool(watched.curve.awake)), "small") if known else components.EMPTY


def notices(notes: Sequence[NoteEvent]) -> Markup:
    """The latest few notes of the run, such as that it retried with less memory."""
    return components.join(components.alert("calm", note.title, note.what, note.next) for note in notes[-NOTICES:])


def time_left(progress: Progress | None) -> str:
    if progress is None:
        return "Getting ready."
    step = "Step " if progress.phase in STEP_PHASES else ""
    counted = f"{step}{fmt.number(progress.done)} of {fmt.number(progress.total)}. " if progress.total else ""
    left = f"About {fmt.duration(progress.seconds_left)} left." if progress.seconds_left else ""
    return (counted + left).strip() or "This takes a moment."


def numbers(watched: Watched) -> list[tuple[str, str]]:
    shown = losses.facts(watched.losses)
    if not watched.curve.steps:
        return shown
    last = watched.curve.steps[-1]
    if last.tokens_per_second:
        shown.append((fmt.number(last.tokens_per_second), "tokens per second"))
    if last.memory_mib:
        shown.append((fmt.size(last.memory_mib), "of memory used"))
    if last.reward_accuracy is not None:
        shown.append((f"{last.reward_accuracy:.0%}", "of the pairs ranked correctly (reward accuracy)"))
    if not watched.can_stop:
        return shown
    if last.learning_rate is not None and watched.rate:
        of_full = f"of the full learning rate, {fmt.setting(watched.rate)}"
        shown.append((fmt.share(last.learning_rate, watched.rate), of_full))
    if last.grad_norm is not None:
        shown.append((f"{last.grad_norm:.2f}", "gradient norm"))
    return shown


def _spoken(title: str, done: int, watched: Watched) -> str:
    """For screen readers, which read it at each tenth only."""
    word, _ = fmt.state(watched.state)
    return f"{title}, {done // 10 * 10} percent." if watched.can_stop else f"{word}."


def loss_card(watched: Watched) -> Markup:
    steps = loss_curve.points(watched.curve.steps)
    evals = loss_curve.points(watched.curve.evals)
    progress = watched.job.progress
    total = progress.total if progress and watched.can_stop and progress.total >= len(steps) else 0
    best = watched.losses.best.step if watched.losses.best else None
    return components.card(
        "Loss (lower is better)",
        Markup('<div class="plot">{}</div>').format(loss_curve.draw(steps, evals, total, best)),
        lead=losses.legend(bool(evals)),
    )


TONES = {"good": "good", "watch": "warn", "bad": "bad"}


def health(watched: Watched) -> Markup:
    """The verdict on the run in one sentence, and the one change to try; empty if it ended before its first step."""
    verdict = watched.verdict
    if not watched.curve.steps and (watched.state == "queued" or not watched.can_stop):
        return components.EMPTY
    if verdict is None:
        return components.alert("calm", "Too few steps to judge", "The curve needs a few more.")
    light = components.alert(TONES[verdict.light], verdict.title, verdict.what, verdict.next)
    return light + retry_button(verdict.retry, "retry")


def retry_button(change: Mapping[str, Any] | None, do: str) -> Markup:
    """A button that trains again with one changed setting; empty without a change."""
    if not change:
        return components.EMPTY
    (name, value), *_ = change.items()
    words = f"Try again with {SETTINGS[name].term} {fmt.setting(value)}"
    return Markup('<div class="after-alert">{}</div>').format(components.button(words, do, kind="firm"))


def samples(events: Sequence[SampleEvent]) -> Markup:
    """The answers to validation examples, with the expected answers, from sample events in order."""
    if not events:
        return components.EMPTY
    history: dict[str, list[SampleEvent]] = {}
    for event in events:
        question = event.prompt[-1]["content"] if event.prompt else ""
        history.setdefault(question, []).append(event)
    step = max(event.step for event in events)
    articles = components.join(_sample(question, *answers) for question, answers in history.items())
    return components.card(
        "Sample answers",
        Markup('<div class="samples">{}</div>').format(articles),
        lead=f"{f'At step {step}' if step else 'Before training'}, to questions it does not learn from.",
    )


def _sample(question: str, *answers: SampleEvent) -> Markup:
    """The latest answer, with earlier ones above it: the first and the last two."""
    *before, latest = answers
    shown = [*before[:1], *before[1:][-2:]]
    lines = components.join(
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(
            f"Step {old.step}" if old.step else "Untrained", fmt.shorten(old.answer, 160)
        )
        for old in shown
    )
    badge = components.EMPTY
    if latest.answer.strip() == latest.expected.strip():
        badge = components.badge("same as yours")
    elif before and latest.answer != before[-1].answer:
        badge = components.badge("changed", "calm")
    return Markup(
        '<article><p class="asked">{}</p>{}<div class="versus"><div><h3>Its answer{}</h3><p>{}</p></div>'
        "<div><h3>Your answer</h3><p>{}</p></div></div></article>"
    ).format(
        fmt.shorten(question, 200),
        Markup('<dl class="history">{}</dl>').format(lines) if lines else "",
        badge,
        latest.answer,
        latest.expected,
    )


def stop_reason(watched: Watched) -> str:
    if not watched.can_stop:
        return ""
    if watched.job.stop_requested or watched.state == "stopping":
        return "It finishes the current step, saves and stops."
    if watched.state == "queued" and not watched.curve.steps:
        return "It has not learned anything yet. You can continue it later."
    return "Stopping saves what it has learned. You can continue later."
