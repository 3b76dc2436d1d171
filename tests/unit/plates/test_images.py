import numpy as np
import pytest
from PIL import Image

from plates import images, limits
from plates.errors import Refused
from tests.support import pictures
from tests.support.pictures import BLUE, GREEN, RED, WHITE


def corners(photo: images.Photo) -> list[tuple[int, ...]]:
    """RGB at the middle of each quarter: upper left, upper right, lower left, lower right."""
    height, width = photo.pixels.shape[:2]
    points = [(height // 4, width // 4), (height // 4, 3 * width // 4), (3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    return [tuple(int(value) for value in photo.pixels[point][::-1]) for point in points]


def close(found: list[tuple[int, ...]], wanted: list[tuple[int, ...]], tolerance: int = 12) -> bool:
    return bool(np.abs(np.array(found) - np.array(wanted)).max() <= tolerance)


def refusal(data: bytes, *, max_bytes: int = limits.MAX_BYTES) -> str:
    with pytest.raises(Refused) as caught:
        images.decode(data, max_bytes=max_bytes)
    return caught.value.code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_pixels_are_bgr(kind: str) -> None:
    photo = images.decode(pictures.encoded(pictures.quarters(), kind))
    assert close(corners(photo), [RED, GREEN, BLUE, WHITE])
    assert (photo.width, photo.height, photo.reduction, photo.kind) == (64, 48, 1.0, kind)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.flags.c_contiguous


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_a_turned_camera_is_turned_back(number: int, wanted: list[tuple[int, ...]]) -> None:
    photo = images.decode(pictures.with_orientation(number))
    assert close(corners(photo), wanted)
    assert (photo.width, photo.height) == ((48, 64) if number >= 5 else (64, 48))


def test_a_damaged_exif_block_says_nothing() -> None:
    data = pictures.with_orientation(6)
    at = data.index(b"Exif\0\0") + 8
    photo = images.decode(data[:at] + b"\xff" * 8 + data[at + 8 :])
    assert close(corners(photo), [RED, GREEN, BLUE, WHITE])


def test_cmyk_has_the_colours_it_shows() -> None:
    photo = images.decode(pictures.encoded(pictures.quarters().convert("CMYK")))
    assert close(corners(photo), [RED, GREEN, BLUE, WHITE], tolerance=30)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_grey_becomes_three_equal_channels(kind: str) -> None:
    photo = images.decode(pictures.encoded(Image.new("L", (40, 30), 123), kind))
    assert photo.pixels.shape == (30, 40, 3)
    assert abs(photo.pixels.astype(int) - 123).max() <= 1


def test_sixteen_bits_keep_their_brightness() -> None:
    photo = images.decode(pictures.grey16(value=0xC0FF))
    assert set(np.unique(photo.pixels)) == {0xC0}


def test_a_palette_and_one_bit_are_read() -> None:
    assert close(corners(images.decode(pictures.encoded(pictures.quarters().convert("P"), "PNG"))), [RED, GREEN, BLUE, WHITE], 40)
    assert set(np.unique(images.decode(pictures.encoded(Image.new("1", (40, 30), 1), "PNG")).pixels)) == {255}


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    for kind in ("PNG", "WEBP"):
        assert images.decode(pictures.encoded(clear, kind, **({"lossless": True} if kind == "WEBP" else {}))).pixels.min() == 255


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_read(kind: str) -> None:
    first, second = pictures.quarters(), Image.new("RGB", (64, 48), "black")
    photo = images.decode(pictures.encoded(first, kind, save_all=True, append_images=[second], duration=100))
    assert close(corners(photo), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize("make", [pictures.png, pictures.webp_promising, pictures.jpeg_promising])
def test_a_promised_size_is_judged_before_decoding(make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("the file was opened")

    monkeypatch.setattr("PIL.Image.open", never)
    data = make(16_000, 16_000)  # type: ignore[operator]
    assert refusal(data) == "too-many-pixels"


def test_a_long_thin_image_is_too_large() -> None:
    assert refusal(pictures.png(20_000, 20)) == "too-many-pixels"


def test_an_image_of_a_few_pixels_is_too_small() -> None:
    assert refusal(pictures.encoded(pictures.quarters(10, 10), "PNG")) == "too-few-pixels"


def test_too_many_bytes_and_none() -> None:
    assert refusal(pictures.encoded(pictures.quarters()), max_bytes=100) == "too-many-bytes"
    assert refusal(b"") == "not-an-image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_hole_in_the_data_is_named_or_harmless(kind: str) -> None:
    data = bytearray(pictures.encoded(pictures.quarters(200, 150), kind))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    try:
        images.decode(bytes(data))
    except Refused as error:
        assert error.code in {"broken-image", "truncated"}  # noqa: PT017


def test_a_png_without_its_data_is_truncated_or_broken() -> None:
    assert refusal(pictures.png(100, 100)) in {"truncated", "broken-image"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_photo_is_reduced_by_a_whole_factor(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "WORK_PIXELS", 10_000)
    photo = images.decode(pictures.encoded(pictures.quarters(400, 300), kind))
    assert (photo.width, photo.height, photo.reduction) == (400, 300, 4.0)
    assert photo.pixels.shape == (75, 100, 3)
    assert close(corners(photo), [RED, GREEN, BLUE, WHITE])


def test_a_large_turned_photo_is_reduced_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "WORK_PIXELS", 10_000)
    photo = images.decode(pictures.with_orientation(6, pictures.quarters(400, 300)))
    assert (photo.width, photo.height, photo.reduction) == (300, 400, 4.0)
    assert close(corners(photo), [BLUE, RED, WHITE, GREEN])


def test_the_limits_fit_the_memory_of_an_action() -> None:
    assert limits.MAX_PIXELS["PNG"] * 4 * 2 < 256_000_000
