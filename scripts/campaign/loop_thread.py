"""An asyncio loop in a thread of its own, to be told things from other threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

CALL_TIMEOUT_S = 30.0

T = TypeVar("T")


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop where that is installed, else Python's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class LoopThread:
    """Runs a loop until `close`; `call` and `wait_for` must not be used from within the loop's own thread."""

    def __init__(self, name: str, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or new_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> T:
        """The result of a function that is called in the loop's thread."""
        answer: Future[T] = Future()

        def carry_out() -> None:
            try:
                answer.set_result(function())
            except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
                answer.set_exception(error)

        self.loop.call_soon_threadsafe(carry_out)
        return answer.result(timeout=CALL_TIMEOUT_S)

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that runs in the loop's thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=CALL_TIMEOUT_S)

    def close(self) -> None:
        """Cancels what still runs, ends the thread and closes the loop; a second call does nothing."""
        if self.loop.is_closed():
            return
        self.wait_for(_cancel_the_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=CALL_TIMEOUT_S)
        self.loop.close()


async def _cancel_the_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
