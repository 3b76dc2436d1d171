"""A made-up city on a lake: stations with names, places, capacities, and how much people live and work around each."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

CENTRE = (41.8800, -87.6300)
SHORE_LON = -87.6120
KM_PER_DEGREE_LAT = 111.0
KM_PER_DEGREE_LON = 82.7
SPREAD_KM = 4.5
CAPACITIES = (11, 15, 15, 19, 19, 23, 27)
CENTRE_CAPACITIES = (23, 27, 31, 35, 47)

_STREETS = [
    "Alder",
    "Amber",
    "Anchor",
    "Arbor",
    "Aster",
    "Barley",
    "Bayberry",
    "Beacon",
    "Birchwood",
    "Bluff",
    "Bramble",
    "Brick",
    "Bridge",
    "Canal",
    "Cedar",
    "Chandler",
    "Clover",
    "Compass",
    "Cooper",
    "Copper",
    "Cypress",
    "Dune",
    "Elder",
    "Ember",
    "Fern",
    "Ferry",
    "Flint",
    "Foundry",
    "Garnet",
    "Granary",
    "Harbor",
    "Hawthorn",
    "Hazel",
    "Heron",
    "Hickory",
    "Ironwood",
    "Juniper",
    "Kettle",
    "Lantern",
    "Larch",
    "Linden",
    "Mallow",
    "Maple",
    "Marsh",
    "Mill",
    "Mulberry",
    "Orchard",
    "Osier",
    "Pearl",
    "Pewter",
    "Pigeon",
    "Poplar",
    "Prairie",
    "Quarry",
    "Quince",
    "Reed",
    "Rowan",
    "Rush",
    "Sable",
    "Sandpiper",
    "Sorrel",
    "Spruce",
    "Sumac",
    "Tamarack",
    "Tannery",
    "Teasel",
    "Thistle",
    "Timber",
    "Walnut",
    "Willow",
    "Yarrow",
]
_KINDS = ("St", "Ave", "Blvd", "Pl")


@dataclass(frozen=True, slots=True)
class Place:
    """One station; `home` and `work` weigh how many live and work nearby, 0 to 1."""

    station_id: str
    name: str
    lat: float
    lon: float
    capacity: int
    home: float
    work: float


def build(stations: int, *, seed: int) -> list[Place]:
    """The same city for the same seed and size."""
    rng = random.Random(f"city {seed}")
    names = _names(stations, rng)
    return [_place(number, name, rng) for number, name in enumerate(names)]


def distance_km(one: Place, other: Place) -> float:
    """As the crow flies, good enough within a city."""
    north, east = (one.lat - other.lat) * KM_PER_DEGREE_LAT, (one.lon - other.lon) * KM_PER_DEGREE_LON
    return math.hypot(north, east)


def _place(number: int, name: str, rng: random.Random) -> Place:
    north, east = rng.gauss(0, SPREAD_KM), -abs(rng.gauss(0, SPREAD_KM * 0.7))
    lat = CENTRE[0] + north / KM_PER_DEGREE_LAT
    lon = min(CENTRE[1] + (east + 1.2) / KM_PER_DEGREE_LON, SHORE_LON)
    away = math.hypot(north, east)
    work = math.exp(-away / 2.0)
    capacity = rng.choice(CENTRE_CAPACITIES if work > 0.4 else CAPACITIES)
    return Place(
        str(number + 1), name, round(lat, 6), round(lon, 6), capacity, 1.0 - 0.9 * work, 0.05 + 0.95 * work
    )


def _names(count: int, rng: random.Random) -> list[str]:
    crossings = [(one, other) for one in _STREETS for other in _STREETS if one < other]
    rng.shuffle(crossings)
    names = [f"{one} {rng.choice(_KINDS)} & {other} {rng.choice(_KINDS)}" for one, other in crossings[:count]]
    return names + [f"Outpost {number}" for number in range(1, count - len(names) + 1)]
