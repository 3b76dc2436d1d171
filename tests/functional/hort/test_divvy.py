"""The divvy poll over the in-memory broker, state and counters."""

import json
from typing import Any

import pytest

from hort import gbfs
from hort.counters import MemoryCounters
from hort.divvy import Poller, Settings
from hort.divvy_state import MemoryPollState
from hort.errors import ConfigError, PublishFailed, SourceUnavailable
from hort.publisher import Broker, MemoryPublisher
from hort.testing import FakeClock


def record(station: str, bikes: int = 3) -> gbfs.Record:
    return {"station_id": station, "num_bikes_available": bikes, "last_reported": 1410479941}


def topic(station: str) -> str:
    return f"iot-2/type/divvy/id/{station}/evt/status/fmt/json"


class Source:
    """Hands out what it was given; an exception is raised."""

    def __init__(self) -> None:
        self.document: gbfs.Status | Exception | None = None
        self.next_poll_ms = 0

    def show(self, *records: gbfs.Record, at: int = 1, problems: tuple[str, ...] = ()) -> None:
        self.document = gbfs.Status("http://x", "2.3", at, 60, list(records), list(problems), len(problems))

    def status(self) -> gbfs.Status | None:
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


class Bench:
    """A poller with its surroundings."""

    def __init__(self, **options: Any) -> None:
        self.source, self.broker, self.state = Source(), MemoryPublisher(), MemoryPollState()
        self.counters, self.clock = MemoryCounters(), FakeClock()
        self.waited: list[float] = []
        self.settings = Settings.of(options)

    def poll(self) -> dict[str, Any]:
        return Poller(
            source=self.source, publisher=self.broker, state=self.state, counters=self.counters,
            settings=self.settings, now=self.clock, wait=self._wait,
        ).run()  # fmt: skip

    def topics(self) -> list[str]:
        return [topic for topic, _ in self.broker.messages]

    def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.clock.advance(round(seconds * 1000))


def test_each_station_becomes_one_message_with_its_flat_record() -> None:
    bench = Bench()
    bench.source.show(record("5"), record("13", 0))
    assert bench.poll() == {"document": 1, "stations": 2, "published": 2, "polls": 1}
    assert bench.topics() == [topic("5"), topic("13")]
    assert json.loads(bench.broker.messages[1][1]) == record("13", 0)


def test_a_document_is_published_once() -> None:
    bench = Bench()
    bench.source.show(record("5"))
    bench.poll()
    again = bench.poll()
    assert (again["published"], again["reason"]) == (0, "published before")
    assert len(bench.broker.messages) == 1
    assert bench.counters.all() == {"divvy.polls": 2, "divvy.published": 1, "divvy.unchanged": 1}


def test_a_changed_document_under_the_same_time_is_published() -> None:
    bench = Bench()
    for bikes in (1, 2):
        bench.source.show(record("5", bikes))
        bench.poll()
    assert len(bench.broker.messages) == 2


def test_a_cache_that_serves_an_old_document_again_changes_nothing() -> None:
    bench = Bench()
    for at in (1, 2, 1, 2):
        bench.source.show(record("5"), at=at)
        bench.poll()
    assert len(bench.broker.messages) == 2


def test_missing_acknowledgements_fail_and_only_the_rest_is_published_next() -> None:
    bench = Bench()
    bench.source.show(record("5"), record("6"), record("7"))
    bench.broker.lose = {topic("6")}
    with pytest.raises(PublishFailed, match="1 of 3"):
        bench.poll()
    assert bench.counters.all() == {"divvy.polls": 1, "divvy.published": 2, "divvy.poll-failed.publish": 1}
    bench.broker.lose = set()
    assert bench.poll()["published"] == 1
    assert sorted(bench.topics()) == [topic("5"), topic("6"), topic("7")]
    assert bench.poll()["reason"] == "published before"


def test_what_was_left_of_an_old_document_is_not_published_after_a_new_one() -> None:
    bench = Bench()
    bench.source.show(record("5"), record("6"))
    bench.broker.lose = {topic("6")}
    with pytest.raises(PublishFailed):
        bench.poll()
    bench.broker.lose = set()
    bench.source.show(record("5"), record("6"), at=2)
    assert bench.poll()["published"] == 2


def test_a_broker_that_is_down_leaves_the_state_as_it_was() -> None:
    bench = Bench()
    bench.source.show(record("5"))
    bench.broker.down = True
    with pytest.raises(PublishFailed):
        bench.poll()
    bench.broker.down = False
    assert bench.poll()["published"] == 1


def test_a_source_that_is_down_is_a_clean_answer() -> None:
    bench = Bench()
    bench.source.document = SourceUnavailable("no answer")
    assert bench.poll() == {"published": 0, "polls": 1, "reason": "no answer"}
    assert bench.counters.all() == {"divvy.polls": 1, "divvy.poll-failed.source": 1}


def test_overlapping_polls_do_not_double() -> None:
    bench = Bench()
    bench.source.show(record("5"))
    token = bench.state.lock(1000)
    assert bench.poll() == {"published": 0, "reason": "another poll is running"}
    assert token is not None
    bench.state.unlock(token)
    assert bench.poll()["published"] == 1


def test_the_lock_is_given_back_after_a_failure() -> None:
    bench = Bench()
    bench.source.show(record("5"))
    bench.broker.down = True
    with pytest.raises(PublishFailed):
        bench.poll()
    assert bench.state.token is None


def test_only_the_wanted_stations() -> None:
    bench = Bench(stations="5, 7")
    bench.source.show(record("5"), record("6"), record("7"))
    bench.poll()
    assert bench.topics() == [topic("5"), topic("7")]


def test_only_what_changed() -> None:
    bench = Bench(changed_only=True)
    bench.source.show(record("5"), record("6"))
    bench.poll()
    bench.source.show({**record("5"), "last_reported": 1410480000}, record("6", 9), at=2)
    assert bench.poll()["published"] == 1
    assert bench.topics()[-1] == topic("6")


def test_following_polls_until_its_time_is_over() -> None:
    bench = Bench(follow_s=3)
    bench.source.show(record("5"))
    result = bench.poll()
    assert (result["published"], result["polls"]) == (1, 7)
    assert sum(bench.waited) == 3.0


def test_malformed_stations_are_counted_and_told() -> None:
    bench = Bench()
    bench.source.show(record("5"), problems=("stations[1] ...",))
    assert bench.poll()["problems"] == ["stations[1] ..."]
    assert bench.counters.all()["divvy.malformed"] == 1


@pytest.mark.parametrize(
    ("station", "shown"),
    [("a/b", "a%2Fb"), ("+", "%2B"), ("#", "%23"), ("ü x", "%C3%BC%20x"), ("1%", "1%25")],
)
def test_a_station_id_stays_one_level_of_the_topic(station: str, shown: str) -> None:
    bench = Bench()
    bench.source.show(record(station))
    bench.poll()
    assert bench.topics() == [topic(shown)]
    assert json.loads(bench.broker.messages[0][1])["station_id"] == station


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device_type", "a/b"),
        ("event", "#"),
        ("qos", 3),
        ("follow_s", -1),
        ("stations", 5),
        ("changed_only", "maybe"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        Settings.of({name: value})


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://x:99999", "x:1883"])
def test_a_broker_url_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match="mqtt_url"):
        Broker.of({"mqtt_url": url})


def test_the_password_shows_nowhere() -> None:
    broker = Broker.of({"mqtt_url": "mqtts://me:s3cret@host"})
    assert (broker.username, broker.password, broker.port) == ("me", "s3cret", 8883)
    assert "s3cret" not in f"{broker} {broker!r}"
