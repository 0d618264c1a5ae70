"""Keeps what gradio remembers of an open page small (gradio 6.31).

- For every page that opens it copies the whole page's configuration, and notes in it
  what is sent and answered, so that a "deep link" can show it again: 75 ms and 0.6 MB
  each. This page makes no such links, so here nothing is kept.
- For every update of a component that `errors.Blocks` leaves to it, gradio builds the
  component anew under a new id and then stores it under both ids
  (`Blocks.postprocess_data`): 25 to 65 KB for each answer. Here the new component takes
  the id of the one it replaces.
- It holds back what a session has not read yet, of 2,000 sessions and without a limit
  for each, and forgets the oldest session, whosever it is: its answers are lost, and if
  an event of it waits, gradio's queue ends for all. Here a visitor who opens very many
  loses their own.
- After every event it makes a pandas table of the last 10,000 events for a dashboard
  that the page does not serve. Two switches of gradio's own turn that off.
"""

import os
from asyncio import Queue
from collections import Counter
from copy import copy
from typing import Any

from gradio.blocks import Block, Blocks
from gradio.state_holder import SessionState

# That are open or were closed last. Of others gradio forgets which choices a list
# offers.
PAGES, PAGES_OF_A_DEMO = 100, 500
_SESSIONS, _OF_ONE = 2000, 60  # whose answers are held back, of all and of one visitor
_MESSAGES = 4  # of an event at most, as a rule: its place in the queue, that it begins, and the answer
SWITCHES = {
    "GRADIO_ANALYTICS_MAX_EVENTS": "1",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**12),
}


class Unread(dict[str, Queue[Any]]):
    """By session the messages that its page has not read yet. events: by session, what
    gradio notes besides.
    """

    def __init__(self, events: dict[str, set[str]]) -> None:
        super().__init__()
        self._events = events

    def __missing__(self, session: str) -> Queue[Any]:
        return Queue()  # which nobody reads

    def __setitem__(self, session: str, messages: Queue[Any]) -> None:
        if session not in self:
            crowd, most = Counter(map(_visitor, (*self, session))).most_common(1)[0]
            if most > _OF_ONE or len(self) >= _SESSIONS:
                del self[next(other for other in self if _visitor(other) == crowd)]
        super().__setitem__(session, messages)

    def __delitem__(self, session: str) -> None:
        self.pop(
            session, None
        )  # of two streams of one session that end, the second one deletes it again
        self._events.pop(session, None)


def joined(session: str, visitor: str) -> str:
    """The session as the gate of a demo passes it on. visitor: hexadecimal."""
    return f"{session}-{visitor}"


def _visitor(session: str) -> str:
    """To whom a session was `joined`; at home, the session itself."""
    return session.rpartition("-")[2]


class QueuedEvents:
    """The gate's view of the queue of a page."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    def has(self, session: str, event: str) -> bool:
        """Whether this event of this session is not answered yet."""
        return event in self._blocks._queue.pending_event_ids_session.get(session, ())

    def knows(self, session: str) -> bool:
        """Whether this session has sent an event whose answers it may wait for."""
        return session in self._blocks._queue.pending_messages_per_session

    def takes(self, listener: int, inputs: int) -> bool:
        """Whether the page has this listener, and so many inputs for it."""
        found = self._blocks.fns.get(listener)
        return (
            found is not None and found.fn is not None and len(found.inputs) == inputs
        )

    def needs_password(self) -> bool:
        """Whether who has none gets another page."""
        return self._blocks.auth is not None

    def sessions(self) -> list[str]:
        """The session of each event that waits, is being answered, or whose answer
        nobody has read.
        """
        queue = self._blocks._queue
        asked = [
            event.session_hash for event in list(queue.event_ids_to_events.values())
        ]
        unread = list(queue.pending_messages_per_session.items())
        return asked + [
            session
            for session, messages in unread
            for _ in range(messages.qsize() // _MESSAGES)
        ]

    def begun(self) -> list[tuple[str, float]]:
        """Whose events are not answered yet, and when they were put into the queue, by
        the monotonic clock.
        """
        events = list(self._blocks._queue.event_ids_to_events.values())
        return [(_visitor(event.session_hash), event.enqueue_time) for event in events]

    def forget_unread(self, visitor: str) -> None:
        """Forgets the sessions of a visitor whose events have ended and whose answers
        nobody has read: where a connection broke while it was slow, gradio would hold
        them back forever.
        """
        queue = self._blocks._queue
        under_way = {
            event.session_hash for event in list(queue.event_ids_to_events.values())
        }
        for session, messages in list(queue.pending_messages_per_session.items()):
            if (
                _visitor(session) == visitor
                and session not in under_way
                and messages.qsize() >= _MESSAGES
            ):
                del queue.pending_messages_per_session[session]


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
