"""What disturbs a burst: others who use up the namespace's budgets, and an Elasticsearch that is away; each takes seconds of the burst."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests

from demonstrate.whisk import Whisk
from lib.local import GUEST_KEY
from workloads.machine import Machine

OTHERS_EVERY_S = 0.05
MINUTE_S = 60
ROOM_S = 20
"""What a minute must have left for others who begin, and half of it for the feed to notice that they have used up its budget."""
TRIES = 3
THROTTLED = "in the last minute"
"""OpenWhisk's words for a budget that is used up."""
BUSY = (0.2, 0.8)
"""Between these shares of the burst the others are busy, or Elasticsearch is away."""
OUTAGE_S = 60.0


def others(machine: Machine, seconds: float) -> None:
    """Someone else in the namespace uses up its fires in one minute and its invocations in the next, again and again.

    Not both in one: a provider whose rules get 429 soon has as many batches in flight as it may, and fires no more.
    """
    whisk = machine.whisk
    with _trigger(whisk, "pressure-others"):
        time.sleep(seconds * BUSY[0])
        until = time.monotonic() + seconds * (BUSY[1] - BUSY[0])
        while True:
            _use_up(lambda: whisk.fire("pressure-others", {}))
            _use_up(lambda: whisk.read_alarm("window-tick"))
            if time.monotonic() >= until:
                return


def _use_up(call: Callable[[], object]) -> None:
    """Calls until a minute ends that had much left when OpenWhisk first said 429; after some minutes it gives up."""
    for _ in range(TRIES):
        if _left() < ROOM_S:
            _next_minute()
        if _throttled(call) >= ROOM_S / 2:
            return


def _throttled(call: Callable[[], object]) -> float:
    """Calls to the end of the minute; the seconds that were left at the first 429."""
    minute, left = time.time() // MINUTE_S, 0.0
    while time.time() // MINUTE_S == minute:
        try:
            call()
        except RuntimeError as error:
            left = left or (_left() if THROTTLED in str(error) else 0.0)
        except requests.RequestException:
            pass  # a busy engine is none of the others' business
        time.sleep(OTHERS_EVERY_S)
    return left


def _left() -> float:
    return MINUTE_S - time.time() % MINUTE_S


def _next_minute() -> None:
    time.sleep(_left() + OTHERS_EVERY_S)


@contextmanager
def _trigger(whisk: Whisk, name: str) -> Iterator[None]:
    address = f"{whisk.api_host}/api/v1/namespaces/_/triggers/{name}"
    user, _, password = GUEST_KEY.partition(":")
    requests.put(address, json={}, params={"overwrite": "true"}, auth=(user, password), timeout=30).raise_for_status()
    try:
        yield
    finally:
        requests.delete(address, auth=(user, password), timeout=30)


def outage(machine: Machine, seconds: float) -> None:
    """Elasticsearch stops in the middle and comes back."""
    time.sleep(seconds * BUSY[0])
    machine.stack("stop", "elasticsearch")
    time.sleep(min(OUTAGE_S, seconds * (BUSY[1] - BUSY[0])))
    machine.stack("start", "elasticsearch")
    machine.pids["elasticsearch"] = int(machine.stack_status("elasticsearch")[0]["pid"])
