"""State in SQLite: one writer thread that groups what waits into a transaction, reads beside it.

WAL mode: what was committed survives kill -9 of the engine; batches with entities in them are also
synced to the disk, so that they survive a loss of power.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localwhisk.errors import NotKept

log = logging.getLogger("localwhisk.store")

FILE_NAME = "localwhisk.sqlite"
SCHEMA_VERSION = 1
MAX_BATCH = 512
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entities (doc TEXT PRIMARY KEY, collection TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS code_pieces (
    doc TEXT NOT NULL, piece INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (doc, piece)
);
CREATE TABLE IF NOT EXISTS running (id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (collection, key)
);
CREATE TABLE IF NOT EXISTS activations (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL, filter TEXT NOT NULL,
    name TEXT NOT NULL, subject TEXT NOT NULL, version TEXT NOT NULL, cause TEXT, start INTEGER NOT NULL,
    "end" INTEGER, duration INTEGER, code INTEGER NOT NULL, bytes INTEGER NOT NULL,
    annotations BLOB NOT NULL, logs BLOB NOT NULL, response BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS activations_time ON activations (namespace, start, seq);
CREATE INDEX IF NOT EXISTS activations_name ON activations (namespace, filter, start, seq);
CREATE INDEX IF NOT EXISTS activations_bytes ON activations (bytes);
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with its values; with `many` it runs once for each of its rows, made one at a time."""

    sql: str
    values: Sequence[Any] = ()
    many: Callable[[], Iterator[Sequence[Any]]] | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        """Execute it."""
        if self.many is None:
            connection.execute(self.sql, self.values)
        else:
            connection.executemany(self.sql, self.many())


@dataclass(frozen=True, slots=True)
class _Job:
    statements: Sequence[Statement]
    done: asyncio.Future[None] | None
    synced: bool


class Store:
    """The database file of one engine.

    `submit` queues statements in order; the queue is bounded in effect, as every invocation adds one job
    and waits for its second. Reads run in the caller's thread.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self._reader = self._connect()
        self._reader.executescript(_SCHEMA)
        self._take_over()
        self._check_version()
        self._reader.commit()
        self._read_lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the writer; call in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_forever, name="localwhisk-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is queued and close the file."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None
        self._reader.close()

    async def write(self, *statements: Statement, synced: bool = False) -> None:
        """Run the statements in one transaction; returns when they are durable, raises NotKept."""
        assert self._loop is not None, "start() first"  # noqa: S101  # a mistake of the program, not of a user
        done: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put(_Job(statements, done, synced))
        await done

    def submit(self, *statements: Statement) -> None:
        """Queue the statements and do not wait."""
        self._jobs.put(_Job(statements, None, synced=False))

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        with self._read_lock:
            return self._reader.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> Any | None:
        """First row of a query, None for none."""
        with self._read_lock:
            return self._reader.execute(sql, values).fetchone()

    def _check_version(self) -> None:
        found = self._reader.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, SCHEMA_VERSION):
            message = f"{self.path} has schema version {found}, this engine reads {SCHEMA_VERSION}"
            raise ValueError(message)
        self._reader.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _take_over(self) -> None:
        """Move code that an earlier engine kept in one piece."""
        if self._reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'code'").fetchone():
            self._reader.executescript(
                "BEGIN; INSERT INTO code_pieces SELECT doc, 0, code FROM code; DROP TABLE code; COMMIT;"
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 10000")
        return connection

    def _write_forever(self) -> None:
        with contextlib.closing(self._connect()) as connection:
            while self._write_batch(connection):
                pass

    def _write_batch(self, connection: sqlite3.Connection) -> bool:
        """Write what waits; false after the end mark. Nothing written stays in a variable: it may be large."""
        batch, more = self._batch()
        failure = _commit(connection, batch)
        if failure is None or len(batch) <= 1:
            self._report(batch, failure)
            return more
        for job in batch:  # one bad write must not take its neighbours with it
            self._report([job], _commit(connection, [job]))
        return more

    def _batch(self) -> tuple[list[_Job], bool]:
        """All jobs waiting, at most MAX_BATCH, and whether there will be more."""
        batch: list[_Job] = []
        while len(batch) < MAX_BATCH and not (batch and self._jobs.empty()):
            job = self._jobs.get()
            if job is None:
                return batch, False
            batch.append(job)
        return batch, True

    def _report(self, batch: Sequence[_Job], failure: NotKept | None) -> None:
        waiting = [job.done for job in batch if job.done is not None]
        if waiting and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_settle, waiting, failure)


def _commit(connection: sqlite3.Connection, batch: Sequence[_Job]) -> NotKept | None:
    synced = any(job.synced for job in batch)
    try:
        if synced:
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            for statement in job.statements:
                statement.run(connection)
        connection.execute("COMMIT")
    except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:  # also what SQLite cannot hold
        log.error("a batch of %d writes failed: %s", len(batch), error)
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        full = isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_FULL
        return NotKept(str(error), full=full)
    finally:
        if synced:
            connection.execute("PRAGMA synchronous = NORMAL")
    return None


def _settle(waiting: Sequence[asyncio.Future[None]], failure: NotKept | None) -> None:
    for future in waiting:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
