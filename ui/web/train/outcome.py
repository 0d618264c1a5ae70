"""Whether a trained model is any good, as Train shows it: the verdict of its evaluation, or that it has none yet."""

from __future__ import annotations

from markupsafe import Markup

from backend.records.evaluation import EvaluationReport
from jobs.records import Job
from ui.web.html import components
from ui.web.train.run_view import retry_button
from ui.web.try_it import evaluation_card, verdict_card

NOT_CHECKED = (
    "Not checked yet: is it any good?",
    "Its answers were not checked: a lower loss alone does not make a good model.",
    "Open Try and click “Check it”.",
)
CANT_CHECK = (
    "Not checked: is it any good?",
    "No examples were set aside, so nothing can show whether it is any good.",
    "Set some aside in step 3 and train again.",
)


def outcome(job: Job | None, report: EvaluationReport | None, can_check: bool = True) -> Markup:
    """job, report: the newest evaluation of a model, and its newest report, if there are any. can_check: whether
    there are examples to evaluate it with."""
    if job and not job.state.is_terminal:
        progress = evaluation_card.progress_words(job)
        return components.alert("calm", "Checking its answers to examples it has not seen", progress)
    if not can_check:
        return components.alert("calm", *CANT_CHECK)
    failure = evaluation_card.failure(job)
    if report is None:
        return failure or components.alert("calm", *NOT_CHECKED)
    earlier = evaluation_card.EARLIER if failure else components.EMPTY
    verdict = verdict_card.alert(report) + verdict_card.against_parent(report)
    return failure + earlier + verdict + retry_button(report.retry, "retry-evaluated")
