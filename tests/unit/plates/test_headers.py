import pytest

from plates import headers
from plates.errors import Refused
from tests.support import pictures


def refusal(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        headers.read(data, field="image")
    assert caught.value.field == "image"
    return caught.value.code


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True})])
def test_kind_and_size_are_read_from_the_header(kind: str, options: dict[str, bool]) -> None:
    data = pictures.encoded(pictures.quarters(70, 50), kind, **options)
    assert headers.read(data, field="image") == headers.Head(kind, 70, 50)


def test_an_animated_webp_has_the_size_of_its_canvas() -> None:
    frames = [pictures.quarters(40, 30), pictures.quarters(40, 30).rotate(180)]
    data = pictures.encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    assert headers.read(data, field="image") == headers.Head("WEBP", 40, 30)


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" + bytes(20),
        b"BM" + bytes(20),
        b"II*\0" + bytes(20),
        b"\0\0\0\x18ftypheic" + bytes(20),
        b"\0\0\0\x18ftypavif" + bytes(20),
        b"%PDF-1.7 ",
        b"\0\0\1\0\1" + bytes(20),
        b'<?xml version="1.0"?>\n<svg xmlns="x">',
        b"\xff\x0a" + bytes(20),
    ],
)
def test_other_kinds_are_named(data: bytes) -> None:
    assert refusal(data) == "unsupported-kind"


@pytest.mark.parametrize("data", [b"hello", b"<html>", b"\0" * 100, b"RIFF1234WAVE" + bytes(30)])
def test_anything_else_is_not_an_image(data: bytes) -> None:
    assert refusal(data) == "not-an-image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.9, 0.99])
def test_what_was_cut_off_is_truncated(kind: str, part: float) -> None:
    data = pictures.encoded(pictures.quarters(200, 100), kind)
    assert refusal(data[: int(len(data) * part)]) == "truncated"


def test_a_jpeg_that_lacks_its_end_mark_is_truncated() -> None:
    data = pictures.encoded(pictures.quarters())
    assert refusal(data[:-2]) == "truncated"


def test_the_end_mark_of_a_thumbnail_is_not_the_end() -> None:
    """Found by thought: EXIF may carry a whole JPEG."""
    thumbnail = pictures.encoded(pictures.quarters(16, 16))
    data = pictures.encoded(pictures.quarters())
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    assert refusal(data[:2] + segment + data[2:-2]) == "truncated"


def test_damaged_headers_are_named() -> None:
    data = pictures.encoded(pictures.quarters())
    assert refusal(data[:2] + b"\0\0" + data[4:]) == "not-an-image"
    assert refusal(data[:3] + b"\xe0\0\0" + data[6:]) == "broken-image"
    assert refusal(b"\xff\xd8\xff\xda\0\2" + bytes(50)) == "broken-image"
