"""Where registrations are kept: the port, and a twin in memory."""

from __future__ import annotations

import copy
from typing import Protocol

from localwhisk.alarms.schedule import Registration


class Store(Protocol):
    """Registrations by key ('namespace/name'), as JSON objects. They hold the owner's key: never log them."""

    async def get(self, key: str) -> Registration | None:
        """Read one."""

    async def put(self, key: str, registration: Registration) -> None:
        """Write or replace one."""

    async def delete(self, key: str) -> bool:
        """Remove one; false when there was none."""

    async def list(self) -> list[tuple[str, Registration]]:
        """Read all."""


class MemoryStore:
    """Keeps registrations in a dict."""

    def __init__(self) -> None:
        self._kept: dict[str, Registration] = {}

    async def get(self, key: str) -> Registration | None:
        """Read one."""
        return copy.deepcopy(self._kept.get(key))

    async def put(self, key: str, registration: Registration) -> None:
        """Write or replace one."""
        self._kept[key] = copy.deepcopy(registration)

    async def delete(self, key: str) -> bool:
        """Remove one; false when there was none."""
        return self._kept.pop(key, None) is not None

    async def list(self) -> list[tuple[str, Registration]]:
        """Read all."""
        return [(key, copy.deepcopy(value)) for key, value in self._kept.items()]
