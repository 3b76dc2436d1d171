"""The built zips of dashboard and divvy in the real engine, as an OpenWhisk runs them."""

import base64
from pathlib import Path
from typing import Any

import redis
import requests

from hort import clock
from hort.counters import RedisCounters
from tests.support.engine import Engine

WEB = {"web-export": True, "raw-http": True, "final": True}


def put(whisk: Engine, name: str, archive: Path, parameters: dict[str, Any], **annotations: Any) -> None:
    code = base64.b64encode(archive.read_bytes()).decode()
    body = {
        "exec": {"kind": "python:3.11", "code": code, "binary": True},
        "parameters": [{"key": key, "value": value} for key, value in parameters.items()],
        "annotations": [{"key": key, "value": value} for key, value in annotations.items()],
    }
    status, answer = whisk.call("PUT", f"actions/{name}?overwrite=true", body)
    assert status == 200, answer


def test_the_page_and_its_data_are_served(
    whisk: Engine, zips: Path, redis_url: str, redis_client: "redis.Redis"
) -> None:
    RedisCounters(redis_client).add({"ingest.records": 5})
    bound = {"redis_url": redis_url, "elasticsearch_url": "http://127.0.0.1:9"}
    put(whisk, "dashboard", zips / "dashboard.zip", bound, **WEB)
    address = f"{whisk.apihost}/api/v1/web/guest/default/dashboard"
    page = requests.get(address, timeout=60)
    assert page.status_code == 200
    assert page.headers["content-type"].lower() == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.text.rstrip().endswith("</html>")
    data = requests.get(f"{address}/data", params={"minutes": "5", "devices": '["a","b"]'}, timeout=60)
    assert data.status_code == 200
    answer = data.json()
    assert answer["counters"] == {"ingest.records": 5}
    assert set(answer["errors"]) == {"elasticsearch"}
    assert answer["view"]["devices"] == ["a", "b"]
    assert requests.get(f"{address}/data", params={"minutes": "3"}, timeout=60).status_code == 400


def test_what_visitors_send_is_no_setting_and_no_answer_names_a_server(whisk: Engine, zips: Path) -> None:
    nobody = {"redis_url": "redis://localhost:9/0", "elasticsearch_url": "http://localhost:9"}
    put(whisk, "dashboard-away", zips / "dashboard.zip", nobody, **WEB)
    address = f"{whisk.apihost}/api/v1/web/guest/default/dashboard-away"
    for query in ("", "?elasticsearch_ca=/x", "?partitions=65", "?redis_url=x&elasticsearch_url=y"):
        answer = requests.get(f"{address}/data{query}", timeout=60)
        assert (answer.status_code, set(answer.json()["errors"])) == (200, {"counters", "feeds", "registry", "elasticsearch"}), query
        assert "localhost" not in answer.text
    for extension in ("html", "text", "json", "svg"):
        assert "localhost" not in requests.get(f"{address}.{extension}/data", timeout=60).text


def test_strangers_have_a_share_of_each_minute(whisk: Engine, zips: Path, redis_url: str, redis_client: "redis.Redis") -> None:
    redis_client.flushall()
    bound = {"redis_url": redis_url, "elasticsearch_url": "http://127.0.0.1:9", "reads_per_minute": "3"}
    put(whisk, "dashboard-share", zips / "dashboard.zip", bound, **WEB)
    address = f"{whisk.apihost}/api/v1/web/guest/default/dashboard-share"
    answers = [requests.get(address, timeout=60) for _ in range(8)]  # in two minutes at most
    assert [answer.status_code for answer in answers].count(429) >= 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert f'content="{refused.headers["retry-after"]}"' in refused.text, "a reader's browser comes again by itself"
    for _ in range(4):
        data = requests.get(f"{address}/data", timeout=60)
    assert (data.status_code, data.json()["retry_after_s"]) == (429, int(data.headers["retry-after"]))
    user, _, password = whisk.auth.partition(":")
    assert requests.get(f"{address}/data", auth=(user, password), timeout=60).status_code == 200


def test_divvy_answers_cleanly_without_its_source(
    whisk: Engine, zips: Path, redis_url: str, redis_client: "redis.Redis"
) -> None:
    put(whisk, "divvy", zips / "divvy.zip", {"redis_url": redis_url, "allow_private": "127.0.0.0/8"})
    address = "http://127.0.0.1:9/gbfs.json"
    begun = clock.now_ms()
    status, answer = whisk.call("POST", "actions/divvy?blocking=true&result=true", {"gbfs_url": address})
    assert status == 200
    assert answer["published"] == 0
    assert "127.0.0.1:9" in answer["reason"]
    assert clock.now_ms() - begun < 60_000
