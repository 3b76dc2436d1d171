"""The built zips of dashboard and divvy in the real engine, as an OpenWhisk runs them."""

import base64
from pathlib import Path
from typing import Any

import redis
import requests

from hort import clock
from hort.counters import RedisCounters
from tests.support.engine import Engine


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
    web = {"web-export": True, "raw-http": False, "final": True}
    put(whisk, "dashboard", zips / "dashboard.zip", bound, **web)
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


def test_a_visitor_cannot_point_the_page_at_other_servers(whisk: Engine, zips: Path, redis_url: str) -> None:
    put(
        whisk, "dashboard-final", zips / "dashboard.zip", {"redis_url": redis_url, "elasticsearch_url": ""},
        **{"web-export": True, "raw-http": False, "final": True},
    )  # fmt: skip
    address = f"{whisk.apihost}/api/v1/web/guest/default/dashboard-final/data"
    for name in ("redis_url", "elasticsearch_url"):
        assert requests.get(address, params={name: "http://127.0.0.1:1"}, timeout=60).status_code == 400


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
