"""Where a command takes its examples from: a file, several, or a folder."""

from __future__ import annotations

import argparse

from backend.datasets.read.pack import as_one_file, name_of
from ui.cli.options import asking_for_columns, reading_options
from ui.services.app import App


def imported(app: App, options: argparse.Namespace) -> str:
    """Stores the examples of --data and returns their id."""
    with asking_for_columns(), as_one_file(options.data) as path:
        return app.datasets.add(path, name_of(options.data), reading_options(options))
