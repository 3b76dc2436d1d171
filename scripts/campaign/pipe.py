"""One direction of a proxied connection: what is read from one socket goes to the other, at once, late, slowly or not at all.

Memory is bounded: when the sink does not take more, or more than `HELD_BYTES` wait to be passed on late, the source is not read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

HELD_BYTES = 256 * 1024
"""Bytes that may wait for their time; one read more (at most 256 KiB) may come on top."""

PIECES_PER_S = 20
SMALLEST_PIECE = 512


@dataclass
class Conditions:
    """What the network is like now; shared by all pipes of a proxy."""

    hung: bool = False
    delay_s: float = 0.0
    bytes_per_s: float | None = None

    @property
    def slow(self) -> bool:
        """Whether bytes have to wait for their time."""
        return self.delay_s > 0 or self.bytes_per_s is not None


class Pipe:
    """Passes bytes and the end of them from `source` to `sink`, in order."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, conditions: Conditions, *, on_end: Callable[[], None]
    ) -> None:
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.passed = 0
        self.ended = False
        """Whether the end has been passed on."""
        self._loop = loop
        self._conditions = conditions
        self._on_end = on_end
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._sink_full = False
        self._source_ended = False

    def feed(self, data: bytes) -> None:
        """Takes bytes of the source."""
        if self._held or self._conditions.slow or self._conditions.hung or self.sink is None:
            self._hold(data)
            self.advance()
        else:
            self._pass(self.sink, data)

    def end(self) -> None:
        """The source has no more to say (its half of the connection is closed)."""
        self._source_ended = True
        self.advance()

    def sink_full(self, full: bool) -> None:  # noqa: FBT001 - it is the transport's own news
        """The sink takes no more for now, or again."""
        self._sink_full = full
        self.advance()

    def conditions_changed(self) -> None:
        """Lets go what waits for its time under earlier conditions."""
        self._held = deque((0.0, data) for _, data in self._held)
        self._free_at = 0.0
        self.advance()

    def advance(self) -> None:
        """Passes on what may pass now, and reads on when there is a place for more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self.sink is not None and not self._conditions.hung:
            self._pass_what_is_due(self.sink)
        self._regulate()

    def drop(self) -> None:
        """Forgets what is held: the connection is gone."""
        self._held.clear()
        self._held_bytes = 0
        if self._timer:
            self._timer.cancel()

    def _hold(self, data: bytes) -> None:
        now = self._loop.time()
        for piece in self._pieces(data):
            start = max(now, self._free_at)
            rate = self._conditions.bytes_per_s
            self._free_at = start + (len(piece) / rate if rate else 0.0)
            self._held.append((self._free_at + self._conditions.delay_s, piece))
        self._held_bytes += len(data)

    def _pieces(self, data: bytes) -> list[bytes]:
        rate = self._conditions.bytes_per_s
        if rate is None:
            return [data]
        size = max(SMALLEST_PIECE, int(rate / PIECES_PER_S))
        return [data[at : at + size] for at in range(0, len(data), size)]

    def _pass_what_is_due(self, sink: asyncio.Transport) -> None:
        now = self._loop.time()
        while self._held and not self._sink_full and self._held[0][0] <= now:
            _, data = self._held.popleft()
            self._held_bytes -= len(data)
            self._pass(sink, data)
        if self._held and not self._sink_full:
            self._timer = self._loop.call_at(self._held[0][0], self.advance)
        if self._source_ended and not self._held and not self.ended:
            self.ended = True
            if not sink.is_closing():
                sink.write_eof()
            self._on_end()

    def _pass(self, sink: asyncio.Transport, data: bytes) -> None:
        self.passed += len(data)
        sink.write(data)

    def _regulate(self) -> None:
        if self.source is None or self._source_ended or self.source.is_closing():
            return
        wanted = (
            self.sink is not None
            and not self._sink_full
            and not self._conditions.hung
            and self._held_bytes < HELD_BYTES
        )
        if wanted:
            if not self.source.is_reading():
                self.source.resume_reading()
            return
        # Asked anew each time: a loop reads on after a pause that is asked for while the connection is being made (asyncio 3.11, which
        # calls itself paused then and hears no second pause, and uvloop).
        if not self.source.is_reading():
            self.source.resume_reading()
        self.source.pause_reading()
