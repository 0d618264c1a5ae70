"""A plan and a run, drawn: what is about to happen, how far it is, how it goes, what it answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from backend.advice.diagnose import Verdict
from backend.records.events import NoteEvent, SampleEvent
from jobs.records import Job, Progress
from ui.records import Curve, Losses, Origin, Plan, Shorter
from ui.services import losses
from ui.text import format as fmt
from ui.text.memory_parts import PARTS
from ui.text.settings_help import SETTINGS
from ui.web import errors as web_errors
from ui.web.html import components, loss_curve

PLAN = "What is about to happen"
GOALS = {
    "sft": ("from the good answers; the bad ones are left out", "supervised fine-tuning, SFT"),
    "dpo": ("the difference between good and bad answers", "direct preference optimisation, DPO"),
}
NOTICES = 4  # shown at once
STEPS = ("Practising", "Testing")  # phases that are counted in steps
METHODS = {
    "lora": ("a small addition to the model", "LoRA"),
    "qlora": ("a small addition to the model, squeezed to 4 bits", "QLoRA"),
    "full": ("the whole model", "full fine-tuning"),
}


@dataclass(frozen=True)
class Watched:
    """A run as it is watched. queue: how many runs go before it. has_model: whether there is something to try.
    origin: what it began with. rate: the learning rate that is set, which the run warms up to and cools down from.
    shorter: what shorter examples would mean, where they might help."""

    job: Job
    curve: Curve
    verdict: Verdict | None
    queue: int
    has_model: bool
    origin: Origin
    rate: float = 0.0
    shorter: Shorter | None = None

    @property
    def state(self) -> str:
        return self.job.state.value

    @property
    def can_stop(self) -> bool:
        return not self.job.state.is_terminal

    @property
    def losses(self) -> Losses:
        return losses.of(self.job, self.curve)


def plan(ahead: Plan, why: Mapping[str, str], by_hand: Collection[str]) -> str:
    """Everything about to happen, each number saying whether it was computed or measured.

    why: the reason for each recommended setting. by_hand: the settings that the person changed.
    """
    kept_back = fmt.number(ahead.validation_rows)
    time_how = "from the measured speed of this computer" if ahead.time_measured else "computed"
    memory_how = "measured on your longest examples" if ahead.memory_measured else "computed"
    of_memory = f"of {fmt.size(ahead.have_mib)} memory, {memory_how}"
    numbers = [
        (fmt.count(ahead.train_rows, "example"), f"to practise on; {kept_back} kept back to test it"),
        _rounds(ahead),
        (fmt.span(*ahead.seconds), time_how) if ahead.seconds else ("not known yet", "how long it takes"),
    ]
    bar = ""
    if ahead.memory_mib:
        numbers.append((fmt.size(ahead.memory_mib), of_memory))
        bar = memory_bar(ahead)
    return components.card(
        PLAN,
        components.facts(numbers),
        bar,
        components.rows(_plan_lines(ahead)),
        _reasons(why, by_hand),
        "".join(web_errors.alert("warn", note) for note in ahead.notes),
        lead="Nothing has started yet. Everything stays on this computer.",
    )


def memory(ahead: Plan) -> str:
    """What takes the memory, part by part: how much, what it is, and where its formula is from."""
    if not ahead.memory_mib:
        return ""
    how = "Measured in all; its parts are computed." if ahead.memory_measured else "Computed, part by part."
    bar = memory_bar(ahead)
    lines = [
        (PARTS[name].words if name in PARTS else name, fmt.size(mib), PARTS[name].source if name in PARTS else "")
        for name, mib in sorted(ahead.memory_parts.items(), key=lambda part: -part[1])
        if mib >= 0.05
    ]
    parts = components.fold("What takes it", components.text(how, "small"), components.rows(lines), key="memory")
    return (
        f'<div class="memory"><h3>Memory: {fmt.size(ahead.memory_mib)} of {fmt.size(ahead.have_mib)}</h3>'
        f"{bar}{parts}</div>"
    )


def memory_bar(ahead: Plan) -> str:
    """The parts of what it needs against what is there."""
    how = "measured on your longest examples" if ahead.memory_measured else "computed"
    said = f"Needs {fmt.size(ahead.memory_mib)} of {fmt.size(ahead.have_mib)} memory, {how}."
    return components.memory_bar(fmt.memory_parts(ahead.memory_parts), ahead.have_mib, said)


def _rounds(ahead: Plan) -> tuple[str, str]:
    """How long it practises, by rounds or by the number of steps that was set."""
    if ahead.settings.max_steps > 0:
        return fmt.count(ahead.steps, "step"), "then it ends, as set (max_steps)"
    rounds, steps = ahead.settings.num_train_epochs, fmt.count(ahead.steps, "step")
    return f"{rounds:g} {'round' if rounds == 1 else 'rounds'}", f"(epochs), {steps} in all"


def _reasons(why: Mapping[str, str], by_hand: Collection[str]) -> str:
    """Why each number is what it is."""
    said = [(name, "You changed this." if name in by_hand else reason) for name, reason in why.items()]
    said += [(name, "You changed this.") for name in by_hand if name not in why]
    lines = [(SETTINGS[name].label, words, "") for name, words in said if name in SETTINGS]
    return components.fold("Why these numbers", components.rows(lines)) if lines else ""


def _plan_lines(ahead: Plan) -> list[tuple[str, str, str]]:
    settings = ahead.settings
    what, term = METHODS[settings.method]
    if settings.method != "full":
        term += f", rank {settings.lora_rank}, alpha {settings.lora_alpha}"
    at_once, readings = settings.per_device_train_batch_size, settings.gradient_accumulation_steps
    length = "their tokens are not counted yet"
    if ahead.longest:
        learned, longest = fmt.number(ahead.learned_tokens), fmt.number(ahead.longest)
        length = f"{learned} tokens to learn, {longest} in the longest"
    rate = fmt.setting(settings.learning_rate)
    best = "the best version is kept (early stopping)" if settings.early_stopping else ""
    measured = []
    if ahead.memory_measured_mib:
        off = 100 * (ahead.memory_measured_mib / ahead.memory_computed_mib - 1)
        computed = f"computed: {fmt.size(ahead.memory_computed_mib)}, {off:+.0f} %; the larger one counts"
        measured = [("Memory measured on your longest examples", fmt.size(ahead.memory_measured_mib), computed)]
    return [
        ("Model", ahead.model_name, ""),
        ("Examples", ahead.data_name, length),
        *([("Learns", *GOALS[settings.trainer])] if ahead.pairs or settings.trainer == "dpo" else []),
        ("Trained", what, term),
        ("Examples per correction", str(settings.effective_batch), f"effective batch, {at_once} x {readings}"),
        ("Size of each correction", rate, f"learning rate, {settings.lr_scheduler_type}"),
        ("Tests on the way", fmt.count(ahead.evaluations, "test"), best),
        *measured,
    ]


def guide(watched: Watched) -> str:
    said = {
        "queued": ("Your training waits for its turn.", "It starts by itself."),
        "starting": ("Training is about to begin.", "You can close this page; it goes on."),
        "running": ("It is learning.", "You can close this page; training goes on."),
        "stopping": ("It is stopping and saving.", "What it learned is kept."),
        "stopped": ("Training was stopped.", "Try what it learned so far, or go on training."),
        "completed": ("Training is done.", "Next you talk to it, beside the model it came from."),
        "failed": ("Training could not finish.", "What happened and what to do stands below."),
        "interrupted": ("Training was cut off.", "Nothing saved was lost; go on from where it was."),
    }
    if watched.state == "stopped" and not watched.has_model:
        said["stopped"] = ("Training was stopped.", "It had learned nothing yet. You can go on training.")
    return components.guide(3, *said.get(watched.state, ("", ""))) + components.which(watched.origin)


def status(watched: Watched) -> str:
    """The phase, a bar, time left and the numbers, or how it ended."""
    job, progress = watched.job, watched.job.progress
    word, tone = fmt.state(watched.state)
    badge = components.badge(word, tone)
    failure = ""
    if job.failure:
        failure = web_errors.alert("bad", job.failure.what, job.failure.why, job.failure.next)
    if watched.shorter:
        words = components.text(fmt.shorter(watched.shorter))
        again = components.button("Try again with shorter examples", "shorter", kind="firm")
        failure += f'<div class="after-alert">{words}{again}</div>'
    if watched.state == "queued":
        lead = f"{fmt.count(watched.queue, 'run is', 'runs are')} before it." if watched.queue else "It is next."
        return components.card(job.name, badges=badge, lead=lead)
    done = fmt.percent(progress.done, progress.total) if progress else 0
    title = progress.phase if progress and watched.can_stop else job.name
    lead, bar = "", ""
    if watched.can_stop:
        lead = time_left(progress)
        bar = components.progress(done if progress and progress.total else None, title)
    elif job.started and job.ended:
        since = " since it went on" if job.attempt > 1 else ""
        lead = f"It took {fmt.duration(job.ended - job.started)}{since}."
    live = f'<p class="unseen" role="status" aria-live="polite">{escape(_spoken(title, done, watched))}</p>'
    told = notices(watched.curve.notes)
    return components.card(
        title, bar, components.facts(numbers(watched)), told, failure, live, badges=badge, lead=lead
    )


def notices(notes: Sequence[NoteEvent]) -> str:
    """What the run told beside its numbers, such as that it makes do with less memory; the latest few."""
    return "".join(web_errors.alert("calm", note.title, note.what, note.next) for note in notes[-NOTICES:])


def time_left(progress: Progress | None) -> str:
    if progress is None:
        return "Getting ready."
    step = "Step " if progress.phase in STEPS else ""
    counted = f"{step}{fmt.number(progress.done)} of {fmt.number(progress.total)}. " if progress.total else ""
    left = f"About {fmt.duration(progress.seconds_left)} left." if progress.seconds_left else ""
    return (counted + left).strip() or "This takes a moment."


def numbers(watched: Watched) -> list[tuple[str, str]]:
    shown = losses.facts(watched.losses)
    if not watched.curve.steps:
        return shown
    last = watched.curve.steps[-1]
    if last.tokens_per_second:
        shown.append((fmt.number(last.tokens_per_second), "tokens a second"))
    if last.memory_mib:
        shown.append((fmt.size(last.memory_mib), "memory, measured"))
    if last.reward_accuracy is not None:
        shown.append((f"{last.reward_accuracy:.0%}", "of these pairs told apart (reward accuracy)"))
    if not watched.can_stop:
        return shown
    if last.learning_rate is not None and watched.rate:
        of_full = f"of the full size of its corrections, {fmt.setting(watched.rate)} (learning rate)"
        shown.append((fmt.share(last.learning_rate, watched.rate), of_full))
    if last.grad_norm is not None:
        shown.append((f"{last.grad_norm:.2f}", "how hard they pull (gradient norm)"))
    return shown


def _spoken(title: str, done: int, watched: Watched) -> str:
    """Said aloud at each tenth only."""
    word, _ = fmt.state(watched.state)
    return f"{title}, {done // 10 * 10} per cent." if watched.can_stop else f"{word}."


def loss_card(watched: Watched) -> str:
    steps = loss_curve.points(watched.curve.steps)
    evals = loss_curve.points(watched.curve.evals)
    progress = watched.job.progress
    total = progress.total if progress and watched.can_stop and progress.total >= len(steps) else 0
    best = watched.losses.best.step if watched.losses.best else None
    return components.card(
        "How wrong it still is",
        f'<div class="plot">{loss_curve.draw(steps, evals, total, best)}</div>',
        lead=losses.legend(bool(evals)),
    )


TONES = {"good": "good", "watch": "warn", "bad": "bad"}


def health(watched: Watched) -> str:
    """The health light with one sentence, and the one change to try; nothing of a run that ended before its first
    step."""
    verdict = watched.verdict
    if not watched.curve.steps and (watched.state == "queued" or not watched.can_stop):
        return ""
    if verdict is None:
        return web_errors.alert("calm", "Too few steps to judge by", "The curve needs a few more.")
    drawn = web_errors.alert(TONES[verdict.light], verdict.title, verdict.what, verdict.next)
    if not verdict.retry:
        return drawn
    (name, value), *_ = verdict.retry.items()
    words = f"Try again with {SETTINGS[name].term} {fmt.setting(value)}"
    return drawn + f'<div class="after-alert">{components.button(words, "retry", kind="firm")}</div>'


def samples(asked: Sequence[SampleEvent]) -> str:
    """What it answers to examples it never practised on, latest first, beside the expected answer."""
    if not asked:
        return ""
    latest: dict[str, SampleEvent] = {}
    earlier: dict[str, list[SampleEvent]] = {}
    for sample in asked:
        question = sample.prompt[-1]["content"] if sample.prompt else ""
        if question in latest:
            earlier.setdefault(question, []).append(latest[question])
        latest[question] = sample
    parts = [_sample(question, sample, earlier.get(question, [])) for question, sample in latest.items()]
    step = max(sample.step for sample in asked)
    return components.card(
        "What it answers",
        f'<div class="samples">{"".join(parts)}</div>',
        lead=f"To questions it never practised on, {f'at step {step}' if step else 'before it learned anything'}.",
    )


def _sample(question: str, sample: SampleEvent, before: Sequence[SampleEvent]) -> str:
    """The answer now, and above it the ones before, so that one watches it learn."""
    shown = [*before[:1], *before[1:][-2:]]  # the untrained one and the latest two
    history = "".join(
        f"<div><dt>{f'Step {old.step}' if old.step else 'Untrained'}</dt>"
        f"<dd>{escape(fmt.shorten(old.answer, 160))}</dd></div>"
        for old in shown
    )
    badge = ""
    if sample.answer.strip() == sample.expected.strip():
        badge = components.badge("the same")
    elif before and sample.answer != before[-1].answer:
        badge = components.badge("changed", "calm")
    return (
        f'<article><p class="asked">{escape(fmt.shorten(question, 200))}</p>'
        + (f'<dl class="history">{history}</dl>' if history else "")
        + f'<div class="versus"><div><h3>Its answer{badge}</h3><p>{escape(sample.answer)}</p></div>'
        f"<div><h3>Your answer</h3><p>{escape(sample.expected)}</p></div></div></article>"
    )


def stop_reason(watched: Watched) -> str:
    if not watched.can_stop:
        return ""
    if watched.job.stop_requested or watched.state == "stopping":
        return "It finishes the step it is in, saves, and stops."
    if watched.state == "queued" and not watched.curve.steps:
        return "It has learned nothing yet. You can go on with it later."
    return "Stopping saves what it learned. You can go on later from there."
