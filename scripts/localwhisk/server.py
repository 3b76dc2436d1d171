"""Serves one engine over HTTP until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import io
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import uvicorn
import uvloop

from localwhisk import connections, private, tls, wskprops
from localwhisk.activations import Activation
from localwhisk.alarm_host import AlarmHost
from localwhisk.app import App
from localwhisk.connections import Connection, Connections
from localwhisk.engine import Engine
from localwhisk.identity import GUEST, Identities, Identity
from localwhisk.instance import Claim
from localwhisk.lines import line
from localwhisk.runtimes import Pool
from localwhisk.settings import Settings

log = logging.getLogger("localwhisk.server")
_BACKLOG = 2048
_GRACE_S = 10
_TICKS = int(connections.SWEEP_S * 10)  # uvicorn makes ten a second
_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE_BLOCK = 512 * 1024


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the engine closes after it, and only then the process ends."""

    def __init__(self, app: App) -> None:
        self.open = Connections(connections.room())
        self._accepting: asyncio.Task[None] | None = None
        super().__init__(_config(app, partial(Connection, table=self.open)))

    async def listen(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """Serve until `should_exit`."""
        if context is None:
            await self.serve(sockets=[listener])
            return
        make = partial(Connection, self.config, self.server_state, {}, table=self.open)
        self._accepting = asyncio.create_task(tls.accept(listener, context, self.open, make))
        await self.serve(sockets=[])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nobody in any more, and let those go who are."""
        if self._accepting is not None:
            self._accepting.cancel()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections too."""
        if counter % _TICKS == 0:
            self.open.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; raises OSError when the port or the state folder is taken."""
    private.from_now_on()
    claim = Claim(settings.state)
    try:
        _run(settings, claim)
    finally:
        claim.release()


def _run(settings: Settings, claim: Claim) -> None:
    context = tls.context(settings.state, settings.host) if settings.tls else None
    listener = _listen(settings.host, settings.port)
    _return_large_blocks()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    uvloop.run(serve(settings, listener, claim, context))


async def serve(
    settings: Settings, listener: socket.socket, claim: Claim, context: ssl.SSLContext | None = None
) -> None:
    """Start the engine, answer requests, and drain at the end."""
    engine = Engine(
        folder=settings.state,
        runtimes=_pool(settings),
        limits=settings.limits,
        own_limits=settings.own_limits,
        identities=Identities(settings.identities),
        retention=settings.retention,
        listener=None if settings.quiet else print_activation,
    )
    engine.invoker.api_host = address = _address(listener, "http" if context is None else "https")
    alarms = AlarmHost(engine) if settings.alarms else None
    await engine.start()
    if alarms is not None:
        await alarms.start()
    server = _Server(App(engine, settings.gate if engine.identities.well_known else None))
    _end_on_signals(server)
    serving = asyncio.create_task(server.listen(listener, context))
    await _announce(settings, server, serving, address, claim)
    try:
        await serving
    finally:
        if alarms is not None:
            await alarms.close()
        await engine.close(drain_s=_GRACE_S)


def print_activation(activation: Activation) -> None:
    """One line for an activation that ended."""
    shown = line(
        start_ms=activation.start,
        path=activation.path or f"{activation.namespace}/{activation.name}",
        status=activation.status,
        duration_ms=None if activation.end is None else activation.duration,
        annotations=activation.annotations,
        activation_id=activation.id,
    )
    with contextlib.suppress(OSError):  # nobody reads it any more
        sys.stdout.write(f"{shown}\n")


def _return_large_blocks() -> None:
    """Have glibc give the blocks of large bodies back to the system at once, instead of keeping up to 32 MB each."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


def _pool(settings: Settings) -> Pool:
    return Pool(
        state=settings.state / "runtimes",
        action_python=settings.action_python,
        node_modules=settings.action_node_modules,
        image_map=settings.images,
        memory_mb=settings.memory_mb,
    )


def _config(app: App, protocol: Callable[..., Connection]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http=protocol,  # type: ignore[arg-type]  # what makes one serves as well as a class
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
        timeout_keep_alive=int(connections.IDLE_S),
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        message = f"cannot listen on {host}, port {port}: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            message += " (another engine, or another program). --port names another port, --port 0 takes a free one"
        raise OSError(message) from error
    listener.setblocking(False)  # the socket's own signature
    return listener


def _address(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"


def _end_on_signals(server: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)


async def _announce(
    settings: Settings, server: uvicorn.Server, serving: asyncio.Task[None], address: str, claim: Claim
) -> None:
    """Say where it is once it answers."""
    while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.005)
    guest = _guest(settings)
    claim.announce(address, "" if guest.is_well_known else guest.auth)
    if settings.wskprops is not None:
        _write_properties(settings.wskprops, address, guest.auth)
    sys.stdout.write(f"OpenWhisk API on {address} (namespace guest; state in {settings.state})\n")
    sys.stdout.flush()
    if settings.ready_file is not None:
        partial = settings.ready_file.with_suffix(".tmp")
        partial.write_text(f"{address}\n")
        os.replace(partial, settings.ready_file)  # noqa: PTH105  # atomic


def _guest(settings: Settings) -> Identity:
    return next(one for one in settings.identities if one.namespace == GUEST)


def _write_properties(path: Path, address: str, auth: str) -> None:
    try:
        wskprops.write(path, address, auth)
    except OSError as error:
        log.warning("%s was not written: %s", path, error)
