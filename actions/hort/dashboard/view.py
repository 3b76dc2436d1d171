"""What a visitor of the dashboard wants to see: the query's parameters, checked and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hort import strict_json
from hort.errors import ConfigError

STATS = ("avg", "min", "max", "sum", "std")
STEPS_S = {5: (5, 15), 15: (15, 30), 60: (30, 60), 360: (180, 300), 1440: (720, 1200)}
"""Minutes that may be looked at -> seconds between two points of a line, and of the rate."""
MAX_DEVICES = 12
DEFAULT_DEVICES = 6
MAX_NAME = 512


@dataclass(frozen=True, slots=True)
class View:
    """A choice of data; empty text and no devices mean: what is most worth seeing."""

    device_type: str = ""
    event: str = ""
    field: str = ""
    stat: str = "avg"
    minutes: int = 15
    devices: tuple[str, ...] = ()

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> View:
        """The view of a request's parameters (`type`, `event`, `field`, `stat`, `minutes`, `devices` as a JSON list)."""
        return cls(
            device_type=_name(params, "type"),
            event=_name(params, "event"),
            field=_name(params, "field"),
            stat=_choice(params, "stat", STATS, "avg"),
            minutes=int(_choice(params, "minutes", tuple(map(str, STEPS_S)), "15")),
            devices=_devices(params.get("devices")),
        )

    @property
    def step_s(self) -> int:
        """Seconds between two points of a line."""
        return STEPS_S[self.minutes][0]

    @property
    def rate_step_s(self) -> int:
        """Seconds that a rate is counted over: longer than most devices' period, or it would only show that."""
        return STEPS_S[self.minutes][1]


def _name(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name) or ""
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise ConfigError(name, str(value)[:40], f"must be text of at most {MAX_NAME} characters")
    return value


def _choice(params: Mapping[str, Any], name: str, choices: tuple[str, ...], default: str) -> str:
    value = str(params.get(name) or default)
    if value not in choices:
        raise ConfigError(name, value[:40], f"must be one of {', '.join(choices)}")
    return value


def _devices(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    try:
        items = strict_json.loads(value) if isinstance(value, str) else value
    except strict_json.Refused as error:
        raise ConfigError("devices", str(value)[:40], "must be a JSON list of ids") from error
    if not isinstance(items, list) or len(items) > MAX_DEVICES:
        raise ConfigError("devices", str(value)[:40], f"must be a JSON list of at most {MAX_DEVICES} ids")
    if not all(isinstance(item, str) and 0 < len(item) <= MAX_NAME for item in items):
        raise ConfigError("devices", str(value)[:40], f"must hold ids of 1 to {MAX_NAME} characters")
    return tuple(dict.fromkeys(items))
