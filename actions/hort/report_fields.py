"""The fields of a report: a photo or its address, and what the person who took it says; checked once, then frozen."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from hort import clock, event_time, photos, urls
from hort.errors import AddressRefused, ReportError
from hort.payload import Undecodable

TEXTS = {"company": 200, "note": 2_000}
"""Free texts and how many characters each may have."""
PLACE_TEXT = 500
MAX_EARLY_MS = 24 * 3_600_000
"""How far ahead of ours the clock of whoever reports may be."""
PLACE = ("lat", "lon", "text")
READING = ("country", "region", "n", "detect_region")
"""Parameters of the action `plates` that a report may set; that action judges them."""
FIELDS = ("id", "image", "url", "time", "place", *TEXTS, *READING)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WORDS = re.compile(r"[A-Za-z0-9_, -]{1,80}")


@dataclass(frozen=True, slots=True)
class Report:
    """A report whose fields can be used.

    Args:
        report_id: the client's own, or one made here.
        facts: what goes into the stored document: `id`, `time`, and what was given of `place`, `company`, `note`.
        photo: the photo's bytes, or None where `url` names it.
        url: the photo's address.
        reading: how the plate is to be read.
    """

    report_id: str
    facts: Mapping[str, Any]
    photo: bytes | None
    url: str | None
    reading: Mapping[str, Any]

    def digest(self) -> str:
        """What tells this report from another one under the same id; the time counts only where the client gave it."""
        content = orjson.dumps([self.facts, self.url, self.reading], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(hashlib.sha256(self.photo or b"").digest() + content).hexdigest()


def read(values: Mapping[str, Any], *, now: int) -> Report:
    """The report in a request's body; ReportError names the field that cannot be used."""
    for name in values:
        if name not in FIELDS:
            raise ReportError(name[:80], None, f"is unknown, there are {', '.join(FIELDS)}")
    given = {name: value for name, value in values.items() if value not in (None, "")}
    report_id = _id(given)
    facts: dict[str, Any] = {"id": report_id}
    if "time" in given:
        facts["time"] = clock.iso(_time(given["time"], now))
    if "place" in given:
        facts["place"] = _place(given["place"])
    facts |= {name: _text(name, given[name], limit) for name, limit in TEXTS.items() if name in given}
    photo, url = _photo(given)
    return Report(report_id, facts, photo, url, _reading(given))


def _id(given: Mapping[str, Any]) -> str:
    value = given.get("id")
    if value is None:
        return secrets.token_hex(16)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ReportError("id", value, "must have 8 to 64 letters, digits, '-' or '_'")
    return value


def _photo(given: Mapping[str, Any]) -> tuple[bytes | None, str | None]:
    image, url = given.get("image"), given.get("url")
    if (image is None) == (url is None):
        reason = "must be given in base64, or 'url' in its place" if image is None else "and 'url' must not both be given"
        raise ReportError("image", None, reason)
    if image is None:
        try:
            urls.parse(url)
        except AddressRefused as error:
            raise ReportError("url", urls.shown(url), error.reason) from error
        return None, url
    return _bytes(image), None


def _bytes(image: object) -> bytes:
    if not isinstance(image, str):
        raise ReportError("image", type(image).__name__, "must be base64 text")
    try:
        photo = photos.decoded(image)
    except ValueError as error:
        raise ReportError("image", image[:20], f"must be base64: {error}") from error
    if len(photo) > photos.MAX_PHOTO_BYTES:
        reason = f"must have at most {photos.MAX_PHOTO_BYTES} bytes: make it smaller, or give its 'url'"
        raise ReportError("image", f"{len(photo)} bytes", reason, status=413)
    if photos.kind(photo) is None:
        raise ReportError("image", f"{len(photo)} bytes", "must be a JPEG, PNG or WebP")
    return photo


def _time(value: Any, now: int) -> int:
    try:
        return event_time.parse(value, unit="auto", latest_ms=now + MAX_EARLY_MS)
    except Undecodable as error:
        raise ReportError("time", str(value)[:80], f"must be ISO 8601 or epoch time, not ahead: {error}") from error


def _place(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not set(value) <= set(PLACE):
        raise ReportError("place", str(value)[:80], f"must be an object of {', '.join(PLACE)}")
    given = {name: item for name, item in value.items() if item not in (None, "")}
    if ("lat" in given) != ("lon" in given):
        missing = "lon" if "lat" in given else "lat"
        raise ReportError(f"place.{missing}", None, "must be given where the other one is")
    place: dict[str, Any] = {}
    if "lat" in given:
        place = {"lat": _degrees("place.lat", given["lat"], 90), "lon": _degrees("place.lon", given["lon"], 180)}
    if "text" in given:
        place["text"] = _text("place.text", given["text"], PLACE_TEXT)
    return place


def _degrees(name: str, value: Any, limit: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > limit:
        raise ReportError(name, str(value)[:80], f"must be a number of degrees from -{limit} to {limit}")
    return float(value)


def _text(name: str, value: Any, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise ReportError(name, str(value)[:80], f"must be text of at most {limit} characters")
    return _CONTROLS.sub("", value).encode("utf-8", "replace").decode().strip()


def _reading(given: Mapping[str, Any]) -> dict[str, Any]:
    reading = {name: given[name] for name in READING if name in given}
    for name, value in reading.items():
        if name in ("country", "region"):
            texts = value if isinstance(value, list) and len(value) <= 8 else [value]
            if not all(isinstance(text, str) and _WORDS.fullmatch(text) for text in texts):
                raise ReportError(name, str(value)[:80], "must be a name such as 'us', or a list of names")
        elif name == "n" and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 50):
            raise ReportError(name, str(value)[:80], "must be an integer from 1 to 50")
        elif name == "detect_region" and not isinstance(value, bool):
            raise ReportError(name, str(value)[:80], "must be true or false")
    return reading
