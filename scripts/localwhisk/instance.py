"""The mark a running engine leaves in its state folder: that it runs, where, and since when."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from localwhisk import private
from localwhisk.store import FILE_NAME

_LOCK = "engine.lock"
_MARK = "engine.json"
CERTIFICATE, CERTIFICATE_KEY = "tls.crt", "tls.key"
OURS = (_MARK, _LOCK, FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "runtimes")


class StateInUse(OSError):
    """Another engine runs over this state folder."""

    def __init__(self, state: Path, pid: int | None) -> None:
        super().__init__(f"an engine{f' (process {pid})' if pid else ''} runs already over {state}")


@dataclass(frozen=True, slots=True)
class Instance:
    """One running engine; `started_ms` is epoch time, `auth` the key of guest, empty for the public one: whoever may read the folder may act as its engine."""

    pid: int
    address: str
    started_ms: int
    auth: str = field(default="", repr=False)


class Claim:
    """Holds a state folder for one engine; raises StateInUse when another holds it. A crash lets go of it."""

    def __init__(self, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        for name in OURS:
            private.close(state / name)
        self._mark = state / _MARK
        self._lock: IO[str] = (state / _LOCK).open("a")
        if not _take(self._lock):
            self._lock.close()
            found = _read(self._mark)
            raise StateInUse(state, found.pid if found else None)
        self._mark.unlink(missing_ok=True)

    def announce(self, address: str, auth: str = "") -> None:
        """Say where the engine answers, and with which key."""
        instance = Instance(os.getpid(), address, time.time_ns() // 1_000_000, auth)
        private.write(self._mark, json.dumps(asdict(instance)))

    def release(self) -> None:
        """Let go of the folder."""
        self._mark.unlink(missing_ok=True)
        self._lock.close()


def running(state: Path) -> Instance | None:
    """The engine that runs over a folder, None when none does (whatever a crash left there)."""
    try:
        with (state / _LOCK).open("r+") as lock:
            return None if _take(lock) else _read(state / _MARK)
    except OSError:
        return None


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(mark: Path) -> Instance | None:
    try:
        return Instance(**json.loads(mark.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
