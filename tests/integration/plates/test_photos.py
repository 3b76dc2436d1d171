"""Photos with plates: those of the original, kept beside the repository, and what the answer says of them."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.plates import PlatesServer

Shared = Callable[[str], Path]


@pytest.fixture
def original(shared: Shared) -> Callable[[str], bytes]:
    return lambda name: shared(f"data/plates/photos/{name}").read_bytes()


def test_the_originals_plate_is_read(plates: PlatesServer, original: Callable[[str], bytes]) -> None:
    photo = original("s16-8319.jpg")
    answer = plates.read(photo, country="us", n=3)
    assert answer["plate"] == "S168319"
    assert answer["confidence"] > 80
    assert (answer["version"], answer["data_type"]) == (2, "alpr_results")
    assert (answer["img_width"], answer["img_height"]) == (577, 539)
    assert answer["source"] == {"given_as": "image", "kind": "jpeg", "bytes": len(photo), "sha256": hashlib.sha256(photo).hexdigest()}
    best = answer["results"][0]
    assert best["plate"] == "S168319"
    assert {"confidence", "matches_template", "coordinates", "candidates"} <= set(best)
    assert 1 <= len(best["candidates"]) <= 3
    assert len(best["coordinates"]) == 4
    assert all(0 <= point["x"] <= 577 and 0 <= point["y"] <= 539 for point in best["coordinates"])


def test_the_same_photo_as_png_webp_and_turned(plates: PlatesServer, original: Callable[[str], bytes]) -> None:
    import io

    from PIL import Image

    photo = Image.open(io.BytesIO(original("s16-8319.jpg")))
    exif = Image.Exif()
    exif[0x0112] = 6
    for data in (
        pictures.encoded(photo, "PNG"),
        pictures.encoded(photo, "WEBP", quality=95),
        pictures.encoded(photo.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif),
        pictures.encoded(photo.convert("CMYK"), "JPEG"),
        pictures.encoded(photo.convert("L"), "JPEG"),
    ):
        answer = plates.read(data)
        assert answer["plate"] == "S168319"
        assert (answer["img_width"], answer["img_height"]) == (577, 539)


def test_exif_never_leaves_the_process(plates: PlatesServer) -> None:
    answer = plates.read(pictures.with_orientation(6, pictures.car()))
    assert "SECRETCAM" not in str(answer)
    assert "SECRETCAM" not in plates.out.read_text() + plates.err.read_text()


def test_several_countries_region_and_prewarp_are_taken(plates: PlatesServer) -> None:
    photo = pictures.encoded(pictures.car())
    assert "results" in plates.read(photo, country=["us", "eu"], n=50)
    assert "results" in plates.read(photo, country="us", region="ca", detect_region=True)
    assert "results" in plates.read(photo, prewarp="planar,640,480,0,0,0,1,1,0,0")
