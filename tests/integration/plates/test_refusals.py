"""Every refusal of the contract, from outside: the stable code, and a server that goes on."""

import base64
from typing import Any

import pytest
from PIL import Image

from plates import limits
from plates.errors import CODES
from tests.support import pictures
from tests.support.plates import PlatesServer

JPEG = pictures.encoded(pictures.quarters(160, 120))


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


PHOTO = text(JPEG)
CASES: dict[str, list[dict[str, Any]]] = {
    "no-image": [{}, {"image": ""}, {"image": None, "url": ""}],
    "both-given": [{"image": PHOTO, "url": "http://example.org/"}],
    "bad-parameter": [
        {"image": PHOTO, "prewarp": "planar"},
        {"image": PHOTO, "timeout_ms": -1},
        {"image": PHOTO, "detect_region": "perhaps"},
        {"url": {"a": 1}},
        {"url": "http://x/", "allow_private": "!"},
    ],
    "bad-n": [{"image": PHOTO, "n": value} for value in (0, 51, "many", 1.5, True)],
    "unknown-country": [{"image": PHOTO, "country": value} for value in ("zz", ["us", "zz"], 7, "../../etc/passwd")],
    "unknown-region": [{"image": PHOTO, "region": "atlantis"}],
    "not-base64": [{"image": "%%"}, {"image": 5}, {"image": "data:image/png,abc"}],
    "not-an-image": [{"image": text(b"hello")}, {"image": text(bytes(1000))}, {"image": "data:image/jpeg;base64,"}],
    "unsupported-kind": [{"image": text(b"GIF89a" + bytes(50))}, {"image": text(b"%PDF-1.7\n")}],
    "broken-image": [{"image": text(JPEG[:3] + b"\xe0\0\0" + JPEG[6:])}],
    "truncated": [{"image": text(JPEG[: len(JPEG) // 2])}, {"image": text(pictures.png(300, 300)[:40])}],
    "too-many-pixels": [
        {"image": text(pictures.png(40_000, 40_000))},
        {"image": text(pictures.webp_promising(16_000, 16_000))},
        {"image": text(pictures.jpeg_promising(65_000, 65_000))},
    ],
    "too-few-pixels": [{"image": text(pictures.encoded(Image.new("L", (8, 8)), "PNG"))}],
    "too-many-bytes": [{"image": "A" * (limits.MAX_BYTES * 4 // 3 + 1_500_000)}],
    "download-refused": [
        {"url": url}
        for url in (
            "file:///etc/passwd",
            "ftp://example.org/x",
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://10.1.2.3/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0/",
            "http://2130706433/",
            "http://user:secret@example.org/",
            "http://localhost/x.jpg",
            "javascript:alert(1)",
            "not a url",
        )
    ],
    "download-failed": [{"url": "http://127.0.0.1:1/", "allow_private": True}],
    "too-slow": [{"image": text(pictures.noise(2_400, 1_800)), "timeout_ms": 100, "country": ["us", "eu", "gb", "au"]}],
}
ELSEWHERE = {"download-too-slow", "download-too-large", "recognition-failed", "busy"}


def test_every_code_has_a_case_here_or_in_a_test_of_its_own() -> None:
    assert set(CASES) | ELSEWHERE == set(CODES)


@pytest.mark.parametrize(("code", "params"), [(code, params) for code, cases in CASES.items() for params in cases], ids=lambda value: str(value)[:60])
def test_refused(plates: PlatesServer, code: str, params: dict[str, Any]) -> None:
    assert plates.refusal(**params) == code


def test_a_report_is_not_lost_to_its_photo(plates: PlatesServer) -> None:
    """An `error` would end the sequence before the sink."""
    report = {"place": "Main St", "note": "blocks the lane"}
    result = plates.run(image="%%", report=report)
    assert result["report"] == report
    assert result["refused"]["code"] == "not-base64"
    assert result["plate"] is None
    assert plates.read(JPEG, report=report)["report"] == report


def test_a_web_request_gets_an_http_answer(plates: PlatesServer) -> None:
    web = {"__ow_method": "post", "__ow_headers": {}, "__ow_path": ""}
    good = plates.read(JPEG, **web)
    assert good["statusCode"] == 200
    assert good["body"]["results"] == []
    bad = plates.run(**web)
    assert (bad["statusCode"], bad["body"]["error"]["code"]) == (400, "no-image")
