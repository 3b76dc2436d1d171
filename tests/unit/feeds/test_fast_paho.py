"""The one file that uses paho's private parts: it must notice when paho changes, and read any stream of packets in any pieces."""

import random
from array import array
from typing import Any

import pytest
from paho.mqtt.enums import MQTTErrorCode

from feeds.provider import fast_paho
from feeds.provider.fast_paho import PUBACK, PUBCOMP, PUBREC, FastClient


class Socket:
    """Gives prepared pieces, then would block."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.sent = bytearray()

    def recv(self, _size: int) -> bytes:
        if not self.pieces:
            raise BlockingIOError
        return self.pieces.pop(0)

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def close(self) -> None:
        pass


class Bench:
    def __init__(self, *pieces: bytes, known: tuple[int, ...] = ()) -> None:
        self.again: list[tuple[int, int, bytes, bytes]] = []
        self.fresh = 0
        self.client = FastClient(clock=lambda: 77, repeated=self._repeated, fresh=self._fresh, client_id="t", manual_ack=True)
        self.known = known
        self.socket: Any
        self.attach(*pieces)

    def attach(self, *pieces: bytes) -> None:
        twin: Any = Socket(list(pieces))
        self.socket = self.client._sock = twin

    def _repeated(self, mid: int, qos: int, topic: bytes, payload: bytes) -> bool:
        self.again.append((mid, qos, topic, payload))
        return mid in self.known

    def _fresh(self) -> None:
        self.fresh += 1

    def read(self) -> MQTTErrorCode:
        result = MQTTErrorCode.MQTT_ERR_SUCCESS
        while self.socket.pieces and result == MQTTErrorCode.MQTT_ERR_SUCCESS:
            result = self.client._packet_read()
        return result

    def rows(self) -> list[tuple[str, bytes, int, int]]:
        columns = self.client.columns
        messages = columns.messages()
        return [
            (messages.topics[number], payload, flags, mid)
            for number, payload, flags, mid in zip(
                messages.topic_index, messages.payloads, messages.flags, columns.mids, strict=True
            )
        ]


def packet(command: int, body: bytes) -> bytes:
    length, size = bytearray(), len(body)
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (128 if size else 0))
        if not size:
            return bytes([command]) + bytes(length) + body


def publish(topic: str, payload: bytes, *, qos: int = 1, mid: int = 1, dup: bool = False, retain: bool = False) -> bytes:
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name + (mid.to_bytes(2, "big") if qos else b"")
    return packet(0x30 | dup << 3 | qos << 1 | retain, head + payload)


def test_paho_still_has_the_private_parts() -> None:
    assert fast_paho.supported(), "paho has changed: adapt feeds/provider/fast_paho.py, until then the slow public way is used"


def test_messages_of_every_kind() -> None:
    bench = Bench(
        publish("a", b"one", mid=7)
        + publish("b", b"", qos=0)
        + publish("a", b"two", qos=2, mid=65_535, retain=True)
        + publish("c", b"x" * 20_000, mid=300)
    )
    assert bench.read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert bench.rows() == [
        ("a", b"one", 1, 7),
        ("b", b"", 0, 0),
        ("a", b"two", 2 | 4, 65_535),
        ("c", b"x" * 20_000, 1, 300),
    ]
    assert list(bench.client.columns.received) == [77] * 4
    assert bench.client.columns.size == 20_006
    assert bench.fresh == 1


@pytest.mark.parametrize("seed", range(30))
def test_any_pieces_give_the_same_messages(seed: int) -> None:
    random.seed(seed)
    sent = [
        (f"topic/{random.randint(0, 5)}", random.randbytes(random.choice([0, 1, 100, 130, 16_500])), random.randint(0, 2))
        for _ in range(40)
    ]
    raw = b"".join(publish(topic, payload, qos=qos, mid=at + 1) for at, (topic, payload, qos) in enumerate(sent))
    cuts = sorted(random.randint(0, len(raw)) for _ in range(random.choice([0, 3, 200])))
    pieces = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    bench = Bench(*(piece for piece in pieces if piece))
    assert bench.read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    expected = [(topic, payload, qos, at + 1 if qos else 0) for at, (topic, payload, qos) in enumerate(sent)]
    assert bench.rows() == expected


def test_repetitions_are_asked_about() -> None:
    raw = publish("a", b"known", mid=1, dup=True) + publish("a", b"unknown", mid=2, dup=True)
    bench = Bench(raw, known=(1,))
    bench.read()
    assert bench.again == [(1, 1, b"a", b"known"), (2, 1, b"a", b"unknown")]
    assert bench.rows() == [("a", b"unknown", 1, 2)]
    assert bench.fresh == 0


def test_pubrel_is_answered() -> None:
    bench = Bench(packet(0x62, b"\x01\x02"))
    bench.read()
    assert bytes(bench.socket.sent) == bytes([PUBCOMP, 2, 1, 2])


def test_acks_go_in_one_piece_and_are_confirmed_by_a_ping() -> None:
    bench = Bench()
    number = bench.client.acknowledge(PUBACK, array("H", [1, 258]))
    assert bytes(bench.socket.sent) == bytes([PUBACK, 2, 0, 1, PUBACK, 2, 1, 2, 0xC0, 0])
    assert bench.client.confirmed < number
    bench.socket.pieces.append(b"\xd0\x00")
    bench.read()
    assert bench.client.confirmed == number
    bench.client.acknowledge(PUBREC, array("H", [3]))
    assert bytes(bench.socket.sent).endswith(bytes([PUBREC, 2, 0, 3, 0xC0, 0]))


@pytest.mark.parametrize(
    "raw",
    [
        b"\x30\xff\xff\xff\xff\x01",
        packet(0x32, b"\x00\x09a"),
        packet(0x30, b"\x00"),
        packet(0x30, b""),
        packet(0x32, b"\x00\x01a\x01"),
    ],
)
def test_malformed_packets_end_the_connection(raw: bytes) -> None:
    bench = Bench(raw + publish("a", b"after"))
    assert bench.read() == MQTTErrorCode.MQTT_ERR_PROTOCOL
    assert bench.rows() == []


def test_a_closed_socket_is_a_lost_connection() -> None:
    bench = Bench(b"")
    assert bench.read() == MQTTErrorCode.MQTT_ERR_CONN_LOST


def test_what_was_half_read_does_not_reach_the_next_connection() -> None:
    bench = Bench(publish("a", b"x" * 100)[:50])
    bench.read()
    with pytest.raises(ValueError, match="Invalid host"):
        bench.client.reconnect()
    bench.attach(publish("a", b"whole"))
    bench.read()
    assert bench.rows() == [("a", b"whole", 1, 1)]
