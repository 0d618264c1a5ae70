"""The pages over made-up workspaces that tests look at, in one process: HOLD and the
ports are its arguments.
"""

import sys
from functools import partial
from pathlib import Path

from tests.browser.held_page import HeldApp
from tests.browser.injected_page import InjectedApp
from tests.ui.fake_page import NewcomersApp, serve
from tests.ui.made_up_app import MadeUpApp

if __name__ == "__main__":
    hold, *ports = sys.argv[1:]
    serve(
        dict(
            zip(
                map(int, ports),
                (MadeUpApp, NewcomersApp, partial(HeldApp, Path(hold)), InjectedApp),
                strict=True,
            )
        )
    )
