"""The action over a reader that is a twin in memory: order, waiting, deadlines, and what goes to the log."""

import base64
import json
import threading
import time
from typing import Any

import pytest

from plates import action, supervisor
from plates.action import Action
from plates.contract import Options, Trained
from plates.errors import Refused
from tests.support.polling import wait_until

PHOTO = base64.b64encode(b"photo").decode()


class Reader(supervisor.Supervisor):
    """Answers with what it was asked, when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.trained = Trained(("eu", "us"), {})
        self.asked: list[tuple[bytes, Options, str, float]] = []
        self.refusal: Refused | None = None
        self.go = threading.Event()
        self.go.set()
        self.at_once = 0
        self.most = 0

    def ready(self) -> Any:
        return None

    def read(self, photo: bytes, options: Options, *, field: str, deadline: float) -> dict[str, Any]:
        self.asked.append((photo, options, field, deadline))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.go.wait(200)
        self.at_once -= 1
        if self.refusal:
            raise self.refusal
        return {"results": [{"plate": "SECRET7"}], "plate": "SECRET7"}


@pytest.fixture
def reader() -> Reader:
    return Reader()


def run(reader: Reader, deadline_ms: int | None = None, **params: Any) -> dict[str, Any]:
    return Action(reader).run(params, deadline_ms=deadline_ms, activation_id="abc")


@pytest.mark.parametrize(("content", "field"), [(b"\xff\xd8photo", "image"), (b"https://photos.example/a.jpg?signature=x", "url")])
def test_what_waits_for_a_report_is_a_photo_or_its_address(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, content: bytes, field: str
) -> None:
    monkeypatch.setattr("plates.waiting.fetch", lambda *_args, **_options: content)
    monkeypatch.setattr("plates.download.fetch", lambda url, **_options: b"from " + url.encode())
    waits: dict[str, Any] = {"photo": "hort:{reports}:photo:" + "t" * 32, "photo_key": "0" * 64, "redis_url": "redis://r"}
    answer = run(reader, report={"id": "report-1"}, **waits)

    assert answer["report"] == {"id": "report-1"}
    assert reader.asked[0][::2] == ((content if field == "image" else b"from " + content), field)
    assert "signature" not in repr(answer)


def test_photo_and_options_reach_the_reader(reader: Reader) -> None:
    assert run(reader, image=PHOTO, country="eu", n=3)["plate"] == "SECRET7"
    (photo, options, field, _), *_ = reader.asked
    assert (photo, options.country, options.n, field) == (b"photo", ("eu",), 3, "image")


def test_a_refusal_of_the_reader_is_the_result(reader: Reader) -> None:
    reader.refusal = Refused("recognition-failed", "image", "the reader ended while it was at this image")
    assert run(reader, image=PHOTO)["error"]["code"] == "recognition-failed"


@pytest.mark.parametrize(("deadline_in_s", "timeout_ms", "wanted"), [(None, 5_000, 5.0), (2.5, 20_000, 2.0), (100, 3_000, 3.0)])
def test_the_nearer_deadline_counts(reader: Reader, deadline_in_s: float | None, timeout_ms: int, wanted: float) -> None:
    before = time.monotonic()
    deadline_ms = None if deadline_in_s is None else int((time.time() + deadline_in_s) * 1000)
    run(reader, deadline_ms, image=PHOTO, timeout_ms=timeout_ms)
    after = time.monotonic()
    assert 2 * before - after - 0.01 <= reader.asked[0][3] - wanted <= after + 0.01, "a deadline's rest is reckoned while it runs"


def test_photos_are_read_one_at_a_time(reader: Reader) -> None:
    subject = Action(reader)
    threads = [
        threading.Thread(target=lambda: subject.run({"image": PHOTO}, deadline_ms=None, activation_id="")) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reader.asked) == 5
    assert reader.most == 1


def test_too_many_waiting_are_turned_away_and_the_late_ones_told(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "MAX_WAITING", 1)
    reader.go.clear()
    subject = Action(reader)
    results: list[dict[str, Any]] = []

    def ask(timeout_ms: int) -> None:
        results.append(subject.run({"image": PHOTO, "timeout_ms": timeout_ms}, deadline_ms=None, activation_id=""))

    first = threading.Thread(target=ask, args=(200_000,))
    first.start()
    wait_until(lambda: reader.asked, what="the first photo at the reader")
    ask(100)
    assert results.pop()["error"]["code"] == "too-slow"
    second = threading.Thread(target=ask, args=(200_000,))
    second.start()
    wait_until(lambda: subject._places._value == 0, what="the second photo waiting")
    assert subject.run({"image": PHOTO}, deadline_ms=None, activation_id="")["error"]["code"] == "busy"
    reader.go.set()
    first.join()
    second.join()
    assert [result["plate"] for result in results] == ["SECRET7"] * 2


def test_the_log_line_has_counts_and_no_plate(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    run(reader, image=PHOTO)
    run(reader, image=PHOTO, n=0)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["activation_id"], first["plates"]) == ("abc", 1)
    assert (second["refused"], second["field"]) == ("bad-n", "n")
    assert "SECRET7" not in str(first)


def test_over_the_web_a_list_of_parameters_counts_and_no_address_is_told(reader: Reader) -> None:
    web: dict[str, Any] = {"__ow_method": "post", "__ow_headers": {}, "__ow_path": ""}
    settings: dict[str, Any] = {"redis_url": "redis://10.0.0.1", "report": {"id": "x"}, "redact": "true", "redact_key": "k" * 16, "allow_private": True}
    answer = run(reader, image=PHOTO, n=3, **web, **settings)
    assert (answer["statusCode"], answer["body"]["plate"], reader.asked[0][1].n) == (200, "SECRET7", 3)
    refused = run(reader, url="http://10.0.0.5/a.jpg", **web, **settings)
    assert (refused["statusCode"], refused["body"]["error"]["code"]) == (400, "download-refused")
    assert "10.0.0.5" not in json.dumps(refused)
    assert "10.0.0.5" in run(reader, url="http://10.0.0.5/a.jpg")["error"]["reason"], "the owner is told"
