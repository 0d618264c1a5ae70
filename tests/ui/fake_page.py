"""The page over a made-up workspace, to look at: `python -m tests.ui.fake_page [PORT]
[--new]`.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from unittest.mock import patch

from backend.models import catalogue
from tests.backend import keyring_in_file
from tests.ui import made_up_workspace
from tests.ui.made_up_app import MadeUpApp, MadeUpChat
from ui.services.data import samples
from ui.web.launch import launch_arguments
from ui.web.page import build

MODELS = ("SmolLM2 135M", "Llama 3.2 1B", "Llama 3.2 3B", "Llama 3.1 8B", "Gemma 2 9B")


class NewcomersApp(MadeUpApp):
    """As a person meets it who has neither examples nor models: `--new`."""

    def __init__(self, template: Path, root: Path) -> None:
        super().__init__(template, root)
        for folder in (*root.glob("runs/*"), *root.glob("datasets/*")):
            shutil.rmtree(folder)


def serve(apps: Mapping[int, Callable[[Path, Path], MadeUpApp]]) -> None:
    """Serves a page at each port, over the app that is made of a workspace, in another
    folder, until Ctrl-C.
    """
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        os.environ |= {
            "PYTHON_KEYRING_BACKEND": f"{keyring_in_file.__name__}.Keyring", keyring_in_file.FILE: f"{folder}/keyring"
        }  # fmt: skip
        MadeUpChat.pause, MadeUpApp.seconds = 0.05, 1.5
        made_up_workspace.write(template)
        faulty = [
            replace(sample, path=template / "orders.jsonl")
            for sample in samples.SAMPLES
        ]
        few = tuple(
            entry for entry in catalogue.entries() if entry.name in MODELS
        )  # comparing all takes seconds
        with (
            patch.object(samples, "SAMPLES", faulty),
            patch.object(catalogue, "entries", lambda: few),
        ):
            for port, make in apps.items():
                app = make(template, root := Path(folder, str(port)))
                app.start()
                page = build(app)
                arguments = {
                    **launch_arguments(root / "exports", page.sent_signature),
                    "prevent_thread_lock": True,
                }
                page.blocks.launch(
                    server_name="127.0.0.1", server_port=port, **arguments
                )
            Event().wait()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 7870
    serve({port: NewcomersApp if "--new" in sys.argv else MadeUpApp})
