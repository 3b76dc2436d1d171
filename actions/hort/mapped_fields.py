"""Which of the names that devices and models bring Elasticsearch maps: as many as a fixed number, shared out among them.

Every name is stored. A mapped one is indexed by its kind; any other can be searched by a runtime field of the search. How
much a device type (or model) may have mapped shrinks with what is left, so that none can use it up: a dynamic threshold, as
switches share their buffers (Choudhury and Hahne, 1998).

What a batch brings is staged beside its documents, under `stage_field`: `{"<device type or model>": {"<name>": "<kind>"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from hort.schema import kind_of

Fields = Mapping[str, str]
"""Name -> kind, see `hort.schema`."""
Shares = Mapping[str, Fields]
"""Device type or model -> names; of what is mapped those that it was the first to bring."""

SHARE = 0.25
"""A device type may have so much mapped of what is left."""
MAX_NAMES = 256
"""Names of one device type that a batch tells of."""
MAX_STAGED = 20_000
"""Names that are staged with one batch."""


def stage_field(name: str) -> str:
    """The stage field with the names in the documents of stage field `name`."""
    return f"{name}-fields"


def note(names: dict[str, str], name: str, kind: str | None, value: Any) -> None:
    """Note a name with its kind, or that of a first value, or of a list's first one, where it has none yet."""
    if name in names or len(names) >= MAX_NAMES:
        return
    kind = kind or kind_of(value[0] if isinstance(value, list) and value else value)
    if kind is not None:
        names[name] = kind


def staged(sources: Shares) -> bytes:
    """The names of each source as `stage_field` holds them; those past the bound are left out."""
    room = MAX_STAGED
    kept: dict[str, Fields] = {}
    for source, fields in sources.items():
        if fields and len(fields) <= room:
            kept[source] = fields
            room -= len(fields)
    return orjson.dumps(kept)


def read(content: bytes) -> dict[str, Fields]:
    """The names of each source."""
    found: dict[str, Fields] = orjson.loads(content)
    return found


def names(shares: Shares) -> dict[str, str]:
    """All that is mapped."""
    return {name: kind for fields in shares.values() for name, kind in fields.items()}


def extended(shares: Shares, brought: Shares, *, limit: int) -> dict[str, Fields]:
    """The shares with the names that are to be mapped from now on: the first to bring a name decides on its kind."""
    found = {source: dict(fields) for source, fields in shares.items()}
    known = set(names(shares))
    for source, fields in brought.items():
        mine = found.setdefault(source, {})
        for name, kind in fields.items():
            if name in known or not name.strip():
                continue
            if len(mine) + 1 > (limit - len(known)) * SHARE:
                break
            mine[name] = kind
            known.add(name)
    return {source: fields for source, fields in found.items() if fields}
