"""Exported models in the person's own Hugging Face account: listed, uploaded, followed."""

import hashlib
import json
from pathlib import Path

from backend.errors import RunProblem
from backend.export import hub_push, model_card, page_to_give
from backend.export.formats import slug
from backend.export.hub_push import Form
from backend.hosting.policy import Feature, Policy
from backend.records.units import MIB
from jobs.records import Job
from jobs.runner import Runner
from ui.records.share import ExportStatus, HubUpload
from ui.services.results import evaluated
from ui.services.results.trained_models import ResultService
from ui.services.training.runs import RunService


class HubPushService:
    """Nothing is sent before `start`, and then only what `offer` lists."""

    def __init__(
        self, runner: Runner, runs: RunService, results: ResultService, policy: Policy
    ) -> None:
        self._runner, self._runs, self._results, self._policy = (
            runner,
            runs,
            results,
            policy,
        )

    def forms(self, run_id: str) -> list[Form]:
        """The forms whose export is here, of the model as it is now."""
        return [form for form in hub_push.FORMS if self._export(run_id, form)]

    def offer(
        self, run_id: str, form: Form, repo: str, *, private: bool = True
    ) -> HubUpload:
        """The upload to confirm. Raises BadSetting for an impossible name, RunProblem
        before the export is made.

        form: one of `forms`
        repo: NAME, or OWNER/NAME
        private: only the person, and people to whom they give access, can see it
        """
        repo = hub_push.check_repo(repo)
        export = self._required_export(run_id, form)
        sources, run = hub_push.sources(form, export.folder), self._runs.job(run_id)
        name, instruction = slug(run.name), self._results.instruction(run_id)
        if form == "page":
            card = page_to_give.space_card(name, self._runs.spec(run_id).model.id)
        else:
            judged = evaluated.current(self._runner, run)
            scores = evaluated.for_model_card(judged.summary) if judged else None
            spec, checks = self._runs.details(run_id).spec, export.result.checks
            card = model_card.card(spec, form, name, instruction, scores, checks)
        files = hub_push.listed(sources)
        seen = [
            run_id,
            form,
            repo,
            private,
            card,
            instruction,
            files,
            [file.stat().st_mtime_ns for file in sources],
        ]
        sizes = {name: size / MIB for name, size in files.items()}
        mark = hashlib.sha256(json.dumps(seen).encode()).hexdigest()
        return HubUpload(form, repo, private, sizes, instruction, card, mark)

    def start(
        self, run_id: str, form: Form, repo: str, *, private: bool = True, agreed: str
    ) -> str:
        """Queues an upload that was offered (see `offer`) and returns its id; `agreed`
        is the `mark` of the offer to which the person agreed. Raises BadSetting for an
        impossible name, MissingPart without a token, NotInDemo, and RunProblem before
        the export is made and where what would be uploaded is no longer what was
        offered.
        """
        self._policy.require(Feature.PUSH)
        offered = self.offer(run_id, form, repo, private=private)
        sources = hub_push.sources(form, self._required_export(run_id, form).folder)
        hub_push.token()
        hub_push.require_some(offered.sizes, form)
        if agreed != offered.mark:
            raise RunProblem(
                "Nothing was uploaded.",
                "The list has changed since you saw it.",
                "Look at it again.",
            )
        for job in self._runner.jobs(kind="push", parent=run_id):
            if job.state.is_terminal:  # of a worker that was killed
                hub_push.forget(self._runner.folder(job.id))

        def prepare(folder: Path) -> None:
            upload = hub_push.prepare(folder, sources, offered.card)
            if form == "page":
                page_to_give.allow_hub(upload)

        spec = {"form": form, "repo": offered.repo, "private": private}
        return self._runner.submit("push", spec, form, parent=run_id, prepare=prepare)

    def all(self, run_id: str) -> list[Job]:
        """The uploads of a run, newest first."""
        return self._runner.jobs(kind="push", parent=run_id)

    def _export(self, run_id: str, form: Form) -> ExportStatus | None:
        """The newest export for this form."""
        made = self._results.current_exports(run_id)
        return next(
            (
                each
                for each in made
                if each.job.name.startswith(hub_push.export_for(form))
            ),
            None,
        )

    def _required_export(self, run_id: str, form: Form) -> ExportStatus:
        export = self._export(run_id, form)
        if export is None:
            why = f"This needs the export {hub_push.export_for(form).rstrip(':')} of the model, with no failed check."
            raise RunProblem(
                "There is nothing to upload yet.", why, "Make that file first."
            )
        return export
