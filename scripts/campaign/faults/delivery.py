"""Batches that are delivered twice, at once or long after they were stored; a redeployment in mid-stream."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from campaign.faults.kind import Impossible, Kind
from campaign.stage import Stage

WAIT_S = 20.0
DEPLOY_TRIES = 12


@contextlib.contextmanager
def _twice(stage: Stage, draw: random.Random) -> Iterator[str]:
    """Batches on their way are fired again, several times and at once."""
    deadline = time.monotonic() + WAIT_S
    fired: set[str] = set()
    with ThreadPoolExecutor(4) as pool:
        while len(fired) < 3:
            if time.monotonic() > deadline:
                break
            for payload in stage.batches.under_way():
                if payload["batch_id"] not in fired:
                    fired.add(payload["batch_id"])
                    list(pool.map(stage.fire, [payload] * draw.choice((1, 2, 3))))
            time.sleep(0.02)
    if not fired:
        raise Impossible(f"no batch was on its way within {WAIT_S:g} s")
    yield f"{len(fired)} batches"


@contextlib.contextmanager
def _late(stage: Stage, draw: random.Random) -> Iterator[str]:
    """Batches that were stored long ago are fired again."""
    old = stage.batches.seen()
    if not old:
        raise Impossible("no batch was seen so far")
    chosen = draw.sample(old, min(5, len(old)))
    for payload in chosen:
        stage.fire(payload)
    yield f"{len(chosen)} batches"


@contextlib.contextmanager
def _redeploy(stage: Stage, _draw: random.Random) -> Iterator[str]:
    """As an operator does: again when other faults made it fail."""
    for attempt in range(1, DEPLOY_TRIES + 1):
        try:
            stage.deploy()
        except RuntimeError:
            if attempt == DEPLOY_TRIES:
                raise
            time.sleep(5)
        else:
            break
    yield f"at the try number {attempt}"


KINDS = [
    Kind("deliver-twice", (0.0, 0.5), ("delivery",), _twice),
    Kind("deliver-late", (0.0, 0.5), ("delivery",), _late),
    Kind("redeploy", (0.0, 0.5), ("deploy",), _redeploy),
]
