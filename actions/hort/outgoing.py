"""HTTP/1.1 calls to addresses that others named: judged before connecting, bounded in time and size, connections kept.

All of it is asyncio, so that thousands of calls a second cost little and any call can be given up at its deadline wherever
it hangs. `get` is the plain blocking form for those who make one call at a time.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import urljoin

from hort import urls
from hort.errors import AddressRefused, CallFailed
from hort.http_connection import Answer, Connection, Stale

__all__ = ["Answer", "Call", "Client", "get"]

USER_AGENT = "hort"
MAX_REDIRECTS = 3
DEFAULT_TIMEOUT_S = 10.0
DEFAULT_MAX_BYTES = 8 * 1024 * 1024
IDLE_S = 20.0
"""A kept connection is not used again after this long: most servers close theirs soon after."""
MAX_IDLE = 64
RESOLVER_THREADS = 32
"""More than models in use: a name whose servers are silent holds one until the system gives up."""

CREDENTIALS = frozenset({"authorization", "cookie", "x-hort-key"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `timeout_s` bounds all of it, redirects included; `query` is added to the URL's own."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    query: str = ""
    timeout_s: float = DEFAULT_TIMEOUT_S
    max_bytes: int = DEFAULT_MAX_BYTES
    max_redirects: int = MAX_REDIRECTS


def get(
    url: str,
    *,
    policy: urls.Policy = urls.PUBLIC,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    max_bytes: int = DEFAULT_MAX_BYTES,
    resolver: urls.Resolver = urls.system_resolver,
) -> Answer:
    """One GET, whatever its status; CallFailed or AddressRefused where there is no answer."""
    call = Call(url, headers=headers or {}, timeout_s=timeout_s, max_bytes=max_bytes)

    async def run() -> Answer:
        client = Client(policy, resolver=resolver)
        try:
            return await client.send(call)
        finally:
            client.close()

    return asyncio.run(run())


class Client:
    """Calls over connections that are kept between calls, of one event loop."""

    def __init__(self, policy: urls.Policy, *, resolver: urls.Resolver = urls.system_resolver) -> None:
        self._policy = policy
        self._resolver = resolver
        self._idle: dict[_Key, list[tuple[float, Connection]]] = {}
        self._lookups: dict[_Key, asyncio.Future[tuple[str, ...]]] = {}

    async def send(self, call: Call) -> Answer:
        """The answer, whatever its status; CallFailed or AddressRefused where there is none in time."""
        try:
            async with asyncio.timeout(call.timeout_s):
                return await self._follow(call)
        except TimeoutError as error:
            raise CallFailed("timeout", f"no answer within {call.timeout_s:g} s") from error

    def close(self) -> None:
        """Closes every kept connection."""
        for kept in self._idle.values():
            for _, connection in kept:
                connection.abort()
        self._idle.clear()

    async def _follow(self, call: Call) -> Answer:
        url = call.url
        for _ in range(call.max_redirects + 1):
            answer = await self._once(url, call)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            url, before = _next(url, location, call, answer.status), url
            call = _without_credentials(call, before, url)
        raise CallFailed("redirect", f"more than {call.max_redirects} redirects")

    async def _once(self, url: str, call: Call) -> Answer:
        origin = urls.parse(url)
        request = _request(origin, call)
        key = (origin.scheme, origin.host, origin.port)
        connection = self._take(key)
        if connection is not None:
            try:
                return await self._exchange(connection, key, url, request, call)
            except Stale:
                pass  # the server closed a kept connection before it saw the request: a fresh one decides
        connection = await self._connect(origin)
        try:
            return await self._exchange(connection, key, url, request, call)
        except Stale as error:
            raise CallFailed("closed", "the server closed the connection without an answer") from error

    async def _exchange(
        self, connection: Connection, key: _Key, url: str, request: tuple[bytes, bytes], call: Call
    ) -> Answer:
        try:
            answer = await connection.exchange(request, url, call.max_bytes)
        except BaseException:
            connection.abort()
            raise
        if connection.reusable:
            self._keep(key, connection)
        else:
            connection.abort()
        return answer

    def _take(self, key: _Key) -> Connection | None:
        kept = self._idle.get(key, [])
        while kept:
            since, connection = kept.pop()
            if connection.reusable and time.monotonic() - since < IDLE_S:
                return connection
            connection.abort()
        return None

    def _keep(self, key: _Key, connection: Connection) -> None:
        if sum(map(len, self._idle.values())) >= MAX_IDLE:
            self.close()
        self._idle.setdefault(key, []).append((time.monotonic(), connection))

    async def _connect(self, origin: urls.Origin) -> Connection:
        loop = asyncio.get_running_loop()
        found = await self._addresses(origin)
        secure = _tls() if origin.scheme == "https" else None
        failure: OSError | None = None
        for address in found:
            try:
                _, connection = await loop.create_connection(
                    Connection,
                    address,
                    origin.port,
                    ssl=secure,
                    server_hostname=origin.host if secure else None,
                )
                return connection
            except OSError as error:  # also ssl.SSLError
                failure = error
        raise CallFailed("connect", f"cannot connect to {origin.host_header}: {_cause(failure)}")

    async def _addresses(self, origin: urls.Origin) -> tuple[str, ...]:
        """The allowed addresses; calls that connect to one host at the same time share one resolution."""
        key = (origin.scheme, origin.host, origin.port)
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = asyncio.get_running_loop().run_in_executor(
                _resolvers(), lambda: urls.addresses(origin, self._policy, resolver=self._resolver)
            )
            self._lookups[key] = lookup
            lookup.add_done_callback(lambda done: self._looked_up(key, done))
        return await asyncio.shield(lookup)

    def _looked_up(self, key: _Key, done: asyncio.Future[tuple[str, ...]]) -> None:
        self._lookups.pop(key, None)
        if not done.cancelled():
            done.exception()  # marks it as seen where every caller has given up


def _next(url: str, location: str, call: Call, status: int) -> str:
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise CallFailed("redirect", f"status {status} leads to what is no URL") from error
    if call.method != "GET" and status in {301, 302, 303}:
        raise CallFailed("redirect", f"status {status} would turn a {call.method} into a GET")
    if url.startswith("https:") and not target.startswith("https:"):
        raise AddressRefused(urls.shown(target), "a redirect must not leave https")
    return target


def _without_credentials(call: Call, before: str, url: str) -> Call:
    """What goes to another origin than the caller named carries no key of his."""
    old, new = urls.parse(before), urls.parse(url)
    if (old.scheme, old.host, old.port) == (new.scheme, new.host, new.port):
        return call
    return replace(call, headers={name: value for name, value in call.headers.items() if name.lower() not in CREDENTIALS})


def _request(origin: urls.Origin, call: Call) -> tuple[bytes, bytes]:
    target = origin.target
    if call.query:
        target += ("&" if "?" in target else "?") + call.query
    lines = [
        f"{call.method} {target} HTTP/1.1",
        f"Host: {origin.host_header}",
        f"User-Agent: {USER_AGENT}",
    ]
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    if call.body or call.method != "GET":
        lines.append(f"Content-Length: {len(call.body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise CallFailed("request", "a header holds a line break")
    try:
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), call.body
    except UnicodeEncodeError as error:
        raise CallFailed("request", "a header holds what is not Latin-1") from error


def _cause(error: OSError | None) -> str:
    return "no address answered" if error is None else (error.strerror or type(error).__name__)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@lru_cache(maxsize=1)
def _resolvers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolver")
