"""The join: each key's last closed window, kept in Redis as JSON for the records that follow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hort import keys, store
from hort.analytics_keys import device_key, type_key
from hort.errors import BatchTooLarge

CHUNK = 500
"""Keys a command: Redis serves others in between."""
JOINED_BYTES = 48_000_000
"""What the last windows of a batch's devices may take in `score`."""
Lookup = tuple[list[bytes | None], dict[str, bytes | None]]


def lookup(
    client: store.Client, partition: int, devices: Sequence[Sequence[str]], *, most_bytes: float = math.inf
) -> Lookup:
    """The last closed windows of (device type, id, event) keys and of their device types.

    The first of the two has one JSON document a key, the second one a device type; None before the first window.
    BatchTooLarge where they are more than `most_bytes`.
    """
    types = list(dict.fromkeys(device[0] for device in devices))
    names = [keys.last(partition, device_key(*device)) for device in devices]
    names += [keys.last(partition, type_key(device_type)) for device_type in types]
    values: list[bytes | None] = []
    for first in range(0, len(names), CHUNK):
        found: Any = client.mget(names[first : first + CHUNK])
        most_bytes -= sum(map(len, filter(None, found)))
        if most_bytes < 0:
            raise BatchTooLarge("the last windows of the batch's devices are more than may be held at once")
        values += found
    return values[: len(devices)], dict(zip(types, values[len(devices) :], strict=True))


def remember(client: store.Client, partition: int, documents: Mapping[bytes, bytes], *, ttl_s: int) -> None:
    """Keeps the documents by key id for the join, each for that long."""
    items = list(documents.items())
    for first in range(0, len(items), CHUNK):
        pipeline = client.pipeline(transaction=False)
        for key_id, body in items[first : first + CHUNK]:
            pipeline.set(keys.last(partition, key_id.decode()), body, ex=ttl_s)
        pipeline.execute()
