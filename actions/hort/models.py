"""A model: what a registered HTTP endpoint is sent, how it is called, and what happens when it fails."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from hort import urls
from hort.errors import AddressRefused, ModelError

MAX_MODELS = 100
MAX_MODEL_BYTES = 64 * 1024
MAX_GLOBS = 100
MAX_GLOB = 256
MAX_DESCRIPTION = 2000
DEFAULT_REQUEST_BYTES = 8 * 1024 * 1024
WEB_ACTION_REQUEST_BYTES = 900_000
"""OpenWhisk takes 1 MB a call, its own envelope included."""
WEB_ACTION_PATH = "/api/v1/web/"

PROTOCOLS = ("json", "query", "instances")
ON_ERROR = ("ignore", "retry", "dead-letter")
MODES = ("active", "shadow")
SEALED = "sealed_url"
"""Member that holds a model's whole address for other registries' polls, see `hort.registry`."""
READ_ONLY = frozenset({"name", "revision", "created_at", "updated_at", "state", SEALED})
"""Keys of an answer that a request may repeat: what was read can be written back as it is."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """After `failures` failed calls within `within_s` no call is made for `open_s`; 0 failures turns the breaker off."""

    failures: int = 5
    within_s: float = 60
    open_s: float = 30


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model.

    Args:
        name: 1 to 64 of letters, digits, `_`, `.` and `-`.
        url: http or https address of its endpoint.
        device_types: globs; a record goes to the model when its device type matches one.
        events: globs for the event.
        protocol: `json` and `query` are one call a record, `instances` one call a batch. Where none is given, a web action is called
            by `instances`, as each call is one of its namespace's invocations, and any other model by `json`.
        timeout_ms: a call's whole time.
        retries: how often a call that failed for a passing reason is made again.
        on_error: what then: `ignore` leaves the result's status, `retry` goes on while the batch has time, `dead-letter`
            also keeps the record among the dead letters.
        breaker: when to stop calling a model that fails.
        mode: results of a `shadow` model are marked, so that nobody acts on them.
        group: models of one group share the devices: each device goes to one of them, for good.
        weight: the model's share within its group.
        enabled: false keeps the model registered and sends it nothing.
        concurrency: calls at the same time.
        max_instances: records in one call of protocol `instances`.
        max_bytes: size of such a call; 0 means 8 MiB, or 900 kB where the model is an OpenWhisk web action.
        version: text that the results carry; counted up where a change names none.
        revision: counted up with each change.
    """

    name: str
    url: str
    device_types: tuple[str, ...] = ("*",)
    events: tuple[str, ...] = ("*",)
    protocol: str = "json"
    timeout_ms: int = 2000
    retries: int = 0
    on_error: str = "ignore"
    breaker: BreakerRule = field(default_factory=BreakerRule)
    mode: str = "active"
    group: str = ""
    weight: float = 1
    enabled: bool = True
    concurrency: int = 16
    max_instances: int = 5000
    max_bytes: int = 0
    description: str = ""
    version: str = "1"
    revision: int = 1
    created_at: str = ""
    updated_at: str = ""

    @property
    def request_bytes(self) -> int:
        """How large a call of protocol `instances` may be."""
        if self.max_bytes:
            return self.max_bytes
        return WEB_ACTION_REQUEST_BYTES if is_web_action(self.url) else DEFAULT_REQUEST_BYTES

    def applies(self, device_type: str, event: str) -> bool:
        """True where records of this device type and event go to the model."""
        return _any_glob(self.device_types, device_type) and _any_glob(self.events, event)

    def as_json(self) -> dict[str, Any]:
        """Everything that was registered, as JSON values."""
        value = asdict(self)
        value["device_types"], value["events"] = list(self.device_types), list(self.events)
        return value


def _any_glob(globs: tuple[str, ...], text: str) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def is_web_action(url: str) -> bool:
    """Whether an address is that of an OpenWhisk web action, whatever its host is called here."""
    return WEB_ACTION_PATH in urlsplit(url).path


def default_protocol(url: str) -> str:
    """The protocol of a model that names none: a web action's calls count as invocations, so that one a batch must do."""
    return "instances" if is_web_action(url) else "json"


def checked_name(name: object) -> str:
    """A model's name; ModelError where it is none."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.strip(".") == "":
        raise ModelError("name", _short(name), "must be 1 to 64 letters, digits, '_', '.' or '-'")
    return name


def parse(name: object, values: Mapping[str, Any]) -> Model:
    """The model that a JSON object describes; ModelError names the field that is wrong."""
    known = checked_name(name)
    if "name" in values and values["name"] != known:
        raise ModelError("name", _short(values["name"]), f"must be '{known}' as in the path")
    if values.get("url") is None:
        raise ModelError("url", None, "must be given")
    model = replace(Model(name=known, url=""), **checked(values))
    return replace(model, protocol=default_protocol(model.url)) if values.get("protocol") is None else model


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The writable fields among the values, each checked; null means the default."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        if key in READ_ONLY:
            continue
        if key not in _CHECKS:
            raise ModelError(key[:100], None, f"is not known; known are {', '.join(_CHECKS)}")
        result[key] = _DEFAULTS[key] if value is None else _CHECKS[key](key, value)
    return result


def stored(value: Mapping[str, Any]) -> Model:
    """A model from what `as_json` gave, checked again."""
    model = parse(value.get("name"), value)
    revision, created, updated = value.get("revision"), value.get("created_at"), value.get("updated_at")
    return replace(
        model,
        revision=revision if type(revision) is int else 1,
        created_at=created if isinstance(created, str) else "",
        updated_at=updated if isinstance(updated, str) else "",
    )


def _text(limit: int) -> Callable[[str, Any], str]:
    def check(key: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) > limit or "\0" in value:
            raise ModelError(key, _short(value), f"must be text of at most {limit} characters")
        return value

    return check


def _choice(choices: tuple[str, ...]) -> Callable[[str, Any], str]:
    def check(key: str, value: Any) -> str:
        if value not in choices:
            raise ModelError(key, _short(value), f"must be one of {', '.join(choices)}")
        return str(value)

    return check


def _integer(minimum: int, maximum: int) -> Callable[[str, Any], int]:
    def check(key: str, value: Any) -> int:
        if type(value) is not int or not minimum <= value <= maximum:
            raise ModelError(key, _short(value), f"must be a whole number from {minimum} to {maximum}")
        return value

    return check


def _number(minimum: float, maximum: float) -> Callable[[str, Any], float]:
    def check(key: str, value: Any) -> float:
        if type(value) not in (int, float) or not math.isfinite(value) or not minimum <= value <= maximum:
            raise ModelError(key, _short(value), f"must be a number from {minimum:g} to {maximum:g}")
        return float(value)

    return check


def _flag(key: str, value: Any) -> bool:
    if type(value) is not bool:
        raise ModelError(key, _short(value), "must be true or false")
    return value


def _globs(key: str, value: Any) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not 1 <= len(items) <= MAX_GLOBS:
        raise ModelError(key, _short(value), f"must be a list of 1 to {MAX_GLOBS} patterns such as 'bike*'")
    for item in items:
        if not isinstance(item, str) or not 1 <= len(item) <= MAX_GLOB:
            raise ModelError(key, _short(item), f"must hold patterns of 1 to {MAX_GLOB} characters")
        if item.count("*") > 8:
            raise ModelError(key, _short(item), "must hold patterns with at most 8 '*'")
    return tuple(items)


def _url(key: str, value: Any) -> str:
    try:
        urls.parse(value)
    except AddressRefused as error:
        raise ModelError(key, urls.shown(value), f"is not usable: {error.reason}") from error
    if urls.is_masked(value):
        raise ModelError(key, urls.shown(value), f"holds {urls.MASK} for a value that is shown to nobody: write the whole address, or poll with the registry's key")
    return str(value)


def _breaker(key: str, value: Any) -> BreakerRule:
    if isinstance(value, BreakerRule):
        return value
    if not isinstance(value, dict):
        raise ModelError(key, _short(value), "must be an object with failures, within_s and open_s")
    for name in value:
        if name not in _BREAKER_CHECKS:
            raise ModelError(
                f"{key}.{name[:100]}",
                _short(value[name]),
                "is not known; known are failures, within_s, open_s",
            )
    given = {
        name: _BREAKER_CHECKS[name](f"{key}.{name}", item) for name, item in value.items() if item is not None
    }
    return replace(BreakerRule(), **given)


def _version(key: str, value: Any) -> str:
    if type(value) is int and 0 <= value < 2**53:
        return str(value)
    if not isinstance(value, str) or not 1 <= len(value) <= 64 or "\0" in value:
        raise ModelError(key, _short(value), "must be text of 1 to 64 characters")
    return value


def _group(key: str, value: Any) -> str:
    if isinstance(value, str) and (value == "" or _NAME.fullmatch(value)):
        return value
    raise ModelError(key, _short(value), "must be empty or 1 to 64 letters, digits, '_', '.' or '-'")


def _short(value: object) -> object:
    """A value fit for an error: what is long is cut, what is nested is only named."""
    if isinstance(value, (dict, list, tuple)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return value if len(repr(value)) <= 200 else repr(value)[:200] + "..."


_BREAKER_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "failures": _integer(0, 100),
    "within_s": _number(1, 3600),
    "open_s": _number(1, 3600),
}
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "url": _url,
    "device_types": _globs,
    "events": _globs,
    "protocol": _choice(PROTOCOLS),
    "timeout_ms": _integer(10, 30_000),
    "retries": _integer(0, 5),
    "on_error": _choice(ON_ERROR),
    "breaker": _breaker,
    "mode": _choice(MODES),
    "group": _group,
    "weight": _number(0, 1_000_000),
    "enabled": _flag,
    "concurrency": _integer(1, 64),
    "max_instances": _integer(1, 50_000),
    "max_bytes": _integer(0, 32 * 1024 * 1024),
    "description": _text(MAX_DESCRIPTION),
    "version": _version,
}
_EXAMPLE = Model(name="x", url="")
_DEFAULTS: dict[str, Any] = {item.name: getattr(_EXAMPLE, item.name) for item in fields(Model)}
