"""What disturbs a burst: others who use up the namespace's budgets, and an Elasticsearch that is away; each takes seconds of the burst."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import requests

from demonstrate.options import GUEST_KEY
from demonstrate.whisk import Whisk
from workloads.machine import Machine

OTHERS_EVERY_S = 0.1
FIRE_EACH = 3
"""The others fire with every third invocation: first the rules get 429, then the provider does, too."""
BUSY = (0.2, 0.8)
"""Between these shares of the burst the others are busy, or Elasticsearch is away."""
OUTAGE_S = 60.0


def others(machine: Machine, seconds: float) -> None:
    """Someone else in the namespace fires and invokes until OpenWhisk says 429, again and again."""
    whisk = machine.whisk
    with _trigger(whisk, "pressure-others"):
        time.sleep(seconds * BUSY[0])
        until, number = time.monotonic() + seconds * (BUSY[1] - BUSY[0]), 0
        while time.monotonic() < until:
            number += 1
            with suppress(RuntimeError, requests.RequestException):  # 429 is what this is for
                whisk.invoke("hort/echo-model")
            with suppress(RuntimeError, requests.RequestException):
                if number % FIRE_EACH == 0:
                    whisk.fire("pressure-others", {})
            time.sleep(OTHERS_EVERY_S)


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
