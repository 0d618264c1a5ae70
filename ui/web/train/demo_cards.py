"""What only a shared demo shows on Train: a recorded run.

static/recorded_run.jsonl is the record of a run of `./start.sh train` on the sample: its first line is the job, the
others are those of its events.jsonl.
"""

import json
import time
from functools import cache

from markupsafe import Markup

from backend.records.events import parse
from backend.settings import PROJECT_ROOT
from jobs.records import Job
from ui.records.runs import Curve, RunInfo
from ui.text import format as fmt
from ui.web.html import components
from ui.web.train import run_view

RECORDED = "A recorded training of the sample"
RECORDING = PROJECT_ROOT / "static" / "recorded_run.jsonl"


@cache
def recorded() -> Markup:
    """The recorded run: its answers before and after, its numbers and its curve."""
    job_line, *lines = RECORDING.read_bytes().splitlines()
    job, curve = Job.model_validate(json.loads(job_line)), Curve()
    for logged in filter(None, map(parse, lines)):
        curve.add(logged.event)
    day = time.strftime("%d %B %Y", time.gmtime(job.created)).lstrip("0")
    note = (
        f"This is not your training: it was recorded on {day}. The bundled model learned the sample from start to "
        f"end in {fmt.took(job)}, on two processor cores that other programs used too."
    )
    shown = run_view.Watched(job, curve, None, 0, True, RunInfo(job.id, job.name, "", "", 0))
    alert = components.alert("calm", "Recorded", note)
    return alert + run_view.sample_card(curve.samples) + run_view.loss_fold(shown)
