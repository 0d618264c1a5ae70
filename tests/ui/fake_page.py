"""The page over made-up records, for looking at: `python -m tests.ui.fake_page [PORT]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.ui.fake_services import FakeServices
from ui.layout import build, launch_arguments

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 7870
    with tempfile.TemporaryDirectory() as exports:
        build(FakeServices()).launch(server_name="127.0.0.1", server_port=port, **launch_arguments(Path(exports)))
