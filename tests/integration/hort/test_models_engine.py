"""Registry, poll, scorer and example models as the real zips in the real engine."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
import requests

from hort import analytics_keys, batch, join
from hort.journal import RedisJournal
from tests.support import staged
from tests.support.engine import Engine

NAMES = ("score", "models", "poll-models", "echo-model", "anomaly-model")
WEB = {
    "models": {"web-export": True, "raw-http": True},
    "echo-model": {"web-export": True},
    "anomaly-model": {"web-export": True},
}
REFERENCE = batch.Reference("b-0-1", "hort:{0}:journal:0123456789abcdef")
ANALYTICS = b'{"properties":{"avg":{"n":1.0},"std":{"n":1.0}},"count":3}'


@pytest.fixture
def deployed(zips: Path, whisk: Engine, redis_client: redis.Redis, redis_url: str) -> Engine:
    params = {"redis_url": redis_url, "allow_private": "true", "registry_key": "secret"}
    for name in NAMES:
        code = base64.b64encode((zips / f"{name}.zip").read_bytes()).decode()
        body = {
            "exec": {"kind": "python:3.11", "code": code, "binary": True},
            "annotations": [{"key": key, "value": value} for key, value in WEB.get(name, {}).items()],
            "parameters": [{"key": key, "value": value} for key, value in params.items()],
        }
        status, answer = whisk.call("PUT", f"actions/{name}?overwrite=true", body)
        assert status == 200, answer
    return whisk


@pytest.fixture
def web(deployed: Engine) -> Callable[..., requests.Response]:
    def call(method: str, path: str, **options: Any) -> requests.Response:
        url = f"{deployed.apihost}/api/v1/web/guest/default/{path}"
        return requests.request(method, url, timeout=60, **options)

    return call


def owner(whisk: Engine) -> tuple[str, str]:
    user, _, password = whisk.auth.partition(":")
    return user, password


def invoke(whisk: Engine, name: str, params: dict[str, Any]) -> dict[str, Any]:
    status, answer = whisk.call("POST", f"actions/{name}?blocking=true&result=true", params)
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


def test_the_registry_over_http(deployed: Engine, web: Callable[..., requests.Response]) -> None:
    model = {"url": "http://127.0.0.1:9/x", "description": "ünïcode"}
    assert web("PUT", "models/a.b", json=model).status_code == 401
    created = web("PUT", "models/a.b", json=model, headers={"X-HoRT-Key": "secret"})
    assert (created.status_code, created.json()["description"]) == (201, "ünïcode")
    changed = web("PATCH", "models/a.b", json={"retries": 1}, auth=owner(deployed))
    assert (changed.status_code, changed.json()["version"]) == (200, "2")
    bad = web(
        "PATCH", "models/a.b", data="{", headers={"X-HoRT-Key": "secret", "Content-Type": "application/json"}
    )
    assert bad.status_code == 400
    assert web("PATCH", "models/a.b", json={"retries": 99}, auth=owner(deployed)).json()["field"] == "retries"
    assert web("GET", "models").json()["endpoints"] == [{"a.b": "http://127.0.0.1:9/x"}]
    assert web("DELETE", "models/a.b", auth=owner(deployed)).status_code == 200
    assert web("GET", "models/a.b").status_code == 404


def test_a_model_registered_by_one_put_scores_the_next_batch(
    deployed: Engine, web: Callable[..., requests.Response], redis_client: redis.Redis
) -> None:
    base = f"{deployed.apihost}/api/v1/web/guest/default"
    for name in ("anomaly-model", "echo-model"):
        requests.post(f"{base}/{name}", json={"instances": []}, timeout=120).raise_for_status()  # a process of each is warm
    for protocol in ("json", "query", "instances"):
        for name in ("anomaly-model", "echo-model"):
            # One call at a time: each one more is one more process to start within the call's time.
            body = {"url": f"{base}/{name}", "protocol": protocol, "timeout_ms": 30_000, "concurrency": 1}
            assert web("PUT", f"models/{name}-{protocol}", json=body, auth=owner(deployed)).status_code == 201
    assert len(invoke(deployed, "poll-models", {})["models"]) == 6

    journal = RedisJournal(redis_client)
    journal.put(REFERENCE, b"raw", trigger="/guest/t", count=4, now=1)
    journal.write_stage(REFERENCE, staged.stage_fields(staged.bikes(4)))
    names = [analytics_keys.device_key("bike", f"d{number}", "status") for number in range(4)]
    join.remember(redis_client, 0, {name.encode(): ANALYTICS for name in names}, ttl_s=60)
    result = invoke(deployed, "score", {**REFERENCE.as_result(), "score_budget_ms": 55_000})
    assert result["results"] == {"ok": 24}

    raw: Any = redis_client.hget(REFERENCE.stage_key, "results")
    found = {(item["record_id"], item["model"]): item["result"] for item in staged.documents(raw)}
    for protocol in ("json", "query", "instances"):
        verdicts = [found[f"b-0-1.{number}", f"anomaly-model-{protocol}"]["status"] for number in range(4)]
        assert verdicts == ["all-is-well", "all-is-well", "all-is-well", "danger-high"]
        assert found["b-0-1.2", f"echo-model-{protocol}"]["device_data"] == {"n": 2}
    assert web("GET", "models/anomaly-model-json").json()["state"]["results"]["ok"] == 4


def test_a_web_action_that_names_no_protocol_is_one_invocation_a_batch(
    deployed: Engine, web: Callable[..., requests.Response], redis_client: redis.Redis
) -> None:
    url = f"{deployed.apihost}/api/v1/web/guest/default/echo-model"
    body = {"url": url, "timeout_ms": 30_000}
    assert web("PUT", "models/mine", json=body, auth=owner(deployed)).json()["protocol"] == "instances"
    invoke(deployed, "poll-models", {})
    before = len(deployed.call("GET", "activations?name=echo-model&limit=200")[1])
    journal = RedisJournal(redis_client)
    journal.put(REFERENCE, b"raw", trigger="/guest/t", count=500, now=1)
    journal.write_stage(REFERENCE, staged.stage_fields(staged.bikes(500)))
    assert invoke(deployed, "score", {**REFERENCE.as_result(), "score_budget_ms": 55_000})["results"] == {"ok": 500}
    assert len(deployed.call("GET", "activations?name=echo-model&limit=200")[1]) == before + 1


def test_the_fields_of_the_anomaly_model_are_part_of_its_url(web: Callable[..., requests.Response]) -> None:
    instance = {"device_data": {"n": 9, "m": 1}, "analytics": orjson.loads(ANALYTICS)}
    answer = web("POST", "anomaly-model?fields=m", json={"instances": [instance]}).json()
    assert answer["predictions"][0]["fields"] == {"m": {"status": "no-window", "value": 1.0}}
    assert web("POST", "anomaly-model?sigma=x", json=instance).status_code == 400


@pytest.mark.parametrize("extension", ["", ".html", ".svg", ".text", ".json", ".http"])
def test_no_extension_makes_markup_of_what_was_sent(web: Callable[..., requests.Response], extension: str) -> None:
    markup = "<img src=x onerror=alert(1)>"
    for path, options in (
        (f"echo-model{extension}", {"params": {"device_data": orjson.dumps({"a": markup}).decode()}}),
        (f"echo-model{extension}", {"data": {"device_data": markup}}),
        (f"echo-model{extension}", {"json": {"instances": [{"device_data": {"a": markup}}]}}),
        (f"anomaly-model{extension}", {"params": {"device_data": '{"a":1}', "fields": markup}}),
        (f"anomaly-model{extension}", {"params": {"device_data": '{"a":1}', "sigma": markup}}),
        (f"models{extension}/{markup}", {}),
        (f"models{extension}", {"params": {"redis_url": markup}}),
    ):
        answer = web("GET" if "params" in options or not options else "POST", path, **options)
        assert answer.headers["content-type"].split(";")[0] in ("application/json", "text/plain") or "<" not in answer.text, (path, answer.text)
