"""The end of the sequence `recognize`: stores a report with its plate, then lets go of the photo."""

from __future__ import annotations

from hort import action, clock, deadline, plate_documents, plate_index, store
from hort.bulk_writer import BulkWriter
from hort.counters import RedisCounters
from hort.report_store import RedisReports

PASSING = frozenset({"busy", "too-slow", "recognition-failed", "download-failed", "download-too-slow"})
"""Codes of `plates` that tell of the moment and not of the photo: the same report, sent again, is read after all."""
WAITED = frozenset({"photo", "photo_key", "redis_url"})
"""Fields of `plates` about where the photo waited: likewise."""


def run(params: action.Args) -> action.Result:
    """Stores one report; the answer names no plate, as OpenWhisk keeps it in the activation's record."""
    report_id, document = plate_documents.document(params, plate_documents.keeping(params), now=clock.now_ms())
    index = plate_index.of(params)
    index.put(report_id, document, BulkWriter(index.store, time_s=deadline.seconds_left()))
    client = store.connect(params)
    refused = document.get("refused", {})
    if refused.get("code") in PASSING or refused.get("field") in WAITED:
        RedisReports(client).abandon(report_id)
    else:
        RedisReports(client).stored(report_id)
    RedisCounters(client).add({"sink.plates": 1, f"plates.{document['status']}": 1}, token=f"report-{report_id}")  # also when it comes again
    return {"report_id": report_id, "stored": {"plates": 1}, "status": document["status"], "expires_at": document["expires_at"]}
