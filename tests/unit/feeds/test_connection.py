"""The connection's own parts, without a socket."""

import ssl
import tempfile
from array import array
from types import SimpleNamespace
from typing import Any

import pytest

from feeds.provider import fast_paho
from feeds.provider.connection import PahoConnection, tls_context
from hort import feed_options
from hort.payload import LARGEST_PAYLOAD_BYTES
from tests.integration.feeds.test_transports import certificate, key_pem, pem

CONFIG = feed_options.parse({"url": "mqtt://broker"})


class Handler:
    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.again: list[int] = []

    def cut(self, _topic: bytes, size: int) -> None:
        self.sizes.append(size)

    def repeated(self, _mid: int, _qos: int, _topic: bytes, payload: bytes) -> bool:
        self.again.append(len(payload))
        return True

    def fresh(self, mids: "array[int]") -> None:
        """Not looked at."""


def test_the_public_way_cuts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_paho, "supported", lambda: False)
    handler: Any = Handler()
    connection = PahoConnection(CONFIG, "c", handler, lambda: 1)
    huge = b"x" * (LARGEST_PAYLOAD_BYTES + 100)
    for payload, dup in ((b"small", False), (huge, False), (huge, True)):
        message = SimpleNamespace(topic="a", payload=payload, dup=dup, qos=1, mid=1, retain=False)
        connection._on_message(None, None, message)  # type: ignore[arg-type]
    assert list(map(len, connection.columns.payloads)) == [5, LARGEST_PAYLOAD_BYTES + 1]
    assert handler.sizes == [len(huge)]
    assert handler.again == [LARGEST_PAYLOAD_BYTES + 1]


def test_a_client_certificate_s_key_is_never_on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is killed between making a file and removing it leaves the key there."""
    cert, key = certificate("device", None)
    for name in ("mkstemp", "NamedTemporaryFile", "TemporaryFile"):
        monkeypatch.setattr(tempfile, name, lambda *_args, **_options: pytest.fail("a file"))
    given = {"url": "mqtts://broker", "tls_cert": pem(cert), "tls_key": key_pem(key)}
    assert tls_context(feed_options.parse(given)).check_hostname
    _, other = certificate("other", None)
    with pytest.raises(ssl.SSLError):
        tls_context(feed_options.parse({**given, "tls_key": key_pem(other)}))
