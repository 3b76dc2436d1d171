from typing import Any

import pytest
import requests

from demonstrate.facts import Reader
from demonstrate.whisk import Whisk

PARTS = ("_from_redis", "_from_elasticsearch", "_from_provider", "_from_engine")


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    for part in PARTS:
        monkeypatch.setattr(Reader, part, lambda _: {})
    return Reader(elasticsearch_url="http://127.0.0.1:9", redis_url="redis://127.0.0.1:9", provider_url="", whisk=Whisk("http://127.0.0.1:9", "a:b"))


def away(*_: Any) -> dict[str, Any]:
    raise requests.ConnectionError("refused")


def test_what_does_not_answer_keeps_its_last_numbers_with_their_age(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Elasticsearch gone the demo showed 0 stored, 0 windows, 0 dead letters."""
    seconds = [100.0]
    monkeypatch.setattr("demonstrate.facts.time.monotonic", lambda: seconds[0])
    monkeypatch.setattr(Reader, "_from_elasticsearch", lambda _: {"documents": {"all-events": 599}, "windows": 7})
    assert reader.read().problems == ()
    seconds[0] += 12
    monkeypatch.setattr(Reader, "_from_elasticsearch", away)
    found = reader.read()
    assert (found.documents, found.windows, found.at) == ({"all-events": 599}, 7, 112.0)
    assert found.problems == ("Elasticsearch (what it holds is 12 s old): refused",)


@pytest.mark.parametrize(("known", "problems"), [({}, 0), ({"documents": {"all-events": 0}}, 0), ({"documents": {"all-events": 17_800}}, 1)])
def test_an_index_that_is_closed_or_gone_is_not_an_empty_one(known: dict[str, Any], problems: int, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo showed "-17800 records/s" and "stored 0"."""
    monkeypatch.undo()
    for part in ("_from_redis", "_from_provider", "_from_engine"):
        monkeypatch.setattr(Reader, part, lambda _: {})
    nothing = {"count": 0, "_shards": {"total": 0}, "hits": {"hits": []}}
    monkeypatch.setattr(reader, "_search", type("Search", (), {"count": lambda *_, **__: nothing, "search": lambda *_, **__: nothing})())
    reader._known |= known
    found = reader.read()
    assert found.documents.get("all-events") == known.get("documents", {}).get("all-events", 0)
    assert ["index all-events is closed or gone" in problem for problem in found.problems] == [True] * problems


def test_what_never_answered_is_not_known(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "_from_redis", away)
    assert reader.read().problems == ("Redis (what it holds is not known): refused",)


def test_a_feed_whose_broker_is_away_is_trouble(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved to a broker that nobody answers at, the demo showed 0 records/s and nothing else."""
    monkeypatch.undo()
    for part in ("_from_redis", "_from_elasticsearch", "_from_engine"):
        monkeypatch.setattr(Reader, part, lambda _: {})
    metrics = 'hort_provider_mqtt_connected{registration="/guest/mine"} 0.0\nhort_provider_mqtt_connected{registration="/guest/other"} 1.0\n'
    monkeypatch.setattr(requests, "get", lambda *_, **__: type("Answer", (), {"text": metrics}))
    assert reader.read().trouble == "the broker of /guest/mine does not answer its feed, which keeps trying"
