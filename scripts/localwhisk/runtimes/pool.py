"""The pool: runs actions of every kind this machine can run, in warm workers where there are some."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localwhisk import kinds
from localwhisk.runtime_api import ActionSpec, Outcome, RunContext
from localwhisk.runtimes import families, memory, texts, verdicts
from localwhisk.runtimes.blackbox import MappedServer, MappedWorker
from localwhisk.runtimes.code import CodeCache
from localwhisk.runtimes.command import CommandWorker
from localwhisk.runtimes.containers import Containers, ContainerWorker, container_tool
from localwhisk.runtimes.families import Family
from localwhisk.runtimes.guard import Guard
from localwhisk.runtimes.logs import LogCollector
from localwhisk.runtimes.native import NativeWorker, is_skeleton
from localwhisk.runtimes.slots import NoRoom, Slot, Slots
from localwhisk.runtimes.stems import Stems
from localwhisk.runtimes.verdicts import Verdict
from localwhisk.runtimes.worker import LoopWorker, NotProvisioned, NotStarted, Worker

MIN_BUDGET_MB = 2048
PYTHON_KINDS = ("python:3.10", "python:3.11", "python:3.12")
NODE_KINDS = ("nodejs:18", "nodejs:20")
_REAP_S = 5.0
_STARTS = 3


def default_budget_mb() -> int:
    """Take half of the machine's memory, at least 2 GB, as claims are mostly larger than what is used."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(MIN_BUDGET_MB, pages // 2 // texts.MEGABYTE)


@dataclass(frozen=True, slots=True)
class _Job:
    """One run asked for; `arrived` is monotonic."""

    spec: ActionSpec
    context: RunContext
    params: bytes
    logs: LogCollector
    arrived: float

    def outcome(self, verdict: Verdict, begun: float | None = None, init_ms: int | None = None) -> Outcome:
        """Say how it ended; without `begun` it never began."""
        now, now_ns = time.monotonic(), time.time_ns()
        begun = now if begun is None else begun
        start_ns = now_ns - round(
            (now - begun) * 1e9
        )  # cut to ms only then, or it may lie before what caused it
        return Outcome(
            status=verdict.status,
            result=verdict.result,
            result_json=verdict.result_json,
            start_ms=start_ns // 1_000_000,
            end_ms=now_ns // 1_000_000,
            wait_ms=round((begun - self.arrived) * 1000),
            init_ms=init_ms,
            logs=self.logs.finish(failed=verdict.status == "action developer error"),
            timeout=verdict.timeout,
            size=verdict.size,
        )


def _image(spec: ActionSpec) -> str:
    return spec.image or kinds.image(spec.kind)


class Pool:
    """Implements localwhisk.runtime_api.Runtimes.

    `action_python` is the interpreter of the environment python actions see, `node` that of node actions (None: look
    for it), `node_modules` the folder with the packages of the nodejs:20 image, `image_map` names for images and kinds
    the URL of a running server, or the words of a command that serves on the port it is given. `containers` is the podman or docker
    command ("" for none, None to look for one). Claims of memory are bounded by `memory_mb`, waiting for a place by
    `max_waiting` activations and `wait_s` seconds.
    """

    def __init__(
        self,
        *,
        state: Path,
        action_python: Path,
        node: Path | None = None,
        node_modules: Path | None = None,
        image_map: Mapping[str, str | Sequence[str]] | None = None,
        containers: str | None = None,
        memory_mb: int | None = None,
        max_idle: int = 64,
        idle_s: float = 600.0,
        max_waiting: int = 1000,
        wait_s: float = 60.0,
        stems: int = 1,
        code_bytes: int = 4 << 30,
    ) -> None:
        self._state = state = state.absolute()
        self.guard = Guard(state)
        self._python = families.python(action_python.absolute(), guard=self.guard)
        self._home = state / "home"
        found = node or shutil.which("node")
        self._node_path = Path(found).absolute() if found else None
        self._node_modules = node_modules.absolute() if node_modules else None
        self._node_family: Family | None = None
        targets = (image_map or {}).items()
        self._servers = {image: MappedServer(url) for image, url in targets if isinstance(url, str)}
        self._commands = {image: argv for image, argv in targets if not isinstance(argv, str)}
        tool = container_tool() if containers is None else containers
        self._containers = Containers(tool, state=state) if tool else None
        self._code = CodeCache(state / "code", max_bytes=code_bytes)
        self._stems = Stems(count=stems, folder=state, guard=self.guard)
        self._idle_s = idle_s
        self._wait_s = wait_s
        self._slots: Slots[Worker] = Slots(
            memory_mb=default_budget_mb() if memory_mb is None else memory_mb,
            max_idle=max_idle,
            max_waiting=max_waiting,
            alive=lambda worker: worker.alive(),
            discard=self._discard,
        )
        self._limits: dict[Slot[Worker], int] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._running = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._closed = False

    async def start(self) -> None:
        """Make the folders, warm an interpreter up, begin to watch memory and idleness."""
        self._home.mkdir(parents=True, exist_ok=True)
        await asyncio.gather(asyncio.to_thread(self._code.start), asyncio.to_thread(self.guard.start))
        self._stems.fill(self._python)
        self._keeper = asyncio.create_task(self._keep())

    def kinds(self) -> Sequence[str]:
        """Name the kinds that can run here."""
        return (*PYTHON_KINDS, *(NODE_KINDS if self._node_path else ()), "blackbox")

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes) -> Outcome:
        """Run an action once, warm if it can be; what goes wrong is in the outcome."""
        job = _Job(spec, context, params, LogCollector(spec.logs_mb), time.monotonic())
        self._running += 1
        self._quiet.clear()
        try:
            return await self._run(job)
        finally:
            self._running -= 1
            if not self._running:
                self._quiet.set()

    async def _run(self, job: _Job) -> Outcome:
        for _ in range(_STARTS):
            slot = await self._place(job.spec)
            if slot is None:
                text = texts.ENGINE_STOPPED if self._closed else texts.NO_RESOURCES
                return job.outcome(verdicts.system_error(text))
            with contextlib.suppress(NotStarted):
                return await self._run_in(slot, job)
        return job.outcome(verdicts.system_error(texts.NO_RESOURCES))

    async def _place(self, spec: ActionSpec) -> Slot[Worker] | None:
        """Find a worker or a place for one; None when there is none in time."""
        if self._closed:
            return None
        try:
            return await self._slots.acquire(spec, claim_mb=self._claim(spec), wait_s=self._wait_s)
        except NoRoom:
            return None

    async def _run_in(self, slot: Slot[Worker], job: _Job) -> Outcome:
        """Run in a slot, which is given back in any case; raises NotStarted."""
        keep, begun, init_ms = False, time.monotonic(), None
        self._limits[slot] = job.spec.memory_mb * texts.MEGABYTE
        try:
            worker = slot.worker or self._make_worker(job.spec)
            if worker is None:
                return self._not_provisioned(job, verdicts.developer_error(texts.pull_failed(_image(job.spec))))
            slot.worker, verdict = worker, None
            if not worker.ready:
                verdict = await worker.init(job.spec, job.context, job.logs)
                init_ms = round((time.monotonic() - begun) * 1000)
            if verdict is None:
                verdict = await worker.run(job.spec, job.context, job.params, job.logs)
            keep = verdict.keeps_process and not self._closed
            return job.outcome(verdict, begun, init_ms)
        except NotProvisioned as error:
            return self._not_provisioned(job, error.verdict)
        except OSError as error:
            job.logs.note(f"{type(error).__name__}: {error.strerror}")
            return job.outcome(verdicts.system_error(texts.NO_RESOURCES), begun)
        finally:
            self._limits.pop(slot, None)
            self._slots.release(slot, keep=keep)

    def _not_provisioned(self, job: _Job, verdict: Verdict) -> Outcome:
        if job.spec.image is None and self._mapped(job.spec) is None:
            job.logs.note(texts.kind_not_here(job.spec.kind))
        return job.outcome(verdict)

    def _claim(self, spec: ActionSpec) -> int:
        return 0 if self._mapped(spec) in self._servers else spec.memory_mb

    def _mapped(self, spec: ActionSpec) -> str | None:
        """Name the mapping of an action: by its image, by its kind, or by its kind's image with or without the tag."""
        image = _image(spec)
        names = (spec.image, spec.kind, image, image.rpartition(":")[0])
        return next((name for name in names if name in self._servers or name in self._commands), None)

    def _make_worker(self, spec: ActionSpec) -> Worker | None:
        """Choose how a kind runs; None when its image cannot be had."""
        mapped = self._mapped(spec)
        if mapped in self._servers:
            return MappedWorker(self._servers[mapped], name=mapped)
        if mapped is not None:
            return CommandWorker(self._commands[mapped], name=mapped, home=self._home, guard=self.guard)
        if spec.kind.startswith("python:"):
            return LoopWorker(self._python, stems=self._stems, code=self._code)
        if spec.kind.startswith("nodejs:") and self._node_path is not None:
            return LoopWorker(self._node(self._node_path), stems=self._stems, code=self._code)
        if is_skeleton(spec.image):
            return NativeWorker(self._code, guard=self.guard)
        if self._containers is not None:
            return ContainerWorker(self._containers, image=_image(spec))
        return None

    def _node(self, executable: Path) -> Family:
        if self._node_family is None:
            code = self._state / "code"
            self._node_family = families.node(executable, code=code, modules=self._node_modules, home=self._home)
        return self._node_family

    def _discard(self, slot: Slot[Worker]) -> None:
        if slot.worker is not None:
            task = asyncio.create_task(slot.worker.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _keep(self) -> None:
        reap_at = time.monotonic() + _REAP_S
        while True:
            await asyncio.sleep(memory.POLL_S)
            for slot, limit in list(self._limits.items()):
                if slot.worker is not None:
                    slot.worker.check_memory(limit)
            if time.monotonic() >= reap_at:
                self._slots.reap(older_than_s=self._idle_s)
                reap_at = time.monotonic() + _REAP_S

    def forget(self, fqn: str) -> None:
        """Free the processes of an action that was replaced or deleted."""
        self._slots.forget(fqn)

    async def drain(self, timeout_s: float) -> None:
        """Wait until nothing runs, at most `timeout_s` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), timeout_s)

    async def close(self) -> None:
        """Kill every process; what still ran ends as an internal error."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        self._python.packing.stop()
        self._slots.clear()
        for slot in list(self._slots.busy):
            if slot.worker is not None:
                await slot.worker.close()
        await self._stems.close()
        await self.drain(5.0)
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)
        await self.guard.close()
