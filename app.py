"""Apprentice: teach a small language model your way.

python app.py                 opens the page
python app.py COMMAND --help  everything that the page does has a command
"""

import argparse
import sys

from backend.hardware import load_hardware
from backend.settings import Workspace
from ui.cli.main import main
from ui.cli.output import Answer


def serve(options: argparse.Namespace, workspace: Workspace) -> Answer:
    """Opens the page. Here alone the command line meets the page; its other commands
    need no gradio.
    """
    from ui.web.serve import serve as open_page

    simulated = load_hardware(options.hardware) if options.hardware else None
    open_page(workspace, options.host, options.port, not options.no_browser, simulated)
    return Answer({})


if __name__ == "__main__":
    sys.exit(main(serve=serve))
