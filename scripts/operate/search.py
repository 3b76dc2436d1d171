"""Reading what is stored: by id, by query page by page, and what an id surely says now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hort import documents
from hort.elastic import ElasticStore

PAGE = 1_000
INDICES = tuple(documents.INDEX_OF.values())
Query = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """One document; `index` without the prefix."""

    index: str
    id: str
    source: dict[str, Any]


class Search:
    """The indices of one installation."""

    def __init__(self, store: ElasticStore, *, prefix: str) -> None:
        self._store = store
        self._client = store.client
        self._prefix = prefix

    def by_id(self, name: str) -> list[Found]:
        """The documents of any index that have this id."""
        return self._hits(",".join(self._prefix + index for index in INDICES), {"query": {"ids": {"values": [name]}}, "size": 20})

    def find(self, index: str, query: Query, *, limit: int, sort: Sequence[Any] = (), without: Sequence[str] = ()) -> list[Found]:
        """At most so many documents that fit."""
        body: dict[str, Any] = {"query": query, "size": limit, "_source": {"excludes": list(without)}}
        if sort:
            body["sort"] = list(sort)
        return self._hits(self._prefix + index, body)

    def count(self, index: str, query: Query) -> int:
        """How many documents fit."""
        answer = self._client.count(
            index=self._prefix + index, query=query, ignore_unavailable=True, allow_no_indices=True
        )
        return int(answer["count"])

    def groups(self, index: str, query: Query, fields: Sequence[str]) -> list[tuple[tuple[str, ...], int]]:
        """How many documents there are of each combination of these fields, most first; a field that is missing is "".

        By a composite aggregation, page by page: `multi_terms` is no part of a bare Elasticsearch.
        """
        sources = [{field: {"terms": {"field": field, "missing_bucket": True}}} for field in fields]
        pages: dict[str, Any] = {"sources": sources, "size": PAGE}
        found: list[tuple[tuple[str, ...], int]] = []
        while True:
            aggs = {"groups": {"composite": pages}}
            answer = self._client.search(
                index=self._prefix + index, query=query, size=0, aggs=aggs, ignore_unavailable=True, allow_no_indices=True
            )
            groups = answer.get("aggregations", {}).get("groups", {})
            found += [(_texts(row["key"], fields), int(row["doc_count"])) for row in groups.get("buckets", [])]
            if "after_key" not in groups:
                return sorted(found, key=lambda row: -row[1])
            pages = {**pages, "after": groups["after_key"]}

    def scan(self, index: str, query: Query, *, sort: Sequence[str], without: Sequence[str] = ()) -> Iterator[Found]:
        """Every document that fits, a page at a time; the fields of `sort` together tell documents apart."""
        body: dict[str, Any] = {"query": query, "size": PAGE, "sort": list(sort), "_source": {"excludes": list(without)}}
        while True:
            hits = self._search(self._prefix + index, body)
            yield from map(self._found, hits)
            if len(hits) < PAGE:
                return
            body["search_after"] = hits[-1]["sort"]

    def now(self, index: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of these documents that are there at this moment, refreshed or not."""
        if not ids:
            return {}
        answer = self._client.mget(index=self._prefix + index, ids=list(ids))
        return {row["_id"]: row["_source"] for row in answer["docs"] if row.get("found")}

    def delete(self, index: str, ids: Sequence[str]) -> None:
        """Removes documents."""
        self._store.delete(self._prefix + index, ids)

    def refresh(self, index: str) -> None:
        """Lets searches see what was written until now."""
        self._client.indices.refresh(index=self._prefix + index, ignore_unavailable=True, allow_no_indices=True)

    def _hits(self, index: str, body: dict[str, Any]) -> list[Found]:
        return [self._found(hit) for hit in self._search(index, body)]

    def _search(self, index: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self._client.search(index=index, body=body, ignore_unavailable=True, allow_no_indices=True)
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        return hits

    def _found(self, hit: Mapping[str, Any]) -> Found:
        return Found(str(hit["_index"]).removeprefix(self._prefix), hit["_id"], hit["_source"])


def _texts(key: Mapping[str, Any], fields: Sequence[str]) -> tuple[str, ...]:
    return tuple("" if key[field] is None else str(key[field]) for field in fields)
