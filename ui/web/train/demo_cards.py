"""Cards that only a shared demo shows on Train: the GPU time of a visitor, and a recorded run.

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
from ui.services.demo.gpu_calls import GpuTime
from ui.text import format as fmt
from ui.web.html import components
from ui.web.train import run_view

RECORDED = "A recorded training of the sample"
RECORDING = PROJECT_ROOT / "static" / "recorded_run.jsonl"
# https://huggingface.co/docs/hub/spaces-zerogpu
ALLOWANCE = (
    "Hugging Face gives everybody 2 minutes of GPU time a day, 5 minutes with a free account and 40 with PRO, for "
    "all Spaces together: sign in at huggingface.co for more. Without any left, your training uses the processor."
)


def gpu_time(spent: GpuTime) -> Markup:
    """How much GPU time the visitor used, and how much is left if that is known."""
    facts = [("GPU time you used here", fmt.duration(spent.used) if spent.used else "none yet")]
    if spent.left is not None:
        facts.append(("left today, as Hugging Face last reported", fmt.duration(spent.left)))
    return components.facts(facts) + components.text(ALLOWANCE, "small")


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
