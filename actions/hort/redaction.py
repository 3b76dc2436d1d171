"""Plates as keyed digests: who holds the key can look a plate up, and nobody else can read one.

Plates are few (26^3 x 10^4 of one form), so a bare hash is undone by trying them all; the key is what protects them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hort import config
from hort.errors import ConfigError

MIN_KEY_BYTES = 16
_NOT_IN_A_PLATE = re.compile(r"[\W_]+")
_SAFE_IN_RESULT = ("confidence", "coordinates", "region", "region_confidence", "plate_index", "requested_topn", "country")


@dataclass(frozen=True, slots=True)
class Redaction:
    """The key of the digests; it never shows."""

    key: bytes

    def __repr__(self) -> str:
        return "Redaction(...)"

    def digest(self, plate: str) -> str:
        """HMAC-SHA-256 (RFC 2104) of a plate without its spaces and marks, in capitals: 64 hex digits."""
        return hmac.new(self.key, normal(plate).encode(), hashlib.sha256).hexdigest()


def normal(plate: str) -> str:
    """A plate as it is compared: letters and digits only, in capitals."""
    return _NOT_IN_A_PLATE.sub("", plate).upper()


def of(params: config.Params) -> Redaction | None:
    """The redaction that parameters `redact` and `redact_key` ask for; None where plates are kept as read.

    A key asks for it by itself, so that an empty `redact` does not switch off what somebody has made a key for.
    """
    key = config.text(params, "redact_key", default="").encode()
    if not config.boolean(params, "redact", default=bool(key)):
        return None
    if len(key) < MIN_KEY_BYTES:
        raise ConfigError("redact_key", f"{len(key)} bytes", f"must have {MIN_KEY_BYTES} bytes or more where redact is true")
    return Redaction(key)


def applied(answer: Mapping[str, Any], redaction: Redaction | None) -> dict[str, Any]:
    """An answer of the action `plates` with digests for plates and no candidates; one that is redacted stays as it is."""
    if redaction is None or answer.get("redacted") is True:
        return dict(answer)
    plate = answer.get("plate")
    results = answer.get("results")
    kept = results if isinstance(results, list) else []
    return {
        **answer,
        "plate": redaction.digest(plate) if isinstance(plate, str) else None,
        "results": [_without_readings(result, redaction) for result in kept if isinstance(result, Mapping)],
        "redacted": True,
    }


def _without_readings(result: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    kept = {name: result[name] for name in _SAFE_IN_RESULT if name in result}
    plate = result.get("plate")
    return {**kept, "plate": redaction.digest(plate) if isinstance(plate, str) else None, "candidates": []}
