"""Memory of a process and its descendants, from /proc (elsewhere nothing is measured).

The sum of resident sizes is cheap but counts shared pages twice; only when it passes the limit is the proportional
size read, which is what a container's limit would see.
"""

from __future__ import annotations

import os
from pathlib import Path

MEASURABLE = Path("/proc/self/statm").exists()
_PAGE = os.sysconf("SC_PAGE_SIZE")
POLL_S = 0.25
"""How often a process that runs is measured."""


def descendants(pid: int) -> list[int]:
    """List a process and everything below it, parents first."""
    found = [pid]
    for parent in found:
        try:
            tasks = os.listdir(f"/proc/{parent}/task")  # noqa: PTH208 - polled often, so no Path objects
        except OSError:
            continue
        for task in tasks:
            found.extend(_children(parent, task))
    return found


def _children(pid: int, task: str) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def resident(pid: int) -> int:
    """Read the resident bytes of one process, 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def proportional(pid: int) -> int:
    """Read the proportional bytes of one process, its resident ones where the kernel does not tell."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resident(pid)


def exceeds(pid: int, limit_bytes: int) -> bool:
    """Tell whether the process with its descendants holds more than the limit."""
    if not MEASURABLE:
        return False
    pids = descendants(pid)
    if sum(map(resident, pids)) <= limit_bytes:
        return False
    return sum(map(proportional, pids)) > limit_bytes
