"""Connections to the provider's API: each request comes within a time limit, and slow clients keep no others out.

Where all places are taken, the connection that has let the provider wait longest goes; one whose whole request is at work never does.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MOST = 256
"""Open at once."""
SHARE = 4
"""Of the files that the process may have open a quarter: the rest is for brokers, Redis and OpenWhisk."""
REQUEST_S = 15.0
"""From the connection, or the answer before, to the last byte of a request: 1 MB at most."""
ANSWER_S = 120.0
"""From there to the last byte of the answer: longer than a broker, Redis and OpenWhisk are waited for."""


def room() -> int:
    """How many connections there may be."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if files == resource.RLIM_INFINITY else max(1, min(files // SHARE, MOST))


class Places:
    """The places of one server; connections that wait for their client stand in the order in which they began to."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}

    def take(self, connection: Connection) -> None:
        """A new connection; it is the one to go where the requests of all others are at work."""
        self._open.add(connection)
        self._waiting[connection] = None
        if len(self._open) > self._most:
            slowest = next(iter(self._waiting))
            self.leave(slowest)
            slowest.abort()

    def turn(self, connection: Connection, *, client: bool) -> None:
        """Whose turn it is: the client's, or the provider's."""
        self._waiting.pop(connection, None)
        if client and connection in self._open:
            self._waiting[connection] = None

    def leave(self, connection: Connection) -> None:
        """A connection that ended."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)


class Connection(H11Protocol):
    """One of uvicorn's with a place and a time limit."""

    def __init__(self, *arguments: Any, places: Places, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._places = places
        self._limit: asyncio.TimerHandle | None = None
        self._at_work = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for a request."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._within(REQUEST_S)
        self._places.take(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives its place to others."""
        self._within(None)
        self._places.leave(self)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Takes what came; a whole request is the provider's turn."""
        super().handle_events()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not (cycle.more_body or cycle.response_complete or self._at_work):
            self._at_work = True
            self._places.turn(self, client=False)
            self._within(ANSWER_S)

    def on_response_complete(self) -> None:
        """Waits for the next request, or for the client to take the answer."""
        self._at_work = False
        self._places.turn(self, client=True)
        self._within(REQUEST_S)
        super().on_response_complete()

    def abort(self) -> None:
        """Ends at once, whatever was not sent."""
        self._within(None)
        self.transport.abort()

    def _within(self, seconds: float | None) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = None if seconds is None else self.loop.call_later(seconds, self.abort)
