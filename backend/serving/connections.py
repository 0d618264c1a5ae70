"""Connections of the endpoint: few at a time, and none that only waits. uvicorn limits
neither.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

MOST = 128
_BUSY = object()
PATIENCE = (
    10.0  # seconds until the head of a request must have arrived, and then its body
)


class Impatient(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """uvicorn's protocol, which also closes connections without a whole head of a
    request, and those beyond MOST.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.close()
        else:
            self._look_later(transport)

    def _look_later(self, transport: Any) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        asyncio.get_running_loop().call_later(
            PATIENCE, self._look, transport, self.cycle if idle else _BUSY
        )

    def _look(self, transport: Any, before: Any) -> None:
        """before: the last request that was answered before the last look."""
        if self.cycle is before and not transport.is_closing():
            transport.close()  # no other one has begun since then
        elif not transport.is_closing():
            self._look_later(transport)
