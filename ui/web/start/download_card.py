"""Getting a model that is not on this computer: its license and access token, its
download, and its errors.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from backend.models import catalogue
from backend.models.catalogue import Entry
from jobs.records import Job
from ui.records.models import DownloadStatus, TokenStatus
from ui.services.app import App
from ui.text import format as fmt
from ui.web.html import components

TOKENS = "https://huggingface.co/settings/tokens"
GATED = "Its makers share it only with people who accept its license and have an access token."
NAME = Markup(
    '<div><label>Name<input name="name" placeholder="OWNER/NAME" autocomplete="off" spellcheck="false" required>'
    '</label><button type="submit" class="btn firm">Look it up</button></div>'
)
ANY_MODEL = (
    "Its name, or the address of its page. Its configuration, tokenizer and chat "
    "template are downloaded and tried first, without its weights. Only safetensors "
    "weights are used, and no code that comes with a model is run."
)
SURE_TO_DELETE = (
    "To download a model like this again, you will need to paste the token again."
)
# By where an access token would be saved: the button, and what that means.
KEEPERS = {
    "keyring": (
        "Save",
        "It is saved in this computer's keyring, where passwords are kept, not with "
        "your work or in this browser. If your browser offers to save it, decline. It "
        "is sent only to Hugging Face.",
    ),
    "memory": (
        "Keep until Apprentice closes",
        "This computer's keyring can't be used, so the token can't be saved for next "
        "time. Apprentice keeps it in memory until it closes and writes it to no file. "
        "If your browser offers to save it, decline. It is sent only to Hugging Face.",
    ),
}


def fetching(status: DownloadStatus) -> Markup:
    """A button to download the model, its progress, or why the download failed."""
    model, job = status.model, status.job
    if status.why_not:
        return components.text(status.why_not, "small")
    if job and not job.state.is_terminal:
        return _downloading(model.id, model.name, job.progress)
    steps = access(model, status.token) if status.token else components.EMPTY
    if job and job.failure:
        steps += components.problem_alert(job.failure, "warn")
    if status.token and not status.token.storage:
        return steps
    does = (
        f"Resume download ({fmt.size(model.download_mib)})"
        if status.has_partial
        else label(model)
    )
    get = components.button(
        does, "download", model.id, kind="firm", label=f"{does}: {model.name}"
    )
    if status.has_partial:
        delete = "Delete the partial download"
        get += components.button(
            delete, "discard", model.id, label=f"{delete} of {model.name}"
        )
    return steps + Markup('<div class="fetch">{}</div>').format(get)


def another(looked_up: Sequence[Entry], jobs: Mapping[str, Job]) -> Markup:
    """A field for a model that the catalogue lacks, how its look-up goes, and what is
    known of those that were found. jobs: the latest download of each model, by its id.
    """
    parts = [
        components.text(ANY_MODEL, "small"),
        components.form("look-up", NAME, kind="token"),
    ]
    listed = {entry.id for entry in (*catalogue.entries(), *looked_up)}
    others = {model_id: job for model_id, job in jobs.items() if model_id not in listed}
    running = next(
        (model_id for model_id, job in others.items() if not job.state.is_terminal), ""
    )
    if running:
        parts.append(_downloading(running, running, others[running].progress))
    elif (newest := next(iter(jobs), "")) in others and (
        failure := jobs[newest].failure
    ):
        parts.append(components.problem_alert(failure, "warn"))
    for entry in looked_up:
        choose = components.button(
            "Choose", "model", entry.id, label=f"Choose {entry.id}"
        )
        facts = components.text(f"{entry.id}: {fmt.looked_up(entry)}")
        parts.append(Markup('<div class="better">{}{}</div>').format(facts, choose))
    return components.fold(
        "Another model from Hugging Face", *parts, key="another-model"
    )


def _downloading(model_id: str, name: str, progress: Any) -> Markup:
    phase, percent, sentences = fmt.progress(progress, fmt.size)
    cancel = components.button(
        "Cancel", "cancel", model_id, label=f"Cancel the download of {name}"
    )
    bar = components.progress(percent, phase)
    return Markup('{}{}<div class="fetch">{}</div>').format(
        components.text(sentences), bar, cancel
    )


def label(model: Entry) -> str:
    """The label of the button that starts the download."""
    return f"Download ({fmt.size(model.download_mib)})"


def access(model: Entry, has: TokenStatus) -> Markup:
    """The steps to a gated model: its license, then an access token."""
    if has.why_not:
        return components.text(
            f"{GATED} {fmt.PLACES[has.source] if has.source else has.why_not}", "small"
        )
    page = components.external_link(
        f"https://huggingface.co/{model.id}", f"the page of {model.name}"
    )
    steps = [
        Markup(
            "Open {} on Hugging Face, sign in and accept its license, {}. It may take a while until you get access."
        ).format(page, model.licence.partition(" (")[0]),
        token(has, "Read"),
    ]
    items = components.join(Markup("<li>{}</li>").format(step) for step in steps)
    heading = components.text(
        "Its makers ask you to request access first:", "asked-first"
    )
    return Markup('{}<ol class="access">{}</ol>').format(heading, items)


def token(has: TokenStatus, kind: str) -> Markup:
    """Where the access token is, never the token itself, or a field for one of this
    kind.
    """
    if has.source:
        return components.text(fmt.PLACES[has.source], "small") + other_token(has)
    if has.why_not:
        return components.text(has.why_not, "small")
    settings = components.external_link(TOKENS, "your settings")
    how = Markup(
        "<p>Create an access token of the type “{}” in {} and paste it here.</p>"
    ).format(kind, settings)
    return how + paste(has)


def other_token(has: TokenStatus) -> Markup:
    """The actions for the token: delete one that we store, or use another instead of a
    login's.
    """
    if has.source == "login":
        return components.fold("Use another token", paste(has), key="token")
    if has.source not in ("memory", "keyring"):
        return components.EMPTY
    return components.delete(
        SURE_TO_DELETE, "forget-token", text="Delete the token", yes="Delete it"
    )


def paste(has: TokenStatus) -> Markup:
    """An empty field for a token."""
    save, where = KEEPERS[has.storage]
    field = Markup(
        '<div><label>Access token (starts with hf_)<input type="password" name="token" autocomplete="off" '
        'spellcheck="false" required></label><button type="submit" class="btn firm">{}</button></div>'
    ).format(save)
    return components.form(
        "token", field, components.text(where, "small"), kind="token"
    )


def act(app: App, do: str, value: str) -> None:
    """Does what one of this card's buttons asks for, else nothing. value: from the
    browser. Raises as services do.
    """
    if do == "download":
        app.downloads.start(value)
    elif do == "look-up":
        app.downloads.look_up(components.fields(value).get("name", ""))
    elif do == "cancel":
        app.downloads.cancel(value)
    elif do == "discard":
        app.remove_model(value)
    elif do == "token":
        app.downloads.save_token(components.fields(value).get("token", ""))
    elif do == "forget-token":
        app.downloads.delete_token()
