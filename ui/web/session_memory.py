"""Keeps what gradio remembers of an open page from growing (gradio 6.31).

- For every update of a component, also one that changes nothing, gradio builds the component anew under a new id and
  then stores it under both ids (`Blocks.postprocess_data`): 25 to 65 KB for each answer. Here the new component takes
  the id of the one it replaces.
- After every event it makes a pandas table of the last 10,000 events for a dashboard that the page does not serve.
  Two switches of gradio's own turn that off.
"""

import os
from typing import Any

from gradio.blocks import Block
from gradio.state_holder import SessionState

# That are open or were closed last; gradio keeps about 1 MB for each. Others wait 0.1 seconds more per event.
PAGES, PAGES_OF_A_DEMO = 100, 500
SWITCHES = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**12)}
_set = SessionState.__setitem__


def _set_under_its_id(self: SessionState, key: int, value: Any) -> None:
    if isinstance(value, Block):
        value._id = key
    _set(self, key, value)


def install() -> None:
    """Takes effect for every page that this process builds after it."""
    os.environ.update(SWITCHES)
    SessionState.__setitem__ = _set_under_its_id  # type: ignore[method-assign]
