"""From the bytes of a photo to pixels: judged by its header first, decoded once, turned upright, everything else dropped.

Only pixels leave this module: place, camera and time in EXIF, profiles and comments end here.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile

from plates import headers
from plates.errors import Refused
from plates.limits import MAX_BYTES, MAX_PIXELS, MAX_SIDE, MIN_SIDE, WORK_PIXELS
from plates.pixels import Image

_ORIENTATION = 0x0112
_TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}

Pillow.MAX_IMAGE_PIXELS = None  # judged here, before Pillow sees the file
ImageFile.LOAD_TRUNCATED_IMAGES = False


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    Args:
        pixels: BGR, uint8, upright; at most about WORK_PIXELS of them.
        width: of the whole upright photo in its own pixels.
        height: likewise.
        reduction: how many pixels of the photo, along a side, one of `pixels` stands for.
        kind: JPEG, PNG or WEBP.
    """

    pixels: Image
    width: int
    height: int
    reduction: float
    kind: str


def decode(
    data: bytes, *, field: str = "image", max_pixels: int | None = None, max_bytes: int = MAX_BYTES
) -> Photo:
    """The photo in some bytes; Refused says why there is none."""
    if len(data) > max_bytes:
        raise Refused("too-many-bytes", field, f"it has {len(data)} bytes, {max_bytes} are allowed")
    if not data:
        raise Refused("not-an-image", field, "it has no bytes")
    head = headers.read(data, field=field)
    _check_size(head, field=field, max_pixels=max_pixels or MAX_PIXELS[head.kind])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decoded(data, head, field)
    except Refused:
        raise
    except MemoryError as error:
        raise Refused("too-many-pixels", field, "there is not enough memory to decode it") from error
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        code = "truncated" if "truncated" in str(error).lower() else "broken-image"
        raise Refused(code, field, f"the {head.kind} cannot be decoded: {str(error)[:120] or type(error).__name__}") from error


def _check_size(head: headers.Head, *, field: str, max_pixels: int) -> None:
    size = f"it is {head.width} x {head.height} pixels"
    if head.width * head.height > max_pixels or max(head.width, head.height) > MAX_SIDE:
        raise Refused("too-many-pixels", field, f"{size}, {max_pixels} in all and {MAX_SIDE} a side are allowed for {head.kind}")
    if min(head.width, head.height) < MIN_SIDE:
        raise Refused("too-few-pixels", field, f"{size}, {MIN_SIDE} a side are needed")


def _decoded(data: bytes, head: headers.Head, field: str) -> Photo:
    with Pillow.open(io.BytesIO(data), formats=(head.kind,)) as image:
        if image.size != (head.width, head.height):
            raise Refused("broken-image", field, "its headers contradict each other about its size")
        factor = _reduction(head)
        if factor > 1:
            image.draft(None, (head.width // factor, head.height // factor))
        image.load()
        turn = _TURNS.get(_orientation(image))
        upright = _rgb(image)
    if factor > 1 and upright.width * upright.height > WORK_PIXELS:
        upright = upright.reduce(max(1, round(upright.width * factor / head.width)))
    if turn is not None:
        upright = upright.transpose(turn)
    sides = (head.width, head.height)
    width, height = sides[::-1] if turn in _SIDEWAYS else sides
    pixels = np.ascontiguousarray(np.asarray(upright)[:, :, ::-1])
    return Photo(pixels, width, height, width / upright.width, head.kind)


_SIDEWAYS = {_TURNS[number] for number in (5, 6, 7, 8)}


def _reduction(head: headers.Head) -> int:
    factor = 1
    while head.width * head.height > WORK_PIXELS * factor * factor:
        factor *= 2
    return factor


def _orientation(image: Pillow.Image) -> int:
    """How the camera was held (EXIF 2.32, tag 274); a damaged EXIF block says nothing."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  # a photo is no worse for its EXIF
        return 1


def _rgb(image: Pillow.Image) -> Pillow.Image:
    """Three channels of eight bits: 16-bit grey by its high byte, transparent over white, CMYK by its inks."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        grey = (np.clip(values, 0, 65_535) >> 8).astype(np.uint8)
        return Pillow.fromarray(grey).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Pillow.new("RGBA", clear.size, "white")
        return Pillow.alpha_composite(white, clear).convert("RGB")
    return image.convert("RGB")
