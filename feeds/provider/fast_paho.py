"""A paho client that reads PUBLISH packets by the chunk: the only file that touches paho's private parts.

paho reads each packet with three `recv` calls and builds an object a message, 37 CPU-s per million messages; this costs about
a tenth. Everything but PUBLISH, PUBREL and PINGRESP still goes through paho. Where paho closes a socket that broke, here it is
read to its end before: a broker that was killed may never send again what it had sent. `supported()` says whether the installed paho has
the names needed; where it has not, `feeds.provider.connection` uses the public interface.
MQTT 3.1.1: 3.3 PUBLISH, 3.4 PUBACK, 3.5 PUBREC, 3.6 PUBREL, 3.13 PINGRESP; 4.3.3 for QoS 2.
"""

from __future__ import annotations

import ssl
import time
from array import array
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from feeds.provider.columns import Columns
from hort.payload import LARGEST_PAYLOAD_BYTES

PUBACK, PUBREC, PUBREL, PUBCOMP, PINGRESP = 0x40, 0x50, 0x60, 0x70, 0xD0
CHUNK = 262_144
KEPT_BYTES = LARGEST_PAYLOAD_BYTES + 1
"""Of a payload that is longer: MQTT allows 256 MiB, which no store behind takes, and the broker would send it again for ever."""
_LAST_READS = 64
"""At most so many chunks are read from a connection that is over; the system holds less."""
_CLASS_NAMES = ("_sock_close", "_sock_recv", "_packet_read", "_packet_handle", "_packet_queue", "_send_pingreq", "_handle_pingresp")
_INSTANCE_NAMES = ("_in_packet", "_last_bytes_received", "_ping_t", "_sock")

Repeated = Callable[[int, int, bytes, bytes], bool]
"""Packet id, QoS, topic, payload of a message that came with the DUP flag -> True where it is journalled already."""
Cut = Callable[[bytes, int], None]
"""Topic and whole size of a message that was cut."""


def supported() -> bool:
    """Whether paho still has the private parts that this file uses."""
    if not all(hasattr(mqtt.Client, name) for name in _CLASS_NAMES):
        return False
    probe = mqtt.Client(CallbackAPIVersion.VERSION2)
    return all(hasattr(probe, name) for name in _INSTANCE_NAMES) and "to_process" in probe._in_packet  # noqa: SLF001


def acks(command: int, mids: array[int]) -> bytes:
    """The packets that acknowledge many packet ids, as one piece of bytes."""
    big = array("H", mids)
    big.byteswap()
    raw, out = big.tobytes(), bytearray(4 * len(mids))
    out[0::4], out[1::4] = bytes([command]) * len(mids), b"\x02" * len(mids)
    out[2::4], out[3::4] = raw[0::2], raw[1::2]
    return bytes(out)


class FastClient(mqtt.Client):
    """Appends messages to `columns`; `drained` tells that the last read emptied the socket."""

    def __init__(
        self, *, clock: Callable[[], int], repeated: Repeated, fresh: Callable[[array[int]], None], cut: Cut, **options: Any
    ) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, **options)
        self.columns = Columns()
        self.drained = True
        self.confirmed = 0
        self._clock_ms = clock
        self._repeated = repeated
        self._fresh = fresh
        self._cut = cut
        self._rest = bytearray()
        self._needed = 2
        self._acked = 0
        self._pings: list[int] = []
        self._reading = False
        self._broken = False

    def reconnect(self) -> MQTTErrorCode:
        """Begins a new connection: what was half read belongs to the old one."""
        self._rest.clear()
        self._needed = 2
        self._pings.clear()
        return super().reconnect()

    def acknowledge(self, command: int, mids: array[int]) -> int:
        """Sends one ack for each packet id in one write, and a ping; returns the number that `confirmed` reaches by its answer."""
        self._packet_queue(command, acks(command, mids), 0, 1)
        self._acked += 1
        self._send_pingreq()
        return self._acked

    def look_away(self) -> None:
        """Nothing is read by choice: pings go on, so that the broker keeps the connection, and no answer is missed."""
        self._last_bytes_received = time.monotonic()
        self._ping_t = 0.0

    def _send_pingreq(self) -> MQTTErrorCode:
        self._pings.append(self._acked)
        return super()._send_pingreq()

    def _packet_read(self) -> MQTTErrorCode:
        try:
            data = self._sock_recv(CHUNK)
        except BlockingIOError:
            self.drained = True
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not data:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        self.drained = len(data) < CHUNK and not isinstance(self._sock, ssl.SSLSocket) and self.transport == "tcp"
        self._last_bytes_received = time.monotonic()
        if self._rest or self._needed > 2:
            self._rest += data
            if len(self._rest) < self._needed:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            data = bytes(self._rest)
            self._rest.clear()
        outer, self._reading = self._reading, True
        try:
            return self._take(data)
        finally:
            self._reading = outer
            if self._broken and not outer:
                self._sock_close()

    def _sock_close(self) -> None:
        if self._reading:
            self._broken = True  # an answer could not be sent: what came is read first
            return
        if self._sock is not None and (self._broken or self.is_connected()):
            self._read_to_the_end()
        self._broken = False
        super()._sock_close()

    def _read_to_the_end(self) -> None:
        self._reading = True
        try:
            for _ in range(_LAST_READS):
                if self._packet_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return
        finally:
            self._reading = False

    def _take(self, data: bytes) -> MQTTErrorCode:  # noqa: PLR0912, PLR0915 - one loop with local names: it runs once a message
        columns = self.columns
        topics, index, payloads, flags, mids = columns.topics, columns.index, columns.payloads, columns.flags, columns.mids
        before, size, at, end, fresh = len(payloads), columns.size, 0, len(data), -1
        result = MQTTErrorCode.MQTT_ERR_SUCCESS
        self._needed = 2
        while end - at >= 2:
            command, length, body = data[at], data[at + 1], at + 2
            if length > 127:
                length, body = _length(data, at + 1, end)
                if length < 0:
                    if body == 0:
                        result = MQTTErrorCode.MQTT_ERR_PROTOCOL
                    break
            stop = body + length
            if stop > end:
                self._needed = stop - at
                break
            at = stop
            if command & 0xF0 != 0x30:
                columns.size = size
                result = self._other(command, data[body:stop])
                if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    break
                continue
            start = body + 2 + (data[body] << 8 | data[body + 1]) if length > 1 else stop + 1
            topic = data[body + 2 : start]
            qos = command >> 1 & 3
            mid = 0
            if qos and start + 2 <= stop:
                mid = data[start] << 8 | data[start + 1]
                start += 2
            elif qos or start > stop:
                result = MQTTErrorCode.MQTT_ERR_PROTOCOL
                break
            long = stop - start if stop - start > LARGEST_PAYLOAD_BYTES else 0
            if long:
                stop = start + KEPT_BYTES
            payload = data[start:stop]
            if qos and command & 8:
                if self._repeated(mid, qos, topic, payload):
                    continue
            elif qos and fresh < 0:
                fresh = len(mids)
            if long:
                self._cut(topic, long)
            number = topics.get(topic)
            if number is None:
                number = topics[topic] = len(topics)
            index.append(number)
            payloads.append(payload)
            flags.append(qos | (4 if command & 1 else 0))
            mids.append(mid)
            size += stop - start
        if at < end:
            self._rest += data[at:]
        columns.size = size
        columns.received.extend([self._clock_ms()] * (len(payloads) - before))
        if fresh >= 0:
            self._fresh(mids[fresh:])
        return result

    def _other(self, command: int, body: bytes) -> MQTTErrorCode:
        kind = command & 0xF0
        if kind == PUBREL and len(body) >= 2:
            self._packet_queue(PUBCOMP, bytes((PUBCOMP, 2)) + body[:2], 0, 1)
            return MQTTErrorCode.MQTT_ERR_SUCCESS  # where it cannot be sent, what came behind is read all the same
        if kind == PINGRESP and self._pings:
            self.confirmed = self._pings.pop(0)
        self._in_packet = {
            "command": command,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(body),
            "packet": bytearray(body),
            "to_process": 0,
            "pos": 0,
        }
        try:
            return self._packet_handle()
        finally:
            self._in_packet["command"] = 0


def _length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The remaining length and where the body begins; (-1, 1) when more bytes are needed, (-1, 0) when it is malformed."""
    length = 0
    for number in range(4):
        if at + number >= end:
            return -1, 1
        byte = data[at + number]
        length |= (byte & 127) << 7 * number
        if byte < 128:
            return length, at + number + 1
    return -1, 0
