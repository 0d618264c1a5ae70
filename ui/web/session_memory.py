"""Keeps what gradio remembers of an open page small (gradio 6.31).

- For every page that opens it copies the whole page's configuration, and notes in it what is sent and answered, so
  that a "deep link" can show it again: 75 ms and 0.6 MB each. This page makes no such links, so here nothing is kept.
- For every update of a component, also one that changes nothing, gradio builds the component anew under a new id and
  then stores it under both ids (`Blocks.postprocess_data`): 25 to 65 KB for each answer. Here the new component takes
  the id of the one it replaces.
- After every event it makes a pandas table of the last 10,000 events for a dashboard that the page does not serve.
  Two switches of gradio's own turn that off.
"""

import os
from copy import copy
from typing import Any

from gradio.blocks import Block, Blocks
from gradio.state_holder import SessionState

# That are open or were closed last. Of others gradio forgets which choices a list offers.
PAGES, PAGES_OF_A_DEMO = 100, 500
SWITCHES = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**12)}


def _begin(self: SessionState, blocks: Blocks) -> None:
    self.blocks_config, self.config_values = copy(blocks.default_config), {}
    self.state_data, self._state_ttl, self.is_closed = {}, {}, False


def _set_under_its_id(self: SessionState, key: int, value: Any) -> None:
    if isinstance(value, Block):
        value._id = key
    self.blocks_config.blocks[key] = value


def install() -> None:
    """Takes effect for every page that this process builds after it."""
    os.environ.update(SWITCHES)
    SessionState.__init__ = _begin  # type: ignore[method-assign]
    SessionState.__setitem__ = _set_under_its_id  # type: ignore[method-assign]
    for noting in ("_update_config", "_update_value_in_config"):
        setattr(SessionState, noting, lambda *_: None)
