"""The join: each key's last closed window, kept in Redis as JSON for the records that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hort import keys, store
from hort.analytics_keys import device_key, type_key

CHUNK = 1_000
"""Keys a command: Redis serves others in between."""
Lookup = tuple[list[bytes | None], dict[str, bytes | None]]


def lookup(client: store.Client, partition: int, devices: Sequence[Sequence[str]]) -> Lookup:
    """The last closed windows of (device type, id, event) keys and of their device types, in one round trip.

    The first of the two has one JSON document a key, the second one a device type; None before the first window.
    """
    types = list(dict.fromkeys(device[0] for device in devices))
    names = [keys.last(partition, device_key(*device)) for device in devices]
    names += [keys.last(partition, type_key(device_type)) for device_type in types]
    values: list[bytes | None] = []
    pipeline = client.pipeline(transaction=False)
    for first in range(0, len(names), CHUNK):
        pipeline.mget(names[first : first + CHUNK])
    for part in pipeline.execute():
        values += part
    return values[: len(devices)], dict(zip(types, values[len(devices) :], strict=True))


def remember(client: store.Client, partition: int, documents: Mapping[bytes, bytes], *, ttl_s: int) -> None:
    """Keeps the documents by key id for the join, each for that long."""
    items = list(documents.items())
    for first in range(0, len(items), CHUNK):
        pipeline = client.pipeline(transaction=False)
        for key_id, body in items[first : first + CHUNK]:
            pipeline.set(keys.last(partition, key_id.decode()), body, ex=ttl_s)
        pipeline.execute()
