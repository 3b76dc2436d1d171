"""Index `plates` in Elasticsearch: storing a report's document, reading one, deleting what has expired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, NotFoundError

from hort import config, documents, elastic, indices, sink
from hort.bulk_writer import BulkWriter, pairs
from hort.document_store import RequestRefused, StoreBusy
from hort.elastic import ElasticStore
from hort.errors import ReportError, SinkUnavailable

FORGET_TIMEOUT_S = 50.0
MAX_FORGOTTEN = 100_000
"""Documents that one run deletes at most."""


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
        try:
            indices.ensure(self.store, prefix=self.prefix)
        except (StoreBusy, RequestRefused) as error:
            raise SinkUnavailable(f"index templates could not be put: {error}") from error
        written = writer.write(self.name, pairs(documents.bulk_line(report_id, document)))
        if written.rejected:
            raise ReportError("report", report_id, f"was refused by Elasticsearch: {written.rejected[0].kind}")

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

    def forget_expired(self) -> int:
        """Deletes the documents whose `expires_at` has passed; how many."""
        client = self.store.client.options(request_timeout=FORGET_TIMEOUT_S)
        try:
            answer = client.delete_by_query(
                index=self.name,
                query={"range": {"expires_at": {"lte": "now"}}},
                conflicts="proceed",
                max_docs=MAX_FORGOTTEN,
                refresh=True,
                ignore_unavailable=True,
                allow_no_indices=True,
            )
        except (ApiError, TransportError) as error:
            raise SinkUnavailable(f"expired plates were not deleted: {type(error).__name__}") from error
        return int(answer["deleted"])


def of(params: config.Params) -> PlateIndex:
    """The index that the parameters name."""
    return PlateIndex(elastic.connect(params), sink.index_prefix(params))
