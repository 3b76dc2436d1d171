"""Which of the names that devices and models bring Elasticsearch maps: as many as a fixed number, shared out among them.

Every name is stored. A mapped one is indexed by its kind; any other can be searched by a runtime field of the search. How
much a device type (or model) may have mapped shrinks with what is left, so that none can use it up: a dynamic threshold, as
switches share their buffers (Choudhury and Hahne, 1998).

What a batch brings is staged beside its documents, under `stage_field`: `{"<device type or model>": {"<name>": "<kind>"}}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from hort.schema import kind_of

Fields = Mapping[str, str]
"""Name -> kind, see `hort.schema`."""

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


def staged(sources: Mapping[str, Fields]) -> bytes:
    """The names of each source as `stage_field` holds them; those past the bound are left out."""
    room = MAX_STAGED
    kept: dict[str, Fields] = {}
    for source, fields in sources.items():
        if fields and len(fields) <= room:
            kept[source] = fields
            room -= len(fields)
    return orjson.dumps(kept)


def read(content: bytes) -> list[Fields]:
    """The names of each source."""
    found: dict[str, Fields] = orjson.loads(content)
    return list(found.values())


def admitted(known: Fields, sources: Iterable[Fields], *, limit: int) -> dict[str, str]:
    """The names that are to be mapped beside those that are known, with their kinds: the first to bring a name decides."""
    found: dict[str, str] = {}
    for fields in sources:
        missing = {name: kind for name, kind in fields.items() if name not in known and name not in found and name.strip()}
        held = len(fields) - len(missing)
        for name, kind in missing.items():
            if held + 1 > (limit - len(known) - len(found)) * SHARE:
                break
            found[name] = kind
            held += 1
    return found
