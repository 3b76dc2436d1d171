"""CPU seconds and memory of the parts, read from /proc while they run."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localwhisk.runtimes import memory

PERIOD_S = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """What one part used between `start` and `stop`; memory is the largest seen of a single process."""

    cpu_s: float
    peak_mb: float
    processes: int


class Meter(threading.Thread):
    """Samples process trees by part; a process that ends keeps the last figure seen.

    `roots` maps a part's name to a process id. A root's descendants count as `<part> children`.
    """

    def __init__(self, roots: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self._roots = roots
        self._first: dict[tuple[str, int], float] = {}
        self._last: dict[tuple[str, int], float] = {}
        self._peak: dict[tuple[str, int], float] = defaultdict(float)
        self._stopping = threading.Event()
        self._sample(first=True)

    def run(self) -> None:
        """Samples until stopped."""
        while not self._stopping.wait(PERIOD_S):
            self._sample()

    def stop(self) -> dict[str, Usage]:
        """The usage by part since the start."""
        self._stopping.set()
        self.join()
        self._sample()
        parts: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for key in self._last:
            parts[key[0]].append(key)
        return {
            part: Usage(
                sum(self._last[key] - self._first.get(key, 0.0) for key in found),
                max(self._peak[key] for key in found),
                len(found),
            )
            for part, found in sorted(parts.items())
        }

    def _sample(self, *, first: bool = False) -> None:
        for part, root in self._roots.items():
            self._note(part, root, first=first)
            for pid in memory.descendants(root)[1:]:
                self._note(f"{part} children", pid, first=first)

    def _note(self, part: str, pid: int, *, first: bool) -> None:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return
        key = (part, pid)
        self._last[key] = (int(fields[11]) + int(fields[12])) / _TICKS
        self._peak[key] = max(self._peak[key], int(fields[21]) * _PAGE / 1e6)
        if first:
            self._first[key] = self._last[key]


def resident(roots: Mapping[str, int]) -> dict[str, list[float]]:
    """Megabytes that each process holds now, by part, as `Meter` names them."""
    found: dict[str, list[float]] = {}
    for part, root in dict(roots).items():
        found[part] = _sizes([root])
        found[f"{part} children"] = _sizes(memory.descendants(root)[1:])
    return found


def _sizes(pids: list[int]) -> list[float]:
    return [size / 1e6 for size in map(memory.resident, pids) if size]
