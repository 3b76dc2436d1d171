"""The one file that uses paho's private parts: it must notice when paho changes, and read any stream of packets in any pieces."""

import random
from array import array
from typing import Any

import pytest
from paho.mqtt.enums import MQTTErrorCode, _ConnectionState

from feeds.provider import fast_paho
from feeds.provider.fast_paho import PUBACK, PUBCOMP, PUBREC, FastClient
from hort import ingest_options
from hort.errors import ConfigError
from hort.payload import LARGEST_PAYLOAD_BYTES, Budget, Caps, Undecodable, parse


class Socket:
    """Gives prepared pieces, then would block."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.sent = bytearray()
        self.broken = False
        self.closed = False

    def recv(self, _size: int) -> bytes:
        if not self.pieces:
            raise BlockingIOError
        return self.pieces.pop(0)

    def send(self, data: bytes) -> int:
        if self.broken:
            raise BrokenPipeError
        self.sent += data
        return len(data)

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self, *pieces: bytes, known: tuple[int, ...] = ()) -> None:
        self.again: list[tuple[int, int, bytes, bytes]] = []
        self.fresh: list[list[int]] = []
        self.cut: list[tuple[bytes, int]] = []
        self.client = FastClient(clock=lambda: 77, repeated=self._repeated, fresh=self._fresh, cut=self._cut, client_id="t", manual_ack=True)
        self.known = known
        self.socket: Any
        self.attach(*pieces)

    def attach(self, *pieces: bytes) -> None:
        twin: Any = Socket(list(pieces))
        self.socket = self.client._sock = twin

    def _repeated(self, mid: int, qos: int, topic: bytes, payload: bytes) -> bool:
        self.again.append((mid, qos, topic, payload))
        return mid in self.known

    def _cut(self, topic: bytes, size: int) -> None:
        self.cut.append((topic, size))

    def _fresh(self, mids: "array[int]") -> None:
        self.fresh.append(list(mids))

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
    assert bench.fresh == [[7, 0, 65_535, 300]]


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
    assert bench.fresh == []


def test_a_message_of_any_length_is_cut_to_the_same_piece_each_time() -> None:
    huge, largest = bytes(range(256)) * 131_072, b"x" * LARGEST_PAYLOAD_BYTES
    kept = huge[: LARGEST_PAYLOAD_BYTES + 1]
    raw = publish("a", huge, mid=1) + publish("a", largest, mid=2) + publish("a", huge, mid=1, dup=True) + publish("a", b"next", mid=3)
    bench = Bench(*(raw[at : at + 262_144] for at in range(0, len(raw), 262_144)), known=(1,))
    assert bench.read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert bench.rows() == [("a", kept, 1, 1), ("a", largest, 1, 2), ("a", b"next", 1, 3)]
    assert bench.again == [(1, 1, b"a", kept)], "the digest of a repetition is that of what was kept"
    assert bench.cut == [(b"a", len(huge))]
    assert bench.client.columns.size == sum(map(len, bench.client.columns.payloads))
    with pytest.raises(Undecodable, match="too-large: payload of more than 16777216 bytes"):
        parse(kept, Caps(payload_bytes=LARGEST_PAYLOAD_BYTES), Budget())
    with pytest.raises(ConfigError, match="max_payload_bytes"):
        ingest_options.from_params({"max_payload_bytes": LARGEST_PAYLOAD_BYTES + 1})


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


CONNACK = bytes((0x20, 2, 1, 0))


def connected(*pieces: bytes) -> Bench:
    bench = Bench(CONNACK)
    bench.read()
    bench.attach(*pieces)
    return bench


def test_what_a_dead_broker_sent_is_read_before_the_socket_is_closed() -> None:
    pieces = [publish("a", b"%d" % mid, mid=mid) for mid in range(1, 4)]
    bench = connected(pieces[0], pieces[1] + pieces[2][:5], pieces[2][5:], b"")
    bench.socket.broken = True
    bench.client.acknowledge(PUBACK, array("H", [7]))
    assert [row[1] for row in bench.rows()] == [b"1", b"2", b"3"]
    assert bench.socket.closed
    assert bench.client.socket() is None


def test_an_answer_that_cannot_be_sent_costs_no_message_behind_it() -> None:
    release = packet(0x62, b"\x01\x02")
    bench = connected(publish("a", b"1") + release + publish("a", b"2", mid=2), release + publish("a", b"3", mid=3), b"")
    bench.socket.broken = True
    assert bench.client._packet_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert [row[1] for row in bench.rows()] == [b"1", b"2", b"3"]
    assert bench.socket.closed


def test_a_broker_that_goes_on_sending_does_not_keep_a_closed_connection() -> None:
    bench = connected(*(publish("a", b"x", mid=mid) for mid in range(1, 500)))
    bench.socket.broken = True
    bench.client.acknowledge(PUBACK, array("H", [7]))
    assert bench.socket.closed
    assert len(bench.rows()) < 100


def test_a_connection_that_is_given_up_in_order_is_not_read_any_more() -> None:
    bench = connected(publish("a", b"x"))
    bench.client.disconnect()
    assert bench.socket.closed
    assert bench.rows() == []


def test_a_client_that_does_not_read_by_choice_misses_no_answer_to_its_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that stayed full for two keepalives made paho give the connection up."""
    bench = Bench()
    client: Any = bench.client
    now = [1_000.0]
    monkeypatch.setattr("paho.mqtt.client.time_func", lambda: now[0])
    monkeypatch.setattr("feeds.provider.fast_paho.time.monotonic", lambda: now[0])
    client._keepalive = 60
    client._state = _ConnectionState.MQTT_CS_CONNECTED
    client._last_msg_out = client._last_bytes_received = now[0]
    for _ in range(40):
        now[0] += 15
        client.look_away()
        assert client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS
        client.loop_write()
    assert not bench.socket.closed
    assert bench.socket.sent.count(b"\xc0\x00") in (9, 10), "and the broker hears of it each keepalive"
    for _ in range(20):
        now[0] += 15
        client.loop_misc()
    assert bench.socket.closed, "while it reads, a broker that does not answer is given up"
