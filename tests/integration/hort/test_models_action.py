import base64
import json
from typing import Any

import pytest
import redis

from hort import keys
from tests.support.actions import load_main
from tests.support.model_server import Exchange, model_server

models = load_main("models")
poll_models = load_main("poll-models")


@pytest.fixture
def params(redis_client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("__OW_NAMESPACE", "guest")
    return {"redis_url": redis_url, "registry_key": "secret", "allow_private": "true"}


def call(
    params: dict[str, Any], method: str, path: str, value: object = None, **extra: Any
) -> dict[str, Any]:
    body = "" if value is None else base64.b64encode(json.dumps(value).encode()).decode()
    headers = {"content-type": "application/json", "authorization": "Basic hidden"}
    args = {
        **params,
        "__ow_method": method,
        "__ow_path": path,
        "__ow_body": body,
        "__ow_query": "",
        "__ow_headers": headers,
    }
    return models({**args, **extra})


def test_a_model_comes_by_one_put_and_is_active_after_the_next_poll(
    params: dict[str, Any], redis_client: redis.Redis
) -> None:
    assert call(params, "put", "/m", {"url": "http://127.0.0.1:9/x"}, __ow_user="guest")["statusCode"] == 201
    assert poll_models(params)["models"] == ["m"]
    found = call(params, "get", "")["body"]
    assert found["endpoints"] == [{"m": "http://127.0.0.1:9/x"}]
    assert found["models"][0]["state"]["polled"] is True
    call(params, "delete", "/m", __ow_user="guest")
    assert poll_models(params)["models"] == []
    assert b"hidden" not in str(redis_client.keys()).encode()


def test_writes_need_the_owner_or_the_key(params: dict[str, Any]) -> None:
    value = {"url": "http://127.0.0.1:9/x"}
    assert call(params, "put", "/m", value)["statusCode"] == 401
    assert call(params, "put", "/m", value, __ow_user="other")["statusCode"] == 401
    assert call(params, "put", "/m", value, __ow_headers={"x-hort-key": "secret"})["statusCode"] == 201


def test_another_registry_is_polled_over_http(params: dict[str, Any], redis_client: redis.Redis) -> None:
    def behave(exchange: Exchange) -> None:
        exchange.answer(200, b'{"endpoints":[{"theirs":"http://model.example/"}]}')

    with model_server(behave) as server:
        assert poll_models({**params, "registry_url": server.url})["models"] == ["theirs"]
        refused = poll_models({**params, "registry_url": server.url, "allow_private": ""})
    assert "not allowed" in refused["last_error"]
    gone = poll_models({**params, "registry_url": server.url})
    assert gone["models"] == ["theirs"]
    assert "connect" in gone["last_error"]
    assert redis_client.hget(keys.COUNTERS, "models.poll-failed") == b"2"


def test_a_registry_that_answers_an_error_keeps_the_last_list(params: dict[str, Any]) -> None:
    with model_server(lambda exchange: exchange.answer(503, b"")) as server:
        result = poll_models({**params, "registry_url": server.url})
    assert "status 503" in result["last_error"]


def test_the_registry_can_poll_itself_over_http(params: dict[str, Any]) -> None:
    call(params, "put", "/m", {"url": "http://127.0.0.1:9/x", "protocol": "instances"}, __ow_user="guest")

    def behave(exchange: Exchange) -> None:
        exchange.answer(200, json.dumps(call(params, "get", "")["body"]).encode())

    with model_server(behave) as server:
        assert poll_models({**params, "registry_url": server.url})["models"] == ["m"]
