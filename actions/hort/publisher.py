"""Publishing to MQTT with acknowledgements: the port, the paho client behind it and its in-memory twin."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import unquote

from hort import brokers, config
from hort.errors import PublishFailed

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessageInfo

Outgoing = tuple[str, bytes]
"""Topic and payload."""

DEFAULT_URL = "mqtt://127.0.0.1:1883"
CONNECT_TIMEOUT_S = 5.0
KEEPALIVE_S = 60
IN_FLIGHT = 500
"""Messages on the way at once; brokers limit it on their side too, what is over waits in the client."""


class Publisher(Protocol):
    """What publishes messages."""

    def publish(self, messages: Sequence[Outgoing], *, qos: int, timeout_s: float) -> list[bool]:
        """Publishes all and waits; one flag a message: the broker has acknowledged it. PublishFailed without connection."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is and as whom to come; the password shows in no text of it."""

    scheme: str
    host: str
    port: int
    path: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, params: config.Params) -> Broker:
        """The broker of the parameters `mqtt_url`, `mqtt_username` and `mqtt_password`."""
        url = config.text(params, "mqtt_url", default=DEFAULT_URL)
        parts, port = brokers.split(url, name="mqtt_url")
        username = config.text(params, "mqtt_username", default=unquote(parts.username or "")) or None
        password = config.text(params, "mqtt_password", default=unquote(parts.password or "")) or None
        return cls(parts.scheme, parts.hostname or "", port, parts.path, username, password)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


class PahoPublisher:
    """One connection, kept between calls; after missing acknowledgements it is given up, so that nothing is sent late."""

    def __init__(self, broker: Broker, *, name: str = "hort-publish") -> None:
        self._broker = broker
        self._name = name
        self._client: Client | None = None
        self._connected = threading.Event()
        self._refusal = ""

    def publish(self, messages: Sequence[Outgoing], *, qos: int, timeout_s: float) -> list[bool]:
        """Publishes all and waits up to `timeout_s` for the acknowledgements of QoS 1 and 2."""
        deadline = time.monotonic() + timeout_s
        client = self._connect(min(CONNECT_TIMEOUT_S, timeout_s))
        infos = [client.publish(topic, payload, qos) for topic, payload in messages]
        acked = [_acked(info, deadline) for info in infos]
        if not all(acked):
            self.close()
        return acked

    def close(self) -> None:
        """Ends the connection and forgets what was not acknowledged."""
        client, self._client = self._client, None
        self._connected.clear()
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _connect(self, timeout_s: float) -> Client:
        if self._client is None:
            self._client = self._start()
        if not self._connected.wait(timeout_s):
            self.close()
            raise PublishFailed(
                f"broker {self._broker}: {self._refusal or f'no connection within {timeout_s:g} s'}"
            )
        return self._client

    def _start(self) -> Client:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        transport: Literal["tcp", "websockets"] = (
            "websockets" if self._broker.scheme in ("ws", "wss") else "tcp"
        )
        client_id = f"{self._name}-{secrets.token_hex(4)}"
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id, transport=transport)
        if self._broker.path and transport == "websockets":
            client.ws_set_options(path=self._broker.path)
        if self._broker.scheme in ("mqtts", "wss"):
            client.tls_set()
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        client.max_inflight_messages_set(IN_FLIGHT)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S)
        client.loop_start()
        return client

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f"refused the connection: {reason}"
        else:
            self._connected.set()

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: Any, _reason: Any, _properties: Any
    ) -> None:
        self._connected.clear()


def _acked(info: MQTTMessageInfo, deadline: float) -> bool:
    try:
        info.wait_for_publish(max(0.0, deadline - time.monotonic()))
        return info.is_published()
    except (RuntimeError, ValueError):
        return False


class MemoryPublisher:
    """A broker of one process: keeps what was published, acknowledges all but what it was told to lose."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []
        self.lose: set[str] = set()
        """Topics whose messages get no acknowledgement."""
        self.down = False

    def publish(
        self,
        messages: Sequence[Outgoing],
        *,
        qos: int,  # noqa: ARG002 - as the port says
        timeout_s: float,  # noqa: ARG002 - as the port says
    ) -> list[bool]:
        """Takes the messages at once."""
        if self.down:
            raise PublishFailed("broker memory: no connection")
        self.messages += [message for message in messages if message[0] not in self.lose]
        return [topic not in self.lose for topic, _ in messages]
