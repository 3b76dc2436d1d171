"""What the page asks for, over in-memory twins."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from hort import plates_page, web
from hort.errors import WhiskUnavailable
from hort.namespace import Invoked
from hort.plates_page import Reader
from hort.quota import MemoryCounts, Quota
from hort.testing import FakeClock
from tests.support import pictures
from tests.support.actions import raw_request
from tests.support.paths import ROOT
from tests.support.plates_suite import answer

NOBODY = "redis://127.0.0.1:9/0"
PHOTO = base64.b64encode(pictures.encoded(pictures.quarters())).decode()


class FakeWhisk:
    """Answers one thing."""

    def __init__(self, reply: Invoked) -> None:
        self.reply = reply
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.away = False

    def sibling(self, action: str) -> str:
        return f"hort/{action}"

    def invoke(self, action: str, params: Mapping[str, Any]) -> Invoked:
        if self.away:
            raise WhiskUnavailable("the API host does not answer: ConnectionError")
        self.asked.append((action, dict(params)))
        return self.reply


def photos(per_minute: int = 20, *, now: FakeClock | None = None) -> Quota:
    return Quota(MemoryCounts(), "photos", per_minute, now or FakeClock())


def read(reader: Reader, *, key: str = "", **values: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    result = plates_page.read(reader, web.Request("POST", ("read",), json.dumps(values).encode(), key=key))
    return result["statusCode"], result["body"], result["headers"]


@pytest.fixture
def whisk() -> FakeWhisk:
    return FakeWhisk(Invoked(ok=True, result=answer(), status=200))


@pytest.fixture
def reader(whisk: FakeWhisk) -> Reader:
    return Reader(whisk, photos(2), key="secret")


def test_a_photo_is_handed_on_and_its_answer_back(reader: Reader, whisk: FakeWhisk) -> None:
    status, body, _ = read(reader, image=PHOTO, country="eu", n=3)
    assert (status, body) == (200, answer())
    assert whisk.asked == [("hort/plates", {"image": PHOTO, "country": "eu", "n": 3})]


@pytest.mark.parametrize(
    ("values", "field"),
    [({}, "image"), ({"image": "x"}, "image"), ({"image": PHOTO, "url": "http://x.example/"}, "url"), ({"url": "http://x.example/"}, "url"),
     ({"image": PHOTO, "allow_private": True}, "allow_private"), ({"image": PHOTO, "timeout_ms": 1}, "timeout_ms"), ({"image": PHOTO, "n": 51}, "n")],
)  # fmt: skip
def test_strangers_send_photos_and_nothing_else(reader: Reader, whisk: FakeWhisk, values: dict[str, Any], field: str) -> None:
    status, body, _ = read(reader, **values)
    assert (status, body["field"]) == (422, field)
    assert whisk.asked == []


def test_strangers_are_counted_by_the_minute(whisk: FakeWhisk) -> None:
    clock = FakeClock(60_000 * 1000)
    reader = Reader(whisk, photos(2, now=clock), key="secret")
    assert [read(reader, image=PHOTO)[0] for _ in range(3)] == [200, 200, 429]
    assert read(reader, image=PHOTO)[2]["retry-after"] == "60"
    assert read(reader, image=PHOTO, key="secret")[0] == 200
    clock.advance(60_000)
    assert read(reader, image=PHOTO)[0] == 200


def test_no_photo_of_a_stranger_where_none_is_allowed(whisk: FakeWhisk) -> None:
    reader = Reader(whisk, photos(0), key="secret")
    assert read(reader, image=PHOTO)[0] == 401
    assert read(reader, image=PHOTO, key="secret")[0] == 200


@pytest.mark.parametrize(
    ("invoked", "status", "code"),
    [
        (Invoked(ok=False, result={"error": {"code": "truncated", "field": "image", "reason": "r", "message": "image: r"}}, status=502), 422, "truncated"),
        (Invoked(ok=False, result={"error": {"code": "busy", "field": "image", "reason": "r", "message": "m"}}, status=502), 503, "busy"),
        (Invoked(ok=False, result={"error": "The action did not initialize."}, status=502), 503, "not-running"),
        (Invoked(ok=False, result={}, status=404), 503, "not-running"),
        (Invoked(ok=False, result={"error": "Too many requests"}, status=429), 429, "throttled"),
        (Invoked(ok=False, result={"activationId": "x"}, status=202), 504, "too-slow"),
    ],
)
def test_what_goes_wrong_has_a_code(invoked: Invoked, status: int, code: str) -> None:
    found, body, _ = read(Reader(FakeWhisk(invoked), photos()), image=PHOTO)
    assert (found, body["code"]) == (status, code)


def test_an_api_host_that_is_away(whisk: FakeWhisk, reader: Reader) -> None:
    whisk.away = True
    body = {"error": "the API host does not answer: ConnectionError", "code": "not-running", "retry_after_s": 10}
    assert read(reader, image=PHOTO)[:2] == (503, body)


def test_why_openwhisk_could_not_run_the_reader_is_told_without_its_address() -> None:
    failed = Invoked(ok=False, result={"error": "Failed to pull container image 'registry.inner:5000/hort/plates:0.1.0'."}, status=502)
    _, body, _ = read(Reader(FakeWhisk(failed), photos()), image=PHOTO)
    assert body["error"].endswith("OpenWhisk says: Failed to pull container image '***/hort/plates:0.1.0'.")


def test_paths_and_methods() -> None:
    folder = ROOT / "actions" / "plates-page"
    page = plates_page.answer(raw_request(redis_url=NOBODY), folder=folder)
    assert page["statusCode"] == 200
    assert "/* scripts */" not in page["body"]
    assert "unsafe" not in page["headers"]["content-security-policy"]
    for method, path, status in (("put", "", 405), ("get", "/read", 405), ("get", "/other", 404)):
        assert plates_page.answer(raw_request(method, path), folder=folder)["statusCode"] == status
    unset = plates_page.answer(raw_request("post", "/read", body="e30="), folder=folder)
    assert (unset["statusCode"], "provide-api-key" in unset["body"]["error"]) == (500, True)
