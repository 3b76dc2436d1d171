from typing import Any

import orjson
import pytest
import redis

from hort import analytics_keys, batch, join, keys, mapped_fields
from hort.breaker import RedisBreakers
from hort.counters import RedisCounters
from hort.journal import RedisJournal
from hort.model_store import RedisModelStore
from hort.models import parse
from hort.registry import Registry
from hort.schema import NUMERIC
from tests.support import model_server as servers
from tests.support import staged
from tests.support.actions import load_main
from tests.support.model_server import Exchange, model_server

score = load_main("score")
REFERENCE = batch.Reference("b-0-1", "hort:{0}:journal:0123456789abcdef")


class Stage:
    """A staged batch of real Redis, and the action run on it."""

    def __init__(self, client: redis.Redis, url: str) -> None:
        self.client = client
        self.params: dict[str, Any] = {
            "redis_url": url,
            "allow_private": "127.0.0.0/8",
            **REFERENCE.as_result(),
        }
        self.journal = RedisJournal(client)

    def put(self, rows: list[staged.Row]) -> None:
        self.journal.put(REFERENCE, b"raw", trigger="/guest/device-events", count=len(rows), now=1)
        self.journal.write_stage(REFERENCE, staged.stage_fields(rows))

    def activate(self, **found: dict[str, Any]) -> None:
        models = [parse(name, fields).as_json() for name, fields in found.items()]
        self.client.set(keys.MODELS_ACTIVE, orjson.dumps({"models": models, "polled_at": 1}))
        score.__globals__["_active"].cache_clear()

    def run(self, **params: Any) -> dict[str, Any]:
        return score({**self.params, "score_budget_ms": 60_000, "__ow_headers": {"authorization": "Basic c2VjcmV0"}, **params})

    def documents(self, field: str) -> list[dict[str, Any]]:
        value: Any = self.client.hget(REFERENCE.stage_key, field)
        return staged.documents(value or b"")

    def results(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(item["record_id"], item["model"]): item for item in self.documents("results")}

    def statuses(self, model: str) -> set[str]:
        return {item["status"] for (_, name), item in self.results().items() if name == model}


@pytest.fixture
def stage(redis_client: redis.Redis, redis_url: str) -> Stage:
    stage = Stage(redis_client, redis_url)
    stage.activate()
    return stage


def fields(url: str, protocol: str = "json", **more: Any) -> dict[str, Any]:
    return {"url": url, "protocol": protocol, "timeout_ms": 30_000, **more}


@pytest.mark.parametrize("protocol", ["json", "query", "instances"])
def test_each_record_gets_one_result(stage: Stage, protocol: str) -> None:
    stage.put(staged.bikes(30))
    with model_server(servers.predictions) as server:
        stage.activate(m=fields(server.url, protocol))
        result = stage.run()
    assert result == {**REFERENCE.as_result(), "models": 1, "results": {"ok": 30}}
    found = stage.results()
    assert len(found) == 30
    if protocol != "query":
        assert found["b-0-1.7", "m"]["result"] == {"n": 7}
        names = stage.journal.read_stage(REFERENCE, ["results-fields"]) or {}
        assert mapped_fields.read(names["results-fields"]) == {"m": {"n": NUMERIC}}
    assert len(server.requests) == (1 if protocol == "instances" else 30)
    sent = b"".join(request.body + str(request.headers).encode() for request in server.requests)
    assert b"c2VjcmV0" not in sent
    assert b"redis" not in sent


def test_the_last_windows_ride_along(stage: Stage) -> None:
    stage.put(staged.bikes(2))
    device = analytics_keys.device_key("bike", "d1", "status")
    names = {device: b'{"count":3}', analytics_keys.type_key("bike"): b'{"count":9}'}
    join.remember(stage.client, 0, {name.encode(): body for name, body in names.items()}, ttl_s=60)
    with model_server(servers.predictions) as server:
        stage.activate(m=fields(server.url, "instances"))
        stage.run()
    first, second = orjson.loads(server.requests[0].body)["instances"]
    assert (first["analytics"], second["analytics"]) == (None, {"count": 3})
    assert first["type_analytics"] == second["type_analytics"] == {"count": 9}


def test_a_batch_delivered_again_is_not_scored_again(stage: Stage) -> None:
    stage.put(staged.bikes(3))
    with model_server(servers.predictions) as server:
        stage.activate(m=fields(server.url, "instances"))
        stage.run()
        before = stage.results()
        assert stage.run()["scored"] == "before"
        assert len(server.requests) == 1
    assert stage.results() == before


def test_without_models_a_batch_still_counts_as_scored(stage: Stage) -> None:
    stage.put(staged.bikes(3))
    assert stage.run()["results"] == {}
    assert stage.client.hexists(REFERENCE.stage_key, "results")


def test_an_acked_batch_is_left_alone(stage: Stage) -> None:
    assert stage.run()["acked"] is True


def test_bad_models_show_up_and_change_nothing_for_the_others(stage: Stage) -> None:
    stage.put(staged.bikes(5))

    def close(exchange: Exchange) -> None:
        exchange.hang_up()

    def huge(exchange: Exchange) -> None:
        exchange.answer(200, b"[" + b"1," * 1_000_000 + b"1]")

    def wrong(exchange: Exchange) -> None:
        exchange.answer(200, b'{"predictions":[1]}')

    with (
        model_server(servers.predictions) as good,
        model_server(servers.hang) as hanging,
        model_server(servers.drip) as dripping,
        model_server(lambda exchange: exchange.answer(500, b"broken")) as failing,
        model_server(close) as closing,
        model_server(huge) as large,
        model_server(wrong) as short,
        model_server(lambda exchange: exchange.answer(307, b"", Location="http://10.0.0.1/")) as leading,
    ):
        stage.activate(
            good=fields(good.url),
            hanging=fields(hanging.url, timeout_ms=400),
            dripping=fields(dripping.url, "instances", timeout_ms=400),
            failing=fields(failing.url),
            closing=fields(closing.url),
            large=fields(large.url),
            short=fields(short.url, "instances"),
            leading=fields(leading.url),
            gone=fields("http://127.0.0.1:9/"),
        )
        stage.run()
    assert stage.statuses("good") == {"ok"}
    assert stage.statuses("hanging") == {"timeout"}
    assert stage.statuses("dripping") == {"timeout"}
    for name in ("failing", "closing", "large", "short", "leading", "gone"):
        assert "error" in stage.statuses(name) <= {"error", "open"}, name
    assert len(stage.results()) == 9 * 5


def test_the_batch_ends_at_its_budget_whatever_the_models_allow(stage: Stage) -> None:
    stage.put(staged.bikes(3))
    with model_server(servers.predictions) as good, model_server(servers.hang) as hanging:
        stage.activate(good=fields(good.url), hanging=fields(hanging.url, timeout_ms=30_000, concurrency=1))
        result = stage.run(score_budget_ms=15_000)
    assert result["results"] == {"ok": 3, "timeout": 3}


def test_the_breaker_holds_over_containers(stage: Stage, redis_client: redis.Redis) -> None:
    with model_server(lambda exchange: exchange.answer(500, b"")) as server:
        stage.activate(m=fields(server.url, breaker={"failures": 2}, concurrency=1))
        stage.put(staged.bikes(5))
        assert stage.run()["results"] == {"error": 2, "open": 3}
        redis_client.hdel(REFERENCE.stage_key, "results")
        score.__globals__["_scorer"].cache_clear()
        assert stage.run()["results"] == {"open": 5}
        assert len(server.requests) == 2


def test_dead_letters_join_those_of_ingest(stage: Stage) -> None:
    stage.put(staged.bikes(2))
    stage.journal.write_stage(REFERENCE, {"dead": b'{"index":{"_id":"x"}}\n{"stage":"ingest"}\n'})
    with model_server(lambda exchange: exchange.answer(500, b"")) as server:
        stage.activate(m=fields(server.url, "instances", on_error="dead-letter"))
        stage.run()
    assert [item["stage"] for item in stage.documents("dead")] == ["ingest", "score", "score"]


def test_of_two_scorings_at_once_one_is_kept_and_counted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.put(staged.bikes(4))
    scored = score.__globals__["_score"]

    def score_after_another(*args: Any) -> Any:
        sheets = scored(*args)
        stage.journal.write_stage(REFERENCE, {"results": b"of another"})
        return sheets

    monkeypatch.setitem(score.__globals__, "_score", score_after_another)
    with model_server(servers.predictions) as server:
        stage.activate(m=fields(server.url, "instances"))
        assert stage.run() == {**REFERENCE.as_result(), "scored": "by another"}
    assert stage.client.hget(REFERENCE.stage_key, "results") == b"of another"
    assert RedisCounters(stage.client).all() == {"score.calls": 1}, "what was done, and no result twice"


def test_a_scoring_with_trouble_is_one_line_with_its_batch(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.put(staged.bikes(4))
    with model_server(servers.predictions) as server:
        stage.activate(good=fields(server.url, "instances"), bad=fields("http://127.0.0.1:9/", retries=0))
        stage.run()
    (line,) = capsys.readouterr().out.splitlines()
    found = orjson.loads(line)
    assert (found["event"], found["batch_id"], found["score.error"]) == ("score.trouble", REFERENCE.batch_id, 4)
    assert list(found["models"]) == ["bad"]


def test_the_registry_shows_what_happened(stage: Stage) -> None:
    stage.put(staged.bikes(4))
    client = stage.client
    registry = Registry(RedisModelStore(client), RedisBreakers(client))
    with model_server(servers.predictions) as server:
        stage.activate(m=fields(server.url, "instances"))
        stage.run()
    (state,) = [item["state"] for item in registry.described([parse("m", {"url": server.url})])]
    assert state["results"] == {"ok": 4, "error": 0, "timeout": 0, "open": 0}
    assert state["latency_ms"] is not None
    counters = client.hgetall(keys.COUNTERS)
    assert counters[b"score.ok"] == b"4"
    assert b"score.ok.m" not in counters, "a model's own numbers go with it"


@pytest.mark.parametrize("on_error", ["ignore", "dead-letter"])
def test_results_that_are_too_much_to_hold_are_made_in_parts(stage: Stage, monkeypatch: pytest.MonkeyPatch, on_error: str) -> None:
    now = 1_769_860_800_123
    messages = [batch.Message(f"iot-2/type/bike/id/d{number}/evt/status/fmt/json", b'{"n":%d}' % number, now) for number in range(30)]
    whole = batch.Reference(f"0123456789abcdef-0-{now:012x}00000000", REFERENCE.journal)
    stage.journal.put(whole, batch.pack(batch.Messages.of(messages)), trigger="/guest/t", count=30, now=now)
    load_main("ingest")({**stage.params, **whole.as_result()})
    monkeypatch.setitem(score.__globals__, "RESULTS_BYTES", 9_000)
    found: list[str] = []
    with model_server(servers.predictions) as server:
        stage.activate(good=fields(server.url, "instances"), bad=fields(f"{server.url}/missing:x", on_error=on_error, breaker={"failures": 1}))
        while due := stage.journal.due(whole.journal, now=now * 2, limit=1):
            reference = due[0].reference
            if not stage.run(**reference.as_result()).get("acked"):
                raw: Any = stage.client.hget(reference.stage_key, "results")
                assert len(raw) <= 9_000
                found += [f"{item['record_id']}/{item['model']}" for item in staged.documents(raw)]
                stage.journal.ack(reference)

    assert sorted(found) == sorted(f"{whole.batch_id}.{number}/{name}" for number in range(30) for name in ("good", "bad"))
    assert RedisCounters(stage.client).all()["score.split"] >= 3


def test_last_windows_that_are_too_much_to_hold_are_joined_in_parts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_769_860_800_123
    messages = [batch.Message(f"iot-2/type/bike/id/d{number}/evt/status/fmt/json", b'{"n":%d}' % number, now) for number in range(30)]
    whole = batch.Reference(f"0123456789abcdef-0-{now:012x}00000000", REFERENCE.journal)
    stage.journal.put(whole, batch.pack(batch.Messages.of(messages)), trigger="/guest/t", count=30, now=now)
    load_main("ingest")({**stage.params, **whole.as_result()})
    large = b'{"count":1,"n":{"%b":1}}' % (b"n" * 1_000)
    names = [analytics_keys.type_key("bike"), *(analytics_keys.device_key("bike", f"d{number}", "status") for number in range(30))]
    join.remember(stage.client, 0, {name.encode(): large for name in names}, ttl_s=60)
    monkeypatch.setattr(join, "JOINED_BYTES", 9_000)
    scored = 0
    with model_server(servers.predictions) as server:
        stage.activate(m=fields(server.url, "instances"))
        while due := stage.journal.due(whole.journal, now=now * 2, limit=1):
            reference = due[0].reference
            if not stage.run(**reference.as_result()).get("acked"):
                raw: Any = stage.client.hget(reference.stage_key, "results")
                scored += len(staged.documents(raw))
                stage.journal.ack(reference)
        sent = [instance for call in server.requests for instance in orjson.loads(call.body)["instances"]]
    assert scored == len(sent) == 30
    assert all(len(instance["analytics"]["n"]) == len(instance["type_analytics"]["n"]) == 1 for instance in sent)
    assert 3 <= RedisCounters(stage.client).all()["score.split"] <= 6, "a part holds the windows of its own devices"
