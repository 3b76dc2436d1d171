"""What is remembered of a service between two calls: its process, port and address, in service.json beside its data."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lib.stack.process import Process, start_time


@dataclass(frozen=True)
class Record:
    """A service as it was last started; `pid_file` is where a server that forks away leaves its pid."""

    port: int
    pid: int
    started: int
    boot: str
    pid_file: str | None = None

    def process(self) -> Process | None:
        """Return the running process, or None when it has ended (or this is another boot)."""
        if self.boot != boot_id():
            return None
        process = Process(pid=self.pid, started=self.started)
        return process if process.alive() else None

    def settled(self) -> "Record":
        """Return the record with the pid of the forked server, where it has forked already."""
        forked = _forked(Path(self.pid_file)) if self.pid_file else None
        return replace(self, pid=forked.pid, started=forked.started) if forked else self


def load(folder: Path) -> Record | None:
    """Read a service's record; None when it was never started or the file is torn."""
    try:
        return Record(**json.loads((folder / "service.json").read_text(encoding="utf-8"))).settled()
    except (OSError, ValueError, TypeError):
        return None


def save(folder: Path, record: Record) -> None:
    """Write the record whole or not at all."""
    draft = folder / "service.json.new"
    draft.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
    draft.replace(folder / "service.json")


def boot_id() -> str:
    """Return what tells this boot of the machine from others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _forked(pid_file: Path) -> Process | None:
    # The command line must name the service's folder: the file may be of an earlier run whose pid the system has given away.
    try:
        pid = int(pid_file.read_text(encoding="ascii").strip())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    started = start_time(pid)
    if started is None or os.fsencode(pid_file.parent) not in command:
        return None
    return Process(pid=pid, started=started)
