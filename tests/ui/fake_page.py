"""The page over invented records, to look at: `python -m tests.ui.fake_page [PORT]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.ui.fake_services import FakeApp
from ui.web.launch import launch_arguments
from ui.web.page import build


def serve(app: FakeApp, port: int) -> None:
    """Serves the page until Ctrl-C."""
    with tempfile.TemporaryDirectory() as exports:
        build(app).launch(server_name="127.0.0.1", server_port=port, **launch_arguments(Path(exports)))


if __name__ == "__main__":
    serve(FakeApp(), int(sys.argv[1]) if len(sys.argv) > 1 else 7870)
