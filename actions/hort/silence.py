"""Devices that stop: an alarm `silent` once, and `resumed` once when they return.

A device is silent when it sent nothing during its last N windows. What counts is the progress of the stream and not the
clock alone: while batches wait in a journal, devices are judged by the time up to which everything is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from hort import clock, config
from hort.documents import bulk_line
from hort.pane_store import Transition
from hort.panes import OTHERS, Block, Identity
from hort.presence import Presence, member
from hort.windows import Grid

DEFAULT_SILENT_AFTER = 4
DEFAULT_FORGET_AFTER_S = 86_400
MAX_TRANSITIONS = 10_000
"""Alarms a partition and tick; the others wait for the next tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """When a device is silent (`after` windows, 0: never) and when it is forgotten."""

    after: int = DEFAULT_SILENT_AFTER
    forget_after_ms: int = DEFAULT_FORGET_AFTER_S * 1000


def silence(params: config.Params) -> Silence:
    """The parameters `silent_after` (windows) and `forget_after_s`."""
    return Silence(
        after=config.integer(params, "silent_after", default=DEFAULT_SILENT_AFTER, maximum=100_000),
        forget_after_ms=config.milliseconds(
            params, "forget_after_s", default_s=DEFAULT_FORGET_AFTER_S, minimum_s=60, maximum_s=366 * 86_400
        ),
    )


def cutoff(grid: Grid, progress: int, after: int) -> int:
    """A device without a record since then sent nothing in its last `after` windows, as far as the stream has come."""
    return progress - grid.size_ms - (after - 1) * grid.slide_ms


def newest_by_device(blocks: Iterable[Block]) -> dict[str, dict[bytes, int]]:
    """The newest record (ms) of each device by type."""
    newest: dict[str, dict[bytes, int]] = {}
    for block in blocks:
        mine = newest.setdefault(block.device_type, {})
        for identity, moment in zip(block.identities, block.newest.tolist(), strict=True):
            if identity != OTHERS:
                item = member(identity)
                mine[item] = max(moment, mine.get(item, moment))
    return newest


def returned(
    presence: Presence, partition: int, newest: Mapping[str, Mapping[bytes, int]], *, before: int
) -> list[Transition]:
    """Which silent devices sent something since then; times of the active ones move on."""
    found: list[Transition] = []
    for device_type, times in newest.items():
        quiet = presence.silent(partition, device_type, list(times))
        presence.saw(
            partition, device_type, {item: moment for item, moment in times.items() if item not in quiet}
        )
        found += [
            Transition(device_type=device_type, member=item, newest=times[item], silent=False)
            for item in sorted(quiet)
            if times[item] >= before
        ]
    return found[:MAX_TRANSITIONS]


def fallen(presence: Presence, partition: int, *, before: int, limit: int) -> list[Transition]:
    """Which devices fell silent, the longest silent of each type first."""
    found: list[Transition] = []
    for device_type in presence.types(partition):
        if len(found) >= limit:
            break
        found += [
            Transition(device_type=device_type, member=item, newest=moment, silent=True)
            for item, moment in presence.overdue(partition, device_type, before, limit=limit - len(found))
        ]
    return found


def forget(presence: Presence, partition: int, before: int) -> int:
    """Forgets the devices that sent nothing since then; how many they were."""
    return sum(presence.forget(partition, device_type, before) for device_type in presence.types(partition))


def alarm_lines(transition: Transition, *, window_end: int) -> bytes:
    """The bulk lines of one alarm; its id is fixed by device, kind and newest record."""
    identity: Identity = tuple(orjson.loads(transition.member))
    kind = "silent" if transition.silent else "resumed"
    doc = {
        "@timestamp": clock.iso(window_end),
        "alarm": kind,
        "device_type": transition.device_type,
        "device_id": identity[0],
        "event": identity[1],
        "last_seen": clock.iso(transition.newest),
        "window_end": clock.iso(window_end),
    }
    doc_id = orjson.dumps([kind, transition.device_type, *identity, transition.newest]).decode()
    return bulk_line(doc_id, doc)
