"""A publisher that costs little: MQTT 3.1.1 over a plain socket, QoS 1, at a steady rate; a process of its own.

Records are bike stations of about 279 bytes with a running number `seq`, so that a sum over the index tells whether all
arrived. MQTT: OASIS standard 3.1.1, sections 3.1 to 3.4.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import threading
import time
from urllib.parse import urlsplit

TICK_S = 0.02
MAX_INFLIGHT = 40_000
CONNECT_TIMEOUT_S = 10.0
RECORD = (
    b'{"station_id":"%d","num_bikes_available":%d,"num_bikes_disabled":%d,"num_docks_available":%d,"num_docks_disabled":%d,'
    b'"is_installed":1,"is_renting":1,"is_returning":1,"last_reported":%d,"seq":%d,"sent_ms":%d,"name":"Station %d at the lake"}'
)


class Publisher:
    """One connection that publishes numbered records and counts their acknowledgements."""

    def __init__(self, url: str, *, devices: int, client_id: str, device_type: str = "bench") -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 1883), CONNECT_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._devices = devices
        self._topics = [self._topic(device_type, device) for device in range(devices)]
        self.sent = 0
        self.acked = 0
        self._connect(client_id)
        self._reader = threading.Thread(target=self._read_acks, daemon=True)
        self._reader.start()

    def publish(self, count: int) -> None:
        """Sends the next `count` records in one write, waiting while too many are unacknowledged."""
        while self.sent - self.acked > MAX_INFLIGHT:
            time.sleep(0.001)
        now = int(time.time() * 1000)
        self._socket.sendall(b"".join(self._packet(number, now) for number in range(self.sent, self.sent + count)))
        self.sent += count

    def finish(self, timeout_s: float) -> bool:
        """Waits for the last acknowledgement and disconnects; False where some are missing."""
        deadline = time.monotonic() + timeout_s
        while self.acked < self.sent and time.monotonic() < deadline:
            time.sleep(0.005)
        self._socket.sendall(b"\xe0\x00")
        self._socket.shutdown(socket.SHUT_RDWR)
        return self.acked >= self.sent

    @staticmethod
    def _topic(device_type: str, device: int) -> bytes:
        topic = f"iot-2/type/{device_type}/id/{device}/evt/status/fmt/json".encode()
        return struct.pack(">H", len(topic)) + topic

    def _connect(self, client_id: str) -> None:
        name = client_id.encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack(">H", len(name)) + name
        self._socket.sendall(b"\x10" + bytes([len(body)]) + body)
        answer = self._socket.recv(4, socket.MSG_WAITALL)
        if answer != b"\x20\x02\x00\x00":
            raise ConnectionError(f"the broker refused the connection: {answer.hex()}")
        self._socket.settimeout(None)

    def _packet(self, number: int, now: int) -> bytes:
        device = number % self._devices
        bikes = (number * 7919) % 23
        payload = RECORD % (device, bikes, number % 3, 23 - bikes, number % 2, 1_410_479_941 + number, number, now, device)
        topic = self._topics[device]
        rest = len(topic) + 2 + len(payload)
        return b"\x32" + bytes((rest & 127 | 128, rest >> 7)) + topic + struct.pack(">H", number % 65_535 + 1) + payload

    def _read_acks(self) -> None:
        while True:
            data = self._socket.recv(65_536)
            if not data:
                return
            self._received = getattr(self, "_received", 0) + len(data)
            self.acked = self._received // 4  # only PUBACKs come, four bytes each


def run(url: str, *, rate: float, seconds: float, devices: int) -> dict[str, float]:
    """Publishes at a rate for a time; what was sent, acknowledged and how long it took."""
    publisher = Publisher(url, devices=devices, client_id=f"bench-{time.time_ns()}")
    began, cpu = time.monotonic(), time.process_time()
    while (elapsed := time.monotonic() - began) < seconds:
        due = round(rate * min(elapsed + TICK_S, seconds))
        if due > publisher.sent:
            publisher.publish(due - publisher.sent)
        time.sleep(max(0.0, TICK_S - (time.monotonic() - began - elapsed)))
    sending_s = time.monotonic() - began
    complete = publisher.finish(timeout_s=60)
    return {
        "sent": publisher.sent,
        "acked": publisher.acked,
        "complete": complete,
        "seconds": sending_s,
        "rate": publisher.sent / sending_s,
        "cpu_s": time.process_time() - cpu,
    }


def main() -> None:
    """Command line: one JSON object on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--devices", type=int, default=600)
    given = parser.parse_args()
    print(json.dumps(run(given.url, rate=given.rate, seconds=given.seconds, devices=given.devices)))


if __name__ == "__main__":
    main()
