"""The MQTT connection of one registration: a port, and its implementation on paho, driven by one thread."""

from __future__ import annotations

import contextlib
import os
import select
import ssl
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from feeds.provider import fast_paho
from feeds.provider.columns import Columns
from hort import feed_options
from hort.feed_options import FeedConfig

CONNECT_TIMEOUT_S = 5.0
_READS_AT_ONCE = 64
_DESCRIPTORS = Path("/proc/self/fd")


class Handler(Protocol):
    """What a connection tells its owner, always from within `connect`, `poll` or `close`."""

    def accepted(self, *, session_present: bool) -> None:
        """The broker accepted the connection; whether it still knows the session."""

    def subscribed(self, qos: int, answers: Mapping[str, str]) -> None:
        """The broker answered a subscription asked for with this QoS: filter -> why it was refused, "" where it was granted."""

    def unsubscribed(self, topics: Sequence[str]) -> None:
        """The broker took subscriptions back."""

    def lost(self, reason: str) -> None:
        """The connection is gone."""

    def repeated(self, mid: int, qos: int, topic: bytes, payload: bytes) -> bool:
        """A message came again (DUP): True where it is journalled, and then it is not delivered."""

    def cut(self, topic: bytes, size: int) -> None:
        """A message of this many bytes was cut to `fast_paho.KEPT_BYTES`, which ingest buries."""

    def fresh(self, mids: array[int]) -> None:
        """New messages came, with these packet ids (0 at QoS 0): everything the broker had to repeat has come before."""


class Connection(Protocol):
    """What an MQTT connection must do."""

    columns: Columns

    @property
    def qos_limit(self) -> int:
        """The highest QoS at which nothing can get lost over this connection."""

    @property
    def confirmed(self) -> int:
        """The highest number of an ack which the broker has surely seen."""

    def connect(self) -> None:
        """Begins to connect; OSError or ValueError where that fails at once."""

    def subscribe(self, topics: tuple[str, ...], qos: int) -> None:
        """Subscribes; the broker keeps it in the session."""

    def unsubscribe(self, topics: tuple[str, ...]) -> None:
        """Takes subscriptions back."""

    def poll(self, timeout_s: float, *, records: int, size: int) -> int:
        """Waits for the socket and reads until so many messages or bytes came, or at most a chunk more; how many messages came.

        With 0 nothing is read: TCP makes the broker wait, and the connection stands.
        """

    def ack(self, qos: int, mids: array[int]) -> int:
        """Acknowledges packet ids that came over this connection; the number that `confirmed` will reach."""

    def close(self) -> None:
        """Says goodbye; the broker keeps the session."""


Connect = Callable[[FeedConfig, str, Handler, Callable[[], int]], Connection]
"""Configuration, client id, handler, clock -> a connection."""


class PahoConnection:
    """A connection on paho-mqtt: MQTT 3.1.1, persistent session, manual acks."""

    def __init__(
        self, config: FeedConfig, client_id: str, handler: Handler, clock: Callable[[], int], *, clean: bool = False
    ) -> None:
        self._config = config
        self._address = feed_options.address(config.url)
        self._handler = handler
        self._clock = clock
        self._fast = fast_paho.supported()
        self._count = 0
        self._plain = Columns()
        self._asked: dict[int | None, tuple[tuple[str, ...], int]] = {}
        options: dict[str, Any] = {
            "client_id": client_id,
            "clean_session": clean,
            "protocol": mqtt.MQTTv311,
            "transport": self._address.transport,
            "reconnect_on_failure": False,
            "manual_ack": True,
        }
        if self._fast:
            self._client: mqtt.Client = fast_paho.FastClient(
                clock=clock, repeated=handler.repeated, fresh=handler.fresh, cut=handler.cut, **options
            )
        else:
            self._client = mqtt.Client(CallbackAPIVersion.VERSION2, **options)
            self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_unsubscribe = self._on_unsubscribe
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._secure()

    @property
    def qos_limit(self) -> int:
        """QoS 1 with the public interface only: paho itself sends PUBREC before anyone could journal."""
        return 2 if self._fast else 1

    @property
    def columns(self) -> Columns:
        """Where messages are appended."""
        return self._client.columns if isinstance(self._client, fast_paho.FastClient) else self._plain

    @columns.setter
    def columns(self, value: Columns) -> None:
        if isinstance(self._client, fast_paho.FastClient):
            self._client.columns = value
        else:
            self._plain = value

    @property
    def confirmed(self) -> int:
        """With paho's public interface an ack counts as seen when the next one is sent."""
        return self._client.confirmed if isinstance(self._client, fast_paho.FastClient) else self._count - 1

    def connect(self) -> None:
        """Opens the socket and sends CONNECT; `poll` sees the answer."""
        self._asked.clear()
        self._client.connect(self._address.host, self._address.port, keepalive=self._config.keepalive_s)

    def subscribe(self, topics: tuple[str, ...], qos: int) -> None:
        """Sends one SUBSCRIBE for all filters."""
        _, mid = self._client.subscribe([(topic, min(qos, self.qos_limit)) for topic in topics])
        self._asked[mid] = (topics, qos)

    def unsubscribe(self, topics: tuple[str, ...]) -> None:
        """Sends one UNSUBSCRIBE for all filters."""
        _, mid = self._client.unsubscribe(list(topics))
        self._asked[mid] = (topics, 0)

    def poll(self, timeout_s: float, *, records: int, size: int) -> int:
        """Waits by poll, the system call that knows no limit of descriptors."""
        sock: Any = self._client.socket()
        read = records > 0 and size > 0
        before, wanted_size = len(self.columns), self.columns.size + size
        if sock is None:
            self._handler.lost("not connected")
            return 0
        pending = bool(read and hasattr(sock, "pending") and sock.pending())
        waiter = select.poll()
        wanted = (select.POLLIN if read else 0) | (select.POLLOUT if self._client.want_write() else 0)
        waiter.register(sock.fileno(), wanted)
        ready = dict(waiter.poll(0 if pending else timeout_s * 1000))
        bits = ready.get(sock.fileno(), 0)
        if bits & select.POLLOUT:
            self._client.loop_write()
        if pending or bits & (select.POLLIN | select.POLLHUP | select.POLLERR):
            self._read(before + records, wanted_size)
        elif not read and isinstance(self._client, fast_paho.FastClient):
            self._client.look_away()
        self._client.loop_misc()
        return len(self.columns) - before

    def ack(self, qos: int, mids: array[int]) -> int:
        """PUBACK at QoS 1, PUBREC at QoS 2."""
        self._count += 1
        if isinstance(self._client, fast_paho.FastClient):
            return self._client.acknowledge(fast_paho.PUBACK if qos == 1 else fast_paho.PUBREC, mids)
        for mid in mids:
            self._client.ack(mid, qos)
        return self._count

    def close(self) -> None:
        """Sends DISCONNECT and closes."""
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
            deadline = time.monotonic() + 1.0
            while self._client.socket() is not None and self._client.want_write() and time.monotonic() < deadline:
                self._client.loop_write()
                time.sleep(0.005)

    def _read(self, count: int, size: int) -> None:
        for _ in range(_READS_AT_ONCE):
            self._client.loop_read()
            columns = self.columns
            if self._client.socket() is None or getattr(self._client, "drained", True):
                return
            if len(columns) >= count or columns.size >= size:
                return

    def _secure(self) -> None:
        config = self._config
        if config.username or config.password:
            self._client.username_pw_set(config.username, config.password or None)
        if self._address.transport == "websockets":
            self._client.ws_set_options(path=self._address.path)
        if self._address.tls:
            self._client.tls_set_context(tls_context(config))

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._handler.lost(f"refused: {reason}")
        else:
            self._handler.accepted(session_present=bool(flags.session_present))

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: Any, _properties: Any) -> None:
        topics, qos = self._asked.pop(mid, ((), 0))
        texts = [str(reason) if reason.is_failure else "" for reason in reasons]
        self._handler.subscribed(qos, {**dict.fromkeys(topics, "no answer"), **dict(zip(topics, texts, strict=False))})

    def _on_unsubscribe(self, _client: Any, _data: Any, mid: int, _reasons: Any, _properties: Any) -> None:
        topics, _ = self._asked.pop(mid, ((), 0))
        self._handler.unsubscribed(topics)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._handler.lost(str(reason))

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        topic, payload = message.topic.encode(), bytes(message.payload[: fast_paho.KEPT_BYTES])
        if message.dup and message.qos:
            if self._handler.repeated(message.mid, message.qos, topic, payload):
                return
        elif message.qos:
            self._handler.fresh(array("H", [message.mid]))
        if len(message.payload) > len(payload):
            self._handler.cut(topic, len(message.payload))
        flags = message.qos | (4 if message.retain else 0)
        self._plain.append(topic, payload, received=self._clock(), flags=flags, mid=message.mid if message.qos else 0)


def tls_context(config: FeedConfig) -> ssl.SSLContext:
    """The TLS settings of a feed; ssl.SSLError where a PEM text is none."""
    context = ssl.create_default_context(cadata=config.tls_ca or None)
    if config.tls_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.tls_cert:
        _load_pair(context, config)
    return context


def _load_pair(context: ssl.SSLContext, config: FeedConfig) -> None:
    # The ssl module takes a client certificate only from a file: one in memory, so that a kill leaves no key behind.
    in_memory = sys.platform == "linux" and _DESCRIPTORS.exists()
    with os.fdopen(os.memfd_create("certificate"), "w") if in_memory else tempfile.NamedTemporaryFile("w") as file:
        file.write(f"{config.tls_cert}\n{config.tls_key}\n")
        file.flush()
        context.load_cert_chain(_DESCRIPTORS / str(file.fileno()) if in_memory else file.name)


def end_session(config: FeedConfig, client_id: str, clock: Callable[[], int], *, timeout_s: float = 5.0) -> bool:
    """Connects once with a clean session, which makes the broker forget the old one; False where it does not answer."""
    handler = _Ending()
    deadline = time.monotonic() + timeout_s
    try:
        connection = PahoConnection(config, client_id, handler, clock, clean=True)
        connection.connect()
        while handler.state is None and time.monotonic() < deadline:
            connection.poll(0.1, records=1, size=1)
    except (OSError, ValueError):
        return False
    connection.close()
    return bool(handler.state)


class _Ending:
    state: bool | None = None

    def accepted(self, *, session_present: bool) -> None:  # noqa: ARG002 - the port's signature
        self.state = True

    def subscribed(self, qos: int, answers: Mapping[str, str]) -> None:
        """Nothing is subscribed."""

    def unsubscribed(self, topics: Sequence[str]) -> None:
        """Nothing is subscribed."""

    def lost(self, reason: str) -> None:  # noqa: ARG002 - the port's signature
        self.state = self.state or False

    def repeated(self, mid: int, qos: int, topic: bytes, payload: bytes) -> bool:  # noqa: ARG002 - the port's signature
        return True

    def cut(self, topic: bytes, size: int) -> None:
        """Nothing is subscribed."""

    def fresh(self, mids: array[int]) -> None:
        """Nothing is subscribed."""
