"""Hostile files: whatever they hold, each gets an answer in time, and the server that answers is the one that was started."""

import base64
import random
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from plates.errors import CODES
from tests.support import pictures
from tests.support.pictures import chunk
from tests.support.plates import PlatesServer

SEED = 20_261
SHORT_MS, LONG_MS = 10_000, 100_000
SLACK_S = 50.0


def kinds() -> dict[str, bytes]:
    small = pictures.car(width=320, height=240)
    return {
        "jpeg": pictures.encoded(small),
        "progressive": pictures.encoded(small, progressive=True),
        "cmyk": pictures.encoded(small.convert("CMYK")),
        "exif": pictures.with_orientation(6, small),
        "png": pictures.encoded(small, "PNG"),
        "palette": pictures.encoded(small.convert("P"), "PNG"),
        "grey16": pictures.grey16(),
        "webp": pictures.encoded(small, "WEBP"),
        "lossless": pictures.encoded(small, "WEBP", lossless=True),
        "animated": pictures.encoded(small, "WEBP", save_all=True, append_images=[small.rotate(5)]),
    }


def truncations(data: bytes, source: random.Random) -> Iterator[bytes]:
    for length in (0, 1, 3, 11, 20, 33, len(data) - 1):
        yield data[:length]
    for _ in range(6):
        yield data[: source.randrange(len(data))]


def flips(data: bytes, source: random.Random) -> Iterator[bytes]:
    for count in (1, 1, 2, 4, 16, 64, 256):
        changed = bytearray(data)
        for _ in range(count):
            changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
        yield bytes(changed)


def headers_only(data: bytes, source: random.Random) -> Iterator[bytes]:
    """Damage where the headers are, which sends decoders the furthest astray."""
    for _ in range(8):
        changed = bytearray(data)
        for _ in range(4):
            changed[source.randrange(2, min(400, len(changed)))] = source.choice([0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)])
        yield bytes(changed)


def splices(data: bytes, source: random.Random) -> Iterator[bytes]:
    for _ in range(4):
        start, length = source.randrange(len(data)), source.randrange(1, 2_000)
        yield data[:start] + source.randbytes(length) + data[start:]
        yield data[:start] + data[start + length :]


MUTATIONS: list[Callable[[bytes, random.Random], Iterator[bytes]]] = [truncations, flips, headers_only, splices]


def check(plates: PlatesServer, data: bytes, *, timeout_ms: int = SHORT_MS) -> str:
    """The code of the refusal, or "read"."""
    started = time.monotonic()
    answer = plates.read(data, timeout_ms=timeout_ms)
    assert time.monotonic() - started < timeout_ms / 1000 + SLACK_S
    if "error" in answer:
        assert answer["error"]["code"] in CODES
        return str(answer["error"]["code"])
    assert isinstance(answer["results"], list)
    return "read"


@pytest.mark.parametrize("kind", kinds())
def test_damaged_files_are_answered(plates: PlatesServer, kind: str) -> None:
    source = random.Random(f"{SEED} {kind}")
    original = kinds()[kind]
    assert check(plates, original, timeout_ms=LONG_MS) == "read"
    seen = {check(plates, damaged) for mutate in MUTATIONS for damaged in mutate(original, source)}
    assert seen - {"read"}
    assert plates.process.poll() is None
    assert check(plates, original, timeout_ms=LONG_MS) == "read"


def test_random_bytes_behind_right_beginnings(plates: PlatesServer) -> None:
    source = random.Random(SEED)
    for start in (b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xda\0\x0c", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\0\0WEBPVP8 ", b"GIF89a", b""):
        assert check(plates, start + source.randbytes(5_000)) != "read"


def frames() -> bytes:
    found = [Image.new("RGB", (64, 64), (number % 256, 0, 0)) for number in range(300)]
    return pictures.encoded(found[0], "WEBP", save_all=True, append_images=found[1:])


def zeros() -> bytes:
    return zlib.compress(bytes(50_000_000), 9)


def scans(count: int) -> bytes:
    """A progressive JPEG of 3000 x 3000 whose last scan is repeated: each one is work over all its blocks."""
    data = pictures.encoded(Image.new("L", (3_000, 3_000), 128), progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def exif_loop() -> bytes:
    """EXIF whose directory points at itself."""
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    data = pictures.encoded(pictures.quarters())
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


SMALL = (b"\0" + bytes(64)) * 64
BOMBS: dict[str, Callable[[], bytes]] = {
    "promised": lambda: pictures.png(60_000, 60_000),
    "png of one colour at the limit": lambda: pictures.png(5_000, 5_000, rows=(b"\0" + bytes(5_000)) * 5_000),
    "more data than pixels": lambda: pictures.png(64, 64, rows=bytes(80_000_000)),
    "text": lambda: pictures.png(64, 64, rows=SMALL, extra=chunk(b"zTXt", b"Comment\0\0" + zeros())),
    "profile": lambda: pictures.png(64, 64, rows=SMALL, extra=chunk(b"iCCP", b"p\0\0" + zeros())),
    "many chunks": lambda: pictures.png(64, 64, rows=SMALL, extra=chunk(b"tEXt", b"a\0b") * 50_000),
    "many frames": frames,
    "webp canvas": lambda: pictures.webp_promising(16_383, 16_383),
    "jpeg size": lambda: pictures.jpeg_promising(7_000, 7_000),
    "scans": lambda: scans(2_000),
    "exif loop": exif_loop,
    "thin": lambda: pictures.encoded(Image.new("L", (16_000, 16)), "PNG"),
    "noise": lambda: pictures.noise(1_600, 1_200),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_defused(plates: PlatesServer, name: str) -> None:
    check(plates, BOMBS[name]())
    assert plates.process.poll() is None
    assert check(plates, pictures.encoded(pictures.quarters(160, 120)), timeout_ms=LONG_MS) == "read"


def test_many_photos_do_not_make_it_grow(plates: PlatesServer) -> None:
    photo = pictures.encoded(pictures.car())

    def memory() -> int:
        pages = Path(f"/proc/{plates.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096

    for _ in range(20):
        plates.read(photo)
    before = memory()
    for _ in range(60):
        plates.read(photo)
    assert memory() - before < 20_000_000


def test_base64_of_hostile_shape(plates: PlatesServer) -> None:
    for text in ("=" * 100, "A===", "data:" + "a" * 5_000, "\0" * 50, "😀" * 100, base64.b85encode(bytes(99)).decode()):
        assert plates.refusal(image=text) in {"not-base64", "not-an-image"}
