"""Trains a run on Hugging Face Jobs: a rented GPU runs the exported script.

Nothing here uses the network until a person asks for it: `prices` reads the prices, `submit` uploads the script with
its examples to a private bucket in the person's own account and starts the job. Light: no torch.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from backend.errors import BadSetting, RunProblem
from backend.models import hub_token

MIN_HOURS = 0.1
MAX_HOURS = 24.0  # limits the cost of a forgotten job
_WHY = {
    401: "The token is not valid.",
    402: "The account has no payment method.",
    403: "The token lacks the permission: it needs write access.",
}
_PER_HOUR = {"second": 3600, "minute": 60, "hour": 1}


@dataclass(frozen=True)
class Computer:
    """A machine for rent. memory: of its GPUs, "" if it has none; cost: US dollars per hour."""

    flavor: str
    name: str
    memory: str
    cost: float


@dataclass(frozen=True)
class SubmittedJob:
    """A job that was started. at_most: US dollars. learned: where the hub will store the result."""

    id: str
    url: str
    flavor: str
    hours: float
    at_most: float
    learned: str


def token() -> str:
    """The person's access token (see backend/models/hub_token.py). Raises MissingPart if there is none."""
    return hub_token.require(
        "To rent a GPU there you need an account with a payment method, and a token with write permission."
    )


def api(token: str | bool) -> Any:
    """The hub's client. False: without a token, for public data."""
    from huggingface_hub import HfApi

    return HfApi(token=token)


def prices() -> list[Computer]:
    """The machines for rent with today's prices, cheapest first. Raises RunProblem if the hub can't be reached."""
    with plain_errors("The prices could not be loaded."):
        offered = api(False).list_jobs_hardware()
    computers = [
        Computer(
            flavor=one.name,
            name=one.pretty_name,
            memory=f"{one.accelerator.quantity} x {one.accelerator.vram}" if one.accelerator else "",
            cost=one.unit_cost_usd * _PER_HOUR[one.unit_label],
        )
        for one in offered
        if one.unit_label in _PER_HOUR
    ]
    return sorted(computers, key=lambda one: one.cost)


def max_cost(computer: Computer, hours: float) -> float:
    """The highest possible cost of a job of `hours` hours, in US dollars. Raises BadSetting for invalid hours."""
    if not MIN_HOURS <= hours <= MAX_HOURS:
        why = f"It must be from {MIN_HOURS:g} to {MAX_HOURS:g} hours."
        raise BadSetting(f"The time limit can't be {hours:g} hours.", why, "Change it.")
    return computer.cost * hours


def uploads(folder: Path) -> dict[str, int]:
    """All files that leave this computer, from an exported script, with their sizes in bytes."""
    parts = (sorted(folder.glob(part)) for part in ("data/*.jsonl", "tokenizer/*", "start/*"))
    files = [folder / "train.py", *chain.from_iterable(parts)]
    return {str(file): file.stat().st_size for file in files}


def submit(folder: Path, computer: Computer, hours: float, name: str, *, gated: bool) -> SubmittedJob:
    """Upload the script in `folder` and run it on `computer`; the job ends after `hours` hours at the latest.

    gated: the job also gets the token, as a secret, to download a base model with restricted access.
    Raises MissingPart, BadSetting, RunProblem.
    """
    cost, secret = max_cost(computer, hours), token()
    hub = api(secret)
    train, validation = (str(folder / "data" / f"{name}.jsonl") for name in ("train", "validation"))
    arguments = ["--train", train, "--validation", validation, "--out", "/data/out"]
    for part in ("tokenizer", "start"):
        if paths := [path for path in uploads(folder) if Path(path).parent.name == part]:
            arguments += [f"--{part}", *paths]
    with (
        plain_errors("The run could not be started on Hugging Face."),
        redirect_stdout(sys.stderr),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message=".*is experimental", category=UserWarning)
        owner = hub.whoami()["name"]
        _require_private_bucket(hub, owner)
        job = hub.run_uv_job(
            str(folder / "train.py"),
            script_args=arguments,
            flavor=computer.flavor,
            timeout=int(hours * 3600),
            name=name,
            secrets={"HF_TOKEN": secret} if gated else None,
            namespace=owner,
        )
    volume = job.volumes[0] if job.volumes else None
    where = f"hf://buckets/{volume.source}/{volume.path}/out" if volume else ""
    return SubmittedJob(job.id, job.url, computer.flavor, hours, cost, where)


def _require_private_bucket(hub: Any, owner: str) -> None:
    """Create the bucket for the job's files as private if it is missing. Raises RunProblem if it is public."""
    from huggingface_hub.constants import HF_JOBS_ARTIFACTS_BUCKET_NAME as NAME

    hub.create_bucket(f"{owner}/{NAME}", private=True, exist_ok=True)
    if not hub.bucket_info(f"{owner}/{NAME}").private:
        raise RunProblem(
            "Your examples were not uploaded.",
            f"Your bucket {NAME} on Hugging Face is public: anyone could read them.",
            "Make it private there, then try again.",
        )


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Translate the client's errors into plain words."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        try:
            yield
        except RuntimeError as error:  # around the error of one file
            raise error.__cause__ or error from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        why = _WHY.get(status, f"The hub returned error {status}.")
        raise RunProblem(what, why, "Fix that, then try again.") from error
    except (httpx2.HTTPError, OfflineModeIsEnabled, OSError) as error:
        raise RunProblem(what, "Hugging Face can't be reached.", "Check the internet connection.") from error
