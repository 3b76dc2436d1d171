"""What the HTTP server asks of a simulator or a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

Row = dict[str, Any]
"""One station in the form of GBFS 1.1: counts as whole numbers, flags as 0 or 1, times as POSIX seconds."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One station_status document; `number` counts documents from 1, `last_updated` in seconds."""

    number: int
    last_updated: int
    ttl: int
    stations: list[Row]


@dataclass(frozen=True, slots=True)
class Information:
    """The stations' names, places and capacities."""

    last_updated: int
    stations: list[Row]


class Source(Protocol):
    """What brings documents; the first call of `status` starts its time."""

    @property
    def name(self) -> str:
        """The system's name."""

    def information(self) -> Information:
        """The stations."""

    def status(self) -> Snapshot:
        """The newest document that is due."""

    def progress(self) -> dict[str, Any]:
        """`mode`, `position` (documents due so far), `total` (None: endless), `done`."""
