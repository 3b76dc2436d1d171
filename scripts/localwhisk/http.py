"""Requests and responses over raw ASGI: no middleware, bodies read whole within a bound."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from localwhisk import jsonio, media, messages, targets
from localwhisk.errors import ApiError, PlainError, rejected

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TARGET = "localwhisk.target"
"""Where a scope has the target of the request as it came, given the server that makes it so."""

JSON = "application/json"
PLAIN = "text/plain"
TEXT = f"{PLAIN}; charset=UTF-8"
REQUEST_ID = "x-request-id"
CHALLENGE = "www-authenticate"
ACTIVATION_ID = "x-openwhisk-activation-id"
CORS_HEADERS = "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"
API_METHODS = "GET, DELETE, POST, PUT, HEAD"

_ID_ALPHABET = string.ascii_letters + string.digits
_TRUE = frozenset(("true", "yes", "on", "1"))
_FALSE = frozenset(("false", "no", "off", "0"))
_WHOLE = re.compile(r"[+-]?[0-9]+\Z")
_BODILESS = (204, 304)
_MOST_DISCARDED = 2  # times the largest body
_SYSTEM_ID_PREFIX = "sid_"


def new_transaction_id() -> str:
    """32 letters and digits."""
    return "".join(_ID_ALPHABET[byte % 62] for byte in secrets.token_bytes(32))


def without_dots(path: str) -> str:
    """The path with '..' and '.' followed (RFC 3986, 5.2.4), as the proxy of an installation does for wskdeploy's export."""
    if "/." not in path:
        return path
    kept: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def integer(text: str, *, bits: int) -> int | None:
    """A whole number as Java reads it; None for what is none or does not fit."""
    if len(text) > bits or not _WHOLE.match(text):
        return None
    value = int(text)
    return value if -(1 << bits - 1) <= value < 1 << bits - 1 else None


@dataclass(slots=True)
class Request:
    """One request; `target` is as it came, `path` percent-encoded, `headers` (lower-case name, value) in order."""

    method: str
    target: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    receive: Receive
    max_body: int
    transaction_id: str = ""
    _body: bytes | None = None
    _segments: list[str] | None = None
    _parameters: list[tuple[str, str]] | None = None

    @classmethod
    def from_scope(cls, scope: Scope, receive: Receive, *, max_body: int) -> Request:
        """Take what the engine needs out of an ASGI scope."""
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        path = raw_path.split(b"?", 1)[0].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        target: bytes | None = scope.get(TARGET)
        request = cls(
            method=scope["method"],
            target=target.decode("latin-1") if target else f"{path}?{query}" if query else path,
            path=without_dots(path),
            query=query,
            headers=headers,
            receive=receive,
            max_body=max_body,
        )
        given = request.header(REQUEST_ID)
        usable = given and not given.startswith(_SYSTEM_ID_PREFIX)
        request.transaction_id = given if given and usable else new_transaction_id()
        return request

    def header(self, name: str) -> str | None:
        """First value of a header, by lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def segments(self) -> list[str]:
        """Path parts, decoded one by one; a trailing slash leaves a last empty one."""
        if self._segments is None:
            self._segments = [unquote(part) for part in self.path.split("/")[1:]]
        return self._segments

    def parameters(self) -> list[tuple[str, str]]:
        """Query parameters in order, blanks kept."""
        if self._parameters is None:
            self._parameters = targets.pairs(self.query)
        return self._parameters

    def parameter(self, name: str) -> str | None:
        """First value of a query parameter."""
        return next((value for key, value in self.parameters() if key == name), None)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Boolean query parameter, one without a value left out; raises 400 for another word."""
        word = (self.parameter(name) or "").lower()
        if not word:
            return default
        if word not in _TRUE and word not in _FALSE:
            raise rejected(400, messages.query_malformed(name, messages.not_boolean(word)))
        return word in _TRUE

    def forget_body(self) -> None:
        """Free a body that was parsed; it may be tens of megabytes."""
        self._body = b""

    async def body(self, *, most: int | None = None) -> bytes:
        """The whole body; raises 413 beyond `most` bytes, of which no more are held, PlainError beyond the bound of the HTTP layer."""
        if self._body is None:
            declared = self.header("content-length")
            if declared is not None and declared.isdigit() and int(declared) > self.max_body:
                await self._discard()
                raise PlainError(400, messages.REQUEST_TOO_LARGE, close=True)
            self._body = await self._read(self.max_body if most is None else most)
        return self._body

    async def _discard(self) -> None:
        """Read on for a while, as most clients read the answer only when they have sent everything."""
        size = 0
        more = True
        while more and size < _MOST_DISCARDED * self.max_body:
            message = await self.receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)

    async def _read(self, most: int) -> bytes:
        whole = bytearray()  # grows in place
        size, more = 0, True
        while more:
            part, more = await self._part()
            size += len(part)
            if size > self.max_body:
                raise PlainError(400, messages.REQUEST_TOO_LARGE, close=True)
            if size == len(part) <= most and not more:
                return part
            if size > most:
                whole.clear()
            else:
                whole += part
        if size > most:
            raise ApiError(413, messages.request_larger(size, most))
        return bytes(whole)

    async def _part(self) -> tuple[bytes, bool]:
        """The next part of the body, and whether more come; a client that is gone has not sent a whole one."""
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise PlainError(400, messages.REQUEST_INCOMPLETE, close=True)
        return message.get("body", b""), message.get("more_body", False)

    async def json_body(self) -> bytes:
        """Body of a route that reads JSON; raises 415 for another content type."""
        raw = await self.body()
        declared = self.header("content-type")
        if declared is None and not raw:
            return raw
        kind = media.parse(declared or media.OCTETS)
        if kind is None or kind.name != JSON:
            raise rejected(415, messages.unsupported_type(kind.canonical() if kind else declared or ""))
        return raw

    def accept(self) -> list[str]:
        """All values of the Accept header."""
        return [value for name, value in self.headers if name == "accept"]


@dataclass(slots=True)
class Response:
    """One answer; headers in order, names lower-case.

    `offered` is the type that the Accept header must let through, None where it does not matter.
    """

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    offered: str | None = None

    def with_cors(self) -> Response:
        """Add the headers that every answer of the API carries."""
        self.headers += _API_CORS
        return self

    async def send(self, send: Send, *, transaction_id: str, head: bool) -> None:
        """Write it out."""
        raw = [(REQUEST_ID.encode(), transaction_id.encode("latin-1", "replace"))]
        raw += [(name.encode("latin-1"), value.encode("utf-8")) for name, value in self.headers]
        if self.content_type is not None:
            raw.append((b"content-type", self.content_type.encode("latin-1")))
        bodiless = self.status in _BODILESS
        if not bodiless:
            raw.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if head or bodiless else self.body})


_API_CORS = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", API_METHODS),
    ("access-control-allow-headers", CORS_HEADERS),
]


def json_bytes(body: bytes, status: int = 200) -> Response:
    """Answer with JSON already encoded."""
    return Response(status, body, JSON, offered=JSON)


def json_value(value: Any, status: int = 200) -> Response:
    """Answer with a value."""
    return json_bytes(jsonio.dumps(value), status)


def text(body: str, status: int = 200) -> Response:
    """Answer with plain text."""
    return Response(status, body.encode("utf-8", "replace"), TEXT)


def error_response(error: ApiError, transaction_id: str) -> Response:
    """The body of every error: its text, and the transaction as `code`."""
    response = json_value({"code": transaction_id, "error": error.text}, error.status)
    response.headers += list(error.headers)
    if not error.negotiated:
        response.offered = None
    return response.with_cors() if error.cors else response


def plain_error_response(error: PlainError) -> Response:
    """An error of the HTTP layer."""
    response = text(error.text, error.status)
    if error.close:
        response.headers.append(("connection", "close"))
    return response
