"""The command about models: list, download and delete them, and manage the hub's access
token.
"""

import argparse
import getpass
import sys
import warnings
from pathlib import Path

from backend.advice.reasons import ordinal
from backend.errors import BadInput, MissingPart
from backend.models import catalogue, hub_token, local
from backend.models.download import Downloaded
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from ui.cli.follow import completed, follow
from ui.cli.output import AddCommand, Answer, say
from ui.services.app import App
from ui.text import format as fmt


def add_commands(add: AddCommand) -> None:
    listing = add(
        "models",
        models,
        "list the models; download or delete one; save an access token",
    )
    only = listing.add_mutually_exclusive_group()
    only.add_argument(
        "--remove", metavar="ID", help="delete the downloaded files of this model"
    )
    only.add_argument(
        "--download",
        metavar="ID",
        help="download this model, or any OWNER/NAME of the Hugging Face hub",
    )
    only.add_argument(
        "--token",
        action="store_true",
        help="save an access token for the hub, read from standard input; without one, show where a token is saved",
    )
    only.add_argument(
        "--forget-token", action="store_true", help="delete the saved token"
    )


def models(options: argparse.Namespace, workspace: Workspace) -> Answer:
    if options.token or options.forget_token:
        return _token(App(workspace), options.forget_token)
    if options.download:
        return _download(App(workspace), options.download)
    if options.remove:
        freed = App(workspace).remove_model(options.remove)
        return Answer({"freed_mib": freed}, f"Deleted. {fmt.size(freed)} freed.")
    entries, lines = [*catalogue.entries(), *catalogue.looked_up(workspace)], []
    for entry in entries:
        place = "-"
        if entry.evidence:  # "2nd of 15", or "after 7 of 15"
            newest = entry.evidence[0]
            place = f"{ordinal(newest.place) if newest.place else f'after {newest.places}'} of {newest.models}"
        lines.append(
            f"{entry.id:45} {entry.parameters / 1e9:5.2f} B  {place:15}  {entry.licence}"
        )
    return Answer(
        {"models": [entry.model_dump(mode="json") for entry in entries]},
        "\n".join(lines),
    )


def _download(app: App, model_id: str) -> Answer:
    """Download a model, printing the progress; after Ctrl-C the next download
    continues. One that the catalogue lacks is looked up first, and what is known of it
    is printed.
    """
    if not app.models.exists(model_id):  # the first job only looks it up
        job = completed(app, app.downloads.start(model_id), MissingPart, "Stopped.")
        model_id = Downloaded.model_validate(job.result).model
        say(f"{model_id}: {fmt.looked_up(app.models.entry(model_id))}")
    job = follow(app, app.downloads.start(model_id))
    if job.failure:
        raise MissingPart(job.failure.what, job.failure.why, job.failure.next)
    text = (
        Downloaded.model_validate(job.result).path
        or "Stopped. Run the command again to continue."
    )
    return Answer({"state": job.state.value, **job.result}, text)


def _token(app: App, forget: bool) -> Answer:
    """Save or delete the access token, and show where there is one now."""
    if forget:
        app.downloads.delete_token()
    elif (typed := _read_secret()) and app.downloads.save_token(typed) != "keyring":
        raise MissingPart(
            "The token was not saved.",
            "This computer has no keyring that can be used.",
            f"Set the environment variable {hub_token.VARIABLE}, or use the page, which can hold it while it runs.",
        )
    source = hub_token.source()
    return Answer({"token": source or None}, fmt.PLACES[source])


def _read_secret() -> str:
    """A line from standard input, hidden while it is typed. Raises BadInput if the
    terminal would show it.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(
                "Access token (hidden; press Enter to change nothing): ", sys.stderr
            ).strip()
    except EOFError:
        return ""
    except getpass.GetPassWarning as error:
        raise BadInput(
            "No token was read.",
            "This terminal would show it.",
            "Pass it through a pipe.",
        ) from error


def require_tokenizer(app: App, model_id: str) -> ChatTokenizer:
    """The model's tokenizer; nothing is unpacked for it. Raises MissingPart,
    WorkspaceProblem.
    """
    resolved = app.models.resolve(model_id)
    if resolved != local.DEFAULT and not app.models.is_ready(resolved):
        raise MissingPart(
            f"The model {resolved} is not on this computer.",
            "",
            "Remove --model for the bundled one.",
        )
    return local.tokenizer(app.workspace, resolved)


def require_model(app: App, model_id: str) -> None:
    """Unpack the bundled model first if needed. Raises MissingPart, WorkspaceProblem."""
    require_tokenizer(app, model_id)
    if not app.models.is_ready(model_id):
        say("Unpacking the bundled model, once.")
        completed(
            app,
            app.runner.submit("prepare", {}, "Unpack the model"),
            MissingPart,
            "Stopped.",
        )


def resolve_model(app: App, model: str | None) -> str:
    """The id for --model, which is an id or a folder on this computer; "" for none."""
    folder = Path(model).expanduser() if model else None
    return (
        local.register_folder(app.workspace, folder)
        if folder and folder.is_dir()
        else model or ""
    )
