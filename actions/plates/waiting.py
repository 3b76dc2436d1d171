"""A photo that waits in Redis, or its address: reports hand theirs on by reference, since OpenWhisk would keep it in an activation's record otherwise.

One GET over a socket of its own: the image does without a Redis client.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any
from urllib.parse import unquote, urlsplit

from hort import config, seal
from plates.errors import Refused

MAX_SECONDS = 5.0
PORT = 6379
_SCHEMES = ("redis", "rediss")
_ADDRESSES = (b"http://", b"https://")
"""No photo begins like this."""
_KEY = re.compile(r"hort:\{reports\}:photo:[A-Za-z0-9_-]{16,64}")
_OPENS = re.compile(rf"[0-9a-f]{{{2 * seal.KEY_BYTES}}}")
_LINE = 4096


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a photo waits: the server's address, which holds its password and never shows, the photo's key there, and what opens it.

    What an earlier version took in waits open: None opens it.
    """

    url: str = field(repr=False)
    key: str
    opens: str | None = field(repr=False)


def given(params: Mapping[str, Any]) -> Waiting | None:
    """Parameters `photo` (the key), `photo_key` (what opens it) and `redis_url`; None where no photo waits."""
    key = params.get("photo")
    if key is None or key == "":
        return None
    if "__ow_method" in params or not isinstance(key, str) or not _KEY.fullmatch(key):
        raise Refused("bad-parameter", "photo", "it must be the key of a report's photo: photos are given as url or image")
    opens = params.get("photo_key")
    if opens is not None and (not isinstance(opens, str) or not _OPENS.fullmatch(opens)):
        raise Refused("bad-parameter", "photo_key", "it must be given with photo, as the report's trigger has it")
    url = config.lookup(params, "redis_url")
    if not isinstance(url, str) or urlsplit(url).scheme not in _SCHEMES:
        raise Refused("bad-parameter", "redis_url", "it must be a redis:// or rediss:// address where photo is given")
    return Waiting(url, key, opens)


def fetch(waiting: Waiting, *, deadline: float, max_bytes: int) -> bytes:
    """The photo's bytes; deadline is of time.monotonic. Refused where it is gone or Redis does not give it."""
    parts = urlsplit(waiting.url)
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(_connection(parts.hostname or "127.0.0.1", parts.port or PORT, deadline))
            if parts.scheme == "rediss":
                secure = ssl.create_default_context().wrap_socket(connection, server_hostname=parts.hostname)
                connection = stack.enter_context(secure)
            answers = stack.enter_context(connection.makefile("rb"))
            for command in _greeting(parts.username, parts.password, parts.path):
                _exchange(connection, answers, command, max_bytes)
            photo = _exchange(connection, answers, [b"GET", waiting.key.encode()], max_bytes)
    except TimeoutError as error:
        raise Refused("download-too-slow", "photo", "the store of waiting photos did not answer in time") from error
    except (OSError, ValueError) as error:
        raise Refused("download-failed", "photo", f"the store of waiting photos failed: {type(error).__name__}") from error
    if photo is None:
        raise Refused("download-failed", "photo", "it no longer waits: it was read already, or for too long by nobody")
    return photo if waiting.opens is None else seal.crossed(photo, waiting.opens)


def address(content: bytes) -> str | None:
    """The address that waited in the photo's place; None where it is a photo."""
    return content.decode("ascii", "replace") if content.startswith(_ADDRESSES) else None


def _connection(host: str, port: int, deadline: float) -> socket.socket:
    seconds = min(MAX_SECONDS, deadline - time.monotonic())
    if seconds <= 0:
        raise TimeoutError
    return socket.create_connection((host, port), timeout=seconds)


def _greeting(user: str | None, password: str | None, path: str) -> list[list[bytes]]:
    commands = []
    if password:
        names = [unquote(user)] if user else []
        commands.append([b"AUTH", *(name.encode() for name in [*names, unquote(password)])])
    if path.strip("/"):
        commands.append([b"SELECT", path.strip("/").encode()])
    return commands


def _exchange(connection: socket.socket, answers: BufferedReader, command: list[bytes], max_bytes: int) -> bytes | None:
    """One command of RESP (redis.io/docs/latest/develop/reference/protocol-spec); ValueError where it was refused."""
    parts = [b"*%d\r\n" % len(command), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in command)]
    connection.sendall(b"".join(parts))
    line = answers.readline(_LINE)
    if not line.endswith(b"\r\n"):
        raise ConnectionError
    if line[:1] == b"+":
        return None
    size = int(line[1:]) if line[:1] == b"$" else max_bytes + 1
    if size > max_bytes:
        raise ValueError
    if size < 0:
        return None
    data = answers.read(size + 2)
    if len(data) != size + 2:
        raise ConnectionError
    return data[:size]
