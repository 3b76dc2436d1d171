"""One child process: its pipes read without blocking, its exit seen at once, its whole group killed.

The event loop may be asyncio's own or uvloop: only add_reader, add_writer and call_later are used. Because stdout and
stderr are drained at the moment the result line is complete, and a process writes them before the result, a run's
logs are exact without sentinel lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from localwhisk.runtimes import memory, texts
from localwhisk.runtimes.guard import Guard
from localwhisk.runtimes.logs import Logs, Stream

Ending = Literal["line", "exited", "unread", "timeout", "memory", "stopped"]
"""`unread`: it died before it took a byte of the request, which may be given to another."""

_CHUNK = 1 << 18
_OPEN_FILES = 1024
_LAST_WORDS_S = 1.0
_DEATH_S = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How an exchange ended; for a line its beginning (up to the result limit) and its true length in bytes."""

    ending: Ending
    line: bytes = b""
    length: int = 0


class Child:
    """A process that answers each line on its stdin by one line on the descriptor named by its last argument.

    One that does not answer that way (`answers` false) gets no such argument. What it prints goes to `logs` until `log_to` says otherwise.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        guard: Guard,
        answers: bool = True,
        logs: Logs | None = None,
    ) -> None:
        self._guard = guard
        self._mark = guard.new_mark()
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = memoryview(b"")
        self._buffer = bytearray()
        self._length = 0
        self._line_length = 0
        self._logs = logs
        self._open: dict[int, Stream | None] = {}
        self._stopped = False
        self._killed = False
        self.exited = asyncio.Event()
        self._spawn(argv, env, cwd, answers=answers)

    def _spawn(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, *, answers: bool) -> None:
        pipes = [os.pipe() for _ in range(4)]
        (stdin, self._stdin), (out, stdout), (err, stderr), (self._results, results) = pipes
        try:
            self._process = subprocess.Popen(
                [*argv, *([str(results)] if answers else [])],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(results,) if answers else (),
                start_new_session=True,
                env=self._guard.marked(env, self._mark),
                cwd=cwd,
            )
        except OSError:
            for end in (self._stdin, out, err, self._results):
                os.close(end)
            raise
        finally:
            for end in (stdin, stdout, stderr, results):
                os.close(end)
        self.pid = self._process.pid
        _limit_open_files(self.pid)
        os.set_blocking(self._stdin, False)
        if answers:
            self._watch(self._results, None)
        else:
            os.close(self._results)
            self._results = -1
        self._watch(out, "stdout")
        self._watch(err, "stderr")
        self._watch_exit()

    def _watch(self, fd: int, stream: Stream | None) -> None:
        os.set_blocking(fd, False)
        self._open[fd] = stream
        self._loop.add_reader(fd, self._read, fd)

    def _watch_exit(self) -> None:
        self._pidfd: int | None = None
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(self.pid)
            self._loop.add_reader(self._pidfd, self._on_exit)
        else:
            threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        self._process.wait()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._on_exit)

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""
        return self._process.returncode

    @property
    def busy(self) -> bool:
        """Tell whether an answer is awaited."""
        return self._waiting is not None

    def alive(self) -> bool:
        """Ask the system, as the event loop may not have seen a death yet."""
        return not self._stopped and not self.exited.is_set() and self._process.poll() is None

    async def ask(self, line: bytes, *, timeout_s: float, logs: Logs) -> Answer:
        """Send one line and wait for the answering line, death, the time limit, or `abort`."""
        if not self.alive():
            return Answer("unread")
        self._buffer.clear()
        self._length = 0
        self.log_to(logs)
        self._waiting = self._loop.create_future()
        self._timer = self._loop.call_later(timeout_s, self.abort, "timeout")
        self._send(line)
        try:
            return await self._waiting
        finally:
            self._timer.cancel()
            self._waiting = None
            self.log_to(None)

    def log_to(self, logs: Logs | None) -> None:
        """Give what it prints from now on to an activation's log; what it prints while there is none belongs to nobody."""
        self._drain_logs()
        self._logs = logs

    def abort(self, ending: Ending) -> None:
        """Kill the process, giving this as the reason to whoever waits for an answer."""
        self._answer(Answer(ending))
        self.kill()

    def kill(self) -> None:
        """Kill the process, its group and what left the group; once."""
        if self._killed:
            return
        self._killed = True
        if self._process.poll() is None:
            for pid in memory.descendants(self.pid)[1:]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._guard.sweep(self._mark)

    def close(self) -> None:
        """Kill and give the pipes back; `exited` is set when the process is gone. May be called twice."""
        if not self._stopped:
            self._stopped = True
            self.abort("stopped")
            self._release()

    async def gone(self) -> None:
        """Wait, a few seconds at most, until the system has taken the process away."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.exited.wait(), _DEATH_S)

    def _send(self, line: bytes) -> None:
        self._line_length = len(line)
        self._unsent = memoryview(line)
        self._write()

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._stdin, self._unsent) :]
        except BlockingIOError:
            self._loop.add_writer(self._stdin, self._write)
            return
        except OSError:
            pass  # death is noticed by its own descriptor
        self._loop.remove_writer(self._stdin)

    def _read(self, fd: int) -> int:
        """Read once from a pipe; the number of bytes, 0 when there was nothing to read."""
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return 0
        except OSError:
            chunk = b""
        if not chunk:
            self._loop.remove_reader(fd)
            stream = self._open.pop(fd)
            os.close(fd)
            if stream is None:  # death is near; its output may still be on the way
                self._loop.call_later(_LAST_WORDS_S, self.abort, "exited")
            return 0
        self._take(self._open[fd], chunk)
        return len(chunk)

    def _take(self, stream: Stream | None, chunk: bytes) -> None:
        if stream is None:
            self._take_result(chunk)
        elif self._logs is not None:
            self._logs.feed(stream, chunk)

    def _take_result(self, chunk: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            return  # what nobody asked for belongs to no activation
        end = chunk.find(b"\n")
        taken = chunk if end < 0 else chunk[: end + 1]
        self._length += len(taken)
        room = texts.RESULT_LIMIT + 1 - len(self._buffer)
        self._buffer += taken[:room] if room < len(taken) else taken
        if end >= 0:
            self._drain_logs()
            self._answer(Answer("line", bytes(self._buffer), self._length))

    def _drain_logs(self) -> None:
        for fd, stream in list(self._open.items()):
            if stream is not None:
                self._drain(fd)

    def _drain(self, fd: int) -> None:
        """Read what lies in a pipe now: who writes without end would keep the engine here."""
        left = _lying_in(fd)
        while left > 0 and (taken := self._read(fd)):
            left -= taken

    def _answer(self, answer: Answer) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def _on_exit(self) -> None:
        self._process.poll()
        self._forget_pidfd()
        if self._results in self._open:
            self._drain(self._results)
        self._drain_logs()
        self._answer(Answer("unread" if self._untouched() else "exited"))
        self.exited.set()
        self.kill()
        self._release()

    def _untouched(self) -> bool:
        """Tell whether the whole last line still lies in the pipe or before it."""
        if self._stdin < 0:
            return False
        with contextlib.suppress(OSError):
            return _lying_in(self._stdin) + len(self._unsent) == self._line_length
        return False

    def _forget_pidfd(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _release(self) -> None:
        for fd in list(self._open):
            self._loop.remove_reader(fd)
            os.close(fd)
        self._open.clear()
        if self._stdin >= 0:
            self._loop.remove_writer(self._stdin)
            os.close(self._stdin)
            self._stdin = -1


def _lying_in(pipe: int) -> int:
    """Count the bytes that wait in a pipe; raises OSError."""
    count = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


def _limit_open_files(pid: int) -> None:
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
