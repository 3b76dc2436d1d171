"""How much memory a close takes: it died at its limit of 256 MB each tick once 20,000 devices sent within one window."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import redis

from hort import keys, panes
from hort.batch import Reference
from hort.pane_store import Addition, PaneKey
from hort.panes import Block, Stats
from tests.support.paths import ROOT
from tests.support.services import environment
from tests.support.windows import START, World

DEVICES = 20_000
FIELDS = 8
PANES = 3
BATCH = 5_000
PEAK_BYTES = 110_000_000
"""What a close takes beside the interpreter and its libraries; hardly more for 200,000 devices."""


def fill(world: World) -> None:
    """Each device sends once a pane."""
    for pane in range(PANES):
        key = PaneKey(partition=0, start=START + pane * 15_000, length=15_000)
        for first in range(0, DEVICES, BATCH):
            reference = Reference(f"aaaa-0-{pane}-{first}", keys.journal(0, "aaaa"))
            world.journal.put(reference, b"", trigger="/_/t", count=BATCH, now=key.start)
            addition = Addition(pane=key, blob=panes.pack([block(first, key.start)]), ttl_ms=3_600_000)
            world.panes.add(reference, [addition], late=b"", now=key.start)
            world.journal.ack(reference)


def block(first: int, at: int) -> Block:
    return Block(
        device_type="bike",
        identities=[(f"device-{number:07d}", "status") for number in range(first, first + BATCH)],
        fields=[f"field_{number}" for number in range(FIELDS)],
        count=np.ones(BATCH, np.int64),
        newest=np.full(BATCH, at, np.int64),
        row=np.repeat(np.arange(BATCH), FIELDS),
        column=np.tile(np.arange(FIELDS), BATCH),
        stats=Stats.of_values(np.random.default_rng(first).random(BATCH * FIELDS)),
    )


def close(world: World, at: int) -> None:
    world.clock.now = START + at
    answer = world.close()
    assert answer["documents"] == DEVICES + 1
    world.journal.drop(answer["journal"])


def test_memory_of_a_close_is_bounded(redis_client: redis.Redis, redis_url: str) -> None:
    world = World.in_redis(redis_client)
    fill(world)
    for at in (15_000, 30_000):
        close(world, at)
    path = os.pathsep.join(str(ROOT / part) for part in (".", "actions", "scripts"))
    done = subprocess.run([sys.executable, "-m", __spec__.name, redis_url], env=environment(PYTHONPATH=path), stdout=subprocess.PIPE, timeout=300, check=True)
    assert 0 < int(done.stdout) < PEAK_BYTES


def resident(name: str) -> int:
    """Bytes of this process: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) * 1024


if __name__ == "__main__":
    with redis.Redis.from_url(sys.argv[1]) as client:
        client.ping()
        before = resident("VmRSS")
        close(World.in_redis(client), 45_000)  # the first that merges all panes
        sys.stdout.write(str(resident("VmHWM") - before))
