"""Blackbox actions whose image is mapped to a running local server; containers are in containers.py."""

from __future__ import annotations

import asyncio

from localwhisk.runtime_api import ActionSpec, RunContext
from localwhisk.runtimes import texts, verdicts
from localwhisk.runtimes.http_action import HttpAction
from localwhisk.runtimes.logs import LogCollector
from localwhisk.runtimes.verdicts import Verdict
from localwhisk.runtimes.worker import NotProvisioned


class MappedServer:
    """The state of one mapped server, shared by all workers that talk to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.loaded: tuple[str, str] | None = None
        self.lock = asyncio.Lock()


class MappedWorker:
    """A connection to a mapped server; the server is initialised once per revision of an action.

    The server is not ours: its output is not the activation's log, and a time limit only drops the connection.
    """

    def __init__(self, server: MappedServer) -> None:
        self._server = server
        self._http = HttpAction(server.url)
        self._ready = False

    @property
    def ready(self) -> bool:
        """Tell whether this worker has seen to the init."""
        return self._ready

    def alive(self) -> bool:
        """Tell that a mapped server is always tried."""
        return True

    async def init(self, spec: ActionSpec, context: RunContext, logs: LogCollector) -> Verdict | None:
        """Initialise the server unless it holds this revision already."""
        async with self._server.lock:
            if self._server.loaded != spec.pool_key:
                if not await self._http.reachable(0):
                    logs.note(f"Image {spec.image!r} is mapped to {self._server.url}, where nothing answers.")
                    raise NotProvisioned(verdicts.system_error(texts.NO_RESOURCES))
                verdict = await self._http.init(spec, context, again=True)
                if verdict is not None:
                    return verdict
                self._server.loaded = spec.pool_key
        self._ready = True
        return None

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes, logs: LogCollector) -> Verdict:  # noqa: ARG002
        """Run; a server that vanished is initialised again next time."""
        verdict = await self._http.run(spec, context, params)
        if verdict.result == {"error": texts.ABNORMAL_RUN}:
            self._server.loaded = None
        return verdict

    def check_memory(self, limit_bytes: int) -> None:
        """Leave a server that is not ours alone."""

    async def close(self) -> None:
        """Drop the connection."""
        self._http.close()
