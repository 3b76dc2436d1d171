"""Processes that die, stand still, or are restarted."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Iterator

import requests

from campaign.faults.kind import Impossible, Inject, Kind
from campaign.parts import signalled
from campaign.stage import Stage

PARTS = ("broker", "redis", "elasticsearch", "provider", "engine")
DOWN_S = (0.5, 6.0)
PAUSED_S = (1.0, 7.0)
HAND_OVER_S = (13.0, 18.0)
"""Longer than a provider's lease, so that another one takes over before it goes on."""


def _kill(name: str) -> Inject:
    @contextlib.contextmanager
    def inject(stage: Stage, _draw: random.Random) -> Iterator[str]:
        part = stage.parts[_serving(stage) if name == "provider" else name]
        part.kill()
        if name == "broker":
            stage.broker_deaths.append(time.time())
        try:
            yield part.name
        finally:
            part.start()

    return inject


def _pause(name: str) -> Inject:
    @contextlib.contextmanager
    def inject(stage: Stage, _draw: random.Random) -> Iterator[str]:
        part = stage.parts[_serving(stage) if name == "provider" else name]
        with part.paused():
            yield part.name

    return inject


def _restart(name: str) -> Inject:
    @contextlib.contextmanager
    def inject(stage: Stage, _draw: random.Random) -> Iterator[str]:
        part = stage.parts[_serving(stage) if name == "provider" else name]
        part.end()
        try:
            yield part.name
        finally:
            part.start()

    return inject


@contextlib.contextmanager
def _hand_over(stage: Stage, _draw: random.Random) -> Iterator[str]:
    """The serving provider stands still until the other has its lease, then wakes up and believes that it still serves."""
    name = _serving(stage)
    with stage.parts[name].paused():
        yield name


def _serving(stage: Stage) -> str:
    """The provider that holds the feed; the first one where that cannot be told."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for name, url in stage.provider_urls.items():
            with contextlib.suppress(requests.RequestException, ValueError):
                if requests.get(f"{url}/health", timeout=2).json().get("serving"):
                    return name
        time.sleep(0.2)
    return "provider"


@contextlib.contextmanager
def _kill_actions(stage: Stage, draw: random.Random) -> Iterator[str]:
    """Some of the action processes."""
    chosen = _some(stage, draw)
    yield f"{signalled(chosen, signal.SIGKILL)} processes"


@contextlib.contextmanager
def _pause_actions(stage: Stage, draw: random.Random) -> Iterator[str]:
    chosen = _some(stage, draw)
    done = signalled(chosen, signal.SIGSTOP)
    try:
        yield f"{done} processes"
    finally:
        signalled(chosen, signal.SIGCONT)


def _some(stage: Stage, draw: random.Random) -> list[int]:
    pids = sorted(stage.actions())
    if not pids:
        raise Impossible("no action process runs")
    return draw.sample(pids, max(1, len(pids) // 2))


KINDS = [
    *(Kind(f"kill-{name}", DOWN_S, (name,), _kill(name)) for name in PARTS),
    *(Kind(f"pause-{name}", PAUSED_S, (name,), _pause(name)) for name in PARTS),
    *(Kind(f"restart-{name}", DOWN_S, (name,), _restart(name)) for name in PARTS),
    Kind("hand-over", HAND_OVER_S, ("provider",), _hand_over),
    Kind("kill-action", (0.0, 0.5), ("actions",), _kill_actions),
    Kind("pause-action", PAUSED_S, ("actions",), _pause_actions),
]
