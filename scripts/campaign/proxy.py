"""TCP proxies on loopback that reset, slow down, refuse or swallow what passes; all of a `Network` share one thread.

All methods may be called from any thread but the network's own. What one can do to a proxy falls into two groups that do not
touch each other: the network's state (`slow`, `refuse`, `hang`, undone by `heal`), and orders to cut a client off between an
effect and its answer (`kill_after_effect`, `cut_after_effect`, undone by `disarm`).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable

from campaign.effects import Effects, Kind, MayKill, Turns, nobody
from campaign.link import Link, Watch
from campaign.loop_thread import LoopThread
from campaign.pipe import Conditions

HOST = "127.0.0.1"
CONNECTIONS = 2000
"""Connections a proxy holds at most; one more is reset."""


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What a proxy has seen since it began.

    `refused` connections were reset at once (`refuse`, or too many), `unreachable` ones since the server did not take them;
    `resets` are live connections cut by `reset` or after an effect. `bytes_up` went to the server, `bytes_down` to clients.
    """

    connections: int = 0
    live: int = 0
    refused: int = 0
    unreachable: int = 0
    resets: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


class Network:
    """Owner of the thread; `close` ends all its proxies."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.thread = LoopThread("campaign network", loop=loop)
        self._closers: list[Callable[[], None]] = []

    def proxy(self, name: str, *, upstream: tuple[str, int], may_kill: MayKill = nobody) -> Proxy:
        """A listening proxy; `may_kill(pid)` says which clients `kill_after_effect` may kill (called in the network's thread)."""
        proxy = Proxy(name, thread=self.thread, upstream=upstream, may_kill=may_kill)
        self.on_close(proxy.close)
        return proxy

    def on_close(self, closer: Callable[[], None]) -> None:
        """Something else to call before the thread ends."""
        self._closers.append(closer)

    def close(self) -> None:
        """Cuts all connections, stops listening and ends the thread; a second call does nothing."""
        while self._closers:
            self._closers.pop()()
        self.thread.close()


class Proxy:
    """One listening address before one server; made by `Network.proxy`."""

    def __init__(
        self, name: str, *, thread: LoopThread, upstream: tuple[str, int], may_kill: MayKill = nobody
    ) -> None:
        self.name = name
        self.upstream = upstream
        self.loop = thread.loop
        self.conditions = Conditions()
        self._thread = thread
        self._refusing = False
        self._links: set[Link] = set()
        self._seen = Traffic()
        self._effects = Effects(may_kill)
        self._server = thread.wait_for(self._listen())
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]

    def url(self, scheme: str) -> str:
        """The address as `scheme://host:port`."""
        return f"{scheme}://{self.address[0]}:{self.address[1]}"

    @property
    def traffic(self) -> Traffic:
        """The counters now."""
        return self._thread.call(self._count)

    @property
    def effects(self) -> Counter[str]:
        """How often a client was "killed", "cut" (as ordered) or "spared" (to be killed, but not ours: cut)."""
        return self._thread.call(self._effects.counts.copy)

    def reset(self) -> int:
        """Cuts all live connections with RST, on both sides; returns how many."""
        return self._thread.call(self._reset)

    def slow(self, *, delay_s: float = 0.0, bytes_per_s: float | None = None) -> None:
        """From now on each byte comes `delay_s` later, and a connection carries at most `bytes_per_s` each way."""
        if delay_s < 0 or (bytes_per_s is not None and bytes_per_s <= 0):
            raise ValueError(f"delay_s={delay_s} must not be negative, bytes_per_s={bytes_per_s} must be above 0")
        self._thread.call(lambda: self._change(delay_s=delay_s, bytes_per_s=bytes_per_s))

    def refuse(self) -> None:
        """New connections are reset at once; live ones go on (`reset` cuts them)."""
        self._thread.call(lambda: self._refuse(True))

    def hang(self) -> None:
        """A black hole: connections are accepted, and nothing passes in either direction, on live ones too, until `heal`."""
        self._thread.call(lambda: self._change(hung=True))

    def heal(self) -> None:
        """Ends `slow`, `refuse` and `hang`; what was held back passes now."""
        self._thread.call(self._heal)

    def kill_after_effect(self, match: bytes, *, times: int = 1) -> None:
        """The next `times` clients with `match` in a request are killed when it has had its effect and before they see its answer.

        The client's connection is cut; its process gets SIGKILL when `may_kill` says so.
        """
        self._thread.call(lambda: self._effects.order(Kind.KILL, match, times))

    def cut_after_effect(self, match: bytes, *, times: int = 1) -> None:
        """Like `kill_after_effect`, but only the connection is reset: the client lives and does not know of the effect."""
        self._thread.call(lambda: self._effects.order(Kind.CUT, match, times))

    def disarm(self) -> int:
        """Withdraws orders that wait for their request; returns how many times they were still to be carried out."""
        return self._thread.call(self._effects.disarm)

    def close(self) -> None:
        """Stops listening and cuts what is live."""
        self._thread.call(self._close)

    # As the owner of links; in the network's thread.

    def opened(self, link: Link) -> Watch | None:
        """See `campaign.link.Owner`."""
        self._seen = dataclasses.replace(self._seen, connections=self._seen.connections + 1)
        if self._refusing or len(self._links) >= CONNECTIONS:
            self._seen = dataclasses.replace(self._seen, refused=self._seen.refused + 1)
            return None
        self._links.add(link)
        return Turns(self._effects, addresses=link.addresses, cut=lambda: self._cut(link))

    def closed(self, link: Link, *, unreachable: bool) -> None:
        """See `campaign.link.Owner`."""
        self._links.discard(link)
        self._seen = dataclasses.replace(
            self._seen,
            unreachable=self._seen.unreachable + unreachable,
            bytes_up=self._seen.bytes_up + link.up.passed,
            bytes_down=self._seen.bytes_down + link.down.passed,
        )

    async def _listen(self) -> asyncio.Server:
        return await self.loop.create_server(lambda: Link(self).client, HOST, 0, backlog=512)

    def _count(self) -> Traffic:
        return dataclasses.replace(
            self._seen,
            live=len(self._links),
            bytes_up=self._seen.bytes_up + sum(link.up.passed for link in self._links),
            bytes_down=self._seen.bytes_down + sum(link.down.passed for link in self._links),
        )

    def _cut(self, link: Link) -> None:
        self._seen = dataclasses.replace(self._seen, resets=self._seen.resets + 1)
        link.cut()

    def _reset(self) -> int:
        links = list(self._links)
        for link in links:
            self._cut(link)
        return len(links)

    def _refuse(self, refusing: bool) -> None:  # noqa: FBT001 - nothing but this
        self._refusing = refusing

    def _change(
        self, *, hung: bool | None = None, delay_s: float | None = None, bytes_per_s: float | None = None
    ) -> None:
        if hung is not None:
            self.conditions.hung = hung
        if delay_s is not None:
            self.conditions.delay_s, self.conditions.bytes_per_s = delay_s, bytes_per_s
        for link in list(self._links):
            link.conditions_changed()

    def _heal(self) -> None:
        self._refusing = False
        self._change(hung=False, delay_s=0.0)

    def _close(self) -> None:
        self._server.close()
        self._effects.disarm()
        self._reset()
