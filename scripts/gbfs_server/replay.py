"""A recording played back: each document is due at its recorded distance from the first one, divided by the speed.

The recorded times stay in the documents as data. `ttl` is divided by the speed too, so that a client which honours it asks
often enough to see every document. With `loop` the recording begins anew at its end, its times moved on by its length.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gbfs_server import recording
from gbfs_server.source import Information, Row, Snapshot

DEFAULT_TTL_S = 60


@dataclass(slots=True)
class Replay:
    """The documents of `path`; `now` in seconds, any zero."""

    path: Path
    speed: float
    now: Callable[[], float]
    loop: bool = False
    information_path: Path | None = None
    name: str = "HoRT replay"
    served: int = 0
    """Number of the last document that was asked for."""
    _times: list[int] = field(init=False)
    _information: Information = field(init=False)
    _lines: Iterator[tuple[int, bytes]] = field(init=False)
    _read: int = 0
    _round: int = 0
    _start: float | None = None
    _document: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._times = recording.times(self.path)
        self._lines = recording.lines(self.path)
        rows: tuple[int, list[Row]] = (self._times[0], [])
        if self.information_path is not None:
            rows = recording.stations_of(self.information_path)
        self._information = Information(*rows)

    @property
    def total(self) -> int:
        """Documents of the recording."""
        return len(self._times)

    def information(self) -> Information:
        """The stations as the file beside the recording names them."""
        return self._information

    def status(self) -> Snapshot:
        """The newest document that is due."""
        if self._start is None:
            self._start = self.now()
        rounds, position = self._due()
        self._seek(rounds, position)
        self.served = rounds * self.total + position
        shift = rounds * self._length()
        ttl = math.ceil(self._document.get("ttl", DEFAULT_TTL_S) / self.speed)
        stations = self._document["data"]["stations"]
        rows = [_shifted(row, shift) for row in stations] if shift else stations
        return Snapshot(self.served, self._document["last_updated"] + shift, ttl, rows)

    def progress(self) -> dict[str, Any]:
        """How far the recording is."""
        rounds, position = self._due() if self._start is not None else (0, 0)
        return {
            "mode": "replay",
            "position": rounds * self.total + position,
            "total": None if self.loop else self.total,
            "served": self.served,
            "done": not self.loop and self.served == self.total,
            "rounds": rounds,
        }

    def _length(self) -> int:
        """Recorded seconds of one round: the last document stays for one ttl."""
        return self._times[-1] - self._times[0] + DEFAULT_TTL_S

    def _due(self) -> tuple[int, int]:
        """Finished rounds, and how many documents of this one are due."""
        recorded = (self.now() - (self._start or 0.0)) * self.speed
        rounds, recorded = divmod(recorded, self._length()) if self.loop else (0, recorded)
        return int(rounds), bisect.bisect_right(self._times, self._times[0] + recorded)

    def _seek(self, rounds: int, position: int) -> None:
        if rounds != self._round:
            self._lines, self._read, self._round = recording.lines(self.path), 0, rounds
        line = None
        while self._read < position:
            line = next(self._lines)
            self._read += 1
        if line is not None:
            self._document = recording.document(self.path, *line)


def _shifted(row: Row, seconds: int) -> Row:
    reported = row.get("last_reported")
    return {**row, "last_reported": reported + seconds} if isinstance(reported, int) else row
