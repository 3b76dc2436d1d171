"""The fields of GBFS station records in their three dialects, as one flat record whose numbers stay numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hort.errors import GbfsError

Record = dict[str, Any]

RENAMED = {
    "num_vehicles_available": "num_bikes_available",
    "num_vehicles_disabled": "num_bikes_disabled",
}
"""Version 3.0 counts vehicles; the flat record keeps the names of 1.x and 2.x."""
FLAGS = ("is_installed", "is_renting", "is_returning")
"""0 or 1 in version 1.x, false or true since 2.0; 0 or 1 in the flat record, so that a window can average them."""
MAX_TEXT = 256


def status_record(number: int, row: Any) -> Record:
    """The flat record of one station: `station_id`, every `num_*`, the flags, `last_reported` in seconds."""
    record: Record = {"station_id": _station_id("station_status", number, row)}
    for name, value in row.items():
        if value is None:
            continue
        where = f"stations[{number}].{name}"
        if name.startswith("num_"):
            record[RENAMED.get(name, name)] = _count(where, value)
        elif name in FLAGS:
            record[name] = _flag(where, value)
        elif name == "last_reported":
            record[name] = seconds("station_status", where, value)
    if "num_bikes_available" not in record:
        raise GbfsError("station_status", f"stations[{number}].num_bikes_available", None, "must be given")
    return record


def information_record(number: int, row: Any, language: str) -> tuple[str, Record]:
    """Station id and {name, capacity} of one row of station_information."""
    station = _station_id("station_information", number, row)
    record: Record = {}
    name = _localised(row.get("name"), language)
    if name:
        record["name"] = name[:MAX_TEXT]
    capacity = row.get("capacity")
    if isinstance(capacity, int) and not isinstance(capacity, bool):
        record["capacity"] = capacity
    return station, record


def seconds(document: str, where: str, value: object) -> int:
    """POSIX seconds of a time that is given as such (1.x, 2.x) or as RFC 3339 text (3.x)."""
    if type(value) in (int, float) and 0 <= value < 2**40:  # type: ignore[operator]
        return int(value)  # type: ignore[call-overload, no-any-return]
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise GbfsError(document, where, value, "must be POSIX seconds or an RFC 3339 time") from error
        if moment.tzinfo is not None:
            return int(moment.timestamp())
    raise GbfsError(document, where, value, "must be POSIX seconds or an RFC 3339 time")


def _station_id(document: str, number: int, row: object) -> str:
    if not isinstance(row, dict):
        raise GbfsError(document, f"stations[{number}]", row, "must be an object")
    value = row.get("station_id")
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise GbfsError(
            document, f"stations[{number}].station_id", value, f"must be text of 1 to {MAX_TEXT} characters"
        )
    return value


def _count(where: str, value: object) -> int:
    if type(value) is int and 0 <= value < 2**31:
        return value
    raise GbfsError("station_status", where, value, "must be a whole number from 0")


def _flag(where: str, value: object) -> int:
    if isinstance(value, bool) or value in (0, 1):
        return int(bool(value))
    raise GbfsError("station_status", where, value, "must be true, false, 1 or 0")


def _localised(value: object, language: str) -> str:
    """A text of 1.x and 2.x, or the wanted (else the first) one of the list that 3.x gives."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    texts = [item for item in value if isinstance(item, dict) and isinstance(item.get("text"), str)]
    wanted = [item for item in texts if item.get("language") == language]
    return str((wanted or texts or [{"text": ""}])[0]["text"])
