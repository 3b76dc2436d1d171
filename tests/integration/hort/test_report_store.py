"""Both stores of reports behave alike; the real one lets go of photos by itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
from elasticsearch import Elasticsearch

from hort import keys, plate_sink, seal
from hort.report_store import (
    AGAIN_MS,
    KNOWN_S,
    PHOTO_S,
    STARTING_MS,
    Known,
    MemoryReports,
    RedisReports,
    Reports,
)
from hort.testing import FakeClock
from tests.support.polling import wait_until
from tests.support.redis_files import append_only_file


@pytest.fixture(params=["memory", "redis"])
def made(request: pytest.FixtureRequest) -> tuple[Reports, FakeClock]:
    clock = FakeClock()
    if request.param == "memory":
        return MemoryReports(now=clock), clock
    return RedisReports(request.getfixturevalue("redis_client"), now=clock), clock


def begin(reports: Reports, *, digest: str = "d", token: str = "t1", photo: bytes = b"photo\x00\xff") -> str:
    return reports.begin("report-1", digest=digest, token=token, photo=photo)


def status(reports: Reports) -> str | None:
    known = reports.known("report-1")
    return None if known is None else known.status


def test_a_report_s_life(made: tuple[Reports, FakeClock]) -> None:
    reports, clock = made
    assert reports.known("report-1") is None
    assert begin(reports) == "new"
    assert (status(reports), reports.photo("t1")) == ("waiting", b"photo\x00\xff")
    assert begin(reports, token="t2") == "starting"
    reports.fired("report-1", "a1")
    assert begin(reports, token="t2") == "waiting"
    assert reports.photo("t2") is None
    assert begin(reports, digest="other") == "other"
    clock.advance(AGAIN_MS)
    assert begin(reports, token="t3") == "new"
    assert reports.photo("t3") is not None
    clock.advance(STARTING_MS - 1)
    assert begin(reports, token="t4") == "starting"
    clock.advance(1)
    assert begin(reports, token="t3") == "new", "who was about to fire it is gone"
    clock.advance(-60 * AGAIN_MS)
    assert begin(reports, token="t3") == "new", "it was fired by a clock that was wrong"
    reports.stored("report-1")
    assert (status(reports), reports.photo("t3")) == ("stored", None)
    assert begin(reports, token="t4") == "stored"
    assert begin(reports, digest="other") == "other"


def test_one_that_failed_keeps_its_reason_and_is_new_when_it_is_sent_again(made: tuple[Reports, FakeClock]) -> None:
    reports, clock = made
    begin(reports)
    reports.fired("report-1", "a1")
    first = Known("waiting", clock(), "a1")
    assert reports.known("report-1") == first
    reports.failed("report-1", fired_ms=first.fired_ms, reason="no image")
    assert reports.known("report-1") == replace(first, status="failed", reason="no image")
    assert reports.photo("t1") is None
    clock.advance(5)
    assert begin(reports, token="t2") == "new"
    assert reports.known("report-1") == Known("waiting", clock())
    reports.failed("report-1", fired_ms=first.fired_ms, reason="of the first time")
    assert (status(reports), reports.photo("t2") is None) == ("waiting", False)
    reports.stored("report-1")
    reports.failed("report-1", fired_ms=clock(), reason="too late")
    assert status(reports) == "stored"


def test_one_that_could_not_be_started_is_forgotten(made: tuple[Reports, FakeClock]) -> None:
    reports, _ = made
    begin(reports)
    reports.abandon("report-1")
    assert (status(reports), reports.photo("t1")) == (None, None)
    assert begin(reports, digest="other") == "new"


def test_unknown_reports_and_photos(made: tuple[Reports, FakeClock]) -> None:
    reports, _ = made
    reports.abandon("report-9")
    reports.stored("report-9")
    assert (reports.known("report-9"), reports.photo("t9")) == (None, None)


def test_a_report_with_an_address_has_no_photo(made: tuple[Reports, FakeClock]) -> None:
    reports, _ = made
    assert begin(reports, photo=b"") == "new"
    assert reports.photo("t1") is None


def test_everything_expires(redis_client: "redis.Redis") -> None:
    begin(RedisReports(redis_client))
    ttl: Callable[[str], int] = redis_client.ttl
    assert 0 < ttl(keys.photo("t1")) <= PHOTO_S
    assert 0 < ttl(keys.report("report-1")) <= KNOWN_S
    RedisReports(redis_client).stored("report-1")
    assert 0 < ttl(keys.report("report-1")) <= KNOWN_S
    assert set(redis_client.hgetall(keys.report("report-1"))) == {b"digest", b"status", b"fired_ms", b"token"}


def test_a_photo_is_in_no_file_of_redis(redis_client: "redis.Redis") -> None:
    """Not in the append-only file as it is written; one that is written anew while the photo waits has it, sealed, until the next time."""
    photo = b"\xff\xd8\xff a photo " + bytes(range(256)) * 100
    key = seal.new_key()
    sealed = seal.crossed(photo, key)
    reports = RedisReports(redis_client)
    begin(reports, photo=sealed)
    redis_client.set("later", "written")
    assert b"later" in append_only_file(redis_client)
    assert sealed[:64] not in append_only_file(redis_client)
    _rewritten(redis_client)
    assert reports.photo("t1") == sealed
    assert photo[100:164] not in append_only_file(redis_client)
    reports.stored("report-1")
    _rewritten(redis_client)
    assert sealed[:64] not in append_only_file(redis_client)


def _rewritten(client: "redis.Redis") -> None:
    client.bgrewriteaof()
    wait_until(lambda: not any(client.info("persistence")[name] for name in ("aof_rewrite_in_progress", "aof_rewrite_scheduled")), what="rewritten")


@pytest.mark.parametrize(("code", "field"), [("download-failed", "photo"), ("busy", "image"), ("too-slow", "timeout_ms"), ("recognition-failed", "image"), ("download-too-slow", "url"), ("bad-parameter", "redis_url")])
def test_a_report_that_the_moment_kept_from_being_read_can_be_sent_again(
    redis_client: "redis.Redis", redis_url: str, elasticsearch_client: Elasticsearch, elasticsearch_url: str, code: str, field: str
) -> None:
    begin(RedisReports(redis_client))
    gone = {"code": code, "field": field, "reason": "it no longer waits"}
    params = {"redis_url": redis_url, "elasticsearch_url": elasticsearch_url, "report": {"id": "report-1", "given_as": "image"}}
    assert plate_sink.run({**params, "refused": gone, "plate": None, "results": []})["status"] == "refused"
    assert begin(RedisReports(redis_client)) == "new"
    read = {"plate": "AB1234", "results": [{"plate": "AB1234"}]}
    assert plate_sink.run({**params, **read})["status"] == "read"
    elasticsearch_client.indices.refresh(index="plates")
    (hit,) = elasticsearch_client.search(index="plates")["hits"]["hits"]
    assert (hit["_id"], hit["_source"]["plate"]) == ("report-1", "AB1234")


def test_a_photo_that_cannot_be_read_is_not_read_again(
    redis_client: "redis.Redis", redis_url: str, elasticsearch_client: Elasticsearch, elasticsearch_url: str
) -> None:
    begin(RedisReports(redis_client))
    params = {"redis_url": redis_url, "elasticsearch_url": elasticsearch_url, "report": {"id": "report-1", "given_as": "image"}}
    plate_sink.run({**params, "refused": {"code": "truncated", "field": "image", "reason": "it ends"}, "plate": None, "results": []})
    assert begin(RedisReports(redis_client)) == "stored"
