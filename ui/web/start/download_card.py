"""Getting a model that is not on this computer: its licence and access token, its download, and its errors."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from backend.models.catalogue import Entry
from ui.records import DownloadStatus, TokenStatus
from ui.services.app import App
from ui.text import format as fmt
from ui.web.html import components

TOKENS = "https://huggingface.co/settings/tokens"
PLACES = {
    "environment": "An access token is taken from the environment variable HF_TOKEN. It can't be deleted here.",
    "memory": "An access token is kept until Apprentice ends, and no longer: this computer's keyring can't be used.",
    "keyring": "An access token is kept in the keyring of this computer, where it keeps passwords.",
    "login": "An access token was put on this computer by hf auth login. It is deleted by hf auth logout.",
    "": "There is no access token.",
}
KEEPERS = {
    "keyring": (
        "Keep",
        "It is kept in the keyring of this computer, where it keeps passwords: not with your work. Apprentice keeps "
        "nothing of it in this browser; should your browser offer to save it, decline. It is sent to the hub only.",
    ),
    "memory": (
        "Keep until Apprentice ends",
        "This computer has no keyring that can be used, so the token can't be kept for the next time. Apprentice can "
        "keep it in memory until it ends, in no file. Should your browser offer to save it, decline. It is sent to "
        "the hub only.",
    ),
}
ASKED = "Its makers give it only to those who accept its licence and show an access token."
SURE = "To download such a model again you would have to paste a token again."


def fetching(found: DownloadStatus) -> Markup:
    """A button to download the model, its progress, or why the download failed."""
    model, job = found.model, found.job
    if job and not job.state.is_terminal:
        return _downloading(model, job.progress)
    told = access(model, found.token) if found.token else components.EMPTY
    if job and job.failure:
        told += components.problem_alert(job.failure, "warn")
    if found.token and not found.token.storage:
        return told
    does = f"Go on downloading, {fmt.size(model.download_mib)}" if found.has_partial else words(model)
    get = components.button(does, "download", model.id, kind="firm", label=f"{does}: {model.name}")
    if found.has_partial:
        get += components.button(
            "Delete what came so far", "discard", model.id, label=f"Delete what came of {model.name}"
        )
    return told + Markup('<div class="fetch">{}</div>').format(get)


def _downloading(model: Entry, progress: Any) -> Markup:
    phase = progress.phase if progress else "Waiting for its turn"
    sentences, percent = f"{phase}.", None
    if progress and progress.total > 0:
        percent = fmt.percent(progress.done, progress.total)
        sentences += f" {fmt.size(progress.done)} of {fmt.size(progress.total)}."
    if progress and progress.seconds_left:
        sentences += f" About {fmt.duration(progress.seconds_left)} left."
    cancel = components.button("Cancel", "cancel", model.id, label=f"Cancel the download of {model.name}")
    return Markup('{}{}<div class="fetch">{}</div>').format(
        components.text(sentences), components.progress(percent, phase), cancel
    )


def words(model: Entry) -> str:
    """The label of the button that starts the download."""
    return f"Download, {fmt.size(model.download_mib)}"


def access(model: Entry, has: TokenStatus) -> Markup:
    """The steps to a gated model: its licence, then an access token."""
    if has.why_not:
        return components.text(f"{ASKED} {PLACES[has.source] if has.source else has.why_not}", "small")
    page = components.external_link(f"https://huggingface.co/{model.id}", f"the page of {model.name}")
    steps = [
        Markup(
            "Open {} on the Hugging Face hub, sign in there and accept its licence, {}. Some makers take a while to "
            "answer."
        ).format(page, model.licence.partition(" (")[0])
    ]
    if has.source:
        steps.append(Markup("{}{}").format(PLACES[has.source], _other_token(has)))
    else:
        settings = components.external_link(TOKENS, "your settings there")
        steps.append(Markup("Make an access token of the kind “Read” under {}, and copy it.").format(settings))
        steps.append(Markup("Paste it here.{}").format(_paste(has)))
    items = components.join(Markup("<li>{}</li>").format(step) for step in steps)
    asked = components.text("Its makers give it only to those who ask:", "asked-first")
    return Markup('{}<ol class="access">{}</ol>').format(asked, items)


def _other_token(has: TokenStatus) -> Markup:
    """What a person can do about the token: delete one that we store, or use another instead of a login's."""
    if has.source == "login":
        return components.fold("Use another token", _paste(has), key="token")
    if has.source not in ("memory", "keyring"):
        return components.EMPTY
    return components.confirm("Forget it", SURE, components.button("Forget the token", "forget-token", kind="danger"))


def _paste(has: TokenStatus) -> Markup:
    """An empty field for a token."""
    keep, where = KEEPERS[has.storage]
    field = Markup(
        '<div><label>Access token (begins with hf_)<input type="password" name="token" autocomplete="off" '
        'spellcheck="false" required></label><button type="submit" class="btn firm">{}</button></div>'
    ).format(keep)
    return components.form("token", field, components.text(where, "small"), kind="token")


def act(app: App, do: str, value: str) -> None:
    """Does what one of this card's buttons asks for; ignores all others.

    value: comes from the browser. Raises what the services raise.
    """
    if do == "download":
        app.models.download(value)
    elif do == "cancel":
        app.models.cancel_download(value)
    elif do == "discard":
        app.remove_model(value)
    elif do == "token":
        app.models.save_token(components.fields(value).get("token", ""))
    elif do == "forget-token":
        app.models.delete_token()
