"""Photos that come with a report, over a reader that is a twin in memory."""

import base64
import json
from typing import Any

import pytest

from hort import keys, urls
from hort.redaction import Redaction
from plates import contract, waiting
from plates.action import Action
from plates.contract import Trained
from plates.errors import Refused
from plates.supervisor import Supervisor
from plates.waiting import Waiting
from tests.support.plates_suite import answer

PHOTO = base64.b64encode(b"photo").decode()
FACTS = {"id": "report-1", "company": "UPS"}
KEY = "0123456789abcdef"
TRAINED = Trained(("eu", "us"), {})


class Reader(Supervisor):
    """Finds one plate in anything, or refuses it."""

    def __init__(self, refusal: Refused | None = None) -> None:
        super().__init__()
        self.trained = TRAINED
        self.refusal = refusal
        self.photos: list[bytes] = []

    def ready(self) -> Any:
        return None

    def read(self, photo: bytes, *_arguments: Any, **_options: Any) -> dict[str, Any]:
        self.photos.append(photo)
        if self.refusal:
            raise self.refusal
        return answer("AB1234")


def run(reader: Reader, **params: Any) -> dict[str, Any]:
    return Action(reader).run(params, deadline_ms=None, activation_id="abc")


def test_a_report_rides_along() -> None:
    assert run(Reader(), image=PHOTO, report=FACTS) == answer("AB1234", report=FACTS)


def test_a_refusal_does_not_end_the_sequence() -> None:
    found = run(Reader(Refused("truncated", "image", "it ends")), image=PHOTO, report=FACTS)
    assert "error" not in found
    assert (found["plate"], found["refused"]["code"], found["report"]) == (None, "truncated", FACTS)


def test_a_redacted_report_has_no_plate_in_its_answer() -> None:
    found = run(Reader(), image=PHOTO, report=FACTS, redact="true", redact_key=KEY)
    assert found["plate"] == Redaction(KEY.encode()).digest("AB1234")
    assert "AB12" not in json.dumps(found)
    assert run(Reader(), image=PHOTO, redact="true", redact_key=KEY)["plate"] == "AB1234", "whoever asks for a plate gets it"


def test_the_photo_of_a_report_waits_in_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Waiting] = []

    def fetch(where: Waiting, **_limits: Any) -> bytes:
        asked.append(where)
        return b"from redis"

    monkeypatch.setattr(waiting, "fetch", fetch)
    reader = Reader()
    key = keys.photo("t" * 32)
    where = {"photo": key, "photo_key": "0" * 64, "redis_url": "redis://r"}
    assert run(reader, **where, report=FACTS)["plate"] == "AB1234"
    assert (reader.photos, asked) == ([b"from redis"], [Waiting("redis://r", key, "0" * 64)])
    both = run(reader, **where, image=PHOTO)
    assert both["error"]["code"] == "both-given"


def test_over_the_web_only_public_addresses_are_reached() -> None:
    params = {"url": "http://x.example/a.jpg", "allow_private": "true"}
    assert contract.read(params, TRAINED).policy.private
    assert contract.read({**params, "__ow_method": "post"}, TRAINED).policy == urls.PUBLIC
