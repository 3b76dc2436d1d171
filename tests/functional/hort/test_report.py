"""Reports from the request to the trigger, over in-memory twins."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from redis import RedisError

from hort import report, seal, web
from hort.errors import SinkUnavailable, WhiskUnavailable
from hort.report import Desk
from hort.report_store import AGAIN_MS, PHOTO_S, MemoryReports
from hort.testing import FakeClock
from tests.support import pictures

JPEG = pictures.with_orientation(6)
PHOTO = base64.b64encode(JPEG).decode()


class FakeWhisk:
    """Remembers fires; `fail` makes them fail."""

    def __init__(self) -> None:
        self.fired: list[tuple[str, dict[str, Any]]] = []
        self.fail = ""
        self.records: dict[str, dict[str, Any]] = {}

    def web_path(self) -> str:
        return "/api/v1/web/guest/hort/report"

    def fire(self, trigger: str, payload: Mapping[str, Any]) -> str:
        if self.fail:
            raise WhiskUnavailable(self.fail)
        self.fired.append((trigger, dict(payload)))
        return f"fire-{len(self.fired)}"

    def activation(self, activation_id: str) -> dict[str, Any]:
        if self.fail:
            raise WhiskUnavailable(self.fail)
        return self.records.get(activation_id, {})


class Place:
    """A desk with its twins."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.whisk = FakeWhisk()
        self.reports = MemoryReports(now=self.clock)
        self.documents: dict[str, dict[str, Any]] = {}
        self.desk = Desk(self.reports, self.whisk, self.documents.get, key="secret", now=self.clock, resolver=self.resolve)
        self.address = "93.184.216.34"

    def resolve(self, _host: str, _port: int) -> Sequence[str]:
        return [self.address]

    def call(self, method: str = "POST", path: str = "", *, key: str = "secret", **values: Any) -> tuple[int, dict[str, Any]]:
        body = json.dumps(values).encode() if method == "POST" else b""
        request = web.Request(method, tuple(part for part in path.split("/") if part), body, key=key)
        result = report.handle(self.desk, request)
        return result["statusCode"], result["body"]


@pytest.fixture
def place() -> Place:
    return Place()


def test_a_report_fires_the_trigger_with_a_reference_to_its_photo(place: Place) -> None:
    status, body = place.call(image=PHOTO, company="UPS", place={"lat": 1, "lon": 2}, country="eu")
    assert (status, body["status"], body["index"]) == (202, "waiting", "plates")
    ((trigger, payload),) = place.whisk.fired
    assert trigger == "photo-submitted"
    assert set(payload) == {"country", "report", "photo", "photo_key"}
    assert payload["report"]["given_as"] == "image"
    assert payload["report"]["time"] == payload["report"]["received_at"] == "2023-11-14T22:13:20.000Z"
    assert len(json.dumps(payload)) < 1000
    sealed = place.reports.photo(payload["photo"].rsplit(":", 1)[1])
    assert sealed is not None
    assert (seal.crossed(sealed, payload["photo_key"]), len(sealed)) == (JPEG, len(JPEG))
    assert JPEG not in sealed


def test_a_report_with_an_address_hands_it_on_as_it_does_a_photo(place: Place) -> None:
    address = "https://photos.example/a.jpg?signature=hunter2"
    status, _ = place.call(url=address)
    assert status == 202
    payload = place.whisk.fired[0][1]
    assert "photos.example" not in repr(payload), "it may hold a signature, and OpenWhisk keeps what a trigger is fired with"
    assert (set(payload), payload["report"]["given_as"]) == ({"report", "photo", "photo_key"}, "url")
    sealed = place.reports.photo(payload["photo"].rsplit(":", 1)[1])
    assert sealed is not None
    assert seal.crossed(sealed, payload["photo_key"]) == address.encode()
    place.address = "10.0.0.7"
    status, body = place.call(url="https://inside.example/a.jpg")
    assert (status, body["field"]) == (422, "url")
    assert len(place.whisk.fired) == 1


def test_a_repeated_report_fires_once_until_it_is_overdue(place: Place) -> None:
    values = {"id": "report-1", "image": PHOTO}
    assert place.call(**values)[0] == 202
    place.clock.advance(AGAIN_MS - 1)
    assert place.call(**values) == (202, {"id": "report-1", "status": "waiting", "look_up": "/api/v1/web/guest/hort/report/report-1", "index": "plates"})
    assert len(place.whisk.fired) == 1
    place.clock.advance(1)
    assert place.call(**values)[0] == 202
    assert len(place.whisk.fired) == 2
    place.clock.advance(-60 * AGAIN_MS)
    assert place.call(**values)[0] == 202
    assert len(place.whisk.fired) == 3, "it was fired by a clock that was wrong"
    place.reports.stored("report-1")
    place.clock.advance(10 * AGAIN_MS)
    assert place.call(**values)[1]["status"] == "stored"
    assert len(place.whisk.fired) == 3


def test_an_id_belongs_to_one_report(place: Place) -> None:
    place.call(id="report-1", image=PHOTO)
    status, body = place.call(id="report-1", image=PHOTO, note="another")
    assert (status, body["field"]) == (409, "id")


def test_a_trigger_that_cannot_be_fired_leaves_nothing_behind(place: Place) -> None:
    place.whisk.fail = "trigger 'photo-submitted' has no active rule: nothing would read it"
    status, body = place.call(id="report-1", image=PHOTO)
    assert (status, body["error"]) == (503, place.whisk.fail)
    assert place.reports._photos == {}
    assert place.call("GET", "report-1")[0] == 404
    place.whisk.fail = ""
    assert place.call(id="report-1", image=PHOTO)[0] == 202


def test_a_report_can_be_looked_up(place: Place) -> None:
    place.call(id="report-1", image=PHOTO)
    assert place.call("GET", "report-1") == (200, {"id": "report-1", "status": "waiting"})
    place.documents["report-1"] = {"plate": "S168319"}
    assert place.call("GET", "report-1") == (200, {"id": "report-1", "status": "stored", "document": {"plate": "S168319"}})
    assert place.call("GET", "report-2")[0] == 404
    assert place.call("GET", "")[0] == 404
    assert place.call("GET", "report-1/more")[0] == 404


def test_a_report_that_was_refused_and_sent_again_waits_to_be_read(place: Place) -> None:
    place.documents["report-1"] = {"status": "refused", "plate": None}
    assert place.call("GET", "report-1")[1]["status"] == "stored"
    place.call(id="report-1", image=PHOTO)
    assert place.call("GET", "report-1")[1] == {"id": "report-1", "status": "waiting"}, "its old document was shown as if it were the new one"
    place.documents["report-1"] = {"status": "read", "plate": "S168319"}
    assert place.call("GET", "report-1")[1]["status"] == "stored"
    place.documents["report-1"] = {"status": "refused", "plate": None}
    place.reports.stored("report-1")
    assert place.call("GET", "report-1")[1]["document"]["status"] == "refused"


def started(name: str = "recognize") -> dict[str, Any]:
    return {"logs": [json.dumps({"success": True, "activationId": f"of-{name}", "rule": f"guest/r-{name}", "action": f"guest/{name}"})]}


REFUSED = json.dumps({"success": False, "rule": "guest/r", "error": "Too many requests in the last minute (count: 61, allowed: 60)."})


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ({"fire-1": started(), "of-recognize": {"name": "recognize", "response": {"success": False, "status": "whisk internal error", "result": {"error": "Failed to pull container image 'x.inner:5000/p'."}}}}, "Failed to pull container image '***/p'."),
        ({"fire-1": started(), "of-recognize": {"name": "recognize", "response": {"success": False, "status": "action developer error", "result": None}}}, "action developer error"),
        ({"fire-1": {"logs": [REFUSED]}}, "guest/r: Too many requests in the last minute (count: 61, allowed: 60)."),
        ({"fire-1": {"logs": [REFUSED, *started("others")["logs"]]}, "of-others": {"name": "others", "response": {"success": True}}}, "guest/r: Too many requests in the last minute (count: 61, allowed: 60)."),
    ],
)  # fmt: skip
def test_why_a_report_came_to_nothing_is_told_and_kept(place: Place, records: dict[str, Any], reason: str) -> None:
    place.call(id="report-1", image=PHOTO)
    place.whisk.records = records
    failed = (200, {"id": "report-1", "status": "failed", "reason": reason})
    assert place.call("GET", "report-1") == failed
    place.whisk.records = {}
    assert place.call("GET", "report-1") == failed
    assert place.reports._photos == {}
    assert place.call(id="report-1", image=PHOTO)[1]["status"] == "waiting"
    assert len(place.whisk.fired) == 2, "sent again it is read again, at once"


@pytest.mark.parametrize(
    "records",
    [
        {},
        {"fire-1": started()},
        {"fire-1": started(), "of-recognize": {"name": "recognize", "response": {"success": True, "result": {}}}},
        {"fire-1": {"logs": [REFUSED, *started("others")["logs"]]}},
    ],
)
def test_a_report_waits_as_long_as_something_may_come_of_it(place: Place, records: dict[str, Any]) -> None:
    place.call(id="report-1", image=PHOTO)
    place.whisk.records = records
    assert place.call("GET", "report-1") == (200, {"id": "report-1", "status": "waiting"})
    place.whisk.fail = "the API host does not answer"
    assert place.call("GET", "report-1") == (200, {"id": "report-1", "status": "waiting"})
    place.clock.advance(PHOTO_S * 1000 + 1)
    assert place.call("GET", "report-1")[1]["status"] == "failed", "its photo is gone"


def test_a_report_that_a_redis_noted_after_its_client_had_gone_is_fired_when_it_is_sent_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was answered 202 `waiting`, and nothing ever read it."""
    begin = place.reports.begin

    def noted_too_late(*args: Any, **values: Any) -> None:
        begin(*args, **values)
        raise RedisError

    with monkeypatch.context() as patch:
        patch.setattr(place.reports, "begin", noted_too_late)
        with pytest.raises(RedisError):
            place.call(id="report-1", image=PHOTO)
    assert place.call(id="report-1", image=PHOTO)[0] == 503
    place.clock.advance(2 * web.RETRY_S * 1000)
    assert place.call(id="report-1", image=PHOTO)[1]["status"] == "waiting"
    assert len(place.whisk.fired) == 1


def test_an_index_that_does_not_answer_is_told(place: Place) -> None:
    def find(_report_id: str) -> None:
        raise SinkUnavailable("Elasticsearch did not answer: ConnectionTimeout")

    place.desk = Desk(place.reports, place.whisk, find, key="secret", now=place.clock)
    assert place.call("GET", "report-1")[0] == 503
    place.call(id="report-1", image=PHOTO)
    assert place.call("GET", "report-1") == (200, {"id": "report-1", "status": "waiting"})
    place.reports.stored("report-1")
    assert place.call("GET", "report-1")[0] == 503


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("GET", "report-1")])
def test_nothing_without_the_key(place: Place, method: str, path: str) -> None:
    for key in ("", "wrong", "secre\u0301t"):
        assert place.call(method, path, key=key)[0] == 401
    keyless = Desk(place.reports, place.whisk, place.documents.get)
    assert report.handle(keyless, web.Request(method, (), b"{}"))["statusCode"] == 401
    assert place.whisk.fired == []


def test_other_methods_paths_and_bodies(place: Place) -> None:
    assert place.call("DELETE", "report-1")[0] == 405
    assert place.call("POST", "report-1", image=PHOTO)[0] == 404
    for body, status in ((b"", 400), (b"[]", 400), (b"{" + b" " * 1_048_576, 413)):
        assert report.handle(place.desk, web.Request("POST", (), body, key="secret"))["statusCode"] == status
