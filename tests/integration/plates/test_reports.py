"""A report's whole way with the real reader: engine, Redis, Elasticsearch, OpenALPR."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
import requests
from elasticsearch import Elasticsearch

from hort.redaction import Redaction
from tests.support.engine import Engine
from tests.support.paths import ROOT
from tests.support.plates import PlatesServer
from tests.support.plates_suite import IMAGE, KEY, deploy
from tests.support.polling import wait_until

DRAWN = ROOT / "scripts" / "demonstrate" / "drawn.jpg"
REDACT_KEY = "0123456789abcdef"


def report(whisk: Engine, photo: Path) -> dict[str, Any]:
    """The stored document of a report with a photo."""
    url = f"{whisk.apihost}/api/v1/web/guest/hort/report"
    body = {"image": base64.b64encode(photo.read_bytes()).decode(), "company": "UPS"}
    taken = requests.post(url, json=body, headers={"X-HoRT-Key": KEY}, timeout=60)
    assert taken.status_code == 202, taken.text

    def look() -> dict[str, Any]:
        found = requests.get(f"{url}/{taken.json()['id']}", headers={"X-HoRT-Key": KEY}, timeout=60).json()
        return found["document"] if found.get("status") == "stored" else {}

    return wait_until(look, timeout_s=300, interval_s=0.5, what="the report's document")


def _records(whisk: Engine, names: set[str]) -> list[dict[str, Any]]:
    """All records once each of these actions has one."""
    records: list[dict[str, Any]] = whisk.call("GET", "activations?limit=200&docs=true")[1]
    return records if names <= {record["name"] for record in records} else []


def test_a_plate_is_read_and_stored_and_redacted_nowhere_to_be_found(
    new_whisk: Callable[..., Engine],
    plates: PlatesServer,
    zips: Path,
    redis_url: str,
    redis_client: "redis.Redis",
    elasticsearch_url: str,
    elasticsearch_client: Elasticsearch,
    shared: Callable[[str], Path],
) -> None:
    settings = {"HORT_REDIS_URL": redis_url, "HORT_ELASTICSEARCH_URL": elasticsearch_url, "HORT_REGISTRY_KEY": KEY}
    whisk = new_whisk("--limits", "raised", "--map-image", f"{IMAGE}={plates.url}")
    deploy(whisk, zips, {**settings, "HORT_REDACT": "true", "HORT_REDACT_KEY": REDACT_KEY})
    document = report(whisk, DRAWN)
    assert (document["plate"], document["status"]) == (Redaction(REDACT_KEY.encode()).digest("EZ84217"), "read")
    assert len(document["coordinates"]) == 4
    records = wait_until(lambda: _records(whisk, {"plates", "sink", "report"}), what="the records, which come after the document,")
    for text in (json.dumps(records), json.dumps(elasticsearch_client.search(index="plates").body)):
        assert "EZ8" not in text
        assert REDACT_KEY not in text
    deploy(whisk, zips, settings)
    document = report(whisk, shared("data/plates/photos/s16-8319.jpg"))
    assert (document["plate"], document["redacted"]) == ("S168319", False)
