"""GBFS documents in the versions 1.1, 2.3 and 3.0, rendered from rows in the form of 1.1.

Source: General Bikeshare Feed Specification, MobilityData: 2.0 made the flags booleans, 3.0 dropped the languages from
auto-discovery, renamed bikes to vehicles, and writes times as RFC 3339 and names as lists of localised texts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gbfs_server.source import Information, Row, Snapshot

VERSIONS = ("1.1", "2.3", "3.0")
LANGUAGE = "en"
TIMEZONE = "America/Chicago"
FEEDS = ("system_information", "station_information", "station_status")
INFORMATION_TTL_S = 3600
_FLAGS = ("is_installed", "is_renting", "is_returning")
_TEXTS = ("name", "short_name")

Document = dict[str, Any]


def discovery(version: str, base: str, *, now: int) -> Document:
    """gbfs.json: where the feeds are."""
    feeds = [{"name": name, "url": f"{base}/{name}.json"} for name in FEEDS]
    data = {"feeds": feeds} if version == "3.0" else {LANGUAGE: {"feeds": feeds}}
    return _document(version, now, INFORMATION_TTL_S, data)


def system_information(version: str, name: str, *, now: int) -> Document:
    """system_information.json."""
    data: Document = {"system_id": "hort", "timezone": TIMEZONE, "name": _text(name, version)}
    if version == "3.0":
        data |= {"languages": [LANGUAGE], "opening_hours": "24/7"}
    else:
        data["language"] = LANGUAGE
    return _document(version, now, INFORMATION_TTL_S, data)


def station_information(version: str, information: Information) -> Document:
    """station_information.json."""
    rows = [
        {name: _text(value, version) if name in _TEXTS else value for name, value in row.items()}
        for row in information.stations
    ]
    return _document(version, information.last_updated, INFORMATION_TTL_S, {"stations": rows})


def station_status(version: str, snapshot: Snapshot) -> Document:
    """station_status.json."""
    rows = [_status_row(row, version) for row in snapshot.stations]
    return _document(version, snapshot.last_updated, snapshot.ttl, {"stations": rows})


def _document(version: str, last_updated: int, ttl: int, data: Document) -> Document:
    return {"last_updated": _time(last_updated, version), "ttl": ttl, "version": version, "data": data}


def _status_row(row: Row, version: str) -> Row:
    if version == "1.1":
        return row
    result: Row = {}
    for name, value in row.items():
        if name in _FLAGS:
            result[name] = bool(value)
        elif version == "3.0" and name == "last_reported":
            result[name] = _time(value, version)
        elif version == "3.0" and name.startswith("num_bikes_"):
            result[name.replace("num_bikes_", "num_vehicles_")] = value
        else:
            result[name] = value
    return result


def _time(seconds: int, version: str) -> int | str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}" if version == "3.0" else seconds


def _text(text: str, version: str) -> str | list[dict[str, str]]:
    return [{"text": text, "language": LANGUAGE}] if version == "3.0" else text
