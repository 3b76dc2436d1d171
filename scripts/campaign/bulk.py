"""Bodies and answers of Elasticsearch's bulk API, taken apart and put together again.

Source: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk and, for `filter_path`, its common options.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import orjson

WITH_SOURCE = frozenset({"index", "create", "update"})
OPERATIONS = WITH_SOURCE | {"delete"}

ITEM_ERRORS: Mapping[int, tuple[str, str]] = {
    429: (
        "es_rejected_execution_exception",
        (
            "rejected execution of primary operation [coordinating_and_primary_bytes=107374182, replica_bytes=0, "
            "all_bytes=107374182, primary_operation_bytes=1048576, max_coordinating_and_primary_bytes=107374182]"
        ),
    ),
    503: (
        "unavailable_shards_exception",
        "[{index}][0] primary shard is not active Timeout: [1m], request: [BulkShardRequest [[{index}][0]]]",
    ),
}
"""Type and reason of a refused item, by its status, in Elasticsearch 8's words."""


class NotBulk(ValueError):
    """The body is not what the bulk API takes."""


@dataclass(frozen=True)
class Item:
    """One operation of a bulk request; `lines` as they were sent, with their ends."""

    operation: str
    index: str
    id: str | None
    lines: bytes

    def refused(self, status: int) -> dict[str, Any]:
        """The answer to this item as if it had been refused with a status of `ITEM_ERRORS`."""
        kind, reason = ITEM_ERRORS[status]
        error = {"type": kind, "reason": reason.format(index=self.index)}
        return {self.operation: {"_index": self.index, "_id": self.id, "status": status, "error": error}}


def items(body: bytes, *, index: str) -> list[Item]:
    """The operations of a body; `index` is the address's, for those that name none. Raises NotBulk."""
    lines = iter(body.split(b"\n"))
    found = []
    for line in lines:
        if not line.strip():
            continue
        operation, target = _action(line)
        text = line + b"\n"
        if operation in WITH_SOURCE:
            source = next(lines, None)
            if source is None:
                raise NotBulk(f"{operation} at the end has no document")
            text += source + b"\n"
        found.append(Item(operation, str(target.get("_index") or index), target.get("_id"), text))
    return found


def _action(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        ((operation, target),) = orjson.loads(line).items()
    except (ValueError, AttributeError) as error:
        raise NotBulk("an action line is not an object with one key") from error
    if operation not in OPERATIONS or not isinstance(target, dict):
        raise NotBulk(f"{operation!r} is no operation with an object")
    return operation, target


def merged(
    sent: Sequence[Item], refused: Collection[int], answer: Mapping[str, Any], *, status: int
) -> dict[str, Any]:
    """The answer to a whole request, of which the items at the positions `refused` were not passed on.

    `answer` is Elasticsearch's own to the rest; `status` is what the refused ones get.
    """
    carried_out = iter(answer["items"])
    entries = [
        item.refused(status) if position in refused else next(carried_out) for position, item in enumerate(sent)
    ]
    return {**answer, "errors": bool(refused) or answer["errors"], "items": entries}


def filtered(value: Any, filter_path: str) -> Any:
    """What `filter_path` leaves of an answer: names with dots between, `*` in names, commas between paths.

    Raises ValueError for what is not known here: exclusions and `**`.
    """
    paths = [path.split(".") for path in filter_path.split(",") if path]
    if any("**" in path or path[0].startswith("-") for path in paths):
        raise ValueError(f"filter_path={filter_path!r} has an exclusion or **")
    return _kept(value, paths) if paths else value


def _kept(value: Any, paths: list[list[str]]) -> Any:
    if isinstance(value, list):
        return [kept for entry in value if (kept := _kept(entry, paths))]
    if not isinstance(value, dict):
        return None
    result = {}
    for name, below in value.items():
        rests = [path[1:] for path in paths if fnmatchcase(name, path[0])]
        if [] in rests:
            result[name] = below
        elif rests and (kept := _kept(below, rests)):
            result[name] = kept
    return result
