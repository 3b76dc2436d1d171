"""The parameters of the plates action: read once, checked, frozen; every refusal names field and reason."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hort import config, urls
from hort.errors import ConfigError
from plates import limits, waiting
from plates.errors import Refused

DEFAULT_N, MAX_N = 5, 50
DEFAULT_COUNTRY = "us"
MAX_COUNTRIES = 4
DEFAULT_TIMEOUT_MS, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS = 20_000, 100, 290_000
PREWARP_VALUES = 9
OVER_THE_WEB = frozenset({"url", "image", "photo", "country", "region", "n", "detect_region", "prewarp", "timeout_ms"})
"""What whoever calls over the web may set; `photo` only to be refused."""

_DATA_URL = re.compile(r"data:[a-zA-Z0-9.+/-]*(;[a-zA-Z0-9=._-]+)*;base64,", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9_-]{1,16}")

Params = Mapping[str, Any]
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Trained:
    """What the reader is trained for: countries, and the regions of each that have plate patterns."""

    countries: tuple[str, ...]
    regions: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Options:
    """How a photo is to be read: what goes to the worker beside the photo."""

    country: tuple[str, ...]
    n: int
    region: str | None
    detect_region: bool
    prewarp: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """One photo, given by its URL, its bytes or where it waits, and how to read it."""

    url: str | None
    image: bytes | None
    options: Options
    timeout_ms: int
    policy: urls.Policy
    photo: waiting.Waiting | None = None


def of_caller(params: Params) -> Params:
    """What counts of some parameters: all of an invocation's, which a key of this namespace made; of a web request's those in the list."""
    if "__ow_method" not in params:
        return params
    return {name: value for name, value in params.items() if name in OVER_THE_WEB or name == "__ow_method"}


def read(params: Params, trained: Trained) -> Request:
    """The request in some parameters; Refused for what cannot be used."""
    url, image, photo = _given(params, "url"), _given(params, "image"), waiting.given(params)
    if url is None and image is None and photo is None:
        raise Refused("no-image", "image", "neither url nor image (base64) is given")
    if [url, image, photo].count(None) < 2:
        raise Refused("both-given", "image", "url and image are given: one of them must go")
    country = _country(params, trained)
    options = Options(
        country=country,
        n=_n(params),
        region=_region(params, country, trained),
        detect_region=_checked(lambda: config.boolean(params, "detect_region", default=False)),
        prewarp=_prewarp(params),
    )
    # Whoever calls over the web could send the parameter, too.
    policy = urls.PUBLIC if "__ow_method" in params else _checked(lambda: urls.policy(params))
    address = None if url is None else _url(url)
    data = None if image is None else _image(image)
    return Request(address, data, options, _timeout(params), policy, photo)


def _given(params: Params, name: str) -> Any:
    value = params.get(name)
    return None if value == "" else value


def _checked(read_value: Callable[[], _Value]) -> _Value:
    try:
        return read_value()
    except ConfigError as error:
        raise Refused("bad-parameter", error.name, f"{error.reason}, got {_short(error.value)}") from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "..."


def _url(url: object) -> str:
    if not isinstance(url, str):
        raise Refused("bad-parameter", "url", f"it must be text, got {_short(url)}")
    return url


def _image(value: object) -> bytes:
    """The bytes of base64 (also the URL-safe alphabet, with or without padding and line breaks) or of a data URL."""
    if not isinstance(value, str):
        raise Refused("not-base64", "image", f"it must be base64 text, got {type(value).__name__}")
    prefix = _DATA_URL.match(value[:200])
    if prefix is None and value[:5].lower() == "data:":
        raise Refused("not-base64", "image", "a data URL must be base64: data:image/jpeg;base64,...")
    text = value[prefix.end() :] if prefix else value
    if len(text) * 3 // 4 > limits.MAX_BYTES * 1.05:
        raise Refused("too-many-bytes", "image", f"it has more than {limits.MAX_BYTES} bytes")
    compact = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("not-base64", "image", f"it is not base64: {error}") from error


def _n(params: Params) -> int:
    value = _given(params, "n")
    if value is None:
        return DEFAULT_N
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value.strip()) else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_N:
        raise Refused("bad-n", "n", f"it must be an integer from 1 to {MAX_N}, got {_short(value)}")
    return number


def _country(params: Params, trained: Trained) -> tuple[str, ...]:
    value = config.lookup(params, "country")
    names = value.split(",") if isinstance(value, str) else DEFAULT_COUNTRY.split() if value is None else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused("unknown-country", "country", f"it must be a name or a list of names, got {_short(value)}")
    countries = tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))
    if not 1 <= len(countries) <= MAX_COUNTRIES:
        raise Refused("unknown-country", "country", f"1 to {MAX_COUNTRIES} of them must be named, got {_short(value)}")
    for name in countries:
        if name not in trained.countries:
            known = ", ".join(trained.countries)
            raise Refused("unknown-country", "country", f"{_short(name)} is unknown; there are {known}")
    return countries


def _region(params: Params, country: tuple[str, ...], trained: Trained) -> str | None:
    value = _given(params, "region")
    if value is None:
        return None
    region = value.strip().lower() if isinstance(value, str) else ""
    if not _WORD.fullmatch(region) or not any(region in trained.regions.get(name, ()) for name in country):
        raise Refused("unknown-region", "region", f"{_short(value)} has no plate patterns in {', '.join(country)}")
    return region


def _prewarp(params: Params) -> str | None:
    """OpenALPR's calibration: "planar" and nine numbers."""
    value = _given(params, "prewarp")
    if value is None:
        return None
    name, *numbers = value.replace(" ", "").split(",") if isinstance(value, str) else [""]
    if name != "planar" or len(numbers) != PREWARP_VALUES or not all(_finite(number) for number in numbers):
        reason = f"it must be 'planar' and {PREWARP_VALUES} numbers with commas between, got {_short(value)}"
        raise Refused("bad-parameter", "prewarp", reason)
    return ",".join([name, *numbers])


def _finite(text: str) -> bool:
    try:
        return len(text) <= 20 and math.isfinite(float(text))
    except ValueError:
        return False


def _timeout(params: Params) -> int:
    value = _given(params, "timeout_ms")
    if value is None:
        return DEFAULT_TIMEOUT_MS
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()) else value
    if isinstance(number, bool) or not isinstance(number, int) or not MIN_TIMEOUT_MS <= number <= MAX_TIMEOUT_MS:
        reason = f"it must be an integer from {MIN_TIMEOUT_MS} to {MAX_TIMEOUT_MS}, got {_short(value)}"
        raise Refused("bad-parameter", "timeout_ms", reason)
    return number
