"""Handing a run to Hugging Face Jobs: a rented computer trains it from the exported script.

Nothing here reaches the network unless a person asks: `prices` reads what the computers cost, `send` uploads the
script with its examples to a private bucket of the person's own account and starts the job. Light: no torch.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import BadSetting, MissingPart, RunProblem
from backend.models import hub_token

MIN_HOURS = 0.1  # hours
MAX_HOURS = 24.0  # hours that may be asked for: a forgotten job costs no more
_WHY = {401: "The token is not valid.", 402: "The account has no way to pay.", 403: "The token may not do this."}
_PER_HOUR = {"second": 3600, "minute": 60, "hour": 1}


@dataclass(frozen=True)
class Computer:
    """One that can be rented. memory: of its cards, "" if it has none; cost: US dollars an hour, as told."""

    flavor: str
    name: str
    memory: str
    cost: float


@dataclass(frozen=True)
class SubmittedJob:
    """A job that was started. learned: where what it learns will lie, as the hub names it."""

    id: str
    url: str
    flavor: str
    hours: float
    at_most: float
    learned: str


def token() -> str:
    """The person's access token (see backend/models/hub_token.py). Raises MissingPart when there is none."""
    found = hub_token.find()
    if not found:
        raise MissingPart(
            "There is no access token for Hugging Face.",
            "Renting a computer there needs an account with a way to pay, and a token that may write.",
            "Make one at huggingface.co/settings/tokens, then keep it by `./start.sh models --token`.",
        )
    return found


def api(token: str | bool) -> Any:
    """The hub's client. False: without a token, for what anybody may read."""
    from huggingface_hub import HfApi

    return HfApi(token=token)


def prices() -> list[Computer]:
    """What can be rented, cheapest first, as the hub states it now. Raises RunProblem when it can't be reached."""
    with _plain_errors("The prices could not be looked up."):
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
    """What a job of at most `hours` hours costs at most, in US dollars. Raises BadSetting for other hours."""
    if not MIN_HOURS <= hours <= MAX_HOURS:
        why = f"It can be from {MIN_HOURS:g} to {MAX_HOURS:g} hours."
        raise BadSetting(f"{hours:g} hours can't be rented.", why, "Change it.")
    return computer.cost * hours


def uploads(folder: Path) -> dict[str, int]:
    """What leaves this computer, and nothing else: the files of an exported script with their sizes in bytes."""
    files = [folder / "train.py", *sorted(folder.glob("data/*.jsonl")), *sorted(folder.glob("tokenizer/*"))]
    return {str(file): file.stat().st_size for file in files}


def submit(folder: Path, computer: Computer, hours: float, name: str, *, gated: bool) -> SubmittedJob:
    """Uploads the script in `folder` and starts it on `computer`; it ends after `hours` hours at the latest.

    gated: the base model is shown only to those who accepted its terms; the token then goes along as a secret of the
    job, so that it can be fetched. Raises MissingPart, BadSetting, RunProblem.
    """
    cost, secret = max_cost(computer, hours), token()
    hub = api(secret)
    train, validation = (str(folder / "data" / f"{name}.jsonl") for name in ("train", "validation"))
    tokenizer = [path for path in uploads(folder) if Path(path).parent.name == "tokenizer"]
    arguments = ["--train", train, "--validation", validation, "--out", "/data/out", "--tokenizer", *tokenizer]
    with _plain_errors("The run could not be handed over."), redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is experimental", category=UserWarning)
        owner = hub.whoami()["name"]
        _insist_on_private(hub, owner)
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


def _insist_on_private(hub: Any, owner: str) -> None:
    """The bucket that jobs' files go to is made private where there is none; one that is public is refused."""
    from huggingface_hub.constants import HF_JOBS_ARTIFACTS_BUCKET_NAME as NAME

    hub.create_bucket(f"{owner}/{NAME}", private=True, exist_ok=True)
    if not hub.bucket_info(f"{owner}/{NAME}").private:
        raise RunProblem(
            "Your examples were not uploaded.",
            f"Your bucket {NAME} on Hugging Face is public: everybody could read them.",
            "Make it private there, then try again.",
        )


@contextmanager
def _plain_errors(what: str) -> Iterator[None]:
    """Turns the client's errors into plain words."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        why = _WHY.get(status, f"The hub answered with error {status}.")
        raise RunProblem(what, why, "Mend that, then try again.") from error
    except (httpx2.HTTPError, OfflineModeIsEnabled, OSError) as error:
        raise RunProblem(what, "Hugging Face can't be reached from here.", "Check the connection.") from error
