"""The page over made-up records, for looking at: `python -m tests.ui.fake_page [PORT]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.ui.fake_services import FakeServices
from ui.web.page import build, launch_arguments


def serve(services: FakeServices, port: int) -> None:
    """Until Ctrl-C."""
    with tempfile.TemporaryDirectory() as exports:
        build(services).launch(server_name="127.0.0.1", server_port=port, **launch_arguments(Path(exports)))


if __name__ == "__main__":
    serve(FakeServices(), int(sys.argv[1]) if len(sys.argv) > 1 else 7870)
