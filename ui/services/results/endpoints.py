"""Endpoints: a trained model that other programs use, until it is stopped."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from backend.errors import BadInput, BadSetting, RunProblem
from backend.files.json_file import read_if_json, write_json
from backend.hosting.policy import Feature, Policy
from backend.runs.answer_form import EDITED, edited_form, form_of_examples, parse_form
from backend.serving.state import LOOPBACK, STATE, key_hash, new_key
from jobs.records import Job
from jobs.runner import Runner
from ui.records.share import Endpoint
from ui.services.results.trained_models import ResultService
from ui.services.training.runs import RunService

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?", re.IGNORECASE)


class EndpointService:
    """At most one endpoint of a workspace is open at a time."""

    def __init__(
        self, runner: Runner, runs: RunService, results: ResultService, policy: Policy
    ) -> None:
        self._runner, self._runs, self._results, self._policy = (
            runner,
            runs,
            results,
            policy,
        )
        self._keys: dict[
            str, str
        ] = {}  # of the endpoints opened here; no file has them
        self._forms: dict[str, dict[str, Any] | None] = {}

    def start(
        self,
        run_id: str,
        host: str = LOOPBACK,
        port: int = 0,
        *,
        origins: Sequence[str] = (),
        in_form: bool = False,
    ) -> tuple[Endpoint, str]:
        """Opens an endpoint for a run, and returns it with its key, which no file has.
        Raises RunProblem before the run has a model, and while another endpoint is
        open; BadSetting; NotInDemo.

        port: 0 for a free one
        origins: of web pages that may ask
        in_form: whether answers keep to the form of the examples' answers
        """
        self._policy.require(Feature.SERVE)
        if wrong := [origin for origin in origins if not _ORIGIN.fullmatch(origin)]:
            raise BadSetting(
                f"{wrong[0]} is not the address of a web site.",
                "",
                "Write it like https://shop.example.",
            )
        if in_form and not self.form(run_id):
            raise BadSetting(
                "The examples' answers are not JSON of one form.",
                "",
                "Start it without that.",
            )
        self._results.model_folder(run_id)
        if other := self.current():
            name = self._runs.job(other.job.parent or "").name
            raise RunProblem(
                "Another endpoint is open.", f"It serves “{name}”.", "Stop it first."
            )
        key = new_key()
        spec = {
            "run": run_id,
            "name": self.name(run_id),
            "key_sha256": key_hash(key),
            "host": host,
            "port": port,
        }
        spec |= {"origins": list(origins), "in_form": in_form}
        job_id = self._runner.submit("serve", spec, "Serve", parent=run_id)
        self._keys[job_id] = key
        return self._endpoint(self._runner.job(job_id)), key

    def form(self, run_id: str) -> dict[str, Any] | None:
        """The JSON schema of a run's answers; None where they have no form in common.
        Raises BadSetting for an edited one that can't be used.
        """
        if run_id not in self._forms:
            self._forms[run_id] = form_of_examples(self._runs.folder(run_id))
        return edited_form(self._runs.folder(run_id)) or self._forms[run_id]

    def form_text(self, run_id: str) -> str:
        """The form to show and to edit, also one that can't be used; "" without any."""
        with suppress(BadSetting):
            form = self.form(run_id)
            return json.dumps(form, indent=1, ensure_ascii=False) if form else ""
        with suppress(OSError):
            return (self._runs.folder(run_id) / EDITED).read_text("utf-8", "replace")
        return "{}"

    def save_form(self, run_id: str, text: str) -> None:
        """Replaces the form of a run's answers by the JSON schema in `text`, an empty
        one by that of its examples. Raises BadSetting with the reason for one that
        can't be enforced or satisfied, NotInDemo.
        """
        self._policy.require(Feature.SERVE)
        file = self._runs.folder(run_id) / EDITED
        try:
            write_json(file, schema) if (schema := parse_form(text)) else file.unlink(
                missing_ok=True
            )
        except BadInput as error:
            next_step = "Change it and save it again, or leave it empty."
            raise BadSetting(f"The form {error.what}", "", next_step) from error

    def key(self, job_id: str) -> str:
        """The key of an endpoint that was opened here and is open; "" for any other
        one.
        """
        return self._keys.get(job_id, "")

    def name(self, run_id: str) -> str:
        """The name under which programs ask for a run's model."""
        plain = re.sub(r"[^a-z0-9]+", "-", self._runs.job(run_id).name.lower()).strip(
            "-"
        )
        return plain[:40] or "model"

    def current(self) -> Endpoint | None:
        """The endpoint that is open or about to open."""
        open_ones = (
            job for job in self._runner.jobs(kind="serve") if not job.state.is_terminal
        )
        return next(map(self._endpoint, open_ones), None)

    def latest(self, run_id: str) -> Endpoint | None:
        """The run's newest endpoint, open or not."""
        return next(
            map(self._endpoint, self._runner.jobs(kind="serve", parent=run_id)), None
        )

    def find(self, job_id: str) -> Endpoint:
        """An endpoint as it is now. Raises RunProblem for an unknown one."""
        return self._endpoint(self._runner.job(job_id))

    def stop(self, job_id: str) -> None:
        """Closes an endpoint. Raises RunProblem where it has ended already."""
        self._keys.pop(job_id, None)
        self._runner.stop(job_id)

    def _endpoint(self, job: Job) -> Endpoint:
        state = (
            read_if_json(self._runner.folder(job.id) / STATE)
            if job.state.is_active
            else {}
        )
        return Endpoint(
            job,
            url=str(state.get("url", "")),
            requests=int(state.get("requests", 0)),
            tokens=int(state.get("tokens", 0)),
            tokens_per_second=float(state.get("tokens_per_second", 0.0)),
        )
