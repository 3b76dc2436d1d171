"""Images and kinds that are mapped to a running local server; containers are in containers.py."""

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

    Code that the action brings is not shared: whoever runs it has the server for itself, and a server that refuses another
    init (a runtime of OpenWhisk takes one in its life) has other code than this. The server is not ours: its output is not
    the activation's log, and a time limit only drops the connection.
    """

    def __init__(self, server: MappedServer, *, name: str) -> None:
        self._server = server
        self._name = name
        self._http = HttpAction(server.url)
        self._ready = False
        self._brings_code = False

    @property
    def ready(self) -> bool:
        """Tell whether this worker has seen to the init."""
        return self._ready

    def alive(self) -> bool:
        """Tell that a mapped server is always tried."""
        return True

    async def init(self, spec: ActionSpec, context: RunContext, logs: LogCollector) -> Verdict | None:
        """Initialise the server unless it holds this revision already."""
        self._brings_code = bool(spec.code)
        async with self._server.lock:
            verdict = await self._load(spec, context, logs)
        self._ready = verdict is None
        return verdict

    async def _load(self, spec: ActionSpec, context: RunContext, logs: LogCollector) -> Verdict | None:
        if self._server.loaded == spec.pool_key:
            return None
        if not await self._http.reachable(0):
            logs.note(f"{self._name!r} is mapped to {self._server.url}, where nothing answers.")
            raise NotProvisioned(verdicts.system_error(texts.NO_RESOURCES))
        verdict = await self._http.init(spec, context, again=not self._brings_code)
        if verdict is None:
            self._server.loaded = spec.pool_key
        return verdict

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes, logs: LogCollector) -> Verdict:
        """Run; a server that vanished is initialised again next time."""
        if not self._brings_code:
            return await self._run(spec, context, params)
        async with self._server.lock:
            verdict = await self._load(spec, context, logs)
            return verdict or await self._run(spec, context, params)

    async def _run(self, spec: ActionSpec, context: RunContext, params: bytes) -> Verdict:
        verdict = await self._http.run(spec, context, params)
        if verdict.result == {"error": texts.ABNORMAL_RUN}:
            self._server.loaded = None
        return verdict

    def check_memory(self, limit_bytes: int) -> None:
        """Leave a server that is not ours alone."""

    async def close(self) -> None:
        """Drop the connection."""
        self._http.close()
