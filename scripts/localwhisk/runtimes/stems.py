"""Processes started ahead of time, so that a cold start does not wait for an interpreter."""

from __future__ import annotations

import asyncio
from pathlib import Path

from localwhisk.runtimes.child import Child
from localwhisk.runtimes.families import Family
from localwhisk.runtimes.guard import Guard

_REFILL_DELAY_S = 0.05


class Stems:
    """Keeps up to `count` started processes of each family that was used or asked for."""

    def __init__(self, *, count: int, folder: Path, guard: Guard) -> None:
        self._count = count
        self._folder = folder
        self._guard = guard
        self._ready: dict[str, list[Child]] = {}
        self._closed = False

    def fill(self, family: Family) -> None:
        """Start processes until `count` wait."""
        waiting = self._ready.setdefault(family.name, [])
        waiting[:] = [child for child in waiting if child.alive()]
        while len(waiting) < self._count and not self._closed:
            waiting.append(self._spawn(family))

    def take(self, family: Family) -> Child:
        """Give a process, a waiting one if there is, and start its successor a little later."""
        asyncio.get_running_loop().call_later(_REFILL_DELAY_S, self.fill, family)
        waiting = self._ready.setdefault(family.name, [])
        while waiting:
            child = waiting.pop()
            if child.alive():
                return child
        return self._spawn(family)

    async def close(self) -> None:
        """Stop those that wait."""
        self._closed = True
        children = [child for waiting in self._ready.values() for child in waiting]
        self._ready.clear()
        for child in children:
            child.close()
        for child in children:
            await child.gone()

    def _spawn(self, family: Family) -> Child:
        return Child(family.argv, env=family.environment, cwd=self._folder, guard=self._guard)
