"""Index `plates` in Elasticsearch: storing a report's document, reading one, deleting what has expired."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, NotFoundError

from hort import clock, config, documents, elastic, indices
from hort.bulk_writer import BulkWriter, pairs
from hort.document_store import RequestRefused, StoreBusy
from hort.elastic import ElasticStore
from hort.errors import ReportError, SinkUnavailable

FORGET_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class PlateIndex:
    """The index under its prefix."""

    store: ElasticStore
    prefix: str = ""

    @property
    def name(self) -> str:
        """The index's name."""
        return self.prefix + documents.PLATES

    def put(self, report_id: str, document: dict[str, Any], writer: BulkWriter) -> None:
        """Stores a document under its report's id; SinkUnavailable where Elasticsearch does not take it now."""
        self._ensure_template()
        written = writer.write(self.name, pairs(documents.bulk_line(report_id, document)))
        if written.rejected:
            raise ReportError("report", report_id, f"was refused by Elasticsearch: {written.rejected[0].kind}")

    def _ensure_template(self) -> None:
        try:
            indices.ensure(self.store, prefix=self.prefix)
        except (StoreBusy, RequestRefused) as error:
            if isinstance(error, indices.IndicesShut) and documents.PLATES not in error.reasons:
                return
            raise SinkUnavailable(f"index templates could not be put: {error}") from error

    def find(self, report_id: str) -> dict[str, Any] | None:
        """The document of a report, or None."""
        try:
            answer = self.store.client.get(index=self.name, id=documents.safe_id(report_id))
        except NotFoundError:
            return None
        except (ApiError, TransportError) as error:
            raise SinkUnavailable(f"Elasticsearch did not answer: {type(error).__name__}") from error
        found: dict[str, Any] = answer["_source"]
        return found

    def forget_expired(self, *, now: int, time_s: float) -> int:
        """Deletes the documents whose `expires_at` has passed; how many. What a time limit leaves over is the next run's."""
        deadline = time.monotonic() + time_s
        query = {"range": {"expires_at": {"lte": clock.iso(now)}}}
        forgotten = 0
        try:
            while time.monotonic() < deadline:
                found = self._expired(query)
                if not found:
                    break
                forgotten += self._delete(found)
        except (ApiError, TransportError) as error:
            raise SinkUnavailable(f"expired plates were not deleted: {type(error).__name__}") from error
        return forgotten

    def _expired(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.store.client.search(
            index=self.name,
            query=query,
            size=FORGET_AT_ONCE,
            source=False,
            seq_no_primary_term=True,
            ignore_unavailable=True,
            allow_no_indices=True,
        )
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        return hits

    def _delete(self, hits: list[dict[str, Any]]) -> int:
        """Deletes documents as they were found: one that a report wrote anew meanwhile stays."""
        lines = [
            {"delete": {"_id": hit["_id"], "if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}}
            for hit in hits
        ]
        answer = self.store.client.bulk(index=self.name, operations=lines, refresh=True)
        return sum(item["delete"]["status"] == 200 for item in answer["items"])


def of(params: config.Params) -> PlateIndex:
    """The index that the parameters name."""
    return PlateIndex(elastic.connect(params), indices.prefix(params))
