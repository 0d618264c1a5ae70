"""The parent's side of the chat process: starts it, exchanges messages over two pipes,
ends it. The process ends by itself when its parent does, because its stdin then ends.
"""

import json
import logging
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any

from backend.child_process import start
from backend.errors import ChatFailed
from backend.settings import HOME_VARIABLE, Workspace

log = logging.getLogger(__name__)


class ChatChild:
    """The child process and its two pipes."""

    def __init__(self, workspace: Workspace, log_file: Path) -> None:
        environment = {
            HOME_VARIABLE: str(workspace.root),
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "TOKENIZERS_PARALLELISM": "false",
        }
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("wb") as chat_log:
            self._child = start(
                ["-m", "backend.chat.server"],
                environment,
                stdout=subprocess.PIPE,
                stderr=chat_log,
            )
        self._writing = threading.Lock()
        self._replies: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def send(self, message: dict[str, Any]) -> None:
        assert self._child.stdin is not None
        try:
            with self._writing:
                self._child.stdin.write(json.dumps(message).encode() + b"\n")
                self._child.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._gone() from error

    def receive(self, timeout: float | None = None) -> dict[str, Any]:
        """The next reply. Raises ChatFailed when the child has ended, queue.Empty after
        `timeout` seconds.
        """
        message = self._replies.get(timeout=timeout)
        if message is None:
            raise self._gone()
        return message

    def end(self) -> None:
        """Close its stdin, which ends it; kill it if it is still alive after five
        seconds.
        """
        assert self._child.stdin is not None
        try:
            self._child.stdin.close()
        except OSError:
            log.debug("the chat process has closed its stdin already")
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(5)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait(5)

    def _read(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as lines:
            for line in lines:
                self._replies.put(json.loads(line))
        self._replies.put(None)

    def _gone(self) -> ChatFailed:
        code = self._child.wait(5)
        log.warning("the chat process ended with %s", code)
        self._replies.put(None)  # for the next call of `receive`
        return ChatFailed(
            "The model stopped working.",
            "Its process ended while loading or answering, most likely because memory ran out.",
            "Ask again to restart it. Close other programs to free memory.",
        )
