"""Index templates: how Elasticsearch types what HoRT stores, bounded so that no device can blow up a mapping.

Names in `data`, `properties` and `n` are dotted, never nested (`subobjects: false`), so that a field `a` and a field `a.b`
live side by side. A number becomes a double that ignores what is no number, a text or boolean becomes a keyword, which
takes any scalar: whatever two device types put under one name, both documents are stored, and only what fits the first
kind seen is indexed under it. Past the field limit new fields are kept in the document but not indexed.
"""

from __future__ import annotations

import re
from typing import Any

from hort import config, documents
from hort.document_store import DocumentStore
from hort.errors import ConfigError

VERSION = 3
"""Raised with every change of a template: a store with an older version gets the new one."""
PRIORITY = 200
FIELD_LIMIT = 2_000
LONGEST_KEYWORD = 1_024
"""Characters; a longer text is stored but not indexed."""

Mapping = dict[str, Any]

_PREFIX = re.compile(r"^(?:[a-z0-9][a-z0-9._-]{0,99})?$")
_KEYWORD: Mapping = {"type": "keyword", "ignore_above": LONGEST_KEYWORD}
_DATE: Mapping = {"type": "date", "format": "strict_date_optional_time||epoch_millis"}
_DOUBLE: Mapping = {"type": "double"}
_LONG: Mapping = {"type": "long"}
_BOOLEAN: Mapping = {"type": "boolean"}
_UNINDEXED: Mapping = {"type": "keyword", "index": False, "doc_values": False}
_DOTTED: Mapping = {"type": "object", "subobjects": False}
_FLATTENED: Mapping = {
    "type": "flattened",
    "ignore_above": LONGEST_KEYWORD,
    "depth_limit": documents.RESULT_DEPTH,
}

_DYNAMIC: list[Mapping] = [
    {"numbers": {"match_mapping_type": ["long", "double"], "mapping": {**_DOUBLE, "ignore_malformed": True}}},
    {"booleans": {"match_mapping_type": "boolean", "mapping": _KEYWORD}},
    {"texts": {"match_mapping_type": "string", "mapping": _KEYWORD}},
]


def _fields(kind: Mapping, *names: str) -> Mapping:
    return dict.fromkeys(names, kind)


PROPERTIES: dict[str, Mapping] = {
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


def template(index: str, *, prefix: str = "") -> Mapping:
    """The index template of one index."""
    return {
        "index_patterns": [prefix + index],
        "priority": PRIORITY,
        "version": VERSION,
        "_meta": {"description": f"HoRT {index}"},
        "template": {
            "settings": {
                "number_of_shards": 1,
                "auto_expand_replicas": "0-1",
                "refresh_interval": "1s",
                "index.mapping.total_fields.limit": FIELD_LIMIT,
                "index.mapping.total_fields.ignore_dynamic_beyond_limit": True,
            },
            "mappings": {
                "date_detection": False,
                "dynamic_templates": _DYNAMIC,
                "properties": PROPERTIES[index],
            },
        },
    }


def ensure(store: DocumentStore, *, prefix: str = "") -> int:
    """Puts the templates that are missing or old (an Elasticsearch may have been wiped); how many there were.

    It must be called before each batch of writes: an index that came into being without its template keeps wrong types
    for good.
    """
    have = store.template_versions(f"hort-{prefix}*")
    wanted = {f"hort-{prefix}{index}": index for index in PROPERTIES}
    missing = [name for name in wanted if have.get(name, 0) < VERSION]
    for name in missing:
        store.put_template(name, template(wanted[name], prefix=prefix))
    return len(missing)


def prefix(params: config.Params) -> str:
    """Parameter `index_prefix`: goes before each index name, so that several installations share an Elasticsearch."""
    given = config.text(params, "index_prefix", default="")
    if not _PREFIX.match(given):
        raise ConfigError("index_prefix", given, f"must match {_PREFIX.pattern}")
    return given
