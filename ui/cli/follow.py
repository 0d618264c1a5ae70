"""Wait for a job while its events are printed."""

from __future__ import annotations

from contextlib import suppress

from backend.errors import ApprenticeError, RunProblem
from backend.records.events import DownloadedEvent, DryRunEvent, EvalEvent, LoggedEvent, NoteEvent, StepEvent
from jobs.records import Job, State
from ui.cli.output import say
from ui.services.app import App
from ui.text import format as fmt


def follow(app: App, job_id: str, after: int = 0) -> Job:
    """Wait for a job, printing its events from position `after`; Ctrl-C asks it to stop, then waits on."""
    while True:
        try:
            return app.runner.wait(job_id, on_event=_print_event, after=after)
        except KeyboardInterrupt:
            say("Stopping and saving.")
            after = app.runner.events(job_id).position
            with suppress(RunProblem):  # it has just ended by itself
                app.runner.stop(job_id)


def require_completed(job: Job, error: type[ApprenticeError], stopped: str) -> None:
    """Raises `error` with the job's failure, or with the sentence `stopped`, unless it completed."""
    if job.state is not State.COMPLETED:
        failure = job.failure
        raise error(*((failure.what, failure.why, failure.next) if failure else (stopped,)))


def _print_event(logged: LoggedEvent) -> None:
    match logged.event:
        case StepEvent() as step:
            say(f"step {step.step}: training loss {step.loss:.3f}, {step.tokens_per_second or 0:.0f} tokens/s")
        case EvalEvent() as evaluation:
            say(f"step {evaluation.step}: validation loss {evaluation.loss:.3f}")
        case DryRunEvent() as measured:
            memory, speed = fmt.size(measured.memory_mib), measured.tokens_per_second
            say(f"Measured on your longest examples: {memory} of memory at the peak, {speed:.0f} tokens/s.")
        case DownloadedEvent() as download:
            say(f"{download.mib:,} of {download.of:,} MiB")
        case NoteEvent() as note:
            say(" ".join(filter(None, (note.title, note.what, note.next))))
