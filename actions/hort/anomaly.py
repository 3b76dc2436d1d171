"""The anomaly rule: a value above or below its average by more than one standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hort.model_action import Predict

DANGER_HIGH, DANGER_LOW, WELL, NO_WINDOW = "danger-high", "danger-low", "all-is-well", "no-window"
KEY = "simple_anomaly_detection_"
"""Prefix of the original's result keys."""
MAX_FIELDS = 200

_WORST = (DANGER_HIGH, DANGER_LOW, WELL, NO_WINDOW)


def detector(fields: Sequence[str] = (), *, sigma: float = 1.0) -> Predict:
    """The anomaly model over these fields (none: every field with analytics), `sigma` standard deviations wide."""

    def predict(instance: Mapping[str, Any]) -> dict[str, Any]:
        data, properties = instance["device_data"], _properties(instance.get("analytics"))
        names = fields or [name for name in data if name in properties["avg"]]
        found = {name: _field(name, data, properties, sigma) for name in names[:MAX_FIELDS] if name in data}
        statuses = {found[name]["status"] for name in found}
        worst = next((status for status in _WORST if status in statuses), NO_WINDOW)
        originals = {KEY + name: item["status"] for name, item in found.items()}
        return {"status": worst, "fields": found, **originals}

    return predict


def _field(name: str, data: Mapping[str, Any], properties: Mapping[str, Any], sigma: float) -> dict[str, Any]:
    value, average, deviation = _number(data[name]), properties["avg"].get(name), properties["std"].get(name)
    if value is None or average is None or deviation is None:
        return {"status": NO_WINDOW, "value": value}
    return {
        "status": _status(value, average, deviation * sigma),
        "value": value,
        "avg": _short(average),
        "std": _short(deviation),
    }


def _status(value: float, average: float, deviation: float) -> str:
    """Above average + deviation, below average - deviation, or neither; rounding alone is no anomaly."""
    slack = 1e-9 * max(1.0, abs(average))
    if value > average + deviation + slack:
        return DANGER_HIGH
    if value < average - deviation - slack:
        return DANGER_LOW
    return WELL


def _properties(analytics: object) -> dict[str, dict[str, float]]:
    properties = analytics.get("properties") if isinstance(analytics, dict) else None
    found = properties if isinstance(properties, dict) else {}
    return {part: _numbers(found.get(part)) for part in ("avg", "std")}


def _numbers(values: object) -> dict[str, float]:
    if not isinstance(values, dict):
        return {}
    return {name: number for name, value in values.items() if (number := _number(value)) is not None}


def _number(value: object) -> float | None:
    """Numbers and texts that read as one (everything off MQTT may be text)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def _short(value: float) -> float:
    return float(f"{value:.6g}")
