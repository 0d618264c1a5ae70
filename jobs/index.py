"""The index: an SQLite file that orders the queue and lets one job a lane be active.

It holds nothing that the folders don't: it is rebuilt from them when it is missing, damaged or of another
version. Every use is one transaction under the workspace's lock, so that several copies of the app share it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from filelock import FileLock, Timeout

from backend.errors import RunProblem, WorkspaceProblem
from backend.settings import Workspace
from jobs.records import State
from jobs.registry import LANES, Lane

log = logging.getLogger(__name__)

VERSION = 2


def _names(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


_SCHEMA = f"""
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    lane TEXT NOT NULL CHECK (lane IN ({_names(LANES)})),
    state TEXT NOT NULL CHECK (state IN ({_names(s.value for s in State)})),
    position INTEGER NOT NULL
);
CREATE UNIQUE INDEX one_active_job_a_lane ON jobs (lane) WHERE state IN ('starting', 'running', 'stopping');
PRAGMA user_version = {VERSION};
"""


class Busy(RunProblem):
    """Another copy of the app holds the index."""


class Row(NamedTuple):
    id: str
    lane: Lane
    state: State


class Table:
    """The rows, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, row: Row) -> bool:
        """Put a job at the end of the queue. False if it is here, or its lane is taken and it is active."""
        return self._changes(
            "INSERT OR IGNORE INTO jobs SELECT ?, ?, ?, coalesce(max(position), 0) + 1 FROM jobs",
            (row.id, row.lane, row.state.value),
        )

    def move(self, job_id: str, before: Iterable[State], after: State) -> bool:
        """Compare and set: False if its state is none of `before`, or its lane is taken and `after` is active."""
        states = [state.value for state in before]
        marks = ", ".join("?" * len(states))
        return self._changes(
            f"UPDATE OR IGNORE jobs SET state = ? WHERE id = ? AND state IN ({marks})",  # noqa: S608
            (after.value, job_id, *states),
        )

    def requeue(self, job_id: str) -> bool:
        """Put an ended job at the end of the queue again."""
        return self._changes(
            "UPDATE jobs SET state = 'queued', position = (SELECT max(position) + 1 FROM jobs) "
            "WHERE id = ? AND state NOT IN ('queued', 'starting', 'running', 'stopping')",
            (job_id,),
        )

    def remove(self, job_id: str) -> None:
        self._changes("DELETE FROM jobs WHERE id = ?", (job_id,))

    def active(self) -> list[Row]:
        return self._rows("WHERE state IN ('starting', 'running', 'stopping')")

    def queued(self, lane: Lane) -> list[Row]:
        return self._rows("WHERE state = 'queued' AND lane = ?", lane)

    def _rows(self, where: str, *values: str) -> list[Row]:
        rows = self._connection.execute(f"SELECT id, lane, state FROM jobs {where} ORDER BY position", values)  # noqa: S608
        return [Row(job_id, lane, State(state)) for job_id, lane, state in rows]

    def _changes(self, statement: str, values: tuple[str, ...]) -> bool:
        return self._connection.execute(statement, values).rowcount > 0


class Index:
    """`rows` gives what the folders hold, oldest in the queue first; it is asked at every rebuilding."""

    def __init__(self, workspace: Workspace, rows: Callable[[], Iterable[Row]]) -> None:
        self._path = workspace.root / "index.sqlite"
        self._lock = FileLock(workspace.root / "index.lock")
        self._rows = rows

    @contextmanager
    def transaction(self, timeout: float = 20.0) -> Iterator[Table]:
        """The table of a sound index, locked; what was changed is kept if the block ends without an error.

        Raises Busy when another copy of the app keeps it locked for `timeout` seconds, WorkspaceProblem
        when it can't be read or written.
        """
        try:
            self._lock.acquire(timeout=timeout)
        except Timeout:
            raise Busy(
                "Another copy of Apprentice is busy with the list of runs.", "", "Try again in a moment."
            ) from None
        try:
            with closing(self._open()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield Table(connection)
                connection.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            log.warning("the index or a run's folder failed: %r", error)
            raise WorkspaceProblem(
                "The workspace can't be written.", f"The system says: {error}.", "Check its disk, then try again."
            ) from error
        finally:
            self._lock.release()

    def rebuild(self) -> None:
        """Make it anew from the folders. Raises as `transaction` does."""
        with self.transaction() as table:
            table._connection.execute("DELETE FROM jobs")
            self._fill(table)

    def _fill(self, table: Table) -> None:
        for row in self._rows():
            if not table.add(row):
                log.warning("two jobs are active in one lane; %s is left alone", row.id)

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            log.warning("the index is damaged and is made anew: %s", error)
            for ending in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == VERSION:
                connection.execute("SELECT id, lane, state, position FROM jobs LIMIT 0")
            else:
                self._create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.executescript(f"BEGIN IMMEDIATE; DROP TABLE IF EXISTS jobs; {_SCHEMA}")
        self._fill(Table(connection))
        connection.execute("COMMIT")
