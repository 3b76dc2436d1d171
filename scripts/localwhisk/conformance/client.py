"""Sends requests exactly as recorded: no headers but those given and those HTTP itself needs."""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

from localwhisk.conformance.compare import Answer
from localwhisk.conformance.recording import Sent

TIMEOUT_S = 150
IDLE_S = 3.0
"""A connection that rested longer may have been closed by the server."""
RECORDED_HOST = "127.0.0.1:3233"  # the length of it counts in the sizes of results that repeat it


class Client:
    """One connection to one server; opened again when the server closed it."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or parts.hostname is None:
            message = f"the address must be http://HOST:PORT, got {address!r}"
            raise ValueError(message)
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT_S)
        self._used = time.monotonic()

    def send(self, sent: Sent) -> Answer:
        """One exchange; a broken connection is an answer with status -1."""
        if time.monotonic() - self._used > IDLE_S:
            self._connection.close()
        try:
            return self._send(sent)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Answer(-1, {"exception": repr(error)}, b"")
        finally:
            self._used = time.monotonic()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _send(self, sent: Sent) -> Answer:
        connection = self._connection
        connection.putrequest(sent.method, sent.target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("host", RECORDED_HOST)
        for name, value in sent.headers.items():
            connection.putheader(name, value)
        if sent.body is not None:
            connection.putheader("content-length", str(len(sent.body)))
        connection.endheaders(sent.body)
        response = connection.getresponse()
        body = response.read()
        headers: dict[str, str | list[str]] = {}
        for name in {key.lower() for key in response.headers}:
            values = response.headers.get_all(name) or []
            headers[name] = values[0] if len(values) == 1 else values
        return Answer(response.status, headers, body)
