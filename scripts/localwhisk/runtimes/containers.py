"""Blackbox actions in containers of their own, by podman or docker.

What a container engine says is read from files, not from pipes: podman's monitor inherits what its caller has open and keeps it for
the container's whole life, so that a pipe would not end with the command. Containers carry the engine's state folder as a label:
those that a killed engine left are removed before the first one of the next is started.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from pathlib import Path

from localwhisk.runtime_api import ActionSpec, RunContext
from localwhisk.runtimes import texts, verdicts
from localwhisk.runtimes.http_action import HttpAction
from localwhisk.runtimes.logs import LogCollector, Stream
from localwhisk.runtimes.verdicts import Verdict
from localwhisk.runtimes.worker import NotProvisioned

_START_S = 60.0
_COMMAND_S = 300.0

_ULIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:2048")
"""OpenWhisk's own; an engine's defaults may be the host's, which it cannot set from inside another container."""


def container_tool() -> str | None:
    """Find podman or docker."""
    return shutil.which("podman") or shutil.which("docker")


class Containers:
    """The container engine's command, and the containers of one state folder."""

    def __init__(self, tool: str, *, state: Path) -> None:
        self._tool = tool
        self._label = f"localwhisk.state={state}"
        self._sweeping = asyncio.Lock()
        self._swept = False

    async def start(self, name: str, *arguments: str) -> bool:
        """Run an image detached under a name; tell whether that worked."""
        await self._sweep()
        code, _, _ = await self.command("run", "-d", "--name", name, "--label", self._label, *arguments)
        return code == 0

    async def remove(self, *names: str) -> None:
        """Kill and remove; what is not there is fine."""
        await self.command("rm", "-f", *names)

    async def _sweep(self) -> None:
        async with self._sweeping:
            if self._swept:
                return
            _, left, _ = await self.command("ps", "-aq", "--filter", f"label={self._label}")
            if left.strip():
                await self.remove(*left.decode().split())
            self._swept = True

    async def command(self, *arguments: str) -> tuple[int, bytes, bytes]:
        """Exit status, output and error output of one command; a command that is not waited for any more is killed."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = await asyncio.create_subprocess_exec(
                self._tool, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=err
            )
            try:
                code = await asyncio.wait_for(process.wait(), _COMMAND_S)
            except TimeoutError:
                return 1, b"", b""
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read()


class ContainerWorker:
    """A container of one action, published on a loopback port."""

    def __init__(self, containers: Containers, *, image: str) -> None:
        self._containers = containers
        self._image = image
        self._name: str | None = None
        self._closed = False
        self._http: HttpAction | None = None
        self._seen: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self._ready = False

    @property
    def ready(self) -> bool:
        """Tell whether the container took its init."""
        return self._ready

    def alive(self) -> bool:
        """Tell whether there is a container to try."""
        return self._name is not None

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
        self._name = name = f"localwhisk-{uuid.uuid4().hex[:12]}"
        started = await self._containers.start(
            name,
            *("-p", "127.0.0.1::8080", "--memory", memory, "--memory-swap", memory, *_ULIMITS),
            *("-e", f"__OW_API_HOST={context.api_host}", self._image),
        )
        if not started:
            raise NotProvisioned(verdicts.developer_error(texts.pull_failed(self._image)))
        if self._closed:
            await self._containers.remove(name)
            return verdicts.system_error(texts.ENGINE_STOPPED)
        code, out, _ = await self._containers.command("port", name, "8080/tcp")
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
        _, out, _ = await self._containers.command("inspect", "-f", "{{.State.OOMKilled}}", self._name or "")
        return out.strip() == b"true"

    async def _collect(self, logs: LogCollector) -> None:
        _, out, err = await self._containers.command("logs", self._name or "")
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
        """Remove the container; one that is just being started goes when it is there."""
        self._closed = True
        if self._http is not None:
            self._http.close()
        if self._name is not None:
            name, self._name = self._name, None
            await self._containers.remove(name)
