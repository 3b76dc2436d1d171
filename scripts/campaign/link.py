"""One proxied connection: a client's socket, a server's socket, and a pipe each way."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Protocol, cast

from campaign.pipe import Conditions, Pipe

CONNECT_TIMEOUT_S = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def reset(transport: asyncio.WriteTransport) -> None:
    """Closes a connection with RST instead of FIN (SO_LINGER of 0 s, socket(7)); unsent bytes are lost."""
    handle = transport.get_extra_info("socket")
    if handle is not None and not transport.is_closing():
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


class Watch(Protocol):
    """Looks at a link's traffic; see `campaign.effects`."""

    def asked(self, data: bytes, *, first: bool) -> None:
        """Bytes of the client are about to go to the server; `first` of them after the server last spoke."""

    def answered(self, data: bytes) -> bool:
        """Whether bytes of the server may go to the client; if not, they are thrown away."""

    def lost(self) -> None:
        """The connection is gone."""


class Owner(Protocol):
    """What a link asks of its proxy."""

    loop: asyncio.AbstractEventLoop
    conditions: Conditions
    upstream: tuple[str, int]

    def opened(self, link: Link) -> Watch | None:
        """A client has come; None when it is not wanted."""

    def closed(self, link: Link, *, unreachable: bool) -> None:
        """Both sides are gone, or on their way."""


class Link:
    """The pair of sockets; starts when the client has connected, connects to the server unless the network hangs."""

    def __init__(self, owner: Owner) -> None:
        self.up = Pipe(owner.loop, owner.conditions, on_end=self._half_done)
        self.down = Pipe(owner.loop, owner.conditions, on_end=self._half_done)
        self.client = _End(
            outward=self.up,
            inward=self.down,
            arrived=self._client_arrived,
            heard=self._asked,
            gone=self._lost,
        )
        self._server = _End(
            outward=self.down,
            inward=self.up,
            arrived=self._server_arrived,
            heard=self._answered,
            gone=self._lost,
        )
        self._owner = owner
        self._watch: Watch | None = None
        self._server_spoke = True
        self._connecting: asyncio.Task[None] | None = None
        self._gone = False

    @property
    def addresses(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """The client's own address and the one it has connected to."""
        transport = self.up.source
        assert transport is not None  # noqa: S101 - a link is shown to others only when its client is there
        return transport.get_extra_info("peername")[:2], transport.get_extra_info("sockname")[:2]

    def _client_arrived(self, transport: asyncio.Transport) -> None:
        self.up.source = self.down.sink = transport
        self.up.advance()
        self._watch = self._owner.opened(self)
        if self._watch is None:
            self._gone = True
            reset(transport)
        else:
            self.start()

    def start(self) -> None:
        """Connects to the server, unless the network hangs or that was begun before."""
        if self._connecting is None and not self._owner.conditions.hung and not self._gone:
            self._connecting = self._owner.loop.create_task(self._connect())

    async def _connect(self) -> None:
        host, port = self._owner.upstream
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._owner.loop.create_connection(lambda: self._server, host, port)
        except OSError:  # TimeoutError is one
            self.cut(unreachable=True)

    def _server_arrived(self, transport: asyncio.Transport) -> None:
        if self._gone:
            reset(transport)
            return
        self.down.source = self.up.sink = transport
        self.up.advance()
        self.down.advance()

    def _asked(self, data: bytes) -> None:
        if self._watch:
            self._watch.asked(data, first=self._server_spoke)
        self._server_spoke = False
        self.up.feed(data)

    def _answered(self, data: bytes) -> None:
        self._server_spoke = True
        if self._watch is None or self._watch.answered(data):
            self.down.feed(data)

    def conditions_changed(self) -> None:
        """The network is different from now on."""
        self.start()
        self.up.conditions_changed()
        self.down.conditions_changed()

    def cut(self, *, unreachable: bool = False) -> None:
        """Resets both sides."""
        for transport in (self.up.source, self.down.source):
            if transport is not None:
                reset(transport)
        self._forget(unreachable=unreachable)

    def _lost(self, error: Exception | None) -> None:
        """A socket is gone: so the other one goes, in the same way."""
        if error is not None:
            self.cut()
        else:
            self._close()

    def _half_done(self) -> None:
        if self.up.ended and self.down.ended:
            self._close()

    def _close(self) -> None:
        for transport in (self.up.source, self.down.source):
            if transport is not None:
                transport.close()
        self._forget()

    def _forget(self, *, unreachable: bool = False) -> None:
        if self._gone:
            return
        self._gone = True
        if self._connecting and self._connecting is not asyncio.current_task(self._owner.loop):
            self._connecting.cancel()
        self.up.drop()
        self.down.drop()
        if self._watch:
            self._watch.lost()
        self._owner.closed(self, unreachable=unreachable)


class _End(asyncio.Protocol):
    """A socket's news, told to the link and its pipes; `outward` takes what is read here, `inward` writes here."""

    def __init__(
        self,
        *,
        outward: Pipe,
        inward: Pipe,
        arrived: Callable[[asyncio.Transport], None],
        heard: Callable[[bytes], None],
        gone: Callable[[Exception | None], None],
    ) -> None:
        self._outward = outward
        self._inward = inward
        self._arrived = arrived
        self._gone = gone
        self._heard = heard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._arrived(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._heard(data)

    def eof_received(self) -> bool:
        self._outward.end()
        return True  # the other half stays open

    def pause_writing(self) -> None:
        self._inward.sink_full(True)

    def resume_writing(self) -> None:
        self._inward.sink_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone(exc)
