"""Python programs as processes that are forked from one which has imported them: each start costs half a second of processor less."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["feeds.provider.__main__"])


class Forked:
    """A program, with what tests use of subprocess.Popen."""

    def __init__(self, module: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> None:
        self._process = _SERVER.Process(target=_run, args=(module, list(arguments), cwd, dict(env), log), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Return the exit status; raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(module: str, arguments: list[str], cwd: Path, env: dict[str, str], log: Path) -> None:
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
