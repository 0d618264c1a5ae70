"""How trainings stand, in the last words of the page's signature; run_end.js makes the tab's title of them."""

from __future__ import annotations

from backend.errors import ApprenticeError
from backend.training.session import STEP_PHASES
from jobs.records import Job
from ui.services.app import App
from ui.text import format as fmt

_ID_END = 6  # characters of a run's id that tell it from others


def news(app: App, run_id: str) -> str:
    """A word about the open run, and one about the run that trains, if that is another: "" if there is neither.

    "f9ab2c:42" stands for 42 percent; otherwise it is "f9ab2c:completed" and the like.
    """
    jobs = [_job(app, run_id), *(one for one in app.runs.unfinished() if one.state.is_active)]
    return " ".join({f"{job.id[-_ID_END:]}:{_how(job)}": None for job in jobs if job})


def _job(app: App, run_id: str) -> Job | None:
    try:
        return app.runs.job(run_id) if run_id else None
    except ApprenticeError:
        return None


def _how(job: Job) -> str:
    progress = job.progress
    if job.state.is_active and progress and progress.phase in STEP_PHASES and progress.total:
        return str(fmt.percent(progress.done, progress.total))
    return job.state.value
