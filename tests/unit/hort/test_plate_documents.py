import json
from typing import Any

import pytest

from hort import plate_documents
from hort.errors import ConfigError, ReportError
from hort.plate_documents import Keeping, document, keeping
from hort.redaction import Redaction
from tests.support.plates_suite import answer

NOW = 1_790_000_000_000
RECEIVED = "2026-05-04T22:03:01.500Z"
FACTS = {
    "id": "report-1", "time": "2026-05-04T22:03:00.000Z", "received_at": RECEIVED, "given_as": "image", "company": "UPS",
    "note": "bike lane", "place": {"lat": 41.88, "lon": -87.63, "text": "Clark"},
}  # fmt: skip


def made(found: dict[str, Any], how: Keeping | None = None, **facts: Any) -> dict[str, Any]:
    doc_id, doc = document({**found, "report": {**FACTS, **facts}}, how or Keeping(), now=NOW)
    assert doc_id == "report-1"
    return doc


def test_a_read_plate() -> None:
    doc = made(answer())
    assert {name: doc[name] for name in ("status", "plate", "confidence", "plates_found", "region", "redacted")} == {
        "status": "read", "plate": "S168319", "confidence": 89.2, "plates_found": 1, "region": "il", "redacted": False,
    }  # fmt: skip
    assert (doc["@timestamp"], doc["received_at"], doc["expires_at"]) == (FACTS["time"], RECEIVED, "2026-06-03T22:03:01.500Z")
    assert (doc["place"], doc["place_text"], doc["company"], doc["note"]) == ({"lat": 41.88, "lon": -87.63}, "Clark", "UPS", "bike lane")
    assert doc["source"] == {"given_as": "image", "kind": "jpeg", "bytes": 999, "sha256": "ab" * 32}


def test_other_cars_in_the_photo_are_only_counted() -> None:
    found = answer()
    found["results"].append({**found["results"][0], "plate": "BYSTANDER", "candidates": [{"plate": "BYSTANDER"}]})
    doc = made(found)
    assert doc["plates_found"] == 2
    assert "BYSTANDER" not in json.dumps(doc)


def test_a_refused_photo_and_one_without_a_plate_have_a_reason() -> None:
    refused = {"code": "truncated", "field": "photo", "reason": "it ends", "message": "photo: it ends"}
    doc = made({"plate": None, "results": [], "refused": refused})
    assert (doc["status"], doc["plate"], doc["refused"]) == ("refused", None, {"code": "truncated", "field": "photo", "reason": "it ends"})
    doc = made(answer() | {"plate": None, "results": []})
    assert (doc["status"], doc["plate"], doc["refused"]["code"]) == ("no-plate", None, "no-plate")


def test_redacted() -> None:
    how = Keeping(7, Redaction(b"0123456789abcdef"))
    doc = made(answer(), how)
    assert (len(doc["plate"]), doc["redacted"], doc["candidates"], doc["expires_at"][:10]) == (64, True, [], "2026-05-11")
    assert "S16" not in json.dumps(doc)


def test_a_report_that_comes_again_makes_the_same_document() -> None:
    first = document({**answer(), "report": FACTS}, Keeping(), now=NOW)
    assert document({**answer(), "report": FACTS}, Keeping(), now=NOW + 99_000) == first


def test_only_facts_are_required() -> None:
    _, doc = document({"results": [], "report": {"id": "report-1"}}, Keeping(), now=NOW)
    assert doc["@timestamp"] == doc["received_at"]
    assert "place" not in doc


@pytest.mark.parametrize("report", [None, {}, [], {"id": 7}, {"id": ""}])
def test_without_a_report_there_is_no_document(report: Any) -> None:
    with pytest.raises(ReportError, match="report"):
        document({**answer(), "report": report}, Keeping(), now=NOW)


@pytest.mark.parametrize("params", [{"retention_days": 0}, {"retention_days": "x"}, {"retention_days": 3651}, {"redact": "true"}])
def test_settings_that_cannot_be_used(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        keeping(params)


def test_settings() -> None:
    assert keeping({}) == Keeping(plate_documents.DEFAULT_RETENTION_DAYS)
    assert keeping({"retention_days": "", "redact": ""}).days == 30
    assert keeping({"retention_days": "7", "redact": "true", "redact_key": "k" * 16}) == Keeping(7, Redaction(b"k" * 16))
