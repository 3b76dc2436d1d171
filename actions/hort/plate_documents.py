"""The document of a report in index `plates`: what was reported and what the action `plates` read in its photo.

One plate a document, the best one: whoever else drove through the photo is nobody's business. Of the photo its size and digest
are kept, never the photo, its address or its EXIF.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hort import clock, config, event_time, redaction
from hort.errors import ReportError
from hort.redaction import Redaction

DEFAULT_RETENTION_DAYS = 30
MAX_RETENTION_DAYS = 3_650
MAX_CANDIDATES = 50
DAY_MS = 24 * 3_600_000

Answer = Mapping[str, Any]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long and in which form plates are kept."""

    days: int = DEFAULT_RETENTION_DAYS
    redaction: Redaction | None = None


def keeping(params: config.Params) -> Keeping:
    """Parameters `retention_days`, `redact` and `redact_key`."""
    days = config.integer(params, "retention_days", default=DEFAULT_RETENTION_DAYS, minimum=1, maximum=MAX_RETENTION_DAYS)
    return Keeping(days, redaction.of(params))


def document(answer: Answer, how: Keeping, *, now: int) -> tuple[str, Document]:
    """Id and document of one report; `expires_at` counts from when the report came, so that a repetition changes nothing."""
    facts = answer.get("report")
    if not isinstance(facts, Mapping) or not isinstance(facts.get("id"), str) or not facts["id"]:
        raise ReportError("report", None, "must be the facts of a report with its 'id': this action follows 'plates'")
    received = _ms(facts.get("received_at"), now)
    found = redaction.applied(answer, how.redaction)
    doc: Document = {
        "@timestamp": clock.iso(_ms(facts.get("time"), received)),
        "report_id": facts["id"],
        "received_at": clock.iso(received),
        "expires_at": clock.iso(received + how.days * DAY_MS),
        "redacted": found.get("redacted") is True,
        **_told(facts),
        **_read(found),
        "source": _source(found, facts),
    }
    return facts["id"], doc


def _told(facts: Mapping[str, Any]) -> Document:
    """What the person said."""
    told: Document = {name: facts[name] for name in ("company", "note") if isinstance(facts.get(name), str)}
    place = facts.get("place")
    if isinstance(place, Mapping):
        if {"lat", "lon"} <= set(place):
            told["place"] = {"lat": place["lat"], "lon": place["lon"]}
        if isinstance(place.get("text"), str):
            told["place_text"] = place["text"]
    return told


def _read(found: Answer) -> Document:
    """What the photo said; a photo without a readable plate has a reason in the plate's place."""
    refused = found.get("refused")
    if isinstance(refused, Mapping):
        facts = {name: str(refused.get(name, ""))[:300] for name in ("code", "field", "reason")}
        return {"status": "refused", "plate": None, "refused": facts}
    results = [result for result in found.get("results") or [] if isinstance(result, Mapping)]
    about = {name: found[name] for name in ("img_width", "img_height", "processing_time_ms") if name in found}
    if not results or not found.get("plate"):
        reason = {"code": "no-plate", "field": "image", "reason": "no plate was found in the photo"}
        return {"status": "no-plate", "plate": None, "plates_found": 0, "refused": reason, **about}
    best = results[0]
    candidates = best.get("candidates") or []
    return {
        "status": "read",
        "plate": found["plate"],
        "confidence": found.get("confidence"),
        "candidates": [_candidate(one) for one in candidates[:MAX_CANDIDATES] if isinstance(one, Mapping)],
        "coordinates": best.get("coordinates") or [],
        "plates_found": len(results),
        **{name: best[name] for name in ("region", "region_confidence", "country") if best.get(name)},
        **about,
    }


def _candidate(one: Mapping[str, Any]) -> Document:
    return {name: one.get(name) for name in ("plate", "confidence", "matches_template")}


def _source(found: Answer, facts: Mapping[str, Any]) -> Document:
    source = found.get("source")
    kept = {name: source[name] for name in ("kind", "bytes", "sha256") if name in source} if isinstance(source, Mapping) else {}
    return {"given_as": facts.get("given_as"), **kept}


def _ms(value: Any, default: int) -> int:
    return default if value is None else event_time.parse(value, unit="ms", latest_ms=event_time.LATEST_MS)
