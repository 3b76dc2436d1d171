"""Blackbox actions: an image mapped to a running local server, or a container by podman or docker."""

from __future__ import annotations

import asyncio
import shutil

from localwhisk.runtime_api import ActionSpec, RunContext
from localwhisk.runtimes import texts, verdicts
from localwhisk.runtimes.http_action import HttpAction
from localwhisk.runtimes.logs import LogCollector, Stream
from localwhisk.runtimes.verdicts import Verdict
from localwhisk.runtimes.worker import NotProvisioned

_START_S = 60.0
_COMMAND_S = 300.0


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


_ULIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:2048")
"""OpenWhisk's own; an engine's defaults may be the host's, which it cannot set from inside another container."""


def container_tool() -> str | None:
    """Find podman or docker."""
    return shutil.which("podman") or shutil.which("docker")


class ContainerWorker:
    """A container of one action, published on a loopback port."""

    def __init__(self, tool: str, *, image: str) -> None:
        self._tool = tool
        self._image = image
        self._id: str | None = None
        self._http: HttpAction | None = None
        self._seen: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self._ready = False

    @property
    def ready(self) -> bool:
        """Tell whether the container took its init."""
        return self._ready

    def alive(self) -> bool:
        """Tell whether there is a container to try."""
        return self._id is not None

    async def init(self, spec: ActionSpec, context: RunContext, logs: LogCollector) -> Verdict | None:
        """Start the container, wait for its port, POST /init."""
        verdict = await self._start(spec, context)
        if verdict is None and self._http is not None:
            verdict = await self._http.init(spec, context)
            await self._collect(logs)
        self._ready = verdict is None
        return verdict

    async def _start(self, spec: ActionSpec, context: RunContext) -> Verdict | None:
        memory = f"{spec.memory_mb}m"
        code, out, _ = await self._command(
            *("run", "-d", "-p", "127.0.0.1::8080", "--memory", memory, "--memory-swap", memory, *_ULIMITS),
            *("-e", f"__OW_API_HOST={context.api_host}", self._image),
        )
        if code != 0:
            raise NotProvisioned(verdicts.developer_error(texts.pull_failed(self._image)))
        self._id = out.decode().strip().splitlines()[-1]
        code, out, _ = await self._command("port", self._id, "8080/tcp")
        if code != 0 or not out.strip():
            raise NotProvisioned(verdicts.system_error(texts.NO_RESOURCES))
        self._http = HttpAction("http://" + out.decode().split()[0])
        if not await self._http.reachable(_START_S):
            return verdicts.developer_error(texts.ABNORMAL_INIT)
        return None

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes, logs: LogCollector) -> Verdict:
        """Run once in the container."""
        if self._http is None:
            return verdicts.developer_error(texts.ABNORMAL_RUN)
        verdict = await self._http.run(spec, context, params)
        await self._collect(logs)
        if verdict.result == {"error": texts.ABNORMAL_RUN} and await self._out_of_memory():
            return verdicts.developer_error(texts.MEMORY_EXHAUSTED)
        return verdict

    async def _out_of_memory(self) -> bool:
        _, out, _ = await self._command("inspect", "-f", "{{.State.OOMKilled}}", self._id or "")
        return out.strip() == b"true"

    async def _collect(self, logs: LogCollector) -> None:
        _, out, err = await self._command("logs", self._id or "")
        self._feed(logs, "stdout", out)
        self._feed(logs, "stderr", err)

    def _feed(self, logs: LogCollector, stream: Stream, output: bytes) -> None:
        new = output[self._seen[stream] :]
        self._seen[stream] = len(output)
        marker = texts.END_OF_ACTIVATION
        logs.feed(stream, b"".join(line for line in new.splitlines(keepends=True) if marker not in line))

    def check_memory(self, limit_bytes: int) -> None:
        """Leave the limit to the container engine."""

    async def close(self) -> None:
        """Remove the container."""
        if self._http is not None:
            self._http.close()
        if self._id is not None:
            container, self._id = self._id, None
            await self._command("rm", "-f", container)

    async def _command(self, *arguments: str) -> tuple[int, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            self._tool, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), _COMMAND_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            return 1, b"", b""
        return process.returncode or 0, out, err
