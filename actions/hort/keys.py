"""Every Redis key of HoRT; `{p}` is the hash tag that keeps one partition's keys in one slot of a Redis Cluster."""

from __future__ import annotations

import hashlib
import re

PREFIX = "hort:"
MODELS = "hort:{models}:registry"
"""HASH name -> JSON of the model."""
MODELS_ACTIVE = "hort:{models}:active"
"""STRING JSON {"models": [...], "polled_at": ms}, what poll-models saw last."""
MODELS_POLLS = "hort:{models}:polls"
"""HASH `begun` -> number of the newest poll, `written` -> number of the one that left the active list."""
COUNTERS = "hort:{stats}:counters"
"""HASH `<part>.<what>` -> count since the beginning."""
COUNTED_AT = "hort:{stats}:counted-at"
"""HASH `<part>.<what>` -> milliseconds when the counter was last added to."""
REGISTRATIONS = "hort:{provider}:registrations"
"""HASH registration id -> JSON (credentials encrypted)."""
PROVIDERS = "hort:{provider}:alive"
"""ZSET provider id -> milliseconds when it was last seen."""
FENCES = "hort:{provider}:fences"
"""HASH registration id -> the last fencing token that it was given; `*` -> the greatest of all."""
ALARMS = "hort:{provider}:alarms"
"""HASH `namespace/trigger` -> JSON of the alarm (the owner's key encrypted)."""
REPLAY_LOCK = "hort:{replay}:lock"
"""STRING token of whoever puts replays of dead letters into journals; expires by itself."""
GBFS_STATE = "hort:{divvy}:state"
"""HASH what the divvy action remembers between two polls."""
GBFS_LOCK = "hort:{divvy}:lock"
"""STRING token of the poll that runs; expires by itself."""

_TAG = re.compile(r"^hort:\{(\d{1,6})\}:")


def counted(token: str) -> str:
    """STRING empty; while it is there, the counts under this token have been added. Expires by itself; same slot as the counters."""
    return f"hort:{{stats}}:counted:{token}"


def registration_id(trigger: str) -> str:
    """16 hex digits that stand for a trigger's fully qualified name (`/namespace/name`)."""
    return hashlib.sha256(trigger.encode()).hexdigest()[:16]


def journal(partition: int, registration: str) -> str:
    """ZSET batch id -> milliseconds from which on the batch may be fired (again)."""
    return f"hort:{{{partition}}}:journal:{registration}"


def journal_bytes(journal_key: str) -> str:
    """STRING bytes of all batches in one journal; same slot as the journal."""
    return f"{journal_key}:bytes"


def journal_acked(journal_key: str) -> str:
    """STRING how many batches of one journal were stored; same slot as the journal."""
    return f"{journal_key}:acked"


def spool(partition: int, registration: str) -> str:
    """LIST packed messages that were taken from the broker and are not yet part of a batch."""
    return f"hort:{{{partition}}}:spool:{registration}"


def unacked(partition: int, registration: str) -> str:
    """HASH chunk id -> packet ids and digests of journalled messages: unacknowledged, or kept (marks: `feeds.provider.ledger`)."""
    return f"hort:{{{partition}}}:unacked:{registration}"


def fence(partition: int, registration: str) -> str:
    """STRING the newest owner's token: whoever holds an older one may no longer journal."""
    return f"hort:{{{partition}}}:fence:{registration}"


def subscribed(registration: str) -> str:
    """STRING JSON of the session and the topic filters that the broker last confirmed."""
    return f"hort:{{provider}}:subscribed:{registration}"


def runtime(registration: str) -> str:
    """STRING JSON of what the owner of a registration sees now; expires with it."""
    return f"hort:{{provider}}:runtime:{registration}"


def lease(registration: str) -> str:
    """STRING which provider serves a registration; expires when it dies."""
    return f"hort:{{provider}}:lease:{registration}"


def batch(partition: int, batch_id: str) -> str:
    """HASH raw, trigger, count, bytes, created_ms, attempts, activation, tries:<step>, at:<step>, cuts, acked_before (of a part)."""
    return f"hort:{{{partition}}}:batch:{batch_id}"


def stage(partition: int, batch_id: str) -> str:
    """HASH what the actions of the sequence leave for each other."""
    return f"hort:{{{partition}}}:stage:{batch_id}"


def pane(partition: int, start_ms: int, length_ms: int) -> str:
    """HASH batch id -> packed statistics that the batch brought to the pane, `=base` -> name of those merged already."""
    return f"{pane_prefix(partition)}{start_ms}:{length_ms}"


def pane_parts(pane_key: str, name: str) -> str:
    """HASH part -> packed statistics of the keys of that part."""
    return f"{pane_key}:{name}"


def pane_prefix(partition: int) -> str:
    """What the keys of a partition's panes begin with."""
    return f"hort:{{{partition}}}:pane:"


def window(partition: int, what: str) -> str:
    """State of the windows other than panes: what is closed, live and touched panes, revisions, active and silent devices."""
    return f"hort:{{{partition}}}:win:{what}"


def schema(partition: int, device_type: str) -> str:
    """HASH field name -> JSON {"type", "index"} of one device type."""
    return f"hort:{{{partition}}}:schema:{device_type}"


def schema_types(partition: int) -> str:
    """SET the device types whose schema is inferred: they are counted to bound them."""
    return f"hort:{{{partition}}}:schema-types"


def last(partition: int, key_id: str) -> str:
    """STRING the JSON of a key's last closed window, for the join."""
    return f"hort:{{{partition}}}:last:{key_id}"


def record_id(partition: int, identity: str) -> str:
    """STRING which batch and position first brought a record that its device numbered."""
    return f"hort:{{{partition}}}:id:{identity}"


def breaker(model: str) -> str:
    """HASH breaker state of one model."""
    return f"hort:{{models}}:breaker:{model}"


def model_stats(model: str) -> str:
    """HASH counts by status, latency and the last error of one model, for people."""
    return f"hort:{{models}}:stats:{model}"


def model_counted(token: str) -> str:
    """STRING empty; while it is there, the numbers under this token have been added to a model's. Expires by itself."""
    return f"hort:{{models}}:counted:{token}"


def report(report_id: str) -> str:
    """HASH digest, status, token and times of one report: what it takes to know it again, nothing of what it says."""
    return f"hort:{{reports}}:report:{report_id}"


def photo(token: str) -> str:
    """STRING the bytes of a photo that waits to be read; expires soon."""
    return f"hort:{{reports}}:photo:{token}"


def quota(kind: str, minute: int) -> str:
    """STRING how many requests of a kind strangers made in a minute since the epoch; expires soon."""
    return f"hort:{{stats}}:quota:{kind}:{minute}"


def partition_of(key: str) -> int:
    """The partition in a key's hash tag; ValueError where it has none."""
    match = _TAG.match(key)
    if match is None:
        raise ValueError(f"no partition in key {key!r}")
    return int(match[1])
