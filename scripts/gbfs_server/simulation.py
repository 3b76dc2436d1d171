"""A day of a bike-share city, minute by minute: commutes, noise, vans, silent and broken stations.

Bikes are conserved: docked + disabled + on the road + in the vans is the same number at any time.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import accumulate

from gbfs_server import rhythm
from gbfs_server.city import Place, distance_km

RIDE_KM_PER_MINUTE = 0.22
MIN_RIDE_MINUTES = 3
DETOURS = 5
"""Stations a rider tries at random when the one he wanted is full."""
SILENT_MINUTES = (90, 200)
BROKEN_MINUTES = (40, 120)
FIRST_SILENCE = 4
"""Minute of the first silent station, so that a short look sees one."""
INCIDENTS = ("filled", "emptied", "silent", "broken")


@dataclass(slots=True)
class Station:
    """A station's state; minutes count from the start, -1 means never."""

    place: Place
    bikes: int
    disabled: int = 0
    changed: int = 0
    silent_until: int = -1
    broken_until: int = -1

    @property
    def docks(self) -> int:
        """Free docks."""
        return self.place.capacity - self.bikes - self.disabled


@dataclass(slots=True)
class City:
    """The city's state at one minute; `step` brings it to the next one."""

    places: list[Place]
    seed: int
    start_hour: float = 6.5
    minute: int = 0
    in_vans: int = 0
    incidents: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INCIDENTS, 0))
    stations: list[Station] = field(init=False)
    _rng: random.Random = field(init=False)
    _riding: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"day {self.seed}")
        self.stations = [Station(place, self._first_bikes(place)) for place in self.places]
        self.in_vans = sum(place.capacity for place in self.places) // 20

    @property
    def hour(self) -> float:
        """Time of day in hours."""
        return (self.start_hour + self.minute / 60.0) % 24.0

    @property
    def riding(self) -> int:
        """Bikes on the road."""
        return len(self._riding)

    def bikes(self) -> int:
        """Every bike of the city, wherever it is."""
        return sum(station.bikes + station.disabled for station in self.stations) + self.riding + self.in_vans

    def step(self) -> None:
        """One minute: arrivals, departures, then what goes wrong."""
        self.minute += 1
        while self._riding and self._riding[0][0] <= self.minute:
            self._arrive(heapq.heappop(self._riding)[1])
        self._depart_all()
        self._repair()
        self._incident()

    def _first_bikes(self, place: Place) -> int:
        share = 0.25 + 0.55 * place.home + self._rng.uniform(-0.2, 0.2)
        return round(place.capacity * min(max(share, 0.0), 1.0))

    def _depart_all(self) -> None:
        hour = self.hour
        count = rhythm.poisson(rhythm.trips(hour) * len(self.stations), self._rng)
        if not count:
            return
        to_work, to_home, around = rhythm.morning(hour), rhythm.evening(hour), rhythm.leisure(hour) + 0.05
        leave = [to_work * place.home + to_home * place.work + around for place in self.places]
        reach = [to_work * place.work + to_home * place.home + around for place in self.places]
        numbers = range(len(self.stations))
        origins = self._rng.choices(numbers, cum_weights=list(accumulate(leave)), k=count)
        targets = self._rng.choices(numbers, cum_weights=list(accumulate(reach)), k=count)
        for origin, target in zip(origins, targets, strict=True):
            self._depart(self.stations[origin], target)

    def _depart(self, station: Station, target: int) -> None:
        if station.bikes == 0 or station.broken_until >= 0:
            return
        station.bikes -= 1
        station.changed = self.minute
        away = distance_km(station.place, self.places[target]) / RIDE_KM_PER_MINUTE
        minutes = MIN_RIDE_MINUTES + round(away * self._rng.uniform(0.8, 1.4))
        heapq.heappush(self._riding, (self.minute + minutes, target))

    def _arrive(self, target: int) -> None:
        tries = [target, *(self._rng.randrange(len(self.stations)) for _ in range(DETOURS))]
        for number in tries:
            station = self.stations[number]
            if station.docks > 0 and station.broken_until < 0:
                station.bikes += 1
                station.changed = self.minute
                return
        heapq.heappush(self._riding, (self.minute + 1, target))

    def _repair(self) -> None:
        for station in self.stations:
            if 0 <= station.broken_until <= self.minute:
                station.bikes, station.disabled = station.bikes + station.disabled, 0
                station.broken_until, station.changed = -1, self.minute
            if 0 <= station.silent_until <= self.minute:
                station.silent_until = -1

    def _incident(self) -> None:
        if self.minute == FIRST_SILENCE:
            self._strike("silent")
        elif self._rng.random() < min(0.5, 0.02 + len(self.stations) / 4000):
            self._strike(self._rng.choices(INCIDENTS, weights=(4, 4, 1, 2))[0])

    def _strike(self, what: str) -> None:
        station = self._rng.choice(self.stations)
        if station.broken_until >= 0 or station.silent_until >= 0:
            return
        self.incidents[what] += 1
        if what == "silent":
            station.silent_until = self.minute + self._rng.randint(*SILENT_MINUTES)
        elif what == "broken":
            station.bikes, station.disabled = 0, station.bikes + station.disabled
            station.broken_until = self.minute + self._rng.randint(*BROKEN_MINUTES)
        else:
            self._van(station, station.docks if what == "filled" else -station.bikes)
        station.changed = self.minute

    def _van(self, station: Station, wanted: int) -> None:
        """Brings bikes (or takes them, when negative), no more than the vans hold."""
        brought = min(wanted, self.in_vans)
        station.bikes += brought
        self.in_vans -= brought
