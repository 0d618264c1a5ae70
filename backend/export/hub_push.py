"""The job "push": an exported model in the person's own Hugging Face account, private
unless they say otherwise.

What is uploaded lies in the job's data/upload until the job ends: the export's files
(unpacked, or as links where the disk has them) and a card. huggingface_hub resumes by
itself: what the hub has already is not sent again.
"""

import os
import shutil
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from backend.errors import BadInput, BadSetting, RunProblem, Stopped
from backend.export import page_to_give
from backend.files.atomic import replace_file
from backend.files.listing import files_in
from backend.models import hub_token
from backend.models.hub import NAME
from backend.records.base import Record
from backend.records.exports import PushResult
from backend.records.units import MIB, format_size
from backend.work import JobContext, require_disk

Form = Literal["adapter", "merged", "gguf", "page"]
FORMS: tuple[Form, ...] = ("adapter", "merged", "gguf", "page")
CARD = "README.md"
_GGUF_FILES = {".gguf", ".Modelfile", ".txt", ".json"}
_WHAT = "The model was not uploaded."
_WHY = {
    401: "The token is not valid.",
    403: "The token lacks the permission: it needs write access.",
}
_POLL = 0.2  # seconds


class PushSpec(Record):
    """An upload to Hugging Face. repo: NAME in the person's own account, or OWNER/NAME."""

    form: Form
    repo: str
    private: bool = True


def check_repo(repo: str) -> str:
    """The name of a repository, without spaces around it. Raises BadSetting."""
    name = repo.strip()
    if not NAME.fullmatch(name) or name.endswith(".git"):
        raise BadSetting(
            f"{name[:60]!r} can't be the name of a repository.",
            "Use letters, digits, hyphens, underscores and periods. You can put OWNER/ in front.",
            "Choose a name such as my-model.",
        )
    return name


def export_for(form: Form) -> str:
    """How the name of the export begins of which this form is made: "gguf:" stands for
    all GGUF types.
    """
    return "gguf:" if form == "gguf" else form


def sources(form: Form, exported: Path) -> list[Path]:
    """What an upload is made of: GGUF files with the texts about them, or a zip file
    with a folder in it.
    """
    if form == "gguf":
        return [
            file for file in sorted(exported.iterdir()) if file.suffix in _GGUF_FILES
        ]
    return sorted(
        exported.glob(f"*-{page_to_give.WEBSITE if form == 'page' else form}.zip")
    )


def listed(sources: list[Path]) -> dict[str, int]:
    """The files to upload and the bytes of each, by their names there, without the
    card, which is replaced.
    """
    sizes: dict[str, int] = {}
    for source in sources:
        if source.suffix == ".zip":
            with zipfile.ZipFile(source) as archive:
                sizes |= {
                    entry.filename.partition("/")[2]: entry.file_size
                    for entry in archive.infolist()
                }
        else:
            sizes[source.name] = source.stat().st_size
    return {name: size for name, size in sizes.items() if name != CARD}


def prepare(job_folder: Path, sources: list[Path], card: str) -> Path:
    """Put the files into a job's folder, with the model's card; returns their folder.
    Raises NotEnough, OSError.
    """
    upload = job_folder / "data" / "upload"
    for source in sources:
        if source.suffix == ".zip":
            require_disk(
                job_folder, source.stat().st_size, "to unpack the files"
            )  # weights hardly shrink in a zip
            shutil.unpack_archive(source, upload.parent)
            replace_file(upload.parent / source.stem, upload)
        else:
            link(source, upload / source.name)
    (upload / CARD).write_text(card, "utf-8", "replace")
    return upload


def forget(job_folder: Path) -> None:
    """Delete what `prepare` made: links, which would keep a deleted export on the disk."""
    shutil.rmtree(job_folder / "data" / "upload", ignore_errors=True)


def link(file: Path, target: Path) -> None:
    """Put a file at `target`, too, without taking more room where the disk can do that.
    Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(file, target)


def run(context: JobContext) -> dict[str, Any]:
    """Upload what lies in data/upload. Returns a `PushResult` as JSON. Raises
    BadSetting, MissingPart without a token, BadInput without files, RunProblem with the
    hub's reason, Stopped.
    """
    try:
        return _run(context).to_json()
    finally:
        forget(context.folder)


def _run(context: JobContext) -> PushResult:
    spec = PushSpec.requested(context.spec, "The model can't be uploaded.")
    folder = context.folder / "data" / "upload"
    sizes = [file.stat().st_size for file in files_in(folder)]
    require_some(map(str, sizes), spec.form)
    many = "1 file" if len(sizes) == 1 else f"{len(sizes):,} files"
    context.progress(f"Uploading {many}, {format_size(sum(sizes) / MIB)}")
    ended: list[PushResult | Exception] = []

    def work() -> None:
        try:
            ended.append(upload(folder, spec))
        except Exception as error:  # raised in the worker's own thread
            ended.append(error)

    # The client can't be interrupted, so it works in a thread that ends with the
    # process.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        if context.should_stop():
            raise Stopped
        context.alive()
        thread.join(_POLL)
    if isinstance(ended[0], Exception):
        raise ended[0]
    return ended[0]


def upload(folder: Path, spec: PushSpec) -> PushResult:
    """Create the repository if it is missing, and upload a folder. `private` of the
    result is what the hub says of it, where it existed already. Raises as `run`.
    """
    from huggingface_hub import HfApi

    hub = HfApi(token=token())
    sdk = "static" if spec.form == "page" else None
    kind = "space" if sdk else "model"
    with _plain_errors():
        repo = check_repo(spec.repo)
        repo = repo if "/" in repo else f"{hub.whoami()['name']}/{repo}"
        url = str(
            hub.create_repo(
                repo, private=spec.private, repo_type=kind, exist_ok=True, space_sdk=sdk
            )
        )
        private = bool(hub.repo_info(repo, repo_type=kind).private)
        if spec.private and not private:
            raise RunProblem(
                _WHAT,
                f"{repo} exists already and is public: anyone could read it.",
                "Choose another name, make it private there, or agree to a public model.",
            )
        hub.upload_folder(
            repo_id=repo,
            repo_type=kind,
            folder_path=folder,
            commit_message="Upload with Apprentice",
        )
    return PushResult(url=url, repo=repo, private=private)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turns the client's errors into RunProblem."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        try:
            yield
        except RuntimeError as error:  # around the error of one file
            raise error.__cause__ or error from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        why = _WHY.get(status, f"The hub returned error {status}.")
        raise RunProblem(_WHAT, why, "Fix that, then try again.") from error
    except (httpx2.HTTPError, OfflineModeIsEnabled, OSError) as error:
        raise RunProblem(
            _WHAT, "Hugging Face can't be reached.", "Check the internet connection."
        ) from error


def token() -> str:
    """The person's access token. Raises MissingPart if there is none."""
    return hub_token.require(
        "To upload a model you need an account there, and a token with write access."
    )


def require_some(files: Iterable[str], form: Form) -> None:
    """Raises BadInput if there is nothing to upload."""
    if not list(files):
        raise BadInput(
            f"There are no files to upload as {form}.",
            "They were deleted.",
            "Make the export again.",
        )
