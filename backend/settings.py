"""The workspace and its folders on disk, ids for what is stored there, and secrets in
the environment.
"""

import os
import secrets
import string
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from backend.errors import WorkspaceProblem
from backend.files.disk_errors import FULL, disk_words
from backend.files.private import make_private, write_privately

HOME_VARIABLE = "APPRENTICE_HOME"
PROJECT_ROOT = Path(__file__).resolve().parent.parent
SAMPLES = PROJECT_ROOT / "static" / "samples"
TEMPLATES = PROJECT_ROOT / "static" / "templates"
PROGRAM = (
    "start.bat" if os.name == "nt" else "./start.sh"
)  # what people type before a command

_LONGEST_NAME = 255  # of a file, on every usual file system
# The environment variables that child processes get, by full names and by prefixes:
# where things are, languages, and settings of Python, of the libraries that compute,
# and of their drivers.
_CHILDREN_GET = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "LANG", "LANGUAGE", "TMPDIR", "TMP", "TEMP", "PWD",
    "CC", "CXX", "VIRTUAL_ENV", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS", "DISPLAY", "LD_LIBRARY_PATH",
    "LD_PRELOAD", "LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "TOKENIZERS_PARALLELISM",
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA", "USERPROFILE", "USERNAME",
    "HOMEDRIVE", "HOMEPATH", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMW6432", "COMMONPROGRAMFILES",
    "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "PROCESSOR_IDENTIFIER", "OS", "SPACES_ZERO_GPU",
}  # fmt: skip
_CHILDREN_GET_FAMILIES = (
    "LC_", "XDG_", "PYTHON", "CONDA_", "DYLD_", "APPRENTICE_", "HF_HUB_", "HF_HOME", "HF_ENDPOINT", "TRANSFORMERS_",
    "TORCH", "PYTORCH_", "ACCELERATE_", "BNB_", "BITSANDBYTES_", "TRITON_", "CUDA_", "NVIDIA_", "NCCL_", "CUBLAS_",
    "CUDNN_", "ROCM_", "ROCR_", "HIP_", "HSA_", "GLOO_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "VECLIB_",
    "NUMEXPR_", "DNNL_", "ONEDNN_", "GGML_", "LLAMA_",
)  # fmt: skip
_ZERO_GPU = "SPACES_ZERO_GPU"
_SECRET_WORDS = {
    "TOKEN",
    "KEY",
    "APIKEY",
    "SECRET",
    "SECRETS",
    "PASS",
    "PASSWD",
    "CREDENTIALS",
    "PAT",
    "AUTH",
}
_ID_ALPHABET = string.ascii_lowercase + string.digits

# Secrets that a person typed, kept for as long as this process runs: environment
# variable to value. A worker that is allowed a secret gets it in that variable.
secrets_in_memory: dict[str, str] = {}


@dataclass(frozen=True)
class Workspace:
    """The folder with everything that a person makes here. Create it with
    `Workspace.open`.
    """

    root: Path

    @classmethod
    def open(cls, root: Path | None = None) -> Self:
        """The workspace at `root`, else at $APPRENTICE_HOME, else in the user's data
        folder; created if missing. What this process writes from then on is for its
        owner only. Raises WorkspaceProblem when it can't be created or written, but not
        for a full disk: something must be deleted there.
        """
        workspace = cls((root or default_root()).expanduser().resolve())
        write_privately()
        try:
            workspace.root.mkdir(parents=True, exist_ok=True)
            for folder in workspace.folders:
                folder.mkdir(parents=True, exist_ok=True)
                make_private(folder)
            probe = workspace.root / f".write-test-{os.getpid()}"
            try:
                probe.write_bytes(b"ok")
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in FULL and all(map(Path.is_dir, workspace.folders)):
                return workspace  # to delete something; whatever has to write says what is missing
            raise WorkspaceProblem(
                f"The workspace {workspace.root} can't be written.",
                disk_words(error)[0],
                f"Choose another folder with --workspace DIR or the environment variable {HOME_VARIABLE}.",
            ) from error
        return workspace

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.runs, self.models, self.datasets, self.exports, self.cache)

    runs = cached_property[Path](
        lambda self: self.root / "runs"
    )  # a folder for each job, as jobs/store.py says
    models = cached_property[Path](
        lambda self: self.root / "models"
    )  # unpacked and downloaded ones, a folder each
    datasets = cached_property[Path](
        lambda self: self.root / "datasets"
    )  # imported ones, a folder each
    exports = cached_property[Path](
        lambda self: self.root / "exports"
    )  # finished ones, which the page may serve
    # What can be deleted at any time, such as measurements of this computer, and
    # compiled code.
    cache = cached_property[Path](lambda self: self.root / "cache")
    # Uploaded files, until the page has read them; emptied when the app starts.
    uploads = cached_property[Path](lambda self: self.cache / "uploads")

    def run_folder(self, run_id: str) -> Path:
        """The folder of one run. Raises WorkspaceProblem unless `run_id` is a valid id."""
        return child_path(self.runs, run_id)


def default_root() -> Path:
    """$APPRENTICE_HOME, else the user's data folder for this system. On a Space of
    Hugging Face, where the home may be read-only, /var/tmp/apprentice: gradio may serve
    files of /tmp.
    """
    from platformdirs import user_data_path

    if home := os.environ.get(HOME_VARIABLE):
        return Path(home)
    if os.environ.get("SPACE_ID"):
        return Path("/var/tmp/apprentice")  # noqa: S108 (no other user is in its container)
    return user_data_path("apprentice", appauthor=False)


def is_secret(name: str) -> bool:
    """Whether an environment variable is named like a secret: HF_TOKEN,
    AWS_SECRET_ACCESS_KEY, PGPASSWORD, GH_PAT.
    """
    return "PASSWORD" in name.upper() or not _SECRET_WORDS.isdisjoint(
        name.upper().split("_")
    )


def secret(name: str) -> str:
    """The secret in this environment variable, else the one in memory; "" if there is
    none.
    """
    return os.environ.get(name, "").strip() or secrets_in_memory.get(name, "")


def new_id() -> str:
    """A new id that sorts by time and can't be guessed: "20261124-143012-k3f9ab2c"
    (UTC).
    """
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + "".join(
        secrets.choice(_ID_ALPHABET) for _ in range(8)
    )


def on_zero_gpu() -> bool:
    """Whether this is a Space on ZeroGPU, whose GPU is not for our processes, whatever
    the driver says.
    """
    return os.environ.get(_ZERO_GPU, "").lower() in (
        "1",
        "t",
        "true",
    )  # the way the package `spaces` reads it


def on_colab() -> bool:
    """Whether this is a Colab notebook, whose computer no browser can reach."""
    return any(name.startswith("COLAB_") for name in os.environ)


def child_environment() -> dict[str, str]:
    """The environment for a child process: part of this one's, and the path to our
    packages. A secret may have any name, so only variables that are known to be needed
    go along, and of these none that is named like a secret.
    """
    needed = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _CHILDREN_GET
        or name.upper().startswith(_CHILDREN_GET_FAMILIES)
    }
    environment = {name: value for name, value in needed.items() if not is_secret(name)}
    paths = [str(PROJECT_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}


def child_path(parent: Path, name: str) -> Path:
    """`parent / name`, for an id or the folder name of a model. Raises WorkspaceProblem
    unless `name` is a single plain path component that stays inside `parent`, links
    included.
    """
    plain = 0 < len(name) <= _LONGEST_NAME and all(
        c.isascii() and (c.isalnum() or c in "-_.") for c in name
    )
    path = parent / name
    may_lead_outside = plain and (
        sys.platform == "win32" or path.is_symlink()
    )  # a junction of Windows is no symlink
    outside = may_lead_outside and not path.resolve().is_relative_to(parent.resolve())
    if not plain or name[0] == "." or outside:
        raise WorkspaceProblem(
            f"Nothing here has the id {name[:80]!r}.",
            "",
            "Look at the list of your models.",
        )
    return path
