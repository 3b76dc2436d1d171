"""The simulated city: bikes are conserved, bounds hold, one seed is one city."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbfs_server import city, rhythm
from gbfs_server.simulation import City
from gbfs_server.simulator import Simulator


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


def simulator(clock: Clock, **options: Any) -> Simulator:
    return Simulator(**{"stations": 20, "seed": 1, "ttl": 5, "speed": 60.0, "now": clock, **options})


@settings(max_examples=25, deadline=None)
@given(
    stations=st.integers(1, 60),
    seed=st.integers(0, 2**31),
    hour=st.floats(0, 23.9),
    minutes=st.integers(1, 300),
)
def test_bikes_are_conserved_and_docks_never_negative(
    stations: int, seed: int, hour: float, minutes: int
) -> None:
    made = City(city.build(stations, seed=seed), seed, start_hour=hour)
    before = made.bikes()
    for _ in range(minutes):
        made.step()
        for station in made.stations:
            assert 0 <= station.bikes <= station.place.capacity
            assert station.docks >= 0
            assert station.disabled >= 0
    assert made.bikes() == before
    assert made.in_vans >= 0


@settings(max_examples=20, deadline=None)
@given(stations=st.integers(1, 40), seed=st.integers(0, 1000), looks=st.lists(st.integers(0, 40), max_size=8))
def test_the_same_seed_gives_the_same_documents_however_often_one_looks(
    stations: int, seed: int, looks: list[int]
) -> None:
    often, seldom = Clock(), Clock()
    one, other = (
        simulator(often, stations=stations, seed=seed),
        simulator(seldom, stations=stations, seed=seed),
    )
    one.status()
    other.status()
    for seconds in sorted(looks):
        often.now = 1_790_000_000.0 + seconds
        one.status()
    often.now = seldom.now = 1_790_000_000.0 + 60
    assert one.status() == other.status()


@given(st.integers(1, 3000), st.integers(0, 50))
def test_stations_have_different_names_and_lie_ashore(count: int, seed: int) -> None:
    places = city.build(min(count, 300), seed=seed)
    assert len({place.name for place in places}) == len(places)
    assert all(place.lon <= city.SHORE_LON and 41 < place.lat < 43 for place in places)


def test_another_seed_is_another_city() -> None:
    assert city.build(10, seed=1) != city.build(10, seed=2)


def test_more_stations_than_crossings_still_have_names() -> None:
    assert len({place.name for place in city.build(5000, seed=1)}) == 5000


def test_the_commute_fills_the_centre_in_the_morning_and_empties_it_in_the_evening() -> None:
    made = City(city.build(300, seed=1), 1, start_hour=6.0)

    def share() -> float:
        centre = [station for station in made.stations if station.place.work > 0.5]
        return sum(station.bikes for station in centre) / sum(station.place.capacity for station in centre)

    before = share()
    for _ in range(4 * 60):
        made.step()
    noon = share()
    for _ in range(9 * 60):
        made.step()
    assert noon > before + 0.15
    assert share() < noon - 0.3


def test_everything_that_can_go_wrong_does_within_a_day() -> None:
    made = City(city.build(300, seed=1), 1)
    for _ in range(24 * 60):
        made.step()
    assert all(made.incidents.values())


def test_a_silent_station_is_missing_and_comes_back() -> None:
    clock = Clock()
    made = simulator(clock, stations=30)
    made.status()
    sizes = []
    for _ in range(80):
        clock.now += 5
        sizes.append(len(made.status().stations))
    assert min(sizes) < 30
    assert 30 in sizes[sizes.index(min(sizes)) :]


def test_documents_change_at_the_ttl_only() -> None:
    clock = Clock()
    made = simulator(clock)
    first = made.status()
    clock.now += 4.9
    assert made.status() == first
    clock.now += 0.2
    second = made.status()
    assert (second.number, second.last_updated) == (first.number + 1, first.last_updated + 5)


def test_a_long_pause_does_not_simulate_for_ever() -> None:
    clock = Clock()
    made = simulator(clock)
    made.status()
    clock.now += 86_400 * 365
    assert made.status().number > 1_000_000


def test_a_clock_that_goes_back_does_not_go_back_in_documents() -> None:
    clock = Clock()
    made = simulator(clock)
    made.status()
    clock.now += 50
    number = made.status().number
    clock.now -= 40
    assert made.status().number == number


@pytest.mark.parametrize(("mean", "low", "high"), [(0.0, 0, 0), (3.0, 2.6, 3.4), (200.0, 195, 205)])
def test_poisson_has_its_mean(mean: float, low: float, high: float) -> None:
    import random

    rng = random.Random(5)
    found = [rhythm.poisson(mean, rng) for _ in range(600)]
    assert low <= sum(found) / len(found) <= high
