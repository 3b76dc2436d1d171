"""Small images of every kind, made by Pillow: four quarters of known colours, so that turns and channels can be told."""

import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageDraw, ImageFont

RED, GREEN, BLUE, WHITE = (200, 20, 20), (20, 200, 20), (20, 20, 200), (230, 230, 230)


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green / blue, white."""
    image = Image.new("RGB", (width, height), WHITE)
    half = width // 2, height // 2
    image.paste(RED, (0, 0, *half))
    image.paste(GREEN, (half[0], 0, width, half[1]))
    image.paste(BLUE, (0, half[1], half[0], height))
    return image


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The image as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **{"quality": 95, **options} if kind in ("JPEG", "WEBP") else options)
    return buffer.getvalue()


def with_orientation(number: int, image: Image.Image | None = None) -> bytes:
    """A JPEG whose EXIF says how the camera was held, and where it was."""
    exif = Image.Exif()
    exif[0x0112] = number
    exif[0x010F] = "SECRETCAM"
    exif[0x8825] = {1: "N", 2: (41.0, 52.0, 55.0)}
    return encoded(image or quarters(), exif=exif)


def png(width: int, height: int, *, depth: int = 8, colour: int = 0, rows: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG whose header may promise more than its data hold."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def grey16(width: int = 64, height: int = 48, value: int = 0xC0FF) -> bytes:
    """A PNG of one 16-bit channel."""
    return png(width, height, depth=16, rows=(b"\0" + struct.pack(">H", value) * width) * height)


def webp_promising(width: int, height: int) -> bytes:
    """A WebP whose extended header promises a canvas."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_promising(width: int, height: int) -> bytes:
    """A JPEG whose frame header promises a size."""
    data = bytearray(encoded(quarters()))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def car(text: str = "ABC 1234", *, width: int = 640, height: int = 480) -> Image.Image:
    """A dark car's back with a plate: black letters on white, drawn; for tests that need something to read."""
    image = Image.new("RGB", (width, height), (90, 95, 100))
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 6, height // 4, 5 * width // 6, 5 * height // 6), fill=(40, 42, 48))
    box = (width // 2 - 110, height // 2, width // 2 + 110, height // 2 + 110)
    draw.rounded_rectangle(box, radius=8, fill=(240, 240, 240), outline=(20, 20, 20), width=3)
    draw.text((width // 2, height // 2 + 55), text, fill=(15, 15, 60), font=ImageFont.load_default(46), anchor="mm")
    return image


def noise(width: int, height: int) -> bytes:
    """A JPEG of edges everywhere and no plate: the detector's worst case."""
    return encoded(Image.effect_noise((width, height), 120), quality=60)
