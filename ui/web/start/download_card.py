"""The way to a model that is not here: who may have it, its download, and what went wrong with that."""

from __future__ import annotations

from html import escape

from backend.models.catalogue import Entry
from ui.records import Access, Fetching
from ui.services.app import App
from ui.text import format as fmt
from ui.web import errors as web_errors
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


def fetching(found: Fetching) -> str:
    """A button to download it, how far its download is, or why that failed."""
    model, job = found.model, found.job
    if job and not job.state.is_terminal:
        progress = job.progress
        phase = progress.phase if progress else "Waiting for its turn"
        known = progress is not None and progress.total > 0
        done = fmt.percent(progress.done, progress.total) if progress and known else None
        said = f"{phase}."
        if progress and known:
            said += f" {fmt.size(progress.done)} of {fmt.size(progress.total)}."
        if progress and progress.seconds_left:
            said += f" About {fmt.duration(progress.seconds_left)} left."
        stop = components.button("Cancel", "cancel", model.id, label=f"Cancel the download of {model.name}")
        return components.text(said) + components.progress(done, phase) + f'<div class="fetch">{stop}</div>'
    told = access(model, found.access) if found.access else ""
    if job and job.failure:
        told += web_errors.alert("warn", job.failure.what, job.failure.why, job.failure.next)
    if found.access and not found.access.keeper:
        return told
    does = f"Go on downloading, {fmt.size(model.download_mib)}" if found.begun else words(model)
    get = components.button(does, "download", model.id, kind="firm", label=f"{does}: {model.name}")
    if found.begun:
        get += components.button(
            "Delete what came so far", "discard", model.id, label=f"Delete what came of {model.name}"
        )
    return f'{told}<div class="fetch">{get}</div>'


def words(model: Entry) -> str:
    """What the button says that downloads it from the beginning."""
    return f"Download, {fmt.size(model.download_mib)}"


def access(model: Entry, has: Access) -> str:
    """The steps to a model that its makers give only to those who ask: its licence, then an access token."""
    if has.refused:
        told = PLACES[has.place] if has.place else has.refused
        return components.text(f"{ASKED} {told}", "small")
    licence = model.licence.partition(" (")[0]
    page = link(f"https://huggingface.co/{model.id}", f"the page of {model.name}")
    steps = [
        f"Open {page} on the Hugging Face hub, sign in there and accept its licence, {escape(licence)}. Some makers "
        "take a while to answer."
    ]
    if has.place:
        steps.append(escape(PLACES[has.place]) + _other_token(has))
    else:
        settings = link(TOKENS, "your settings there")
        steps.append(f"Make an access token of the kind “Read” under {settings}, and copy it.")
        steps.append(f"Paste it here.{_paste(has)}")
    items = "".join(f"<li>{step}</li>" for step in steps)
    asked = components.text("Its makers give it only to those who ask:", "asked-first")
    return f'{asked}<ol class="access">{items}</ol>'


def _other_token(has: Access) -> str:
    """What can be done about the token that there is: one that we keep is deleted, a login's is overruled."""
    if has.place == "login":
        return components.fold("Use another token", _paste(has), key="token")
    forget = components.button("Forget the token", "forget-token", kind="danger")
    return components.confirm("Forget it", SURE, forget) if has.place in ("memory", "keyring") else ""


def _paste(has: Access) -> str:
    """A field for a token, which is never filled by us."""
    keep, where = KEEPERS[has.keeper]
    field = (
        '<label>Access token (begins with hf_)<input type="password" name="token" autocomplete="off" '
        'spellcheck="false" required></label>'
    )
    send = f'<button type="submit" class="btn firm">{keep}</button>'
    return components.form("token", f"<div>{field}{send}</div>", components.text(where, "small"), kind="token")


def link(address: str, said: str) -> str:
    """A link that a person may follow, in a window of its own."""
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{escape(said)}</a>'


def act(app: App, do: str, value: str) -> None:
    """Does what was pressed or sent here; whatever else was pressed is left to others.

    value: it comes from the browser. Raises what the app raises.
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
