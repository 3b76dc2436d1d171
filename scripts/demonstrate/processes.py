"""The processes the demo starts: each with a log, a ready file where it has an address, and an orderly end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lib.stack import ports
from lib.stack import process as stack_process

START_TIMEOUT_S = 180.0
ASKED_AGAIN_AFTER_S = 2.0
STOP_TIMEOUT_S = 40.0
"""Longer than the engine lets requests and activations finish and the provider its threads: killed, it could leave actions behind."""


class StartFailed(Exception):
    """A process ended, or did not get ready, while the demo waited for it."""


@dataclass
class Process:
    """A running part; `address` is what it wrote into its ready file."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    address: str = ""

    def alive(self) -> bool:
        """Whether it is still running."""
        return self.popen.poll() is None

    def stop(self, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """SIGTERM, then SIGKILL to its whole group."""
        if not self.alive():
            return
        self.popen.terminate()
        try:
            self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()


def start(name: str, argv: list[str], *, logs: Path, env: dict[str, str], ready: bool = True) -> Process:
    """Starts a part in its own group and waits for its ready file; StartFailed shows the end of its log."""
    logs.mkdir(parents=True, exist_ok=True)
    log, ready_file = logs / f"{name}.log", logs / f"{name}.ready"
    ready_file.unlink(missing_ok=True)
    argv = [*argv, "--ready-file", str(ready_file)] if ready else argv
    with log.open("ab") as out:
        popen = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
    (logs / f"{name}.pid").write_text(f"{popen.pid} {stack_process.start_time(popen.pid) or 0}")
    process = Process(name, popen, log)
    if ready:
        try:
            process.address = _await_ready(process, ready_file)
        except BaseException:  # also an interrupt: nobody else knows of it yet
            process.stop()
            raise
    return process


def stop_left(logs: Path) -> None:
    """Stops the parts that a killed demo left running; one that got a part's number since then is not taken for it."""
    for path in logs.glob("*.pid"):
        with contextlib.suppress(ValueError):  # it was killed while it wrote
            pid, started = map(int, path.read_text().split())
            stack_process.Process(pid, started).stop(grace=STOP_TIMEOUT_S)


def run(argv: list[str], *, log: Path, env: dict[str, str]) -> int:
    """Runs a command to its end; where the wait is interrupted its whole group ends with it."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
    try:
        return process.wait()
    except BaseException:
        while process.poll() is None:  # a deployment that is asked once comes to its end first
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ASKED_AGAIN_AFTER_S)
        raise


def _await_ready(process: Process, ready_file: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if ready_file.exists() and (text := ready_file.read_text().strip()):
            return text
        if not process.alive():
            raise StartFailed(f"{process.name} ended at its start:\n{tail(process.log)}")
        time.sleep(0.05)
    process.stop()
    raise StartFailed(f"{process.name} was not ready within {START_TIMEOUT_S:g} s:\n{tail(process.log)}")


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"


def free_port(preferred: int = 0) -> int:
    """The preferred port if nobody has it, else another one."""
    return preferred if preferred and ports.is_free(preferred) else ports.free_port()
