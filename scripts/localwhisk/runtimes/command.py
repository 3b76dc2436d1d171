"""Images and kinds that are mapped to a command: an action proxy, started as a container would be."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from localwhisk.runtime_api import ActionSpec, RunContext
from localwhisk.runtimes import memory, texts, verdicts
from localwhisk.runtimes.child import Child
from localwhisk.runtimes.guard import Guard
from localwhisk.runtimes.http_action import HttpAction
from localwhisk.runtimes.logs import LogCollector, ProxyLogs
from localwhisk.runtimes.verdicts import Verdict
from localwhisk.runtimes.worker import NotProvisioned, NotStarted

PORT = "{port}"
_START_S = 30.0
_ports: set[int] = set()
"""Given to processes that live, which may not have taken theirs yet."""


class CommandWorker:
    """A process of a user's command for one action: it speaks /init and /run on the loopback port it is given.

    The port is the variable PORT, and stands for `{port}` in the arguments. The command runs in the folder the engine was started in,
    with PATH, HOME and LANG and no other variable of the engine's.
    """

    def __init__(self, argv: Sequence[str], *, name: str, home: Path, guard: Guard) -> None:
        self._argv = argv
        self._name = name
        self._home = home
        self._guard = guard
        self._child: Child | None = None
        self._http: HttpAction | None = None
        self._port = 0
        self._ended: Verdict | None = None
        self._running = False
        self._ready = False

    @property
    def ready(self) -> bool:
        """Tell whether the process took its init."""
        return self._ready

    def alive(self) -> bool:
        """Tell whether the process lives."""
        return self._child is not None and self._child.alive()

    async def init(self, spec: ActionSpec, context: RunContext, logs: LogCollector) -> Verdict | None:
        """Start the command, wait for its port, POST /init."""
        port = self._port = _take_port()
        written = ProxyLogs(logs)
        try:
            child = self._child = self._spawn(port, context, written)
        except OSError as error:
            raise self._not_provisioned(f"cannot be started: {error.strerror}", logs) from error
        self._http = HttpAction(f"http://127.0.0.1:{port}")
        with self._running_in(child, written):
            fault = await self._fault(child, self._http, port)
            verdict = None if fault else await self._http.init(spec, context)
        if fault:
            raise self._not_provisioned(fault, logs)
        self._ready = verdict is None
        return self._ended or verdict

    def _spawn(self, port: int, context: RunContext, logs: ProxyLogs) -> Child:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "PORT": str(port),
            "__OW_API_HOST": context.api_host,
        }
        argv = [argument.replace(PORT, str(port)) for argument in self._argv]
        return Child(argv, env=environment, cwd=Path.cwd(), guard=self._guard, answers=False, logs=logs)

    async def _fault(self, child: Child, http: HttpAction, port: int) -> str | None:
        """Wait until the port answers; say what went wrong where it does not."""
        reaching = asyncio.create_task(http.reachable(_START_S))
        ending = asyncio.create_task(child.exited.wait())
        try:
            await asyncio.wait({reaching, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reaching, ending):
                task.cancel()
        if child.exited.is_set() or not child.alive():
            return f"{_ending(child.returncode)} before it listened on port {port} of 127.0.0.1"
        if not (reaching.done() and reaching.result()):
            return f"did not listen on port {port} of 127.0.0.1 within {_START_S:.0f} s"
        return None

    def _not_provisioned(self, fault: str, logs: LogCollector) -> NotProvisioned:
        logs.note(f"{self._name!r} is mapped to the command {shlex.join(self._argv)!r}, which {fault}.")
        return NotProvisioned(verdicts.developer_error(texts.CANNOT_START))

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes, logs: LogCollector) -> Verdict:
        """Run once in the process; one that died since the last run has not begun this one."""
        if self._child is None or self._http is None or not await self._http.reachable(0):
            raise NotStarted
        with self._running_in(self._child, ProxyLogs(logs)):
            verdict = await self._http.run(spec, context, params)
        return self._ended or verdict

    @contextlib.contextmanager
    def _running_in(self, child: Child, written: ProxyLogs) -> Iterator[None]:
        self._running = True
        child.log_to(written)
        try:
            yield
        finally:
            self._running = False
            child.log_to(None)
            written.finish()

    def check_memory(self, limit_bytes: int) -> None:
        """Kill the process when it, with its descendants, is above the limit."""
        if self._child is not None and self._running and memory.exceeds(self._child.pid, limit_bytes):
            self._end(verdicts.developer_error(texts.MEMORY_EXHAUSTED))

    def _end(self, verdict: Verdict) -> None:
        self._ended = self._ended or verdict
        if self._child is not None:
            self._child.kill()

    async def close(self) -> None:
        """Kill the process with its group."""
        if self._running:
            self._end(verdicts.system_error(texts.ENGINE_STOPPED))
        if self._http is not None:
            self._http.close()
        if self._child is not None:
            self._child.close()
            await self._child.gone()
        _ports.discard(self._port)


def _take_port() -> int:
    while True:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        if port not in _ports:
            _ports.add(port)
            return port


def _ending(code: int | None) -> str:
    """Say how a process ended."""
    if code is None:
        return "was killed"
    if code < 0:
        return f"was ended by signal {-code}{_signal(-code)}"
    return f"ended with status {code}"


def _signal(number: int) -> str:
    with contextlib.suppress(ValueError):
        return f" ({signal.Signals(number).name})"
    return ""
