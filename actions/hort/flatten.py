"""Flattening: nested objects become dotted names, so that every value of a record is a scalar or a list of scalars.

A list of numbers, of texts or of booleans stays a list (Elasticsearch indexes each of its values). Any other list (mixed
kinds, objects, lists) becomes its JSON text: as objects and index numbers it would be a new field for every position, and
Elasticsearch refuses documents that bring a field with two kinds at once. An empty object disappears. An empty part of a
name, which Elasticsearch refuses, becomes `_`. Two values that would get one name are a reason to refuse the record.
"""

from __future__ import annotations

from typing import Any

import orjson

from hort.payload import Caps, Undecodable

Flat = dict[str, Any]

_NESTED = (dict, list)


def flatten(record: dict[str, Any], caps: Caps) -> Flat:
    """The record with dotted names; the record itself where it is flat already. Undecodable where a cap is passed."""
    if len(record) > caps.fields:
        raise Undecodable("too-many-fields", f"record has more than {caps.fields} fields")
    if _is_flat(record, caps.name_length):
        return record
    flat: Flat = {}
    _add(flat, "", record, 1, caps)
    return flat


def _is_flat(record: dict[str, Any], name_length: int) -> bool:
    if any(type(value) in _NESTED for value in record.values()):
        return False
    return all(name and not name.isspace() and len(name) <= name_length for name in record)


def _add(flat: Flat, prefix: str, value: dict[str, Any], depth: int, caps: Caps) -> None:
    if depth > caps.depth:
        raise Undecodable("too-deep", f"record is nested more than {caps.depth} levels deep")
    for part, item in value.items():
        name = prefix + (part if part and not part.isspace() else "_")
        if len(name) > caps.name_length:
            raise Undecodable(
                "bad-field", f"field name of more than {caps.name_length} characters: {name[:80]}..."
            )
        if isinstance(item, dict):
            _add(flat, name + ".", item, depth + 1, caps)
        elif name in flat:
            raise Undecodable("repeated-name", f"record has two values that flatten to {name[:80]!r}")
        else:
            flat[name] = _flat_list(item, caps.depth - depth) if isinstance(item, list) else item
            if len(flat) > caps.fields:
                raise Undecodable("too-many-fields", f"record has more than {caps.fields} fields")


def _flat_list(values: list[Any], depth: int) -> Any:
    if _nesting(values) > depth + 1:
        raise Undecodable("too-deep", "record holds a list that is nested too deeply")
    kinds = {float if type(value) is int else type(value) for value in values if value is not None}
    if len(kinds) <= 1 and not kinds & {dict, list}:
        return values
    return orjson.dumps(values).decode()


def _nesting(value: Any) -> int:
    """How many levels of objects and lists a value has, counted without recursion."""
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, _NESTED)]:
        depth += 1
        level = [item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer)]
    return depth
