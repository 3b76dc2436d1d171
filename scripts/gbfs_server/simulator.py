"""The simulated city as a GBFS source: wall-clock documents of a day that runs faster than the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gbfs_server import city
from gbfs_server.simulation import City, Station
from gbfs_server.source import Information, Row, Snapshot

MAX_CATCH_UP = 1440
"""Minutes simulated at most for one document; after a longer pause of the reader the rest of the time is skipped."""


@dataclass(slots=True)
class Simulator:
    """Documents every `ttl` seconds, each `ttl * speed` simulated seconds after the one before; `now` in seconds."""

    stations: int
    seed: int
    ttl: int
    speed: float
    now: Callable[[], float]
    name: str = "HoRT simulated bikes"
    city: City = field(init=False)
    _start: float | None = None
    _due: int = 0

    def __post_init__(self) -> None:
        self.city = City(city.build(self.stations, seed=self.seed), self.seed)

    def information(self) -> Information:
        """The stations of the city."""
        rows = [
            {
                "station_id": place.station_id,
                "name": place.name,
                "lat": place.lat,
                "lon": place.lon,
                "capacity": place.capacity,
            }
            for place in self.city.places
        ]
        return Information(int(self._start if self._start is not None else self.now()), rows)

    def status(self) -> Snapshot:
        """The document of the current `ttl` interval; silent stations are not in it."""
        now = self.now()
        if self._start is None:
            self._start = now
        self._due = max(self._due, int((now - self._start) / self.ttl))
        minute = int(self._due * self.ttl * self.speed / 60)
        for _ in range(min(minute - self.city.minute, MAX_CATCH_UP)):
            self.city.step()
        self.city.minute = max(self.city.minute, minute)
        last_updated = int(self._start) + self._due * self.ttl
        rows = [
            self._row(station, last_updated) for station in self.city.stations if station.silent_until < 0
        ]
        return Snapshot(self._due + 1, last_updated, self.ttl, rows)

    def progress(self) -> dict[str, Any]:
        """How far the day is."""
        hours, minutes = divmod(int(self.city.hour * 60), 60)
        return {
            "mode": "simulate",
            "position": 0 if self._start is None else self._due + 1,
            "total": None,
            "done": False,
            "time_of_day": f"{hours:02d}:{minutes:02d}",
            "incidents": dict(self.city.incidents),
        }

    def _row(self, station: Station, last_updated: int) -> Row:
        works = int(station.broken_until < 0)
        ago = (self.city.minute - station.changed) * 60 / self.speed
        return {
            "station_id": station.place.station_id,
            "num_bikes_available": station.bikes,
            "num_bikes_disabled": station.disabled,
            "num_docks_available": station.docks,
            "num_docks_disabled": 0,
            "is_installed": 1,
            "is_renting": works,
            "is_returning": works,
            "last_reported": int(last_updated - ago),
        }
