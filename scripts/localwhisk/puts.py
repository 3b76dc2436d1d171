"""Reads the bodies of PUT requests into values with a form; says what is wrong in the server's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localwhisk import jsonio, kinds, messages, names
from localwhisk.entities import KeyValues, merged
from localwhisk.errors import ApiError, malformed
from localwhisk.http import Request
from localwhisk.limits import Limits

_VERSION = re.compile(r"\d+(?:\.\d+){0,2}\Z")
_IMAGE = re.compile(
    r"(?:(?:[A-Za-z0-9.\-]+(?::\d+)?)/)?(?:[a-z0-9._\-]+/)*[a-z0-9._\-]+(?::[A-Za-z0-9._\-]+)?(?:@sha256:[0-9a-f]{64})?\Z"
)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_STRETCH = 1 << 16
_RANGES = (
    # name in the body, name in errors, what and unit in range errors, field of Limits
    ("timeout", "time", "duration", " milliseconds", "timeout_ms"),
    ("memory", "memory", "memory size", " MB", "memory_mb"),
    ("logs", "log", "log size", " MB", "logs_mb"),
    ("concurrency", "concurrency", "concurrency", "", "concurrency"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPut:
    """The `exec` of a PUT; `code` None where there is none."""

    kind: str
    code: str | None = None
    main: str | None = None
    image: str | None = None
    components: tuple[names.Name, ...] = ()

    @property
    def binary(self) -> bool:
        """Whether the code is base64 of an archive; what the client says of it does not count."""
        return self.code is not None and is_base64(self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Members that all kinds share; None for what the body leaves out."""

    version: str | None
    publish: bool | None
    annotations: KeyValues | None
    parameters: KeyValues | None
    body: Mapping[str, Any]


async def read(request: Request, limits: Limits, *, first_field: str) -> Put:
    """Read the shared members; `first_field` is what the server names when the body is no object."""
    raw = await request.json_body()
    body = jsonio.parse_object(raw, f"Object expected in field '{first_field}'")
    del raw
    request.forget_body()
    put = Put(
        version=version(body.get("version")),
        publish=_boolean(body.get("publish")),
        annotations=key_values(body.get("annotations")),
        parameters=key_values(body.get("parameters")),
        body=body,
    )
    for field in ("parameters", "annotations"):
        _check_size(field, getattr(put, field), limits.parameters)
    return put


def key_values(value: object) -> KeyValues | None:
    """A list of {key, value}; a key given twice counts once, with its last value."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(_is_pair(item) for item in value):
        raise malformed(messages.PARAMETERS_MALFORMED)
    return merged([{key: item[key] for key in ("key", "value", "init") if key in item} for item in value])


def version(value: object) -> str | None:
    """'1.2.3' of '1.2.3', '1.2' or '1'."""
    if value is None:
        return None
    if not isinstance(value, str) or not _VERSION.match(value):
        raise malformed(messages.VERSION_MALFORMED)
    parts = [str(int(part)) for part in value.split(".")]
    return ".".join(parts + ["0"] * (3 - len(parts)))


def next_version(current: str) -> str:
    """Patch part raised by one."""
    major, minor, patch = current.split(".")
    return f"{major}.{minor}.{int(patch) + 1}"


def action_exec(body: Mapping[str, Any], own: str, limits: Limits) -> ExecPut | None:
    """The `exec` member; `own` is the namespace '_' stands for."""
    value = body.get("exec")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise malformed(messages.OBJECT_EXPECTED)
    kind = value.get("kind")
    if not isinstance(kind, str):
        raise malformed(messages.KIND_MISSING)
    kind = kind.strip().lower()
    if kind == kinds.SEQUENCE:
        return ExecPut(kind=kind, components=_components(value, own))
    if kind == kinds.BLACKBOX:
        return _blackbox(value, limits)
    return _managed(kind, value, limits)


def action_limits(
    body: Mapping[str, Any], current: Mapping[str, int] | None, limits: Limits
) -> dict[str, int]:
    """The limits of an action: those given over the current or default ones, in range."""
    value = body.get("limits") or {}
    if not isinstance(value, dict):
        raise malformed(messages.OBJECT_EXPECTED)
    chosen: dict[str, int] = {}
    for name, label, *_, field in _RANGES:
        default = current[name] if current else getattr(limits, field)[1]
        chosen[name] = _integer(value.get(name), default, label)
    if value.get("instances") is not None:
        chosen["instances"] = _integer(value["instances"], 0, "instance concurrency")
        if chosen["instances"] < 0:
            raise malformed(messages.INSTANCES_NEGATIVE)
    elif current and "instances" in current:
        chosen["instances"] = current["instances"]
    _check_ranges(chosen, limits)
    return dict(sorted(chosen.items()))


def is_base64(code: str) -> bool:
    """Whether code is one block of base64, as clients send archives."""
    text = code.strip()
    if not text or len(text) % 4 or not text.isascii():
        return False
    end = len(text) - (2 if text.endswith("==") else 1 if text.endswith("=") else 0)
    return not any(
        text[start : min(start + _STRETCH, end)].encode().translate(None, _BASE64)
        for start in range(0, end, _STRETCH)
    )


def _components(value: Mapping[str, Any], own: str) -> tuple[names.Name, ...]:
    components = value.get("components")
    if components is None:
        raise malformed(messages.COMPONENTS_MISSING)
    if not isinstance(components, list):
        raise malformed(messages.COMPONENTS_NOT_ARRAY)
    return tuple(names.qualified(component, own) for component in components)


def _blackbox(value: Mapping[str, Any], limits: Limits) -> ExecPut:
    image = value.get("image")
    if not isinstance(image, str):
        raise malformed(messages.IMAGE_MISSING)
    if not _IMAGE.match(image):
        raise malformed(messages.IMAGE_MALFORMED)
    code = value.get("code")
    if code is not None and not isinstance(code, str):
        raise malformed(messages.code_not_text(jsonio.dumps(code).decode()))
    _check_code(code, limits)
    return ExecPut(kind=kinds.BLACKBOX, image=image, code=code or None, main=_main(value, kinds.BLACKBOX))


def _managed(kind: str, value: Mapping[str, Any], limits: Limits) -> ExecPut:
    concrete = kinds.resolve(kind)
    if concrete is None:
        raise malformed(messages.runtime_unsupported(kind, kinds.listed()))
    code = value.get("code")
    if code is None:
        raise malformed(messages.code_missing(concrete))
    if not isinstance(code, str):
        raise malformed(messages.code_not_text(jsonio.dumps(code).decode()))
    _check_code(code, limits)
    return ExecPut(kind=concrete, code=code, main=_main(value, concrete))


def _main(value: Mapping[str, Any], kind: str) -> str | None:
    main = value.get("main")
    if main is not None and not isinstance(main, str):
        raise malformed(messages.main_not_string(kind))
    return main


def _check_code(code: str | None, limits: Limits) -> None:
    if code is not None and len(code) > limits.code:
        raise ApiError(413, messages.field_larger("exec", len(code), limits.code))


def _check_size(field: str, pairs: KeyValues | None, limit: int) -> None:
    size = sum(len(pair["key"].encode()) + len(jsonio.dumps(pair["value"])) for pair in pairs or ())
    if size > limit:
        raise ApiError(413, messages.field_larger(field, size, limit))


def _check_ranges(chosen: Mapping[str, int], limits: Limits) -> None:
    for name, _, what, unit, field in _RANGES:
        low, _, high = getattr(limits, field)
        if chosen[name] < low:
            raise ApiError(400, messages.limit_below(what, unit, chosen[name], low))
        if chosen[name] > high:
            raise ApiError(400, messages.limit_above(what, unit, chosen[name], high))


def _integer(value: object, default: int, label: str) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise malformed(messages.limit_malformed(label))
    return value


def _boolean(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise malformed(f"Expected JsBoolean, but got {jsonio.dumps(value).decode()}")
    return value


def _is_pair(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("key"), str) and "value" in item
