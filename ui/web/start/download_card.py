"""Getting a model that is not on this computer: its license and access token, its download, and its errors."""

from typing import Any

from markupsafe import Markup

from backend.models.catalogue import Entry
from ui.records.models import DownloadStatus, TokenStatus
from ui.services.app import App
from ui.text import format as fmt
from ui.web.html import components

TOKENS = "https://huggingface.co/settings/tokens"
PLACES = {
    "environment": "The access token comes from the environment variable HF_TOKEN and can't be deleted here.",
    "memory": "Your access token is kept until Apprentice closes, because this computer's keyring can't be used.",
    "keyring": "Your access token is saved in this computer's keyring, where passwords are kept.",
    "login": "The access token was saved on this computer by hf auth login; hf auth logout deletes it.",
    "": "There is no access token.",
}
KEEPERS = {
    "keyring": (
        "Save",
        "It is saved in this computer's keyring, where passwords are kept, not with your work or in this browser. "
        "If your browser offers to save it, decline. It is sent only to Hugging Face.",
    ),
    "memory": (
        "Keep until Apprentice closes",
        "This computer's keyring can't be used, so the token can't be saved for next time. Apprentice keeps it in "
        "memory until it closes and writes it to no file. If your browser offers to save it, decline. It is sent "
        "only to Hugging Face.",
    ),
}
GATED = "Its makers share it only with people who accept its license and have an access token."
SURE_TO_DELETE = "To download a model like this again, you will need to paste the token again."


def fetching(status: DownloadStatus) -> Markup:
    """A button to download the model, its progress, or why the download failed."""
    model, job = status.model, status.job
    if status.why_not:
        return components.text(status.why_not, "small")
    if job and not job.state.is_terminal:
        return _downloading(model, job.progress)
    steps = access(model, status.token) if status.token else components.EMPTY
    if job and job.failure:
        steps += components.problem_alert(job.failure, "warn")
    if status.token and not status.token.storage:
        return steps
    does = f"Resume download ({fmt.size(model.download_mib)})" if status.has_partial else label(model)
    get = components.button(does, "download", model.id, kind="firm", label=f"{does}: {model.name}")
    if status.has_partial:
        delete = "Delete the partial download"
        get += components.button(delete, "discard", model.id, label=f"{delete} of {model.name}")
    return steps + Markup('<div class="fetch">{}</div>').format(get)


def _downloading(model: Entry, progress: Any) -> Markup:
    phase, percent, sentences = fmt.progress(progress, fmt.size)
    cancel = components.button("Cancel", "cancel", model.id, label=f"Cancel the download of {model.name}")
    bar = components.progress(percent, phase)
    return Markup('{}{}<div class="fetch">{}</div>').format(components.text(sentences), bar, cancel)


def label(model: Entry) -> str:
    """The label of the button that starts the download."""
    return f"Download ({fmt.size(model.download_mib)})"


def access(model: Entry, has: TokenStatus) -> Markup:
    """The steps to a gated model: its license, then an access token."""
    if has.why_not:
        return components.text(f"{GATED} {PLACES[has.source] if has.source else has.why_not}", "small")
    page = components.external_link(f"https://huggingface.co/{model.id}", f"the page of {model.name}")
    steps = [
        Markup(
            "Open {} on Hugging Face, sign in and accept its license, {}. It may take a while until you get access."
        ).format(page, model.licence.partition(" (")[0])
    ]
    if has.source:
        steps.append(Markup("{}{}").format(PLACES[has.source], other_token(has)))
    else:
        settings = components.external_link(TOKENS, "your settings")
        steps.append(Markup("Create an access token of the type “Read” in {} and copy it.").format(settings))
        steps.append(Markup("Paste it here.{}").format(paste(has)))
    items = components.join(Markup("<li>{}</li>").format(step) for step in steps)
    heading = components.text("Its makers ask you to request access first:", "asked-first")
    return Markup('{}<ol class="access">{}</ol>').format(heading, items)


def other_token(has: TokenStatus) -> Markup:
    """The actions for the token: delete one that we store, or use another instead of a login's."""
    if has.source == "login":
        return components.fold("Use another token", paste(has), key="token")
    if has.source not in ("memory", "keyring"):
        return components.EMPTY
    sure = components.button("Delete it", "forget-token", kind="danger")
    return components.confirm("Delete the token", SURE_TO_DELETE, sure)


def paste(has: TokenStatus) -> Markup:
    """An empty field for a token."""
    save, where = KEEPERS[has.storage]
    field = Markup(
        '<div><label>Access token (starts with hf_)<input type="password" name="token" autocomplete="off" '
        'spellcheck="false" required></label><button type="submit" class="btn firm">{}</button></div>'
    ).format(save)
    return components.form("token", field, components.text(where, "small"), kind="token")


def act(app: App, do: str, value: str) -> None:
    """Does what one of this card's buttons asks for; ignores all others. value: comes from the browser. Raises what
    the services raise."""
    if do == "download":
        app.downloads.start(value)
    elif do == "cancel":
        app.downloads.cancel(value)
    elif do == "discard":
        app.remove_model(value)
    elif do == "token":
        app.downloads.save_token(components.fields(value).get("token", ""))
    elif do == "forget-token":
        app.downloads.delete_token()
