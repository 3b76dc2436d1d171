"""A batch's records as `ingest` staged them, cut into the pieces that models and results need without decoding them.

A staged document is `{"record_id":..,"batch_id":..,"device_type":..,"device_id":..,"event":..,"topic":..,"@timestamp":..,
"received_at":..,"data":{..}}` in this order. Inside a JSON text a quote is always escaped, so the first `,"data":` is the key.
"""

from __future__ import annotations

import copy
import sys
from array import array
from collections.abc import Iterator, Mapping

import orjson

from hort.errors import BatchError

Key = tuple[str, str, str]
"""Device type, device id, event."""

_ID_AT = len(b'{"record_id":')
_BATCH = b',"batch_id":'
_TYPE = b',"device_type":'
_TIME = b',"@timestamp":'
_RECEIVED = b',"received_at":'
_DATA = b',"data":'
_AROUND = len(b'{"device_data":,"record":},"analytics":,"type_analytics":}')


class Records:
    """The records of one batch, by position; `keys[key_index[i]]` is the key of record i."""

    def __init__(self, events: bytes, keys: bytes, key_index: bytes) -> None:
        self.keys: list[Key] = [(str(key[0]), str(key[1]), str(key[2])) for key in orjson.loads(keys)]
        self.key_index = array("I", key_index)
        if sys.byteorder == "big":
            self.key_index.byteswap()
        self.heads: list[bytes] = []
        self.data: list[bytes] = []
        for document in _documents(events):
            head, _, data = document.partition(_DATA)
            self.heads.append(head)
            self.data.append(data[:-1])
        self._analytics: list[bytes] = [b"null"] * len(self.keys)
        self._type_analytics: list[bytes] = [b"null"] * len(self.keys)
        self._check()

    def __len__(self) -> int:
        return len(self.heads)

    def part(self, positions: range) -> Records:
        """Some of the records, joined as these are."""
        found, cut = copy.copy(self), slice(positions.start, positions.stop)
        found.key_index, found.heads, found.data = self.key_index[cut], self.heads[cut], self.data[cut]
        return found

    def present(self) -> list[int]:
        """The keys that some record has."""
        return sorted(set(self.key_index))

    def join(self, devices: Mapping[int, bytes | None], types: Mapping[str, bytes | None]) -> None:
        """Adds the last closed windows: one document a key that is there, one a device type (JSON)."""
        self._analytics = [devices.get(key) or b"null" for key in range(len(self.keys))]
        self._type_analytics = [types.get(key[0]) or b"null" for key in self.keys]

    def instance(self, position: int) -> bytes:
        """What a model is sent for one record: `device_data`, `record`, `analytics`, `type_analytics`."""
        key = self.key_index[position]
        return b'{"device_data":%b,"record":%b},"analytics":%b,"type_analytics":%b}' % (
            self.data[position],
            self.heads[position],
            self._analytics[key],
            self._type_analytics[key],
        )

    def instance_bytes(self, position: int) -> int:
        """How long `instance` is, without building it."""
        key = self.key_index[position]
        windows = len(self._analytics[key]) + len(self._type_analytics[key])
        return len(self.data[position]) + len(self.heads[position]) + windows + _AROUND

    def analytics(self, position: int) -> bytes:
        """The last closed window of a record's key, `null` where there is none yet."""
        return self._analytics[self.key_index[position]]

    def document(self, position: int) -> bytes:
        """The record's document in all-events."""
        return b"%b%b%b}" % (self.heads[position], _DATA, self.data[position])

    def identities(self) -> list[tuple[bytes, bytes]]:
        """Of each record: its id (JSON text), and `"<id>","batch_id":..,"device_type":..,"device_id":..,"event":..,"@timestamp":".."`.

        The records of a batch all have its id.
        """
        parts = [
            b'%b,"device_type":%b,"device_id":%b,"event":%b,"@timestamp":' % (self._batch(), *map(orjson.dumps, key))
            for key in self.keys
        ]
        result = []
        for head, number in zip(self.heads, self.key_index, strict=True):
            name = head[_ID_AT : head.index(_BATCH)]
            when = head[head.rindex(_TIME) + len(_TIME) : head.rindex(_RECEIVED)]
            result.append((name, b"%b%b%b" % (name, parts[number], when)))
        return result

    def _batch(self) -> bytes:
        """`,"batch_id":".."`."""
        if not self.heads:
            return b""
        head = self.heads[0]
        return head[head.index(_BATCH) : head.index(_TYPE)]

    def _check(self) -> None:
        if len(self.heads) != len(self.key_index):
            raise BatchError(
                f"{len(self.heads)} records are staged, but {len(self.key_index)} keys of records"
            )
        if len(self.key_index) and max(self.key_index) >= len(self.keys):
            raise BatchError(
                f"a record has key {max(self.key_index)}, but only {len(self.keys)} keys are staged"
            )
        if not all(self.data):
            raise BatchError("a staged record has no data")


def _documents(events: bytes) -> Iterator[bytes]:
    """The second line of each pair, one at a time: a batch may be large."""
    end = -1
    while begin := events.find(b"\n", end + 1) + 1:
        end = events.find(b"\n", begin)
        yield events[begin:end]
