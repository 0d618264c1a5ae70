"""What the app is doing with a model, in a line above the steps of every tab: whoever
comes back finds it at once.
"""

from collections.abc import Iterable
from contextlib import suppress

from markupsafe import Markup

from backend.errors import ApprenticeError
from backend.training.session import STEP_PHASES
from jobs.records import Job
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.html import components

# By kind of job: what happens, and a button that leads to a tab.
_WORK = {
    "train": ("is being trained", "Watch it", "train"),
    "evaluate": ("is being checked", "See the check", "try"),
    "export": ("is being made ready to share", "See it", "share"),
    "answer": ("answers a spreadsheet", "See it", "share"),
}


def jobs(all_jobs: Iterable[Job]) -> list[Job]:
    """Those that are at work on a model now, the oldest first."""
    return sorted(
        (job for job in all_jobs if job.kind in _WORK and job.state.is_active),
        key=lambda job: job.queued,
    )


def how_far(job: Job) -> str:
    """What the browser is told about a job (static/js/run_end.js): "42" for percent,
    else its state.
    """
    counted = job.kind not in ("train", "export") or (
        job.progress and job.progress.phase in STEP_PHASES
    )
    if job.state.is_active and job.progress and job.progress.total and counted:
        return str(fmt.percent(job.progress.done, job.progress.total))
    return job.state.value


def short_id(job: Job) -> str:
    return job.id[-6:]  # enough to tell it from others


def name(app: App, run_id: str) -> str:
    """A run's name, with its version unless it is damaged. Raises RunProblem when it
    does not exist.
    """
    name = fmt.shorten(app.runs.job(run_id).name, 40)
    with suppress(ApprenticeError):
        name += fmt.version(app.runs.spec(run_id).version)
    return name


def line(app: App, choice: Choice, tab: str) -> Markup:
    """What is at work, except for what the open tab shows itself; its numbers are kept
    current by the browser.
    """
    item = Markup(
        '<li><p><strong>{}</strong> {}<span data-far="{}">{}</span></p>{}</li>'
    )
    shown = []
    for job in jobs(app.runner.jobs()):
        what, button, shows = _WORK[job.kind]
        run_id = job.id if job.kind == "train" else job.parent or ""
        if (shows, run_id) == (tab, choice.run_id):
            continue
        with suppress(ApprenticeError):  # the run was just deleted
            model, far = name(app, run_id), how_far(job)
            act = components.button(
                button,
                "open" if shows == "train" else shows,
                run_id,
                "firm",
                f"{button}: {model}",
            )
            shown.append(
                item.format(
                    model,
                    what,
                    short_id(job),
                    f": {far}%" if far.isdecimal() else "",
                    act,
                )
            )
    return (
        Markup('<ul class="at-work">{}</ul>').format(components.join(shown))
        if shown
        else components.EMPTY
    )
