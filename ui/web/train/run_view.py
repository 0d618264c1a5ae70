"""A run as HTML: its progress, its losses and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from backend.advice.diagnose import Verdict
from backend.records.events import NoteEvent, SampleEvent
from backend.records.specs import TrainSettings
from backend.records.training import TrainingResult
from backend.training.session import STEP_PHASES
from jobs.records import Job, Progress
from ui.records.runs import Curve, Losses, RunInfo
from ui.text import format as fmt
from ui.text import losses
from ui.web.html import components, loss_curve

NOTICES = 4  # shown at once
EMPTY = components.EMPTY
# By state: what is, and what comes next.
_GUIDE = {
    "queued": ("Your training is waiting for its turn.", "It starts automatically."),
    "starting": (
        "Training is about to start.",
        "You can close this page; training continues.",
    ),
    "running": ("Training is running.", "You can close this page; training continues."),
    "stopping": ("Stopping.", "What it has learned is being saved."),
    "stopped": (
        "Training was stopped.",
        "Try what it has learned so far, or continue training.",
    ),
    "completed": (
        "Training is done.",
        "Next, compare its answers with those of the base model.",
    ),
    "cancelled": ("Training was cancelled before it began.", "Nothing was trained."),
    "failed": ("Training failed.", "See below for what happened and what to do."),
    "interrupted": (
        "Training was interrupted.",
        "Nothing saved was lost. You can continue where it left off.",
    ),
    "stopped without a model": (
        "Training was stopped.",
        "It had not learned anything yet. You can continue training.",
    ),
    "completed without a model": (
        "Training is done.",
        "The files of this model were deleted from this computer.",
    ),
}


@dataclass(frozen=True)
class Watched:
    """A run as the tab shows it. queue: runs that go before it. has_model: whether
    there is a model to try. rate: the learning rate that was set. shorter: the tokens
    to which examples may be cut, where that might help.
    chooses: see `losses.compute`. wait: seconds that the runs before it take at most,
        None without a limit.
    """

    job: Job
    curve: Curve
    verdict: Verdict | None
    queue: int
    has_model: bool
    origin: RunInfo
    rate: float = 0.0
    shorter: int | None = None
    chooses: bool = True
    wait: float | None = None

    @property
    def state(self) -> str:
        return self.job.state.value

    @property
    def cancelled(self) -> bool:
        """Whether it was stopped while it waited for its first turn; one that was
        resumed has learned something.
        """
        return (
            self.state == "stopped"
            and self.job.attempt == 1
            and self.job.started is None
        )

    @property
    def can_stop(self) -> bool:
        return not self.job.state.is_terminal

    @property
    def losses(self) -> Losses:
        return losses.compute(self.job, self.curve, self.chooses)


def guide(watched: Watched) -> Markup:
    none = (
        watched.state in ("stopped", "completed")
        and not watched.has_model
        and not watched.cancelled
    )
    state = "cancelled" if watched.cancelled else watched.state
    now, then = _GUIDE.get(f"{state} without a model" if none else state, ("", ""))
    return components.guide(3, now, then) + components.run_line(watched.origin)


def status(watched: Watched) -> Markup:
    """The phase, a bar and the time left, or how the run ended."""
    job, progress = watched.job, watched.job.progress
    badge = components.badge(
        *(("Cancelled", "warn") if watched.cancelled else fmt.STATES[watched.state])
    )
    problem = job.failure or (None if job.result_as(TrainingResult) else losses.DAMAGED)
    failure = components.problem_alert(problem) if problem else EMPTY
    if watched.shorter:
        offer = components.text(
            f"Examples of at most {fmt.number(watched.shorter)} tokens may fit. The plan shows what is cut."
        )
        again = components.button(
            "Plan it with shorter examples", "shorter", kind="firm"
        )
        failure += Markup('<div class="after-alert">{}{}</div>').format(offer, again)
    if watched.state == "queued":
        lead = (
            f"{fmt.count(watched.queue, 'run goes', 'runs go')} first."
            if watched.queue
            else "It is next."
        )
        if watched.wait:
            lead += f" That takes at most {fmt.duration(watched.wait)}."
        return components.card(job.name, badges=badge, lead=lead)
    done = fmt.percent(progress.done, progress.total) if progress else 0
    title = progress.phase if progress and watched.can_stop else job.name
    lead, bar = "", EMPTY
    if watched.can_stop:
        stopping = job.stop_requested or watched.state == "stopping"
        lead = "" if stopping else time_left(progress)
        bar = components.progress(done if progress and progress.total else None, title)
    elif job.started and job.ended:
        lead = f"Training took {fmt.took(job)}."
    # Screen readers read it at each tenth only.
    tenths = (
        f"{title}, {done // 10 * 10} percent."
        if watched.can_stop
        else f"{fmt.STATES[watched.state][0]}."
    )
    spoken = Markup('<p class="unseen" role="status" aria-live="polite">{}</p>').format(
        tenths
    )
    awake = (
        fmt.awake(watched.curve.awake)
        if watched.can_stop and watched.curve.awake is not None
        else ""
    )
    body = (
        bar,
        components.text(awake, "small"),
        notices(watched.curve.notes),
        failure,
        spoken,
    )
    if (
        watched.has_model and not watched.can_stop and not failure
    ):  # the verdict says what matters
        return Markup('<p class="small ended">{} {}</p>{}').format(
            badge, lead, components.join(body)
        )
    return components.card(title, *body, badges=badge, lead=lead)


def notices(notes: Sequence[NoteEvent]) -> Markup:
    """The latest few notes of the run, such as that it retried with less memory; of
    repeated ones the last.
    """
    latest: dict[str, NoteEvent] = {}
    for note in notes:
        latest.pop(note.title, None)  # so that it moves to the end
        latest[note.title] = note
    shown = list(latest.values())[-NOTICES:]
    return components.join(
        components.alert("calm", note.title, note.what, note.next) for note in shown
    )


def time_left(progress: Progress | None) -> str:
    if progress is None:
        return "Getting ready."
    step = "Step " if progress.phase in STEP_PHASES else ""
    counted = (
        f"{step}{fmt.number(progress.done)} of {fmt.number(progress.total)}. "
        if progress.total
        else ""
    )
    left = (
        f"About {fmt.duration(progress.seconds_left)} left."
        if progress.seconds_left
        else ""
    )
    return (counted + left).strip() or progress.detail or "This takes a moment."


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
        shown.append(
            (
                f"{last.reward_accuracy:.0%}",
                "of the pairs ranked correctly (reward accuracy)",
            )
        )
    if not watched.can_stop:
        return shown
    if last.learning_rate is not None and watched.rate:
        of_full = f"of the full learning rate, {fmt.setting(watched.rate)}"
        shown.append((fmt.share(last.learning_rate, watched.rate), of_full))
    if last.grad_norm is not None:
        shown.append((f"{last.grad_norm:.2f}", "gradient norm"))
    return shown


def loss_card(watched: Watched) -> Markup:
    steps = loss_curve.points(watched.curve.steps)
    evals = loss_curve.points(watched.curve.evals)
    general = [
        (step.step, step.general_loss)
        for step in watched.curve.steps
        if step.general_loss is not None
    ]
    progress = watched.job.progress
    total = (
        progress.total
        if progress and watched.can_stop and progress.total >= len(steps)
        else 0
    )
    best = losses.lowest_step(watched.losses)
    plot = Markup('<div class="plot">{}</div>').format(
        loss_curve.draw(steps, evals, total, best, general)
    )
    return components.text(losses.legend(bool(evals), bool(general)), "small") + plot


TONES = {"good": "good", "watch": "warn", "bad": "bad"}


def health(watched: Watched) -> Markup:
    """The verdict on the run in one sentence, and the one change to try; empty if it
    ended before its first step.
    """
    verdict = watched.verdict
    if not watched.curve.steps and (watched.state == "queued" or not watched.can_stop):
        return EMPTY
    if verdict is None:
        return components.alert(
            "calm", "Too few steps to judge", "The curve needs a few more."
        )
    tone = (
        "calm" if verdict.kind == "early" else TONES[verdict.light]
    )  # nothing is known to be good yet
    light = components.alert(tone, verdict.title, verdict.what, verdict.next)
    if not verdict.retry:
        return light
    (name, value), *_ = verdict.retry.items()
    again = f"Try again with {TrainSettings.facts()[name].term} {fmt.setting(value)}"
    return light + Markup('<div class="after-alert">{}</div>').format(
        components.button(again, "retry", kind="firm")
    )


def what_follows(watched: Watched) -> str:
    """The effect of the buttons below the status, in words."""
    if watched.cancelled:
        return "“Continue training” starts it after all."
    if watched.job.state.can_resume:
        return "“Continue training” resumes where it stopped, up to the planned number of passes."
    if not watched.can_stop:
        return ""
    if watched.job.stop_requested or watched.state == "stopping":
        return "It finishes the current step, saves and stops."
    if watched.state == "queued" and not watched.curve.steps:
        return "It has not learned anything yet. You can continue it later."
    return "Stopping saves what it has learned. You can continue later."


def learning(watched: Watched) -> Markup:
    """What it has learned so far: its answers, and folded below them the loss, unless
    there is a warning about it. Once it has ended, the verdict shows its answers, so
    that the earlier ones are folded as well.
    """
    verdict, light, answers = (
        watched.verdict,
        health(watched),
        sample_card(watched.curve.samples),
    )
    warns = verdict is not None and verdict.light != "good"
    above = [answers if watched.can_stop else EMPTY, light if warns else EMPTY]
    below = [EMPTY if warns else light, EMPTY if watched.can_stop else answers]
    if watched.curve.steps or watched.curve.evals:
        below = [components.facts(numbers(watched)), loss_card(watched), *below]
    fold = (
        components.fold("Details: the loss", *below, kind="card", key="loss")
        if any(below)
        else EMPTY
    )
    return components.join([*above, fold])


def sample_card(events: Sequence[SampleEvent]) -> Markup:
    """How its answers to held-out questions change, with the expected answers, from
    sample events in order.
    """
    if not events:
        return EMPTY
    history: dict[str, list[SampleEvent]] = {}
    for event in events:
        history.setdefault(event.question, []).append(event)
    articles = components.join(
        _sample(question, *answers) for question, answers in history.items()
    )
    return components.card(
        "Its answers so far",
        Markup('<div class="samples">{}</div>').format(articles),
        lead="The same questions each time, none of which it learns from.",
    )


def _sample(question: str, *answers: SampleEvent) -> Markup:
    """The first answer, the latest three, and the expected one."""
    *_, latest = answers
    lines = [
        (
            f"After {fmt.count(at.step, 'step')}" if at.step else "Before training",
            fmt.shorten(at.answer, 240),
            EMPTY,
        )
        for at in [answers[0], *answers[1:][-3:]]
    ]
    if latest.answer.strip() == latest.expected.strip():
        lines[-1] = *lines[-1][:2], components.badge("same as yours")
    if latest.expected:
        lines.append(("Your answer", latest.expected, EMPTY))
    return Markup(
        '<article><p class="asked">{}</p><dl class="history">{}</dl></article>'
    ).format(
        fmt.shorten(question, 200),
        components.join(
            Markup("<div><dt>{}</dt><dd>{} {}</dd></div>").format(*line)
            for line in lines
        ),
    )
