"""A pipe's source is not read while there is no place for more, whatever its transport thinks."""

from __future__ import annotations

import asyncio
from typing import cast

from campaign.pipe import HELD_BYTES, Conditions, Pipe


class Transport:
    """As asyncio's of Python 3.11.2: it reads on after a pause asked for while the connection was made, and calls itself paused."""

    def __init__(self) -> None:
        self.reads = False
        self._paused = False

    def connection_is_made(self) -> None:
        """The loop adds its reader."""
        self.reads = True

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return not self._paused

    def pause_reading(self) -> None:
        if not self._paused:
            self._paused, self.reads = True, False

    def resume_reading(self) -> None:
        if self._paused:
            self._paused, self.reads = False, True


def test_a_pause_that_was_forgotten_while_the_connection_was_made_is_asked_for_anew() -> None:
    source = Transport()
    loop = asyncio.new_event_loop()
    try:
        pipe = Pipe(loop, Conditions(delay_s=3600), on_end=lambda: None)
        pipe.source = cast("asyncio.Transport", source)
        pipe.advance()
        source.connection_is_made()
        pipe.feed(bytes(HELD_BYTES))
        assert not source.reads
        pipe.drop()
    finally:
        loop.close()
