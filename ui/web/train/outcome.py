"""Whether a trained model is any good, as Train shows it: the verdict of its evaluation, or that it has none yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from jobs.records import Job
from ui.text import format as fmt
from ui.text.settings_help import SETTINGS
from ui.web.html import components
from ui.web.try_it import verdict_card

NOT_CHECKED = (
    "Nobody knows yet whether it is any good",
    "Its answers were not checked: a lower loss alone does not make a good model.",
    "Open Try and press Check it.",
)


def outcome(job: Job | None, report: Mapping[str, Any] | None) -> Markup:
    """job, report: the newest evaluation of a model, and its newest report, if there are any."""
    if job and not job.state.is_terminal:
        progress = job.progress
        counted = (
            f" {fmt.number(progress.done)} of {fmt.number(progress.total)}." if progress and progress.total else ""
        )
        phase = progress.phase if progress else "Getting ready"
        return components.alert("calm", "Checking its answers to examples it has not seen", f"{phase}.{counted}")
    if report:
        return verdict_card.alert(report) + _retry(report["retry"])
    return components.alert("calm", *NOT_CHECKED)


def _retry(change: Mapping[str, Any]) -> Markup:
    """A button that trains again with the change that the answers suggest."""
    if not change:
        return components.EMPTY
    (name, value), *_ = change.items()
    words = f"Try again with {SETTINGS[name].term} {fmt.setting(value)}"
    button = components.button(words, "retry-evaluated", kind="firm")
    return Markup('<div class="after-alert">{}</div>').format(button)
