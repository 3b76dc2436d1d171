"""Index templates: how Elasticsearch types what HoRT stores, bounded so that no device can blow up a mapping.

Elasticsearch maps no name by itself (`dynamic: false`): each new name would be a change of the cluster's state, for which all
writers wait. The names that devices bring are added by the sink, all of a batch at once and within a bound (see
`hort.mapped_fields`), to the index and to its template, which also remembers them. Measured with 200,000 records of 8 fields
on two cores, Elasticsearch's own part alone:

| `data` as | records/s | MB a million | 40,000 records with 3,000 names: records/s, longest request | numbers | query on one field |
|---|---|---|---|---|---|
| dynamic mapping, as it was | 15,000 | 147 | 518; 76 s | ranges, statistics | 10 ms |
| names added by the sink | 22,600 | 146 | 44,000; 0.15 s | ranges, statistics | 10 ms |
| `flattened` | 21,700 | 157 | 45,000; 0.14 s | as texts: no ranges, no statistics | 9 ms |
| runtime fields only | 31,300 | 107 | 52,000; 0.14 s | ranges, statistics | 1,100 ms |
| nested name and value | 11,500 | 337 | 29,000; 0.24 s | ranges, statistics, by nested queries only | 30 to 140 ms |

So mapped names are real fields, for Kibana too, and a name past the bound is searched by a runtime field of the search
itself: `"runtime_mappings": {"data.rpm": {"type": "double"}}`. A model's answer is `flattened`, which finds any label under
any name; its numbers are runtime fields over that, added by the same way.

Names in `data`, `properties` and `n` are dotted, never nested (`subobjects: false`), so that a field `a` and a field `a.b`
live side by side. A number becomes a double that ignores what is no number, a text or boolean becomes a keyword, which
takes any scalar: whatever two device types put under one name, both documents are stored, and only what fits the first
kind seen is indexed under it. An index that is there already keeps its mapping and gets the new names as far as it can.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hort import activation_log, config, documents, mapped_fields
from hort.document_store import DocumentStore, RequestRefused, StoreBusy, TemplateState
from hort.errors import ConfigError
from hort.mapped_fields import Fields, Shares
from hort.schema import NUMERIC

VERSION = 4
"""Raised with every change of a template: a store with an older version gets the new one."""
PRIORITY = 200
NAME_LIMITS = {documents.ALL_EVENTS: 2_000, documents.ANALYTICS: 500, documents.MODEL_RESULTS: 200}
"""Names that are mapped of what devices and models bring; in analytics each one has a field for each statistic."""
FIELD_LIMITS = {**NAME_LIMITS, documents.ANALYTICS: NAME_LIMITS[documents.ANALYTICS] * (len(documents.STATISTICS) + 1)}
NO_WRITE_INDEX = "no write index"
"""What Elasticsearch says where an alias leads nowhere yet."""
BLOCKED = "cluster_block_exception"
"""What it says where an index, or all, may not be changed: by an operator, or on a full disk."""
FULL = "Limit of total fields"
"""What it says where an index has no room for another field."""
MAX_PUTS = 40
"""Requests in which the names are found that an older index can take: more than two for each halving of them."""
UNMAPPED = "fields-unmapped"
"""What names are counted as that are stored, but not mapped."""
FIXED_FIELDS = 100
"""Room in an index for the fields below."""
LONGEST_KEYWORD = 1_024
"""Characters; a longer text is stored but not indexed."""

Body = dict[str, Any]

_PREFIX = re.compile(r"(?:[a-z0-9][a-z0-9._-]{0,99})?")
_KEYWORD: Body = {"type": "keyword", "ignore_above": LONGEST_KEYWORD}
_DATE: Body = {"type": "date", "format": "strict_date_optional_time||epoch_millis"}
_DOUBLE: Body = {"type": "double"}
_LONG: Body = {"type": "long"}
_BOOLEAN: Body = {"type": "boolean"}
_UNINDEXED: Body = {"type": "keyword", "index": False, "doc_values": False}
_NUMBER: Body = {**_DOUBLE, "ignore_malformed": True}
_DOTTED: Body = {"type": "object", "subobjects": False, "dynamic": False}
_FLATTENED: Body = {
    "type": "flattened",
    "ignore_above": LONGEST_KEYWORD,
    "depth_limit": documents.RESULT_DEPTH,
}


def _fields(kind: Body, *names: str) -> Body:
    return dict.fromkeys(names, kind)


PROPERTIES: dict[str, Body] = {
    documents.ALL_EVENTS: {
        **_fields(_KEYWORD, "record_id", "batch_id", "device_type", "device_id", "event", "topic"),
        **_fields(_DATE, "@timestamp", "received_at"),
        "late": _BOOLEAN,
        "data": _DOTTED,
    },
    documents.ANALYTICS: {
        **_fields(_KEYWORD, "level", "devicetype", "id", "event"),
        **_fields(_DATE, "@timestamp", "window_start", "window_end", "windowclose date"),
        **_fields(_LONG, "count", "revision"),
        **_fields(_DOTTED, "properties", "n"),
    },
    documents.MODEL_RESULTS: {
        **_fields(_KEYWORD, "record_id", "batch_id", "device_type", "device_id", "event"),
        **_fields(_KEYWORD, "model", "model_version", "mode", "status", "error"),
        **_fields(_DATE, "@timestamp"),
        "latency_ms": _DOUBLE,
        "result": _FLATTENED,
    },
    documents.DEAD_LETTERS: {
        **_fields(_KEYWORD, "stage", "reason", "topic", "batch_id", "message_id"),
        "@timestamp": _DATE,
        "detail": {"type": "text"},
        "payload_base64": _UNINDEXED,
        **_fields(_LONG, "payload_bytes", "items"),
        "payload_truncated": _BOOLEAN,
    },
    documents.ALARMS: {
        **_fields(_KEYWORD, "alarm", "device_type", "device_id", "event"),
        **_fields(_DATE, "@timestamp", "last_seen", "window_end"),
    },
    documents.PLATES: {
        **_fields(_KEYWORD, "report_id", "status", "plate", "country", "region", "company", "place_text"),
        **_fields(_DATE, "@timestamp", "received_at", "expires_at"),
        **_fields(_DOUBLE, "confidence", "region_confidence", "processing_time_ms"),
        **_fields(_LONG, "img_width", "img_height", "plates_found"),
        "place": {"type": "geo_point"},
        "note": {"type": "text"},
        "redacted": _BOOLEAN,
        "candidates": {
            "properties": {"plate": _KEYWORD, "confidence": _DOUBLE, "matches_template": {"type": "byte"}}
        },
        "coordinates": {"type": "object", "enabled": False},
        "refused": {"properties": {"code": _KEYWORD, "field": _KEYWORD, "reason": {"type": "text"}}},
        "source": {
            "properties": {"given_as": _KEYWORD, "kind": _KEYWORD, "bytes": _LONG, "sha256": _KEYWORD}
        },
    },
}


class IndicesShut(StoreBusy):
    """Some indices take no change now; `reasons` says why, by index."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{index}: {reason}" for index, reason in reasons.items()))
        self.reasons = reasons


_RUNTIME = "runtime"


def _named(index: str, fields: Fields) -> dict[str, Body]:
    """How an index maps names that devices and models bring: object -> name -> mapping, and those of `runtime`."""
    if index == documents.ALL_EVENTS:
        return {"data": {name: _NUMBER if kind == NUMERIC else _KEYWORD for name, kind in fields.items()}}
    if index == documents.ANALYTICS:
        statistics = {f"{statistic}.{name}": _NUMBER for statistic in documents.STATISTICS for name in fields}
        return {"properties": statistics, "n": dict.fromkeys(fields, _NUMBER)}
    if index == documents.MODEL_RESULTS:
        return {_RUNTIME: {f"result.{name}": _DOUBLE for name, kind in fields.items() if kind == NUMERIC}}
    return {}


def _mapping(named: Mapping[str, Body]) -> Body:
    objects = {name: {**_DOTTED, "properties": found} for name, found in named.items() if name != _RUNTIME}
    return {"dynamic": False, "properties": objects, _RUNTIME: named.get(_RUNTIME, {})}


def template(index: str, *, prefix: str = "", shares: Shares | None = None) -> Body:
    """The index template of one index that maps these names."""
    mapping = _mapping(_named(index, mapped_fields.names(shares or {})))
    return {
        "index_patterns": [prefix + index],
        "priority": PRIORITY,
        "version": VERSION,
        "_meta": {"description": f"HoRT {index}", "fields": dict(shares or {})},
        "template": {
            "settings": {
                "number_of_shards": 1,
                "auto_expand_replicas": "0-1",
                "refresh_interval": "1s",
                "index.mapping.total_fields.limit": FIELD_LIMITS.get(index, 0) + FIXED_FIELDS,
            },
            "mappings": {**mapping, "properties": {**PROPERTIES[index], **mapping["properties"]}},
        },
    }


def ensure(
    store: DocumentStore, *, prefix: str = "", brought: Mapping[str, Shares] | None = None, counts: Counter[str] | None = None
) -> int:
    """Put the templates that are missing, old or lack names that are to be mapped; how many there were.

    IndicesShut where some take no change of their mapping now; the others are ready.

    `brought` are the names in what is written, by index; those that stay unmapped are added to `counts` as UNMAPPED. It must
    be called before each batch of writes: an index that came into being without its template keeps wrong types for good (an
    Elasticsearch may have been wiped), and a document is only indexed under the names that are mapped when it is written.
    """
    have = store.template_states(f"hort-{prefix}*")
    counts = Counter() if counts is None else counts
    put = 0
    shut: dict[str, str] = {}
    for index in PROPERTIES:
        state = have.get(f"hort-{prefix}{index}", TemplateState(0, {}))
        try:
            put += _ensure_one(store, prefix, index, state, (brought or {}).get(index, {}), counts=counts)
        except (StoreBusy, RequestRefused) as error:
            if not any(said in str(error) for said in (BLOCKED, NO_WRITE_INDEX)):
                raise
            shut[index] = str(error)
    if shut:
        raise IndicesShut(shut)
    return put


def _ensure_one(
    store: DocumentStore, prefix: str, index: str, state: TemplateState, brought: Shares, *, counts: Counter[str]
) -> bool:
    """Put one index's template where that is needed; whether it was."""
    if state.version > VERSION:
        return False
    old = state.version < VERSION
    if old:
        counts[UNMAPPED] += _put(store, prefix, index, state.shares)
    shares = mapped_fields.extended(state.shares, brought, limit=NAME_LIMITS.get(index, 0))
    counts[UNMAPPED] += len(mapped_fields.names(brought).keys() - mapped_fields.names(shares).keys())
    if shares != state.shares:
        counts[UNMAPPED] += _put_names(store, prefix, index, shares)
    return old or shares != state.shares


def _put_names(store: DocumentStore, prefix: str, index: str, shares: Shares) -> int:
    """Map names that are new; what Elasticsearch cannot map is told, and keeps nothing from being stored."""
    try:
        return _put(store, prefix, index, shares)
    except RequestRefused as error:
        if NO_WRITE_INDEX in str(error):
            raise
        activation_log.log("sink.unmapped", index=prefix + index, error=str(error))
        return 0


def _put(store: DocumentStore, prefix: str, index: str, shares: Shares) -> int:
    """Map the names in the index that is there, then in the template: one that is interrupted begins anew.

    Returns how many the index does not take.
    """
    fields = mapped_fields.names(shares)
    left = _extend(store, prefix + index, index, fields)
    store.put_template(f"hort-{prefix}{index}", template(index, prefix=prefix, shares=shares))
    if left is None:  # somebody's first document may have made it meanwhile, from the old template
        left = _extend(store, prefix + index, index, fields)
    return left or 0


def _extend(store: DocumentStore, name: str, index: str, fields: Fields) -> int | None:
    """Map names in an index that is there; how many it does not take, None where there is no index. What it maps already stays."""
    have = store.mapping(name)
    if have is None:
        return None
    new = {field: kind for field, kind in fields.items() if any(_without(_named(index, {field: kind}), have).values())}
    left, reason = _put_what_fits(store, name, index, new, have)
    if reason:
        activation_log.log("sink.unmapped", index=name, names=left, error=reason)
    return left


def _put_what_fits(store: DocumentStore, name: str, index: str, fields: Fields, have: Body) -> tuple[int, str]:
    """Map as many names as an index takes, found by halving; how many are left, and why ("" where none is)."""
    waiting = [[*fields.items()], []]  # first without any: the index maps nothing by itself any more
    left, reason = 0, ""
    for _ in range(MAX_PUTS):
        part = waiting.pop()
        try:
            store.put_mapping(name, _mapping(_without(_named(index, dict(part)), have)))
        except RequestRefused as error:
            if NO_WRITE_INDEX in str(error):
                raise  # the one that the alias will get must have these names, too
            reason = str(error)
            middle = len(part) // 2
            if middle:
                waiting += [part[middle:], part[:middle]]
            else:
                left += len(part)
        if not waiting or (left and FULL in reason):
            break
    return left + sum(map(len, waiting)), reason


def _without(named: Mapping[str, Body], have: Body) -> dict[str, Body]:
    """The names that are not mapped yet, whatever their kinds."""
    there = {name: found.get("properties", {}) for name, found in have.get("properties", {}).items()}
    there[_RUNTIME] = have.get(_RUNTIME, {})
    return {
        part: {name: kind for name, kind in found.items() if name not in there.get(part, {})} for part, found in named.items()
    }


def prefix(params: config.Params) -> str:
    """Parameter `index_prefix`: goes before each index name, so that several installations share an Elasticsearch."""
    given = config.text(params, "index_prefix", default="")
    if not _PREFIX.fullmatch(given):
        reason = "must begin with a small letter or a digit and hold only these, dots, hyphens and underscores, 100 characters at most, such as plant-1-"
        raise ConfigError("index_prefix", given, reason)
    return given
