"""One place to run one action in, and the kind that is a warm process speaking ActionLoop."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

import orjson

from localwhisk.runtime_api import ActionSpec, RunContext
from localwhisk.runtimes import memory, texts, verdicts
from localwhisk.runtimes.child import Answer, Child
from localwhisk.runtimes.code import CodeCache, CodeError
from localwhisk.runtimes.families import Family
from localwhisk.runtimes.logs import LogCollector
from localwhisk.runtimes.stems import Stems
from localwhisk.runtimes.verdicts import Verdict


class NotStarted(Exception):
    """The process died before it took the request; another one may have it."""


class NotProvisioned(Exception):
    """There is no place to run in at all, so neither init nor run began."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(str(verdict.result))
        self.verdict = verdict


class Worker(Protocol):
    """What the pool keeps: initialised once, then run one activation after the other."""

    @property
    def ready(self) -> bool:
        """Tell whether init is done."""

    def alive(self) -> bool:
        """Tell whether it can still run."""

    async def init(self, spec: ActionSpec, context: RunContext, logs: LogCollector) -> Verdict | None:
        """Load the code; None when all is well. Raises NotStarted, NotProvisioned."""

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes, logs: LogCollector) -> Verdict:
        """Run once. Raises NotStarted."""

    def check_memory(self, limit_bytes: int) -> None:
        """End what runs when it holds more than the limit."""

    async def close(self) -> None:
        """Stop at once and free everything."""


def deadline(spec: ActionSpec, context: RunContext) -> str:
    """Name the epoch millisecond at which the time limit ends."""
    if context.deadline_ms is not None:
        return str(context.deadline_ms)
    return str(int(time.time() * 1000) + spec.timeout_ms)


def run_fields(spec: ActionSpec, context: RunContext) -> dict[str, str]:
    """List what a run tells the action beside its parameters; each becomes __OW_<NAME>."""
    fields = {
        "namespace": spec.namespace,
        "action_name": spec.fqn,
        "action_version": spec.version,
        "activation_id": context.activation_id,
        "transaction_id": context.transaction_id,
        "deadline": deadline(spec, context),
    }
    if context.api_key is not None:
        fields["api_key"] = context.api_key
    return fields


def run_environment(spec: ActionSpec, context: RunContext) -> dict[str, str]:
    """List the variables __OW_* of a run."""
    own = {f"__OW_{name.upper()}": value for name, value in run_fields(spec, context).items()}
    return {**own, "__OW_API_HOST": context.api_host}


def init_environment(spec: ActionSpec, context: RunContext) -> dict[str, str]:
    """List the variables an init brings: the parameters marked init, and __OW_*."""
    return {**spec.init_env, **run_environment(spec, context)}


def request_line(spec: ActionSpec, context: RunContext, params: bytes) -> bytes:
    """Build the line of one run without parsing the parameters."""
    if b"\n" in params or b"\r" in params:
        params = params.replace(b"\n", b"").replace(b"\r", b"")
    fields = orjson.dumps(run_fields(spec, context))
    return b'{"value":' + (params or b"{}") + b"," + fields[1:] + b"\n"


class LoopWorker:
    """A process of a family, taken from the stems."""

    def __init__(self, family: Family, *, stems: Stems, code: CodeCache) -> None:
        self._family = family
        self._code = code
        self._stems = stems
        self._child: Child | None = None
        self._folder: Path | None = None
        self._ready = False

    @property
    def ready(self) -> bool:
        """Tell whether the code is loaded."""
        return self._ready

    def alive(self) -> bool:
        """Tell whether the process lives."""
        return self._child is not None and self._child.alive()

    async def init(self, spec: ActionSpec, context: RunContext, logs: LogCollector) -> Verdict | None:
        """Unpack the code and load it in a fresh process."""
        if not spec.code:
            return verdicts.developer_error(texts.NO_CODE, sized=True)
        try:
            self._folder = await self._code.acquire(spec, self._family.packing)
        except CodeError as error:
            return refusal(error, logs)
        self._child = self._stems.take(self._family)
        environment = {**self._family.marks, **init_environment(spec, context)}
        order = {"dir": str(self._folder), "main": spec.main or "main", "binary": spec.binary, "env": environment}
        answer = await self._child.ask(
            orjson.dumps(order) + b"\n", timeout_s=spec.timeout_ms / 1000, logs=logs
        )
        if answer.ending == "unread":
            raise NotStarted
        verdict = self._judge_init(answer, spec, logs)
        self._ready = verdict is None
        return verdict

    def _judge_init(self, answer: Answer, spec: ActionSpec, logs: LogCollector) -> Verdict | None:
        if answer.ending != "line":
            if answer.ending == "exited" and self._family.proxied:
                logs.note(texts.ABRUPT_EXIT)
                return verdicts.developer_error(texts.CANNOT_START, sized=True)
            return _abnormal(answer, spec, init=True)
        valid, value = verdicts.parse(answer.line)
        if valid and isinstance(value, dict) and value.get("ok") is True:
            return None
        if valid and isinstance(value, dict) and "error" in value:
            if not self._family.proxied:
                return verdicts.developer_error(value["error"], sized=True)
            _note(str(value["error"]), logs)
        return verdicts.developer_error(texts.CANNOT_BUILD, sized=True)

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes, logs: LogCollector) -> Verdict:
        """Send one request line and judge the result line."""
        if self._child is None:
            return verdicts.developer_error(texts.COMMAND_EXITED, sized=True)
        line = request_line(spec, context, params)
        answer = await self._child.ask(line, timeout_s=spec.timeout_ms / 1000, logs=logs)
        if answer.ending == "unread":
            raise NotStarted
        if answer.ending == "line":
            return self._family.judge(answer.line, answer.length)
        if answer.ending == "exited" and self._family.proxied:
            return verdicts.developer_error(texts.COMMAND_EXITED, sized=True)
        return _abnormal(answer, spec, init=False)

    def check_memory(self, limit_bytes: int) -> None:
        """Kill the process when it, with its descendants, is above the limit."""
        child = self._child
        if child is not None and child.busy and memory.exceeds(child.pid, limit_bytes):
            child.abort("memory")

    async def close(self) -> None:
        """Kill the process and let go of the code."""
        if self._child is not None:
            self._child.close()
            await self._child.gone()
        if self._folder is not None:
            self._code.release(self._folder)
            self._folder = None


def refusal(error: CodeError, logs: LogCollector) -> Verdict:
    """Judge code that cannot be unpacked or has no entry."""
    if error.log and error.stream == "stderr":
        _note(error.log, logs)
    elif error.log:
        logs.feed(error.stream, error.log.encode("utf-8", "replace") + b"\n")
    return verdicts.developer_error(str(error), sized=not error.timeout, timeout=error.timeout)


def _note(text: str, logs: LogCollector) -> None:
    for line in text.split("\n"):
        logs.note(line)


def _abnormal(answer: Answer, spec: ActionSpec, *, init: bool) -> Verdict:
    if answer.ending == "timeout":
        return verdicts.developer_error(texts.time_limit(spec.timeout_ms, init=init), timeout=True)
    if answer.ending == "memory":
        return verdicts.developer_error(texts.MEMORY_EXHAUSTED)
    if answer.ending == "stopped":
        return verdicts.system_error(texts.ENGINE_STOPPED)
    return verdicts.developer_error(texts.ABNORMAL_INIT if init else texts.ABNORMAL_RUN)
