"""A started server, known by pid and start time, so that a pid used again by the system is never taken for it."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PRIVATE = 0o077
"""A server's files are for its user alone."""
ENVIRONMENT_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Process:
    """One process of this boot: its pid and its start time in clock ticks since boot (proc(5), field 22 of stat)."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Tell whether this very process runs; a zombie or another process with its pid does not count."""
        return start_time(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Send a signal if the process still runs."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout: float) -> bool:
        """Wait until the process is gone; returns whether it is."""
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > deadline:
                return False
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
            time.sleep(0.05)
        return True

    def stop(self, *, grace: float) -> bool:
        """Ask the process to end, and kill it after `grace` seconds; returns whether it ended by itself."""
        self.signal(signal.SIGTERM)
        if self.wait(grace):
            return True
        self.signal(signal.SIGKILL)
        self.wait(5)
        return False


def start_time(pid: int) -> int | None:
    """Read a process's start time; None when there is no such process or only its zombie."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="utf-8", errors="replace")
            .rpartition(") ")[2]
            .split()
        )
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def resident_bytes(pid: int) -> int:
    """Read how much memory a process holds; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def launch(argv: list[str], *, log: Path, cwd: Path, extra: dict[str, str]) -> Process:
    """Start a server in a session of its own, with a small environment and its output appended to `log`."""
    environment = {name: os.environ[name] for name in ENVIRONMENT_KEPT if name in os.environ} | extra
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=environment,
            start_new_session=True,
            umask=PRIVATE,
        )
    return Process(pid=child.pid, started=start_time(child.pid) or 0)
