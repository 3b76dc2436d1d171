"""Native actions (dockerskeleton's contract): an executable `exec`, started anew for each run.

It gets the parameters as its argument (up to 131071 bytes) and on stdin; the last line of its stdout is the result,
the lines before it are logs. Without code, or with an archive that brings no exec, it is the image's stub.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localwhisk.runtime_api import ActionSpec, RunContext
from localwhisk.runtimes import memory, texts, verdicts
from localwhisk.runtimes.code import CodeCache, CodeError, Format, Packing
from localwhisk.runtimes.guard import Guard
from localwhisk.runtimes.logs import LogCollector
from localwhisk.runtimes.verdicts import Verdict
from localwhisk.runtimes.worker import refusal, run_environment

SKELETON = "openwhisk/dockerskeleton"
_STUB = Path(__file__).parent / "launchers" / "stub.sh"
_MAX_ARGUMENT = 131_071
_CHUNK = 1 << 16
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def is_skeleton(image: str | None) -> bool:
    """Tell whether an image is the dockerskeleton, with any tag."""
    return image is not None and image.split(":", 1)[0] == SKELETON


def _refuse(_: Format | None, detail: str) -> CodeError:
    return CodeError(texts.CANNOT_BUILD, log=texts.native_unpacking(detail), stream="stdout")


def _lay_out(folder: Path, spec: ActionSpec) -> None:
    """Let exec be executable and nothing else, as the image does not keep the modes of a zip."""
    executable = folder / "exec"
    if not spec.code or not executable.exists():
        shutil.copyfile(_STUB, executable)
    if not executable.is_file():
        raise _refuse(None, "exec is not a file")
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o600)
    executable.chmod(0o700)


PACKING = Packing(
    family="native", formats=("zip",), text_archives=False, single_binary=False, refuse=_refuse, lay_out=_lay_out
)


class LastLine:
    """Takes a process's output: the last line is kept up to the result limit, those before it are logs."""

    def __init__(self, logs: LogCollector) -> None:
        self._logs = logs
        self._kept = bytearray()
        self._length = 0

    def feed(self, chunk: bytes) -> None:
        """Take what was read; a newline at the very end belongs to the last line."""
        self._kept += chunk
        self._length += len(chunk)
        cut = self._kept.rfind(b"\n", 0, len(self._kept) - 1) + 1
        if cut:
            self._logs.feed("stdout", bytes(self._kept[:cut]))
            del self._kept[:cut]
            self._length = len(self._kept)
        del self._kept[2 * texts.RESULT_LIMIT :]

    def judge(self) -> Verdict:
        """Judge the last line as the proxy's answer to /run: parsed, and written anew by Flask."""
        if self._length > 2 * texts.RESULT_LIMIT:
            return verdicts.too_long(bytes(self._kept), self._length)
        try:
            line = self._kept.decode().strip()
        except UnicodeDecodeError as error:
            return verdicts.developer_error(texts.native_internal(str(error)), sized=True)
        body = _rewritten(line, sort_keys=True, separators=(",", ":"))
        if body is None or not body.startswith((b"{", b"[")):
            self._logs.feed("stdout", line.encode() + b"\n")
            return verdicts.developer_error(texts.NOT_A_DICTIONARY, sized=True)
        return verdicts.of_run_response(200, body + b"\n", len(body) + 1)


def _rewritten(text: str | bytes, **form: Any) -> bytes | None:
    """Write JSON as Python does; None for what is none, or too deep or too long a number for it."""
    try:
        return json.dumps(json.loads(text), **form).encode()
    except (ValueError, RecursionError):
        return None


class NativeWorker:
    """Runs the executable of one action."""

    def __init__(self, code: CodeCache, *, guard: Guard) -> None:
        self._code = code
        self._guard = guard
        self._mark = guard.new_mark()
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
        try:
            self._folder = await self._code.acquire(spec, PACKING)
        except CodeError as error:
            return refusal(error, logs)
        self._ready = True
        return None

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes, logs: LogCollector) -> Verdict:
        """Start the executable and judge its last line."""
        if self._folder is None:
            return verdicts.developer_error(texts.CANNOT_BUILD, sized=True)
        given = _rewritten(params) or params
        argument = [given.decode()] if len(given) <= _MAX_ARGUMENT else []
        self._ending = None
        try:
            self._process = await asyncio.create_subprocess_exec(
                str(self._folder / "exec"),
                *argument,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._folder,
                env=self._guard.marked({**_ENVIRONMENT, **run_environment(spec, context)}, self._mark),
                start_new_session=True,
            )
        except OSError as error:
            logs.feed("stdout", f"[Errno {error.errno}] {error.strerror}: '/action/exec'\n".encode())
            return verdicts.developer_error(texts.NOT_A_DICTIONARY, sized=True)
        return await self._await_result(self._process, spec, given, logs)

    async def _await_result(
        self, process: asyncio.subprocess.Process, spec: ActionSpec, given: bytes, logs: LogCollector
    ) -> Verdict:
        stopper = asyncio.get_running_loop().call_later(spec.timeout_ms / 1000, self._expire, spec.timeout_ms)
        last = LastLine(logs)
        try:
            await asyncio.gather(
                _give(process.stdin, given),
                _take(process.stdout, last.feed),
                _take(process.stderr, lambda chunk: logs.feed("stderr", chunk)),
                process.wait(),
            )
        finally:
            stopper.cancel()
            self._kill()
            self._process = None
        return self._ending or last.judge()

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
        self._guard.sweep(self._mark)
        if self._folder is not None:
            self._code.release(self._folder)
            self._folder = None


async def _give(stdin: asyncio.StreamWriter | None, given: bytes) -> None:
    if stdin is not None:
        with contextlib.suppress(ConnectionError, RuntimeError):  # uvloop's, where the process ended before it was given anything
            stdin.write(given)
            await stdin.drain()
        stdin.close()


async def _take(stream: asyncio.StreamReader | None, feed: Callable[[bytes], None]) -> None:
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        feed(chunk)
