"""Wait for a job while its progress and its events are printed."""

import shutil
import sys
from contextlib import suppress

from backend.errors import ApprenticeError, RunProblem
from backend.records import events
from backend.training.session import STEP_PHASES
from jobs.records import Job, State
from ui.cli.output import say, write
from ui.services.app import App
from ui.text import format as fmt


def follow(app: App, job_id: str, after: int = 0) -> Job:
    """Wait for a job, printing its events from position `after`; Ctrl-C asks it to
    stop, then waits on.
    """
    printer = _Printer(sys.stderr.isatty())
    while True:
        try:
            job = app.runner.wait(
                job_id, on_event=printer.event, on_job=printer.job, after=after
            )
        except KeyboardInterrupt:
            trains = app.runner.job(job_id).kind == "train"
            printer.say(
                "Stopping; what it has learned is being saved."
                if trains
                else "Stopping."
            )
            after = app.runner.events(job_id).position
            with suppress(RunProblem):  # it has just ended by itself
                app.runner.stop(job_id)
        else:
            printer.clear()
            return job


def completed(app: App, job_id: str, error: type[ApprenticeError], stopped: str) -> Job:
    """As `follow`. Raises `error` with the job's failure, or with the sentence
    `stopped`, unless it completed.
    """
    job = follow(app, job_id)
    if job.state is not State.COMPLETED:
        failure = job.failure
        raise error(
            *((failure.what, failure.why, failure.next) if failure else (stopped,))
        )
    return job


class _Printer:
    """Prints how far a job is: on a terminal in one line that is updated, elsewhere in
    a line for each step.
    """

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal
        self._left: float | None = None  # seconds
        self._steps = 0  # of the whole run, 0 if unknown
        self._loss = ""
        self._shown = ""  # the line that is updated

    def job(self, job: Job) -> None:
        progress = job.progress
        if progress is None:
            return
        steps = progress.phase in STEP_PHASES
        if steps:
            self._steps = progress.total
        if (
            progress.seconds_left or not steps
        ):  # a validation between two steps knows no time
            self._left = progress.seconds_left
        if self._terminal and not job.state.is_terminal:
            if steps:
                line = ", ".join(
                    filter(None, (self._counted(progress.done), self._loss))
                )
            else:
                line = progress.phase + (
                    f": {progress.done:,} of {progress.total:,}"
                    if progress.total
                    else ""
                )
                line += f": {progress.detail}" if progress.detail else ""
            line = (line + self._time_left())[: shutil.get_terminal_size().columns - 1]
            if line != self._shown:
                write(sys.stderr, f"\r{line.ljust(len(self._shown))}")
                self._shown = line

    def event(self, logged: events.LoggedEvent) -> None:
        match logged.event:
            case events.StepEvent() as step:
                self._loss = f"training loss {step.loss:.3f}, {step.tokens_per_second or 0:.0f} tokens/s"
                if not self._terminal:
                    self.say(
                        f"{self._counted(step.step)}: {self._loss}{self._time_left()}"
                    )
            case events.EvalEvent() as evaluation:
                self.say(
                    f"{self._counted(evaluation.step)}: validation loss {evaluation.loss:.3f}"
                )
            case events.SampleEvent() as sample:
                self.say(
                    f"  {fmt.shorten(sample.question, 60)} -> {fmt.shorten(sample.answer, 100)}"
                )
            case events.DryRunEvent() as measured:
                memory, speed = (
                    fmt.size(measured.memory_mib),
                    measured.tokens_per_second,
                )
                self.say(
                    f"Measured on your longest examples: {memory} of memory at the peak, {speed:.0f} tokens/s."
                )
            case events.DownloadedEvent() as download if not self._terminal:
                self.say(f"{fmt.size(download.mib)} of {fmt.size(download.of)}")
            case events.AwakeEvent() as event:
                self.say(fmt.awake(event.awake))
            case events.NoteEvent() as note:
                self.say(
                    " ".join(filter(None, (f"{note.title}.", note.what, note.next)))
                )

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.clear()
        say(text)

    def clear(self) -> None:
        """Remove the line that is updated."""
        if self._shown:
            write(sys.stderr, f"\r{' ' * len(self._shown)}\r")
            self._shown = ""

    def _counted(self, step: int) -> str:
        return f"step {step:,} of {self._steps:,}" if self._steps else f"step {step:,}"

    def _time_left(self) -> str:
        return f", about {fmt.duration(self._left)} left" if self._left else ""
