"""Who goes where there are too many."""

import resource
from typing import Any, cast

import pytest

from feeds.provider import connections
from feeds.provider.connections import Connection, Places


class Fake:
    def __init__(self) -> None:
        self.gone = False

    def abort(self) -> None:
        self.gone = True


def fakes(count: int) -> list[Any]:
    return [cast("Connection", Fake()) for _ in range(count)]


def test_the_slowest_goes_and_never_one_at_work() -> None:
    places, (first, second, third, fourth, fifth) = Places(3), fakes(5)
    for one in (first, second, third):
        places.take(one)
    places.turn(first, client=False)
    places.take(fourth)
    assert [one.gone for one in (first, second, third, fourth)] == [False, True, False, False]
    places.turn(first, client=True)
    places.turn(third, client=False)
    places.turn(fourth, client=False)
    places.take(fifth)
    assert [one.gone for one in (first, third, fourth, fifth)] == [True, False, False, False]


def test_where_all_are_at_work_it_is_the_new_one_that_goes() -> None:
    places, (first, second, third) = Places(1), fakes(3)
    places.take(first)
    places.turn(first, client=False)
    places.take(second)
    assert (first.gone, second.gone) == (False, True)
    places.turn(second, client=True)
    places.leave(first)
    places.take(third)
    assert not third.gone, "who is gone holds no place"


@pytest.mark.parametrize(("files", "places"), [(2, 1), (256, 64), (1024, 256), (1_048_576, 256), (resource.RLIM_INFINITY, 256)])
def test_places_are_a_share_of_the_files_there_may_be(monkeypatch: pytest.MonkeyPatch, files: int, places: int) -> None:
    """Of 256 files 256 half-sent requests left none to accept another one with."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert connections.room() == places
