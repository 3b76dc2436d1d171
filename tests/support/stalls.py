"""Stops random processes of the tests for a while, as a busy machine does: `./scripts/test --stalls [SEED]`."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import pids

PAUSE_S = (0.3, 1.5)
STALL_S = (0.1, 3.0)


class Stalls(threading.Thread):
    """Stops one process after another: descendants of this one, and what runs over a file of theirs though it has left them."""

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._seed = seed
        self._random = random.Random(seed)
        self._ending = threading.Event()
        self.count = 0

    def run(self) -> None:
        """Until the end; what is stopped goes on then."""
        while not self._ending.wait(self._random.uniform(*PAUSE_S)):
            candidates = sorted(stoppable(os.getpid(), self._folder))
            if candidates:
                self._stall(self._random.choice(candidates), self._random.uniform(*STALL_S))

    def _stall(self, pid: int, seconds: float) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            try:
                self.count += 1
                self._ending.wait(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell how much was done."""
        terminalreporter.write_line(f"stopped for up to {STALL_S[1]:.0f} s, one after another (--stalls {self._seed}): {self.count} times a process")

    def end(self) -> None:
        """Stop no more."""
        self._ending.set()
        self.join()


def stoppable(root: int, folder: Path) -> set[int]:
    """Processes below `root`, and those that were given a path in the folder; none that is stopped already, by a test."""
    parents: dict[int, int] = {}
    apart: set[int] = set()
    for name in pids():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            if fields[0] in "TtZX":
                continue
            parents[int(name)] = int(fields[1])
            if bytes(folder) in Path(f"/proc/{name}/cmdline").read_bytes():
                apart.add(int(name))
    return {pid for pid in parents if pid in apart or root in set(_ancestors(pid, parents))} - {root}


def _ancestors(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while (pid := parents.get(pid, 0)) > 1:
        yield pid


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stalls", type=int, metavar="SEED", help="stop random processes of the tests for up to 3 s, again and again")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: Any) -> None:
    if config.option.stalls is not None and not hasattr(config, "workerinput"):
        stalls = Stalls(config.option.stalls, config._tmp_path_factory.getbasetemp())
        stalls.start()
        config.add_cleanup(stalls.end)
        config.pluginmanager.register(stalls, "stalls")
