"""What a photo's first bytes say it is; the photo itself is decoded by the plates server alone."""

from __future__ import annotations

import base64
import binascii
import re

MAX_PHOTO_BYTES = 750_000
"""A photo is handed on in base64 within an activation's result, which may have 1 MB."""

_DATA_URL = re.compile(r"data:[a-zA-Z0-9.+/-]*(;[a-zA-Z0-9=._-]+)*;base64,", re.IGNORECASE)


def kind(photo: bytes) -> str | None:
    """The media type of a JPEG, PNG or WebP; None for anything else."""
    if photo.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if photo.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if photo[:4] == b"RIFF" and photo[8:12] == b"WEBP":
        return "image/webp"
    return None


def decoded(text: str) -> bytes:
    """The bytes of base64 (also of a data URL, URL-safe, unpadded, with line breaks); ValueError where it is none."""
    prefix = _DATA_URL.match(text[:200])
    compact = "".join((text[prefix.end() :] if prefix else text).split()).rstrip("=")
    compact = compact.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
