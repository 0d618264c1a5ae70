"""Where things lie on disk: the workspace and its folders."""

from __future__ import annotations

import os
import secrets
import string
import time
from dataclasses import dataclass
from pathlib import Path

from backend.errors import WorkspaceProblem

HOME_VARIABLE = "APPRENTICE_HOME"
PROJECT_ROOT = Path(__file__).resolve().parent.parent
SAMPLES = PROJECT_ROOT / "static" / "samples"

_SECRET_WORDS = {"TOKEN", "KEY", "APIKEY", "SECRET", "SECRETS", "PASS", "PASSWD", "CREDENTIALS", "PAT", "AUTH"}
_ID_ALPHABET = string.ascii_lowercase + string.digits

# Secrets that a person gave this process to hold for as long as it runs, by the environment variable that a worker
# which may have one is given it in.
secrets_in_memory: dict[str, str] = {}


@dataclass(frozen=True)
class Workspace:
    """The folder that holds everything a person makes here. Use `Workspace.open`."""

    root: Path

    @classmethod
    def open(cls, root: Path | None = None) -> Workspace:
        """The workspace at `root`, else at $APPRENTICE_HOME, else in the user's data folder; made if absent.

        Raises WorkspaceProblem when it can't be made or written.
        """
        workspace = cls((root or default_root()).expanduser().resolve())
        try:
            for folder in (workspace.runs, workspace.models, workspace.datasets, workspace.exports, workspace.cache):
                folder.mkdir(parents=True, exist_ok=True)
            probe = workspace.root / f".write-test-{os.getpid()}"
            probe.write_bytes(b"ok")
            probe.unlink()
        except OSError as error:
            raise WorkspaceProblem(
                f"The workspace {workspace.root} can't be written.",
                f"The system says: {error.strerror or error}.",
                f"Choose another folder with --workspace DIR or the environment variable {HOME_VARIABLE}.",
            ) from error
        return workspace

    @property
    def runs(self) -> Path:
        """One folder a job (training, export, ...); see jobs/store.py for what lies in it."""
        return self.root / "runs"

    @property
    def models(self) -> Path:
        """Models unpacked or downloaded, one folder each."""
        return self.root / "models"

    @property
    def datasets(self) -> Path:
        """Data sets that a person brought, one folder each."""
        return self.root / "datasets"

    @property
    def exports(self) -> Path:
        """Files made to be taken away; the only folder that the page may serve files from."""
        return self.root / "exports"

    @property
    def cache(self) -> Path:
        """What can be deleted at any time: measurements of this machine, compiled code."""
        return self.root / "cache"

    def run_folder(self, run_id: str) -> Path:
        """The folder of one run. Raises WorkspaceProblem unless `run_id` is an id that we made."""
        return child_path(self.runs, run_id)


def default_root() -> Path:
    """$APPRENTICE_HOME, else the user's data folder for this system."""
    from platformdirs import user_data_path

    named = os.environ.get(HOME_VARIABLE)
    return Path(named) if named else user_data_path("apprentice", appauthor=False)


def is_secret(name: str) -> bool:
    """Whether an environment variable is named like a secret: HF_TOKEN, AWS_SECRET_ACCESS_KEY, PGPASSWORD, GH_PAT.

    The processes that train, export and chat are given none of them.
    """
    return "PASSWORD" in name.upper() or not _SECRET_WORDS.isdisjoint(name.upper().split("_"))


def secret(name: str) -> str:
    """The secret of this name: from the environment, else one that is held; "" where there is none."""
    return os.environ.get(name, "").strip() or secrets_in_memory.get(name, "")


def new_id() -> str:
    """A fresh id that sorts by time and can't be guessed: "20261124-143012-k3f9ab2c" (UTC)."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + "".join(secrets.choice(_ID_ALPHABET) for _ in range(8))


def child_environment() -> dict[str, str]:
    """This process's environment for a process of ours: without secrets, and able to import our packages."""
    kept = {name: value for name, value in os.environ.items() if not is_secret(name)}
    paths = [str(PROJECT_ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}


def child_path(parent: Path, name: str) -> Path:
    """`parent / name` for a name made by `new_id` or a catalogue folder name.

    Raises WorkspaceProblem for anything that is not one plain path part, or that leads out through a link.
    """
    plain = bool(name) and all(c.isascii() and (c.isalnum() or c in "-_.") for c in name) and name[0] != "."
    path = parent / name
    if not plain or not path.resolve().is_relative_to(parent.resolve()):
        raise WorkspaceProblem(
            f"There is nothing with the id {name[:80]!r} here.", "", "Look at the list of your models."
        )
    return path
