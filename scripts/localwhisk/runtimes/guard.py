"""Ends what the engine's processes leave behind: what left its group of processes, and all of it when the engine is killed.

Each process that the engine starts carries a mark in its environment, which what it starts inherits. A small shell outlives the engine and
kills by these marks (Linux: they are read in /proc). Code that means to escape can; it is this machine's user's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SCRIPT = Path(__file__).parent / "launchers" / "guard.sh"
_VARIABLE = "LOCALWHISK_PROCESS"
_END_S = 10.0


class Guard:
    """The guard of one pool. No two pools run over one state folder, so a new one ends what an earlier one's guard could not."""

    def __init__(self, state: Path) -> None:
        self._folder = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
        self._run = f"{self._folder}-{secrets.token_hex(8)}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Kill what an earlier run left, and begin; raises OSError."""
        _begin(self._folder, subprocess.DEVNULL).wait()
        self._process = _begin(self._run, subprocess.PIPE)
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)

    def new_mark(self) -> str:
        """Draw a mark for one process."""
        return f"{self._run}-{secrets.token_hex(8)}"

    def marked(self, environment: Mapping[str, str], mark: str) -> dict[str, str]:
        """Add a mark to the environment of a process."""
        return {**environment, _VARIABLE: mark}

    def sweep(self, mark: str) -> None:
        """Have everything with this mark killed, soon; what is missed goes with the pool."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                os.write(self._process.stdin.fileno(), f"{mark}\n".encode())

    async def close(self) -> None:
        """Kill everything that is left, and wait until it is."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.communicate, timeout=_END_S)


def _begin(marks: str, stdin: int) -> subprocess.Popen[bytes]:
    nothing = subprocess.DEVNULL
    return subprocess.Popen(
        ["/bin/sh", str(_SCRIPT), marks],
        stdin=stdin,
        stdout=nothing,
        stderr=nothing,
        env={"PATH": os.defpath},
        cwd="/",
        start_new_session=True,
    )
