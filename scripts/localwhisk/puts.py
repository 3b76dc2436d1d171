"""Reads the bodies of PUT requests into values with a form; says what is wrong in the server's words.

The server reads a body twice: first what its size limits are about, then, after the query, all of it. Which of several
faults is told follows from that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localwhisk import execs, jsonio, messages
from localwhisk.entities import KeyValues, merged
from localwhisk.errors import ApiError, malformed
from localwhisk.execs import ExecPut
from localwhisk.http import Request
from localwhisk.limits import Limits

_VERSION_PART = re.compile(r"\+?[0-9]+\Z", re.ASCII)
_VERSION_PARTS = 3
_MAX_INT = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Members that all kinds share; None for what the body leaves out."""

    exec: ExecPut | None
    parameters: KeyValues | None
    annotations: KeyValues | None
    body: Mapping[str, Any]

    def version(self) -> str | None:
        """The version given; raises 400."""
        return version(self.body.get("version"))

    def publish(self) -> bool | None:
        """Whether it is to be shared; raises 400."""
        value = self.body.get("publish")
        if value is not None and not isinstance(value, bool):
            raise malformed(messages.not_json_boolean(_shown(value)))
        return value

    def removed_annotations(self) -> list[str]:
        """Annotations to take away; raises 400."""
        value = self.body.get("delAnnotations")
        if value is None:
            return []
        if not isinstance(value, list):
            raise malformed(messages.not_json_array(_shown(value)))
        for item in value:
            if not isinstance(item, str):
                raise malformed(messages.not_json_string(_shown(item)))
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a PUT says of the entity itself."""

    version: str | None
    publish: bool | None

    @classmethod
    def of(cls, put: Put) -> Header:
        """Read it, in the order of the server; raises 400."""
        return cls(version=put.version(), publish=put.publish())


async def read(request: Request, own: str, limits: Limits) -> Put:
    """Read what the size limits are about; raises 400 and 413. `own` is the namespace '_' stands for."""
    raw = await request.json_body()
    body = jsonio.parse_object(raw, messages.object_expected("exec"))
    del raw
    request.forget_body()
    put = Put(
        exec=execs.read(body.get("exec"), own),
        parameters=key_values(body.get("parameters")),
        annotations=key_values(body.get("annotations")),
        body=body,
    )
    if put.exec is not None:
        _check_size("exec", put.exec.size, limits.code)
    _check_size("parameters", _size(put.parameters), limits.parameters)
    _check_size("annotations", _size(put.annotations), limits.parameters)
    return put


def key_values(value: object) -> KeyValues | None:
    """A list of {key, value}; a key given twice counts once, with its last value."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(_is_pair(item) for item in value):
        raise malformed(messages.PARAMETERS_MALFORMED)
    return merged([_pair(item) for item in value])


def version(value: object) -> str | None:
    """'1.2.3' of '1.2.3', '1.2' or '1'; what comes after three parts does not count."""
    if value is None:
        return None
    given = value.rstrip(".").split(".")[:_VERSION_PARTS] if isinstance(value, str) else [""]
    if not all(_VERSION_PART.match(part) and int(part) <= _MAX_INT for part in given):
        raise malformed(messages.VERSION_MALFORMED)
    parts = [int(part) for part in given] + [0] * (_VERSION_PARTS - len(given))
    if not any(parts):
        raise malformed(messages.VERSION_MALFORMED)
    return ".".join(str(part) for part in parts)


def next_version(current: str) -> str:
    """Patch part raised by one."""
    major, minor, patch = current.split(".")
    return f"{major}.{minor}.{int(patch) + 1}"


def _check_size(field: str, size: int, limit: int) -> None:
    if size > limit:
        raise ApiError(413, messages.field_larger(field, size, limit))


def _size(pairs: KeyValues | None) -> int:
    return sum(len(pair["key"].encode()) + len(jsonio.dumps(pair["value"])) for pair in pairs or ())


def _is_pair(item: object) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("key"), str) or "value" not in item:
        return False
    encryption = item.get("encryption", "")
    named = isinstance(encryption, str) or (encryption is None and "init" in item)
    return named and isinstance(item.get("init", False), bool)


def _pair(item: Mapping[str, Any]) -> dict[str, Any]:
    pair = {"key": item["key"], "value": item["value"]}
    return pair | {"init": True} if item.get("init") else pair


def _shown(value: object) -> str:
    return jsonio.dumps(value).decode()
