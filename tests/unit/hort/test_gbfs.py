"""GBFS documents of every version become the same flat records, and what is malformed is named."""

import json
from typing import Any

import pytest

from gbfs_server import documents
from gbfs_server.source import Information, Snapshot
from hort import gbfs
from hort.errors import GbfsError, SourceUnavailable
from hort.testing import FakeClock

ROW = {
    "station_id": "5",
    "num_bikes_available": 11,
    "num_bikes_disabled": 1,
    "num_docks_available": 7,
    "num_docks_disabled": 0,
    "is_installed": 1,
    "is_renting": 1,
    "is_returning": 0,
    "last_reported": 1410479941,
}
BASE = "http://gbfs.test/x"


class Web:
    """A GBFS source in memory; counts what was asked for."""

    def __init__(self, version: str = "2.3", rows: list[dict[str, Any]] | None = None) -> None:
        self.asked: list[str] = []
        self.pages: dict[str, Any] = {}
        self.down: set[str] = set()
        self.publish(version, [ROW] if rows is None else rows, last_updated=1410479941, ttl=60)
        self.pages["gbfs"] = documents.discovery(version, BASE, now=1)
        information = [{"station_id": "5", "name": "State & Main", "lat": 1.0, "lon": 2.0, "capacity": 19}]
        self.pages["station_information"] = documents.station_information(
            version, Information(1, information)
        )

    def publish(self, version: str, rows: list[dict[str, Any]], *, last_updated: int, ttl: int) -> None:
        self.pages["station_status"] = documents.station_status(version, Snapshot(1, last_updated, ttl, rows))

    def __call__(self, url: str) -> bytes:
        name = url.rsplit("/", 1)[-1].removesuffix(".json")
        self.asked.append(name)
        if name in self.down:
            raise SourceUnavailable(f"{name} is down")
        page = self.pages[name]
        return page if isinstance(page, bytes) else json.dumps(page).encode()


def client(web: Web, clock: FakeClock | None = None) -> gbfs.Client:
    return gbfs.Client("http://gbfs.test/x/gbfs.json", web, now=clock or FakeClock())


@pytest.mark.parametrize("version", documents.VERSIONS)
def test_every_version_gives_the_same_record(version: str) -> None:
    status = client(Web(version)).status()
    assert status is not None
    assert status.stations == [{**ROW, "name": "State & Main", "capacity": 19}]
    assert (status.version, status.last_updated, status.ttl) == (version, 1410479941, 60)


@pytest.mark.parametrize("version", documents.VERSIONS)
def test_numbers_stay_numbers(version: str) -> None:
    status = client(Web(version)).status()
    assert status is not None
    assert {
        type(value) for name, value in status.stations[0].items() if name not in ("station_id", "name")
    } == {int}


def test_fields_of_other_vehicles_pass_and_lists_do_not() -> None:
    row = {
        **ROW,
        "num_ebikes_available": 3,
        "vehicle_types_available": [{"vehicle_type_id": "1", "count": 2}],
        "eightd": "x",
    }
    status = client(Web(rows=[row])).status()
    assert status is not None
    assert status.stations[0]["num_ebikes_available"] == 3
    assert not {"vehicle_types_available", "eightd"} & status.stations[0].keys()


def test_null_and_missing_optional_fields_are_left_out() -> None:
    status = client(
        Web(rows=[{"station_id": "5", "num_bikes_available": 2, "num_docks_available": None}])
    ).status()
    assert status is not None
    assert status.stations[0] == {
        "station_id": "5",
        "num_bikes_available": 2,
        "name": "State & Main",
        "capacity": 19,
    }


def test_a_station_id_given_as_a_number_is_text() -> None:
    status = client(Web(rows=[{**ROW, "station_id": 5}])).status()
    assert status is not None
    assert status.stations[0]["station_id"] == "5"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("num_bikes_available", "11", "stations[1].num_bikes_available"),
        ("num_bikes_available", -1, "stations[1].num_bikes_available"),
        ("num_bikes_available", True, "stations[1].num_bikes_available"),
        ("num_bikes_available", 1.5, "stations[1].num_bikes_available"),
        ("num_bikes_available", None, "stations[1].num_bikes_available"),
        ("is_renting", "yes", "stations[1].is_renting"),
        ("is_renting", 2, "stations[1].is_renting"),
        ("last_reported", "yesterday", "stations[1].last_reported"),
        ("last_reported", "2026-01-01T00:00:00", "stations[1].last_reported"),
        ("last_reported", float("nan"), "stations[1].last_reported"),
        ("station_id", "", "stations[1].station_id"),
        ("station_id", None, "stations[1].station_id"),
        ("station_id", ["x"], "stations[1].station_id"),
    ],
)
def test_a_malformed_station_is_named_and_its_neighbours_stay(field: str, value: object, named: str) -> None:
    document = {"last_updated": 1, "ttl": 0, "data": {"stations": [ROW, {**ROW, field: value}]}}
    status = gbfs.parse_status(document)
    assert [record["station_id"] for record in status.stations] == ["5"]
    assert len(status.problems) == status.malformed == 1
    assert f"'{named}'" in status.problems[0]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"last_updated": None}, "last_updated"),
        ({"last_updated": True}, "last_updated"),
        ({"ttl": -1}, "ttl"),
        ({"ttl": "60"}, "ttl"),
        ({"data": {}}, "data.stations"),
        ({"data": {"stations": {}}}, "data.stations"),
        ({"data": {"stations": ["x"]}}, "stations[0]"),
        ({"data": {"stations": [{}] * (gbfs.MAX_STATIONS + 1)}}, "data.stations"),
    ],
)
def test_a_malformed_head_names_the_field(change: dict[str, Any], named: str) -> None:
    document = {"last_updated": 1, "ttl": 0, "data": {"stations": [ROW]}, **change}
    with pytest.raises(GbfsError) as caught:
        gbfs.parse_status(document)
    assert f"'{named}'" in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"data":[]}', b"<html>", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    with pytest.raises(GbfsError):
        gbfs.parse_document(raw, "gbfs.json")


def test_a_city_without_stations_is_no_error() -> None:
    assert gbfs.parse_status({"last_updated": 1, "ttl": 0, "data": {"stations": []}}).stations == []


def test_discovery_takes_the_wanted_language_else_the_first() -> None:
    feeds = [{"name": "station_status", "url": "http://x/fr"}]
    document = {"data": {"fr": {"feeds": feeds}}}
    assert gbfs.parse_feeds(document, language="en") == {"station_status": "http://x/fr"}


@pytest.mark.parametrize(
    "data", [{}, {"en": {}}, {"en": 1}, {"feeds": {}}, {"feeds": [1]}, {"feeds": [{"name": "x"}]}]
)
def test_discovery_without_feeds_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(GbfsError):
        gbfs.parse_feeds({"data": data})


def test_relative_feed_addresses_are_resolved() -> None:
    web = Web()
    web.pages["gbfs"]["data"]["en"]["feeds"] = [{"name": "station_status", "url": "sub/station_status.json"}]
    assert client(web).status() is not None


def test_a_source_without_station_status_says_so() -> None:
    web = Web()
    web.pages["gbfs"] = {"data": {"en": {"feeds": [{"name": "free_bike_status", "url": "http://x/y"}]}}}
    with pytest.raises(GbfsError, match="station_status"):
        client(web).status()


def test_the_ttl_is_honoured_by_the_documents_own_time() -> None:
    clock, web = FakeClock(1410479941_000 + 10_000), Web()
    source = client(web, clock)
    assert source.status() is not None
    clock.advance(49_000)
    assert source.status() is None
    clock.advance(1_000)
    assert source.status() is not None
    assert web.asked.count("station_status") == 2


def test_a_clock_that_is_set_back_makes_nothing_fresh_for_longer() -> None:
    clock = FakeClock(1410479941_000 + 10_000)
    source = client(Web(), clock)
    assert source.status() is not None
    clock.advance(-3_600_000)
    assert source.status() is not None


def test_a_recording_of_the_past_may_be_asked_again_at_once() -> None:
    source = client(Web())
    assert source.status() is not None
    assert source.status() is not None


def test_a_source_whose_clock_is_ahead_is_asked_again_after_its_ttl() -> None:
    clock = FakeClock(1410479941_000 - 3_600_000)
    source = client(Web(), clock)
    assert source.status() is not None
    clock.advance(60_000)
    assert source.status() is not None


def test_discovery_and_names_are_kept_between_polls() -> None:
    clock, web = FakeClock(), Web()
    source = client(web, clock)
    for _ in range(3):
        clock.advance(61_000)
        source.status()
    assert web.asked == ["gbfs", "station_status", "station_information", "station_status", "station_status"]


def test_a_failing_station_information_does_not_stop_the_status() -> None:
    web = Web()
    web.down.add("station_information")
    status = client(web).status()
    assert status is not None
    assert status.stations == [ROW]


def test_a_feed_that_moved_is_found_again() -> None:
    web = Web()
    source = client(web)
    source.status()
    web.down.add("station_status")
    with pytest.raises(SourceUnavailable):
        source.status()
    web.down.clear()
    source.status()
    assert web.asked.count("gbfs") == 2


def test_identity_changes_with_time_content_and_source() -> None:
    def identity(url: str, time: int, bikes: int) -> str:
        rows = [{**ROW, "num_bikes_available": bikes}]
        return gbfs.parse_status(
            {"last_updated": time, "ttl": 0, "data": {"stations": rows}}, url=url
        ).identity

    kinds = {identity("a", 1, 1), identity("a", 2, 1), identity("a", 1, 2), identity("b", 1, 1)}
    assert len(kinds) == 4
    assert identity("a", 1, 1) == identity("a", 1, 1)
