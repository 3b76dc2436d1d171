"""Native actions (dockerskeleton's contract): an executable `exec`, started anew for each run.

It gets the parameters as its argument (up to 131071 bytes) and on stdin; the last line of its stdout is the result,
the lines before it are logs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from localwhisk.runtime_api import ActionSpec, RunContext
from localwhisk.runtimes import memory, texts, verdicts
from localwhisk.runtimes.code import CodeCache, CodeError
from localwhisk.runtimes.logs import LogCollector
from localwhisk.runtimes.verdicts import Verdict
from localwhisk.runtimes.worker import init_environment

SKELETON = "openwhisk/dockerskeleton"
_MAX_ARGUMENT = 131_071
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def is_skeleton(image: str | None) -> bool:
    """Tell whether an image is the dockerskeleton, with any tag."""
    return image is not None and image.split(":", 1)[0] == SKELETON


class NativeWorker:
    """Runs the executable of one action."""

    def __init__(self, code: CodeCache) -> None:
        self._code = code
        self._folder: Path | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ending: Verdict | None = None
        self._ready = False

    @property
    def ready(self) -> bool:
        """Tell whether the executable is unpacked."""
        return self._ready

    def alive(self) -> bool:
        """Tell that nothing can die between runs."""
        return True

    async def init(self, spec: ActionSpec, context: RunContext, logs: LogCollector) -> Verdict | None:  # noqa: ARG002
        """Unpack the executable."""
        if not spec.code:
            return verdicts.developer_error(texts.NO_CODE, sized=True)
        try:
            self._folder = await self._code.acquire(spec, family="native", layout=_check_executable)
        except CodeError as error:
            logs.note(error.log)
            return verdicts.developer_error(str(error), sized=True)
        self._ready = True
        return None

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes, logs: LogCollector) -> Verdict:
        """Start the executable and judge its last line."""
        if self._folder is None:
            return verdicts.developer_error(texts.CANNOT_BUILD, sized=True)
        argument = [params.decode()] if len(params) <= _MAX_ARGUMENT else []
        self._ending = None
        try:
            self._process = await asyncio.create_subprocess_exec(
                str(self._folder / "exec"),
                *argument,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._folder,
                env={**_ENVIRONMENT, **init_environment(spec, context)},
                start_new_session=True,
            )
        except OSError as error:
            logs.note(f"{error.strerror}: exec")
            return verdicts.developer_error(texts.NOT_A_DICTIONARY, sized=True)
        return await self._await_result(self._process, spec, params, logs)

    async def _await_result(
        self, process: asyncio.subprocess.Process, spec: ActionSpec, params: bytes, logs: LogCollector
    ) -> Verdict:
        stopper = asyncio.get_running_loop().call_later(spec.timeout_ms / 1000, self._expire, spec.timeout_ms)
        try:
            out, err = await process.communicate(params)
        finally:
            stopper.cancel()
            self._kill()
            self._process = None
        logs.feed("stderr", err)
        if self._ending is not None:
            logs.feed("stdout", out)
            return self._ending
        return _judge(out, logs)

    def _expire(self, milliseconds: int) -> None:
        self._end(verdicts.developer_error(texts.time_limit(milliseconds, init=False), timeout=True))

    def _end(self, verdict: Verdict) -> None:
        if self._ending is None:
            self._ending = verdict
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def check_memory(self, limit_bytes: int) -> None:
        """Kill what runs when it is above the limit."""
        if self._process is not None and memory.exceeds(self._process.pid, limit_bytes):
            self._end(verdicts.developer_error(texts.MEMORY_EXHAUSTED))

    async def close(self) -> None:
        """Kill what runs and let go of the code."""
        if self._process is not None:
            self._end(verdicts.system_error(texts.ENGINE_STOPPED))
        if self._folder is not None:
            self._code.release(self._folder)
            self._folder = None


def _check_executable(folder: Path, _: str) -> None:
    executable = folder / "exec"
    if not executable.is_file():
        raise CodeError(texts.CANNOT_BUILD, log="The zip does not include exec.")
    executable.chmod(0o700)


def _judge(out: bytes, logs: LogCollector) -> Verdict:
    lines = out.rstrip(b"\n").split(b"\n")
    valid, value = verdicts.parse(lines[-1])
    if not valid or not isinstance(value, (dict, list)):
        logs.feed("stdout", out)
        return verdicts.developer_error(texts.NOT_A_DICTIONARY, sized=True)
    if len(lines) > 1:
        logs.feed("stdout", b"\n".join(lines[:-1]) + b"\n")
    if len(lines[-1]) > texts.RESULT_LIMIT:
        return verdicts.too_long(lines[-1], len(lines[-1]))
    return verdicts.of_value(lines[-1], value)
