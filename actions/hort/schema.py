"""Schemas: which fields of a device type are numbers, texts or booleans, given by parameter or inferred by first sight.

A device type that the parameter `schema` names has exactly those fields; others of its records are stored as they came
and not counted. For any other type the first value that is seen decides a field's kind for good.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

import orjson

from hort import config
from hort.errors import ConfigError

NUMERIC = "Numeric"
STRING = "String"
BOOL = "Bool"
KINDS = (NUMERIC, STRING, BOOL)
MAX_FIELDS_PER_TYPE = 256
MAX_DEVICE_TYPES = 1_000
"""Device types whose schema is inferred; those beyond are stored without statistics."""

_KIND_OF_TYPE: dict[type, str] = {int: NUMERIC, float: NUMERIC, str: STRING, bool: BOOL}
_NUMBER = re.compile(r"^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?\s*$", re.ASCII)
_LONGEST_NUMBER = 64
_TRUTH = {"true": True, "false": False, 1: True, 0: False}


@dataclass(frozen=True, slots=True)
class TypeSchema:
    """The fields of one device type in the order in which they came, and whether new ones may still join."""

    fields: Mapping[str, str] = field(default_factory=dict)
    open: bool = True


Known = Mapping[str, TypeSchema]
"""Device type -> its inferred schema."""
Unknown = dict[str, dict[str, str]]
"""Device type -> fields that no schema has yet, with the kind of their first value."""


class Schemas(Protocol):
    """Where inferred schemas are kept; they only grow."""

    def known(self) -> Known:
        """The schemas that are at hand without asking; a type that is missing may well have one."""

    def extend(self, unknown: Unknown) -> dict[str, TypeSchema]:
        """Adds fields where nobody else did so first; the schemas of these types as they are then."""


def kind_of(value: Any) -> str | None:
    """The kind that a value has by itself; None for null and lists."""
    return _KIND_OF_TYPE.get(type(value))


def natural(kind: str | None, value_type: type) -> bool:
    """Whether any value of this type is of this kind without being looked at; lists never are."""
    return value_type is type(None) or (
        value_type is not list and kind in (None, _KIND_OF_TYPE.get(value_type))
    )


def fit(kind: str, value: Any) -> tuple[Any, bool]:
    """The value as its kind wants it and whether it could be made so; one that does not fit is handed back as it is."""
    if value is None or kind_of(value) == kind:
        return value, True
    if kind == NUMERIC:
        number = _number(value) if isinstance(value, str) else None
        return (value, False) if number is None else (number, True)
    if isinstance(value, list):
        return value, False
    if kind == STRING:
        return orjson.dumps(value).decode(), True
    truth = _TRUTH.get(value.strip().lower() if isinstance(value, str) else value)
    return (value, False) if truth is None else (truth, True)


def _number(text: str) -> float | None:
    """The number in a text; None where it is none, or where a number would not say the same."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.match(text):
        return None
    try:
        whole = int(text)
    except ValueError:
        number = float(text)
        return number if math.isfinite(number) else None
    return whole if -(2**63) <= whole < 2**64 else None


@dataclass(frozen=True, slots=True)
class GivenSchema:
    """The schema of the parameter: device types or globs of them, the exact name first, then in the order given."""

    types: Mapping[str, TypeSchema] = field(default_factory=dict)

    def of(self, device_type: str) -> TypeSchema | None:
        """The given schema of a type, or None where its schema is inferred."""
        exact = self.types.get(device_type)
        if exact is not None:
            return exact
        return next((found for glob, found in self.types.items() if fnmatchcase(device_type, glob)), None)


def from_params(params: config.Params) -> GivenSchema:
    """Parameter `schema`: `{"<device type or glob>": {"<field>": "Numeric" | "String" | "Bool"}}`."""
    types: dict[str, TypeSchema] = {}
    for device_type, fields in config.mapping(params, "schema").items():
        if not isinstance(fields, dict):
            raise ConfigError(f"schema.{device_type}", fields, "must be an object of field: kind")
        named = {name: _kind(device_type, name, kind) for name, kind in fields.items()}
        types[device_type] = TypeSchema(named, open=False)
    return GivenSchema(types)


def _kind(device_type: str, name: str, value: Any) -> str:
    kind = next((kind for kind in KINDS if isinstance(value, str) and kind.lower() == value.lower()), None)
    if kind is None:
        raise ConfigError(f"schema.{device_type}.{name}", value, f"must be one of {', '.join(KINDS)}")
    return kind
