"""Topic patterns: which levels of an MQTT topic name the device type, the device and the event."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hort.errors import ConfigError

DEFAULT_PATTERN = "iot-2/type/{device_type}/id/{device_id}/evt/{event}/fmt/{format}"
"""The Watson IoT convention; `iot-2/type/+/id/+/evt/+/fmt/+` means the same."""
NAMES = ("device_type", "device_id", "event", "format")
_PLAIN_NAMES = {0: (), 1: ("device_id",), 2: NAMES[:2], 3: NAMES[:3], 4: NAMES}
_PLACEHOLDER = re.compile(r"^\{([^{}]*)\}$")


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """A compiled pattern: `levels` are texts to be equal to or None, `names` say where a part of the key stands."""

    text: str
    levels: tuple[str | None, ...]
    names: dict[str, int]
    open_end: bool

    def match(self, topic: str) -> dict[str, str] | None:
        """The named levels of a topic, or None where it does not fit; a named level is never empty."""
        given = topic.split("/")
        if len(given) < len(self.levels) or (len(given) > len(self.levels) and not self.open_end):
            return None
        if any(
            level is not None and level != other for level, other in zip(self.levels, given, strict=False)
        ):
            return None
        found = {name: given[place] for name, place in self.names.items()}
        return found if all(found.values()) else None


def compile_pattern(text: str, *, parameter: str = "topic_pattern") -> TopicPattern:
    """The compiled form of `a/{device_type}/{device_id}/+/#` or of a plain MQTT filter; ConfigError where it is none.

    In a pattern with names, `+` is any level. In one without, its pluses are (in this order) device type, id, event and
    format; two are type and id, a single one is the id. `#` may only end the pattern and stands for any number of levels.
    """
    parts = text.split("/")
    open_end = parts[-1] == "#"
    if open_end:
        parts.pop()
    levels = tuple(_level(part, text, parameter) for part in parts)
    named = [(place, level[1:-1]) for place, level in enumerate(levels) if level and level.startswith("{")]
    if not named:
        named = _plain_names(levels, text, parameter)
    names = {name: place for place, name in named}
    if len(names) != len(named):
        raise ConfigError(parameter, text, "must not use a name twice")
    fixed = tuple(None if level is None or level.startswith("{") else level for level in levels)
    return TopicPattern(text, fixed, names, open_end)


def _level(part: str, text: str, parameter: str) -> str | None:
    """A level as it is, None for `+`; ConfigError where it is no level of a pattern."""
    if part == "+":
        return None
    match = _PLACEHOLDER.match(part)
    if match and match[1] not in NAMES:
        raise ConfigError(parameter, text, f"may name {', '.join(NAMES)}, not {match[1]!r},")
    if not match and any(sign in part for sign in "+#{}"):
        raise ConfigError(parameter, text, f"has a level {part!r} that is neither text, + nor one {{name}}")
    return part


def _plain_names(levels: tuple[str | None, ...], text: str, parameter: str) -> list[tuple[int, str]]:
    places = [place for place, level in enumerate(levels) if level is None]
    names = _PLAIN_NAMES.get(len(places))
    if names is None:
        raise ConfigError(parameter, text, "must have at most four +; use {names} where it has more levels")
    return list(zip(places, names, strict=True))
