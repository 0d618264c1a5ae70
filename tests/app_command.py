"""Runs a command of the app as a person types it, in a process of its own."""

import json
import subprocess
import sys
from typing import Any

from backend.settings import PROJECT_ROOT, Workspace


def command(workspace: Workspace, *arguments: str) -> dict[str, Any]:
    """One command's JSON answer."""
    line = [
        sys.executable,
        "app.py",
        *arguments,
        "--json",
        "--workspace",
        str(workspace.root),
    ]
    done = subprocess.run(
        line, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
