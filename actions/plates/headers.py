"""What a file says it is, from its first bytes and without decoding: kind, width, height.

JPEG: ITU T.81 annex B (markers). PNG: W3C PNG 5.2 and 11.2.2 (IHDR). WebP: RFC 9649 section 2. Decoders reserve memory for what a header
promises, so the size is read here first.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from plates.errors import Refused

_JPEG, _PNG, _WEBP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF"
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_END_OF_IMAGE = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"  # the last chunk is empty, so its checksum never differs

_OTHERS = (
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), "BMP"),
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), "TIFF"),
    (re.compile(rb".{4}ftyp(heic|heix|hevc|heim|heis|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "AVIF"),
    (re.compile(rb".{4}ftyp", re.DOTALL), "MP4"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"%PDF-"), "PDF"),
    (re.compile(rb"8BPS"), "PSD"),
    (re.compile(rb"\x00\x00\x01\x00[^\x00]"), "ICO"),
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg", re.DOTALL), "SVG"),
)


@dataclass(frozen=True, slots=True)
class Head:
    """Kind (JPEG, PNG, WEBP), width and height in pixels as stored, before any rotation."""

    kind: str
    width: int
    height: int


def read(data: bytes, *, field: str) -> Head:
    """The head of an image; Refused where there is none, or of a kind that is not read here."""
    if data.startswith(_JPEG):
        return _jpeg(data, field)
    if data.startswith(_PNG):
        return _png(data, field)
    if data.startswith(_WEBP) and data[8:12] == b"WEBP":
        return _webp(data, field)
    for pattern, name in _OTHERS:
        if pattern.match(data[:512]):
            raise Refused("unsupported-kind", field, f"it is {name}; JPEG, PNG and WebP are read")
    raise Refused("not-an-image", field, "it does not begin as a JPEG, PNG or WebP file does")


def _jpeg(data: bytes, field: str) -> Head:
    size: tuple[int, int] | None = None
    for marker, start, length in _segments(data, field):
        if marker in _FRAMES and size is None:
            if length < 6:
                raise Refused("broken-image", field, "its frame header is too short")
            height, width = struct.unpack_from(">HH", data, start + 1)
            size = width, height
        if marker == 0xDA:  # the compressed data follow; what ends before their end marker was cut off
            if size is None:
                break
            if data.rfind(_END_OF_IMAGE, start + length) < 0:
                raise Refused("truncated", field, "the JPEG ends before its end marker")
            return Head("JPEG", *size)
    raise Refused("broken-image", field, "the JPEG has no frame header before its data")


def _segments(data: bytes, field: str) -> Iterator[tuple[int, int, int]]:
    """Marker, start of its content, length of its content."""
    position = 2
    while True:
        while data[position : position + 2] == b"\xff\xff":
            position += 1
        if position + 4 > len(data):
            raise Refused("truncated", field, "the JPEG ends within its headers")
        if data[position] != 0xFF:
            raise Refused("broken-image", field, f"the JPEG has no marker at byte {position}")
        marker = data[position + 1]
        if marker in _STANDALONE:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big") - 2
        if length < 0:
            raise Refused("broken-image", field, f"the JPEG has a segment without length at byte {position}")
        if position + 4 + length > len(data):
            raise Refused("truncated", field, "the JPEG ends within its headers")
        yield marker, position + 4, length
        position += 4 + length


def _png(data: bytes, field: str) -> Head:
    if len(data) < 33:
        raise Refused("truncated", field, "the PNG ends within its header")
    if data[12:16] != b"IHDR":
        raise Refused("broken-image", field, "the PNG does not begin with its header chunk")
    width, height = struct.unpack_from(">II", data, 16)
    if data.rfind(_PNG_END) < 0:
        raise Refused("truncated", field, "the PNG ends before its end chunk")
    return Head("PNG", width, height)


def _webp(data: bytes, field: str) -> Head:
    if len(data) < 30:
        raise Refused("truncated", field, "the WebP ends within its header")
    if len(data) < int.from_bytes(data[4:8], "little") + 8:
        raise Refused("truncated", field, "the WebP is shorter than its header says")
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    else:
        raise Refused("broken-image", field, "the WebP has no image header")
    return Head("WEBP", width, height)
