"""Reports and the page's reading through the real engine, Redis and Elasticsearch; a server of the test's reads the photos."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from elasticsearch import Elasticsearch

from hort import indices, seal
from hort.elastic import ElasticStore
from hort.report_store import RedisReports
from tests.support import pictures
from tests.support.engine import Engine
from tests.support.plates_suite import IMAGE, KEY, FakePlates, answer, deploy
from tests.support.polling import wait_until
from tests.support.redis_files import append_only_file

pytestmark = pytest.mark.group("plates")  # where a report's whole way starts an Elasticsearch, too


JPEG = pictures.with_orientation(6)
PHOTO = base64.b64encode(JPEG).decode()
PLACE = {"lat": 41.8832, "lon": -87.6324, "text": "Clark & Lake"}
REDACT_KEY = "0123456789abcdef"
DEPLOYED: dict[str, dict[str, str]] = {}


@pytest.fixture(scope="module")
def reader() -> FakePlates:
    return FakePlates()


@pytest.fixture(scope="module")
def engine(reader: FakePlates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with reader.served() as url:
        found = Engine(tmp_path_factory.mktemp("plates-engine"), "--limits", "raised", "--map-image", f"{IMAGE}={url}")
        yield found
        found.stop()


class Suite:
    """The deployed plates part and calls to it."""

    def __init__(self, engine: Engine, zips: Path, settings: dict[str, str], reader: FakePlates, reports: RedisReports) -> None:
        self.engine, self.reader, self.reports = engine, reader, reports
        self._zips, self._settings = zips, settings
        self.deploy()

    def deploy(self, **more: str) -> None:
        """Deploys with other settings; what is there already stays, with its warm processes."""
        wanted = {**self._settings, **more}
        if DEPLOYED.get(self.engine.apihost) != wanted:
            deploy(self.engine, self._zips, wanted)
            DEPLOYED[self.engine.apihost] = wanted

    def web(self, method: str, path: str, *, key: str = KEY, **options: Any) -> requests.Response:
        headers = {"X-HoRT-Key": key} if key else {}
        url = f"{self.engine.apihost}/api/v1/web/guest/hort/{path}"
        return requests.request(method, url, headers=headers, timeout=60, **options)

    def ended(self, report_id: str) -> str:
        known = self.reports.known(report_id)
        return "" if known is None else known.status

    def stored(self, report_id: str) -> dict[str, Any]:
        """The report's document, once all is done with the report: its document can be seen before its photo is deleted."""
        wait_until(lambda: self.ended(report_id) == "stored", timeout_s=240, what="the end of the report")
        document: dict[str, Any] = self.web("GET", f"report/{report_id}").json()["document"]
        return document


@pytest.fixture
def suite(
    engine: Engine,
    zips: Path,
    reader: FakePlates,
    redis_url: str,
    redis_client: "redis.Redis",
    elasticsearch_url: str,
    elasticsearch_client: Elasticsearch,
) -> Suite:
    reader.reply, reader.seen, reader.photos = answer(), [], []
    indices.ensure(ElasticStore(elasticsearch_client))  # so that the first report need not wait for its templates
    settings = {"HORT_REDIS_URL": redis_url, "HORT_ELASTICSEARCH_URL": elasticsearch_url, "HORT_REGISTRY_KEY": KEY}
    return Suite(engine, zips, settings, reader, RedisReports(redis_client))


def keys_of(client: "redis.Redis") -> list[bytes]:
    return sorted(client.scan_iter("hort:{reports}:photo:*"))


def test_a_report_lands_in_the_index_and_its_photo_is_gone(suite: Suite, redis_client: "redis.Redis") -> None:
    report = {"image": PHOTO, "time": "2026-05-04T17:03:00-05:00", "place": PLACE, "company": "UPS", "note": "in the bike lane"}
    taken = suite.web("POST", "report", json=report)
    assert taken.status_code == 202, taken.text
    report_id = taken.json()["id"]
    assert taken.json()["look_up"] == f"/api/v1/web/guest/hort/report/{report_id}" == taken.headers["location"]
    document = suite.stored(report_id)
    assert suite.reader.photos == [JPEG]
    assert (document["report_id"], document["@timestamp"]) == (report_id, "2026-05-04T22:03:00.000Z")
    assert (document["plate"], document["confidence"], document["region"]) == ("S168319", 89.2, "il")
    assert [one["plate"] for one in document["candidates"]] == ["S168319", "S16831B"]
    assert document["coordinates"][0] == {"x": 70, "y": 90}
    assert (document["place"], document["place_text"]) == ({"lat": 41.8832, "lon": -87.6324}, "Clark & Lake")
    assert (document["company"], document["note"], document["status"]) == ("UPS", "in the bike lane", "read")
    assert document["source"] == {"given_as": "image", "kind": "jpeg", "bytes": 999, "sha256": "ab" * 32}
    assert keys_of(redis_client) == []
    assert suite.web("GET", "report/photo", key="").status_code == 401


def test_no_activation_record_and_no_file_of_redis_holds_the_photo(suite: Suite, redis_client: "redis.Redis") -> None:
    report_id = suite.web("POST", "report", json={"image": PHOTO}).json()["id"]
    suite.stored(report_id)
    _, records = suite.engine.call("GET", "activations?limit=200&docs=true")
    text = json.dumps(records)
    assert report_id in text
    assert PHOTO[:200] not in text
    written = append_only_file(redis_client)
    assert report_id.encode() in written
    opens = next(record["response"]["result"]["photo_key"] for record in records if record["name"] == "photo-submitted")
    for trace in (JPEG, PHOTO.encode(), seal.crossed(JPEG, opens)):
        assert not any(trace[at : at + 64] in written for at in (0, 100, 200))
    assert KEY not in text


def test_where_it_was_can_be_searched(suite: Suite, elasticsearch_client: Elasticsearch) -> None:
    suite.stored(suite.web("POST", "report", json={"image": PHOTO, "place": PLACE, "company": "FedEx"}).json()["id"])
    elasticsearch_client.indices.refresh(index="plates")
    near = {"geo_distance": {"distance": "1km", "place": {"lat": 41.883, "lon": -87.632}}}
    assert elasticsearch_client.count(index="plates", query=near)["count"] == 1
    assert elasticsearch_client.count(index="plates", query={"term": {"company": "FedEx"}})["count"] == 1
    assert elasticsearch_client.count(index="plates", query={"term": {"candidates.plate": "S16831B"}})["count"] == 1


def test_sent_twice_it_is_read_once(suite: Suite, elasticsearch_client: Elasticsearch) -> None:
    report = {"id": "my-report-0001", "image": PHOTO, "company": "UPS"}
    assert suite.web("POST", "report", json=report).json()["status"] == "waiting"
    assert suite.web("POST", "report", json=report).status_code == 202
    suite.stored("my-report-0001")
    again = suite.web("POST", "report", json=report)
    assert (again.status_code, again.json()["status"]) == (202, "stored")
    assert len(suite.reader.seen) == 1
    other = suite.web("POST", "report", json={**report, "company": "FedEx"})
    assert (other.status_code, other.json()["field"]) == (409, "id")
    elasticsearch_client.indices.refresh(index="plates")
    assert elasticsearch_client.count(index="plates")["count"] == 1


def test_a_photo_without_a_readable_plate_is_stored_with_its_reason(suite: Suite) -> None:
    refused = {"code": "truncated", "field": "url", "reason": "the image ends too early", "message": "url: the image ends too early"}
    suite.reader.reply = {"plate": None, "confidence": None, "results": [], "refused": refused}
    document = suite.stored(suite.web("POST", "report", json={"image": PHOTO}).json()["id"])
    assert (document["status"], document["plate"], document["refused"]["code"]) == ("refused", None, "truncated")
    suite.reader.reply = answer() | {"plate": None, "confidence": None, "results": []}
    document = suite.stored(suite.web("POST", "report", json={"image": PHOTO}).json()["id"])
    assert (document["status"], document["refused"]["code"]) == ("no-plate", "no-plate")


def test_redacted_no_plate_is_stored(suite: Suite, elasticsearch_client: Elasticsearch) -> None:
    suite.deploy(HORT_REDACT="true", HORT_REDACT_KEY=REDACT_KEY)
    suite.reader.reply = answer("AB 12-cd")
    document = suite.stored(suite.web("POST", "report", json={"image": PHOTO, "note": "seen"}).json()["id"])
    assert document["plate"] == hmac.new(REDACT_KEY.encode(), b"AB12CD", hashlib.sha256).hexdigest()
    assert (document["redacted"], document["candidates"]) == (True, [])
    assert document["coordinates"]
    elasticsearch_client.indices.refresh(index="plates")
    text = json.dumps(elasticsearch_client.search(index="plates").body)
    assert "AB 12" not in text
    assert REDACT_KEY not in text
    suite.deploy(HORT_REDACT="true", HORT_REDACT_KEY="short")
    refused = suite.web("POST", "report", json={"image": PHOTO})
    assert (refused.status_code, "redact_key" in refused.text) == (500, True)


def test_what_has_expired_is_forgotten(suite: Suite, elasticsearch_client: Elasticsearch) -> None:
    suite.deploy(HORT_RETENTION_DAYS="7")
    report_id = suite.web("POST", "report", json={"image": PHOTO}).json()["id"]
    document = suite.stored(report_id)
    assert document["expires_at"][:10] > document["received_at"][:10]
    old = {**document, "expires_at": "2020-01-01T00:00:00.000Z"}
    elasticsearch_client.index(index="plates", id="old-report", document=old, refresh=True)
    status, result = suite.engine.call("POST", "actions/hort/forget-plates?blocking=true&result=true", {})
    assert (status, result) == (200, {"deleted": 1})
    assert elasticsearch_client.exists(index="plates", id=report_id)
    assert not elasticsearch_client.exists(index="plates", id="old-report")
    assert suite.engine.call("POST", "actions/hort/forget-plates?blocking=true&result=true", {})[1] == {"deleted": 0}


def test_forgetting_before_the_first_report_is_nothing(suite: Suite) -> None:
    assert suite.engine.call("POST", "actions/hort/forget-plates?blocking=true&result=true", {}) == (200, {"deleted": 0})


@pytest.mark.parametrize(
    ("values", "status", "field"),
    [
        ({}, 422, "image"),
        ({"image": PHOTO, "url": "http://x.example/a.jpg"}, 422, "image"),
        ({"image": "no base64 !"}, 422, "image"),
        ({"image": base64.b64encode(b"GIF89a" + b"x" * 40).decode()}, 422, "image"),
        ({"image": base64.b64encode(b"\xff\xd8\xff" + bytes(760_000)).decode()}, 413, "image"),
        ({"url": "http://169.254.169.254/latest"}, 422, "url"),
        ({"url": "file:///etc/passwd"}, 422, "url"),
        ({"image": PHOTO, "place": {"lat": 91, "lon": 0}}, 422, "place.lat"),
        ({"image": PHOTO, "time": "yesterday"}, 422, "time"),
        ({"image": PHOTO, "colour": "red"}, 422, "colour"),
    ],
)
def test_what_cannot_be_used_is_named(suite: Suite, values: dict[str, Any], status: int, field: str) -> None:
    refused = suite.web("POST", "report", json=values)
    assert (refused.status_code, refused.json().get("field")) == (status, field), refused.text[:300]
    assert suite.reader.seen == []


def test_reports_need_the_key(suite: Suite) -> None:
    user, _, password = suite.engine.auth.partition(":")
    assert suite.web("POST", "report", json={"image": PHOTO}, key="").status_code == 401
    assert suite.web("POST", "report", json={"image": PHOTO}, key="wrong").status_code == 401
    taken = suite.web("POST", "report", json={"image": PHOTO}, key="", auth=(user, password))
    assert taken.status_code == 202
    suite.stored(taken.json()["id"])  # read in a later test it would be that one's photo
    assert suite.web("GET", "report/some-report", key="").status_code == 401
    assert suite.web("GET", "report/never-sent").status_code == 404


def test_a_report_that_nothing_would_read_is_refused(suite: Suite, redis_client: "redis.Redis") -> None:
    suite.engine.call("POST", "rules/photo-to-recognize", {"status": "inactive"})
    try:
        refused = suite.web("POST", "report", json={"id": "waits-for-a-rule", "image": PHOTO})
        assert (refused.status_code, "no active rule" in refused.text) == (503, True)
        assert keys_of(redis_client) == []
    finally:
        suite.engine.call("POST", "rules/photo-to-recognize", {"status": "active"})
    assert suite.web("POST", "report", json={"id": "waits-for-a-rule", "image": PHOTO}).status_code == 202
    suite.stored("waits-for-a-rule")


def test_a_report_that_no_reader_can_be_started_for_fails_with_the_reason(suite: Suite, redis_client: "redis.Redis") -> None:
    """The stock image that cannot be pulled left its report waiting for ever."""
    broken = {"exec": {"kind": "blackbox", "image": "registry.inner:5000/hort/plates:9"}}
    suite.engine.call("PUT", "actions/hort/plates?overwrite=true", broken)
    try:
        report_id = suite.web("POST", "report", json={"image": PHOTO}).json()["id"]
        wait_until(lambda: suite.web("GET", f"report/{report_id}").json()["status"] == "failed", timeout_s=120, what="the failure")
        found = suite.web("GET", f"report/{report_id}").json()
        assert "image" in found["reason"], found
        assert "registry.inner" not in found["reason"]
        assert keys_of(redis_client) == []
    finally:
        DEPLOYED.clear()
        suite.deploy()
    assert suite.web("POST", "report", json={"id": report_id, "image": PHOTO}).json()["status"] == "waiting"
    suite.stored(report_id)


def test_a_reader_that_crashes_fails_its_report(suite: Suite) -> None:
    suite.reader.reply = {"error": {"code": "broken", "message": "libopenalpr at 10.0.0.1:9 is gone"}}
    report_id = suite.web("POST", "report", json={"id": "crashes-once", "image": PHOTO}).json()["id"]
    wait_until(lambda: suite.web("GET", f"report/{report_id}").json()["status"] == "failed", timeout_s=120, what="the failure")
    assert suite.web("GET", f"report/{report_id}").json()["reason"] == "libopenalpr at *** is gone"
    suite.reader.reply = answer()
    assert suite.web("POST", "report", json={"id": "crashes-once", "image": PHOTO}).json()["status"] == "waiting"
    suite.stored("crashes-once")


def test_the_page_has_photos_read(suite: Suite, redis_client: "redis.Redis") -> None:
    page = suite.web("GET", "plates-page", key="")
    assert (page.status_code, page.headers["content-type"].lower()) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    found = suite.web("POST", "plates-page/read", json={"image": PHOTO, "country": "us", "n": 3}, key="")
    assert (found.status_code, found.json().get("plate")) == (200, "S168319"), found.text
    assert {name: suite.reader.seen[0][name] for name in ("image", "country", "n")} == {"image": PHOTO, "country": "us", "n": 3}
    suite.reader.reply = {"error": {"code": "truncated", "field": "image", "reason": "it ends", "message": "image: it ends"}}
    refused = suite.web("POST", "plates-page/read", json={"image": PHOTO}, key="")
    assert (refused.status_code, refused.json()["code"], refused.json()["error"]) == (422, "truncated", "image: it ends")
    for values in ({"url": "http://127.0.0.1:1/a.jpg"}, {"image": PHOTO, "allow_private": True}, {"image": PHOTO, "report": {"id": "x"}}):
        assert suite.web("POST", "plates-page/read", json=values, key="").status_code == 422


def test_strangers_photos_are_counted(suite: Suite) -> None:
    suite.deploy(HORT_PHOTOS_PER_MINUTE="2")
    statuses = [suite.web("POST", "plates-page/read", json={"image": PHOTO}, key="").status_code for _ in range(6)]
    assert statuses.count(429) >= 2
    assert statuses[:2] == [200, 200]
    assert suite.web("POST", "plates-page/read", json={"image": PHOTO}).status_code == 200
    suite.deploy(HORT_PHOTOS_PER_MINUTE="0")
    assert suite.web("POST", "plates-page/read", json={"image": PHOTO}, key="").status_code == 401


def test_plates_is_a_web_action_for_those_with_a_key(suite: Suite) -> None:
    user, _, password = suite.engine.auth.partition(":")
    assert suite.web("POST", "plates", json={"image": PHOTO}, key="").status_code == 401
    found: Callable[..., requests.Response] = lambda **more: suite.web("POST", "plates", key="", auth=(user, password), **more)  # noqa: E731
    assert found(json={"image": PHOTO}).status_code in (200, 204)
    assert suite.reader.seen[0]["__ow_method"] == "post"
