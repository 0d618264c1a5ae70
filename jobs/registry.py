"""The kinds of jobs: which function does the work, and which jobs wait for each other."""

from collections.abc import Callable
from typing import Literal, NamedTuple

Lane = Literal[
    "training", "light", "network", "serving"
]  # one job at a time runs in each
BeforeStart = Callable[[Lane], None]


class JobType(NamedTuple):
    """work: "package.module:function", imported only in the worker. follow_up: the kind
    and name of a job to queue when this one completes, and the
    "package.module:function" that gets the context and the result and returns that
    job's spec, or None for no such job. can_use_less_memory: whether another attempt,
    after memory ran out, uses less of it. secrets: environment variables that the
    worker gets although they are secret.
    """

    work: str
    lane: Lane
    can_use_less_memory: bool = False
    secrets: tuple[str, ...] = ()
    follow_up: tuple[str, str, str] | None = None


# A proxy's address may hold a password, so only jobs that use the network get it.
_NETWORK_SECRETS = ("HF_TOKEN", *(name for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
                                   for name in (proxy, proxy.lower())))  # fmt: skip

JOB_TYPES: dict[str, JobType] = {
    "train": JobType(
        "backend.training.job:run",
        "training",
        can_use_less_memory=True,
        follow_up=("evaluate", "Evaluate", "backend.evaluation.job:after_training"),
    ),
    "calibrate": JobType("backend.hardware.benchmark:run", "training"),
    "export": JobType("backend.export.job:run", "light"),
    "answer": JobType("backend.export.answers:run", "training"),
    "evaluate": JobType("backend.evaluation.job:run", "training"),
    "try_prompts": JobType("backend.evaluation.prompt_trial:run", "training"),
    "download": JobType(
        "backend.models.download:run", "network", secrets=_NETWORK_SECRETS
    ),
    "push": JobType("backend.export.hub_push:run", "network", secrets=_NETWORK_SECRETS),
    "serve": JobType("backend.serving.job:run", "serving"),
    "prepare": JobType("backend.models.bundled:run", "training"),
}
