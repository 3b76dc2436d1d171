"""The dashboard's data over fakes: shapes, defaults, parts that fail on their own, hostile names."""

import json
from typing import Any

import pytest
import redis

from feeds.provider.meters import Meters
from feeds.provider.tally import Tally
from hort import documents, web
from hort.counters import MemoryCounters
from hort.dashboard import panels, trouble
from hort.dashboard import state as state_module
from hort.dashboard import web as dashboard_web
from hort.dashboard.search import SearchFailed, _answer
from hort.dashboard.state import shown_url
from hort.dashboard.view import STEPS_S, View
from hort.errors import ConfigError
from tests.support.actions import load_main, raw_request
from tests.support.dashboard import HOSTILE, NOW, FakeSearch, collector, state

NOBODY = "redis://127.0.0.1:9/0"
EMPTY = {"hits": {"total": {"value": 0}, "hits": []}}


def test_everything_is_there_with_its_defaults_chosen() -> None:
    answer = collector(FakeSearch())({})
    assert answer["errors"] == {}
    view = {"type": "divvy", "event": "status", "field": "num_bikes_available", "stat": "avg", "minutes": 15}
    assert answer["view"] == {**view, "devices": []}
    assert len(answer["lines"]["devices"]) == 6
    assert {len(device["values"]) for device in answer["lines"]["devices"]} == {len(answer["lines"]["times"])}
    assert answer["lines"]["devices"][0]["record"]["name"] == "Maple St & Quarry Ave"
    assert answer["windows"][0]["fields"]["num_bikes_available"]["avg"] == 9.4
    assert answer["models"]["anomaly"]["statuses"] == {"ok": 8950, "timeout": 12}
    assert {row["name"]: row["breaker"] for row in answer["registry"]["rows"]}["broken"] == "open"
    assert [row["kind"] for row in answer["alarms"]] == ["silent", "resumed", "silent", "silent"]
    assert answer["dead_letters"]["reasons"][0] == {"reason": "not-json", "stages": ["ingest"], "count": 3}
    assert answer["feeds"][0]["batches"] == 2


def test_trouble_is_named_with_its_reason_and_time() -> None:
    found = {row["name"]: row for row in collector(FakeSearch())({})["trouble"]}
    assert set(found) == {"dead.ingest.not-json", "window.late", "feed.fire.204", "breaker.opened"}, "and nothing that is well"
    assert (found["window.late"]["reason"], found["window.late"]["count"]) == ("late", 41)
    assert found["dead.ingest.not-json"]["reason"] == "ingest, not-json"
    assert found["feed.fire.204"]["reason"] == "204"
    assert found["window.late"]["last"] == NOW - 30_000


def test_trouble_is_bounded_and_the_latest_comes_first() -> None:
    found = trouble.rows({f"dead.sink.r{number}": 1 for number in range(999)}, {"dead.sink.r7": 5, "dead.sink.r8": 6})
    assert len(found) == trouble.MAX_ROWS
    assert [row["name"] for row in found[:2]] == ["dead.sink.r8", "dead.sink.r7"]
    assert found[2]["last"] is None


def test_what_a_provider_meets_has_words() -> None:
    whats = {row.what for row in Tally(Meters(), MemoryCounters())._rows}
    assert whats == set(trouble.FEED_TEXTS)


def test_the_answer_is_small() -> None:
    query = {"minutes": "1440", "devices": json.dumps([str(number) for number in range(12)])}
    assert len(json.dumps(collector(FakeSearch(devices=12, points=120))(query))) < 150_000


def test_nothing_stored_yet_is_an_empty_page() -> None:
    nothing = dict.fromkeys(
        (
            documents.ALL_EVENTS,
            documents.ANALYTICS,
            documents.MODEL_RESULTS,
            documents.ALARMS,
            documents.DEAD_LETTERS,
        ),
        EMPTY,
    )
    answer = collector(FakeSearch(replaced=nothing))({})
    assert answer["errors"] == {}
    assert (answer["streams"], answer["windows"], answer["alarms"]) == ([], [], [])
    assert answer["lines"] == {"times": [], "devices": [], "ids": [], "known": 0}
    assert answer["rate"] == {"times": [], "values": []}
    assert answer["view"]["type"] == ""


def test_elasticsearch_down_leaves_counters_and_registry() -> None:
    def down(_searches: Any) -> Any:
        raise SearchFailed("Elasticsearch does not answer (ConnectionError)")

    answer = collector(down)({"type": "divvy", "field": "x"})
    assert answer["errors"] == {"elasticsearch": "Elasticsearch does not answer (ConnectionError)"}
    assert answer["counters"]["ingest.records"] == 128_400
    assert len(answer["registry"]["rows"]) == 3
    unknown = ("streams", "windows", "lines", "rate", "models", "anomalies", "alarms", "dead_letters")
    assert [answer[part] for part in unknown] == [None] * len(unknown), "not known is not none"


def test_redis_down_leaves_what_elasticsearch_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any, **__: Any) -> Any:
        raise redis.ConnectionError("Error 111 connecting to secret-host")

    known = state()
    for part in ("counters", "feeds", "models"):
        monkeypatch.setattr(known, part, down)
    answer = collector(FakeSearch(), known)({})
    assert answer["errors"] == dict.fromkeys(
        ("counters", "feeds", "registry"), "Redis does not answer (ConnectionError)"
    )
    assert [answer[part] for part in ("counters", "trouble", "feeds", "registry")] == [None] * 4
    assert len(answer["lines"]["devices"]) == 6


def test_one_failed_search_names_its_part_only() -> None:
    answer = collector(FakeSearch(replaced={documents.ALARMS: {"failed": "all shards failed"}}))({})
    assert answer["errors"] == {"alarms": "all shards failed"}
    assert answer["alarms"] is None
    assert answer["dead_letters"]["total"] == 6


@pytest.mark.parametrize(("index", "unknown"), [(documents.ALL_EVENTS, {"rate"}), (documents.ANALYTICS, {"streams", "windows", "lines"}), (documents.MODEL_RESULTS, {"models", "anomalies"})])
def test_what_fails_is_not_known_and_nothing_else(index: str, unknown: set[str]) -> None:
    answer = collector(FakeSearch(replaced={index: {"failed": "no shard"}}))({})
    assert {name for name, part in answer.items() if part is None} == unknown


def test_hostile_ids_pass_through_as_data() -> None:
    search = FakeSearch(names=lambda number: f"{HOSTILE}{number}")
    answer = collector(search)(
        {"type": HOSTILE, "event": HOSTILE, "field": HOSTILE, "devices": json.dumps([HOSTILE])}
    )
    assert answer["lines"]["devices"][0]["id"] == f"{HOSTILE}0"
    _, series = next((index, body) for index, body in search.asked if "lines" in body.get("aggs", {}))
    assert {"term": {"devicetype": HOSTILE}} in series["query"]["bool"]["filter"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stat", "avg; drop"), ("minutes", "7"), ("minutes", "1e9"), ("type", "x" * 513), ("type", ["a"]), ("devices", "{"),
        ("devices", "{}"), ("devices", "[1]"), ("devices", json.dumps(["x"] * 13)), ("devices", json.dumps(["x" * 513])), ("devices", '[""]'),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_used_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        View.of({name: value})


def test_every_search_is_bounded() -> None:
    search = FakeSearch()
    collector(search)({"minutes": "1440"})
    assert len(search.asked) == 10
    for index, body in search.asked:
        assert body["size"] <= 60, index
        assert body["timeout"] == "3s"
        assert any("range" in part for part in body["query"]["bool"]["filter"]), index
        assert "script" not in json.dumps(body)


@pytest.mark.parametrize("minutes", STEPS_S)
def test_no_range_has_more_points_than_a_screen(minutes: int) -> None:
    view = View(minutes=minutes)
    assert minutes * 60 / view.step_s <= 121
    assert minutes * 60 / view.rate_step_s <= 121


def test_the_default_field_is_one_that_moves() -> None:
    def stats(low: float, high: float, avg: float) -> dict[str, float]:
        return {"min": low, "max": high, "avg": avg}

    fields = {
        "reported": stats(1.79e9, 1.79e9 + 55, 1.79e9),
        "capacity": stats(11, 47, 19.8),
        "disabled": stats(0, 14, 0.05),
        "bikes": stats(0, 27, 11.9),
    }
    deviations = {"0": {"value": 17.0}, "1": {"value": 0.0}, "2": {"value": 0.02}, "3": {"value": 0.5}}
    assert panels.liveliest(fields, {"aggregations": deviations}) == "bikes"
    assert panels.liveliest(fields, {}) == "reported"
    assert panels.liveliest({}, {}) == ""


def test_findings_are_named_once_by_field() -> None:
    result = {
        "status": "danger-high",
        "fields": {
            "t": {"status": "danger-high", "value": 9, "avg": 2, "std": 1},
            "p": {"status": "all-is-well"},
        },
        "simple_anomaly_detection_t": "danger-high",
    }
    assert panels.findings(result) == [{"field": "t", "state": "danger-high", "value": 9, "avg": 2, "std": 1}]
    assert [one["field"] for one in panels.findings({"value": "danger-low"})] == ["value"]
    assert panels.findings({"status": "danger-low"})[0]["field"] == "status"
    assert panels.findings(None) == []


def test_a_dotted_field_reads_the_same_nested_or_not() -> None:
    nested, dotted = {"properties": {"avg": {"a": {"b": 1}}}}, {"properties": {"avg": {"a.b": 1}}}
    assert panels.window(nested)["fields"] == panels.window(dotted)["fields"]


@pytest.mark.parametrize("url", ["http://user:secret@h:1/p?key=secret#secret", "http://secret@h:1/p"])
def test_a_models_address_shows_no_secret(url: str) -> None:
    assert shown_url(url) == "http://h:1/p"
    assert "secret" not in json.dumps(collector(FakeSearch())({}))


def test_the_action_serves_the_page_with_its_policy() -> None:
    answer = load_main("dashboard")(raw_request(redis_url=NOBODY))
    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == "text/html; charset=utf-8"
    policy = answer["headers"]["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    body = answer["body"]
    in_page = policy.removesuffix("; frame-ancestors 'none'")
    assert body.index(f'content="{in_page}"') < body.index("<style"), "as .html the page has no headers"
    assert len(body) < 150_000
    assert "http://" not in body
    assert "https://" not in body
    assert body.count("</script") == 1
    assert body.count("</style") == 1
    assert ".innerHTML" not in body.split("(() => {", 1)[1]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("post", "", 405), ("delete", "/data", 405), ("get", "/etc/passwd", 404), ("get", "/data/x", 404)],
)
def test_nothing_else_is_served(method: str, path: str, status: int) -> None:
    assert load_main("dashboard")(raw_request(method, path))["statusCode"] == status


def test_a_wrong_query_is_a_400_that_names_it() -> None:
    answer = load_main("dashboard")(raw_request(path="/data", query="stat=median", redis_url=NOBODY))
    assert answer["statusCode"] == 400
    assert "'stat'" in answer["body"]["error"]


def test_nothing_answers_and_the_page_still_gets_json() -> None:
    answer = load_main("dashboard")(raw_request(path="/data", redis_url=NOBODY, elasticsearch_url="http://127.0.0.1:9"))
    assert answer["statusCode"] == 200
    assert "127.0.0.1" not in json.dumps(answer)
    assert set(answer["body"]["errors"]) == {"counters", "feeds", "registry", "elasticsearch"}
    assert answer["body"]["now"] > NOW


@pytest.mark.parametrize("query", ["elasticsearch_ca=/x", "partitions=64", "redis_url=http://x", "elasticsearch_url=", "index_prefix=a", "__ow_user=guest", "reads_per_minute=1e9"])
def test_no_name_in_a_query_is_a_setting(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_web, "_data", lambda _request, settings: web.answer(200, settings))
    answer = load_main("dashboard")(raw_request(path="/data", query=query, redis_url=NOBODY))
    assert answer["body"] == {"redis_url": NOBODY}


def test_an_action_that_mixes_what_is_sent_with_what_is_bound_serves_nothing() -> None:
    answer = load_main("dashboard")({"__ow_method": "get", "__ow_path": "/data", "redis_url": NOBODY})
    assert (answer["statusCode"], "raw" in answer["body"]["error"]) == (500, True)


def test_a_setting_that_cannot_be_used_is_named_without_its_value() -> None:
    answer = load_main("dashboard")(raw_request(path="/data", redis_url=NOBODY, elasticsearch_url="inner.example:9200"))
    assert (answer["statusCode"], answer["body"]["error"]) == (500, "this action is not set up: parameter 'elasticsearch_url' cannot be used")


def test_what_providers_and_searches_say_names_no_address() -> None:
    known = state()
    known._models.set_active(json.dumps({"models": [], "last_error": "connect: cannot connect to registry.inner:8080: refused"}).encode(), poll=2)
    answer = collector(FakeSearch(replaced={documents.ALARMS: _answer({"error": {"type": "x", "reason": "[es01][10.0.0.5:9300] is gone"}})}), known)({})
    assert answer["registry"]["last_error"] == "connect: cannot connect to ***: refused"
    assert answer["errors"]["alarms"] == "[es01]*** is gone"
    letter = {"detail": "model m: cannot connect to 10.0.0.7:8000: Connection refused"}
    assert panels.dead_letters({"hits": {"hits": [{"_source": letter}]}})["rows"][0]["detail"] == "model m: cannot connect to ***: Connection refused"
    assert state_module._registered({"reason": {"message": "no route to 10.1.2.3"}})["reason"] == "no route to ***"
