"""How far the stream has come, seen in Elasticsearch itself: tells when the suite stores new records again after a fault."""

from __future__ import annotations

import contextlib
import time

from elasticsearch import ApiError, Elasticsearch, TransportError

from campaign.repeated import Repeated

LOOK_EVERY_S = 0.5


class Watch:
    """Notes the newest event time stored, over and over, past all proxies."""

    def __init__(self, elasticsearch_url: str) -> None:
        self._client = Elasticsearch(elasticsearch_url, request_timeout=5, max_retries=0)
        self._history: list[tuple[float, float]] = []
        self._looking = Repeated("watch", LOOK_EVERY_S, self._look)

    @property
    def newest_s(self) -> float:
        """Event time of the newest record stored, seconds since the epoch; 0 where none is."""
        return self._history[-1][1] if self._history else 0.0

    def recovered_s(self, ended_s: float) -> float | None:
        """Seconds from the end of a fault until a record of later date was stored; None where that did not happen."""
        for seen_s, newest_s in self._history:
            if newest_s >= ended_s:
                return max(0.0, seen_s - ended_s)
        return None

    def close(self) -> None:
        """Ends the thread."""
        self._looking.close()
        self._client.close()

    def _look(self) -> None:
        with contextlib.suppress(ApiError, TransportError):
            newest = self._ask()
            if newest > self.newest_s:
                self._history.append((time.time(), newest))

    def _ask(self) -> float:
        found = self._client.search(
            index="all-events", size=0, aggs={"newest": {"max": {"field": "@timestamp"}}}, ignore_unavailable=True, allow_no_indices=True
        )
        return float(found["aggregations"]["newest"]["value"] or 0.0) / 1000 if "aggregations" in found else 0.0
