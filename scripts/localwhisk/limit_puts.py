"""Reads the `limits` of an action; says what is wrong in the server's words (its *Limit.scala)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localwhisk import messages
from localwhisk.errors import ApiError, malformed
from localwhisk.limits import Limits

_WORD = 1 << 32
INSTANCES = "instances"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """A member of `limits`: how errors about its form and its range name it, and which figures of Limits bound it."""

    name: str
    form: str
    whole: str
    what: str = ""
    unit: str = ""
    bounds: str = ""
    negative: str | None = None


_LIMITS = (
    _Limit(
        name="timeout", form="time", whole="time", what="duration", unit=" milliseconds", bounds="timeout_ms"
    ),
    _Limit(
        name="memory",
        form="memory",
        whole="memory",
        what="memory size",
        unit=" MB",
        bounds="memory_mb",
        negative=messages.SIZE_NEGATIVE,
    ),
    _Limit(
        name="logs",
        form="log",
        whole="log",
        what="log size",
        unit=" MB",
        bounds="logs_mb",
        negative=messages.SIZE_NEGATIVE,
    ),
    _Limit(
        name="concurrency",
        form="concurrency",
        whole="intra concurrency",
        what="concurrency",
        bounds="concurrency",
    ),
    _Limit(
        name=INSTANCES,
        form="instance concurrency",
        whole="instance concurrency",
        negative=messages.INSTANCES_NEGATIVE,
    ),
)
_RANGES = sorted((limit for limit in _LIMITS if limit.bounds), key=lambda limit: limit.name != "memory")


def read(value: object) -> dict[str, int]:
    """The limits a PUT gives, by name; raises 400."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed(messages.object_expected(_LIMITS[0].name))
    given = {limit.name: value[limit.name] for limit in _LIMITS if value.get(limit.name) is not None}
    return {limit.name: _integer(limit, given[limit.name]) for limit in _LIMITS if limit.name in given}


def check(given: Mapping[str, int], limits: Limits) -> None:
    """Raise the 400 of a limit out of its range."""
    for limit in _RANGES:
        if limit.name not in given:
            continue
        low, _, high = getattr(limits, limit.bounds)
        value = given[limit.name]
        if value > high:
            raise ApiError(400, messages.limit_above(limit.what, limit.unit, value, high))
        if value < low:
            raise ApiError(400, messages.limit_below(limit.what, limit.unit, value, low))


def chosen(given: Mapping[str, int], current: Mapping[str, int] | None, limits: Limits) -> dict[str, int]:
    """The limits given over the current or default ones."""
    defaults = {limit.name: getattr(limits, limit.bounds)[1] for limit in _RANGES}
    return dict(sorted({**(current or defaults), **given}.items()))


def _integer(limit: _Limit, value: object) -> int:
    """A whole number, as Java reads it into 32 bits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise malformed(messages.limit_malformed(limit.form))
    if isinstance(value, float) and not value.is_integer():
        raise malformed(messages.limit_not_whole(limit.whole))
    number = (int(value) + _WORD // 2) % _WORD - _WORD // 2
    if number < 0 and limit.negative is not None:
        raise malformed(limit.negative)
    return number
