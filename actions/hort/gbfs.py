"""GBFS client: finds the feeds by auto-discovery and brings the station status of versions 1.x, 2.x and 3.x into one flat form.

Source: General Bikeshare Feed Specification, MobilityData, versions 1.1, 2.3 and 3.0. The versions are told apart by the
shape of the documents, because many publishers name a version that they do not quite follow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from hort import clock, gbfs_fields, strict_json
from hort.errors import GbfsError, SourceUnavailable

Fetch = Callable[[str], bytes]
"""Gets a document; raises SourceUnavailable (or any HortError) where that fails."""
Record = dict[str, Any]

MAX_STATIONS = 20_000
MAX_PROBLEMS = 5
DISCOVERY_TTL_S = (60, 86_400)
"""Auto-discovery and station information are kept at least and at most this long, whatever their ttl says."""


@dataclass(frozen=True, slots=True)
class Status:
    """One station_status document; `last_updated` in seconds, `problems` name some of the `malformed` stations left out."""

    url: str
    version: str
    last_updated: int
    ttl: int
    stations: list[Record]
    problems: list[str] = field(default_factory=list)
    malformed: int = 0

    @property
    def identity(self) -> str:
        """Same source, time and content, same identity: publishers do change a document under one `last_updated`."""
        content = json.dumps([self.url, self.last_updated, self.stations], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:24]


@dataclass(slots=True)
class _Kept:
    """A value and the time (ms) up to which it need not be asked for again."""

    value: Any = None
    until: int = -1


class Client:
    """One GBFS source, kept over warm calls: what its ttl says is still fresh is not asked for again."""

    def __init__(
        self, url: str, fetch: Fetch, *, language: str = "en", now: Callable[[], int] = clock.now_ms
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._language = language
        self._now = now
        self._feeds = _Kept({})
        self._names: _Kept = _Kept({})
        self._status_until = -1
        self._ttl_ms = 0

    def status(self) -> Status | None:
        """The station status now, or None while the last one is fresh by its own ttl; not for longer when the clock went back."""
        if 0 < self._status_until - self._now() <= self._ttl_ms:
            return None
        url = self._discovered().get("station_status")
        if url is None:
            raise GbfsError("gbfs.json", "feeds", sorted(self._feeds.value), "must list station_status")
        try:
            document = self._document(url, "station_status")
        except SourceUnavailable:
            self._feeds.until = -1
            raise
        status = parse_status(document, url=url, names=self._information())
        self._status_until, self._ttl_ms = self._fresh_until(status), status.ttl * 1000
        return status

    @property
    def next_poll_ms(self) -> int:
        """Time (ms) from which on the source has something new by its own account."""
        return self._status_until

    def _fresh_until(self, status: Status) -> int:
        by_document = (status.last_updated + status.ttl) * 1000
        return min(self._now() + status.ttl * 1000, by_document)

    def _discovered(self) -> dict[str, str]:
        if self._now() >= self._feeds.until:
            document = self._document(self._url, "gbfs.json")
            feeds = parse_feeds(document, language=self._language)
            self._feeds = _Kept(
                {name: self._absolute(name, url) for name, url in feeds.items()}, self._keep_until(document)
            )
        feeds = self._feeds.value
        return dict(feeds)

    def _absolute(self, name: str, url: str) -> str:
        try:
            return urljoin(self._url, url)
        except ValueError as error:
            raise GbfsError("gbfs.json", f"feeds.{name[:40]}.url", url, "must be a URL") from error

    def _information(self) -> Mapping[str, Record]:
        """Names and capacities; a source without them, or one whose list fails now, still has its status published."""
        url = self._feeds.value.get("station_information")
        if url is None or self._now() < self._names.until:
            return dict(self._names.value)
        try:
            document = self._document(url, "station_information")
            self._names = _Kept(
                parse_information(document, language=self._language), self._keep_until(document)
            )
        except (SourceUnavailable, GbfsError):
            self._names.until = self._now() + DISCOVERY_TTL_S[0] * 1000
        return dict(self._names.value)

    def _keep_until(self, document: Record) -> int:
        low, high = DISCOVERY_TTL_S
        ttl = document.get("ttl")
        seconds = ttl if isinstance(ttl, int) else low
        return self._now() + min(max(seconds, low), high) * 1000

    def _document(self, url: str, name: str) -> Record:
        return parse_document(self._fetch(url), name)


def parse_document(raw: bytes, name: str) -> Record:
    """The JSON object of a document that has an object `data`; GbfsError where it has not."""
    try:
        document = strict_json.loads(raw)
    except strict_json.Refused as error:
        raise GbfsError(name, "document", raw[:60], f"must be JSON: {error}") from error
    if not isinstance(document, dict):
        raise GbfsError(name, "document", type(document).__name__, "must be an object")
    if not isinstance(document.get("data"), dict):
        raise GbfsError(name, "data", document.get("data"), "must be an object")
    return document


def parse_feeds(document: Record, *, language: str = "en") -> dict[str, str]:
    """Feed name -> URL of a gbfs.json; 1.x and 2.x sort the feeds by language, 3.x does not."""
    data = document["data"]
    if "feeds" in data:
        feeds = data["feeds"]
    else:
        chosen = data.get(language) or next(iter(data.values()), None)
        feeds = chosen.get("feeds") if isinstance(chosen, dict) else None
    if not isinstance(feeds, list):
        raise GbfsError("gbfs.json", "feeds", feeds, "must be a list")
    return dict(_feed(number, feed) for number, feed in enumerate(feeds))


def _feed(number: int, feed: object) -> tuple[str, str]:
    if not isinstance(feed, dict):
        raise GbfsError("gbfs.json", f"feeds[{number}]", feed, "must be an object")
    for name in ("name", "url"):
        if not isinstance(feed.get(name), str):
            raise GbfsError("gbfs.json", f"feeds[{number}].{name}", feed.get(name), "must be text")
    return feed["name"], feed["url"]


def parse_status(document: Record, *, url: str = "", names: Mapping[str, Record] | None = None) -> Status:
    """The stations of a station_status document, flat; one malformed station costs only itself.

    Raises:
        GbfsError: the head is malformed, or there are stations and not one of them can be read.
    """
    known = names or {}
    stations: list[Record] = []
    problems: list[str] = []
    rows = _stations(document, "station_status")
    for number, row in enumerate(rows):
        try:
            record = gbfs_fields.status_record(number, row)
        except GbfsError as error:
            problems.append(str(error))
            continue
        stations.append({**record, **known.get(record["station_id"], {})})
    if rows and not stations:
        raise GbfsError(
            "station_status", "stations", problems[0], "must hold at least one station that can be read"
        )
    last_updated = gbfs_fields.seconds("station_status", "last_updated", document.get("last_updated"))
    return Status(
        url,
        str(document.get("version", "1.0")),
        last_updated,
        _ttl(document),
        stations,
        problems[:MAX_PROBLEMS],
        len(problems),
    )


def parse_information(document: Record, *, language: str = "en") -> dict[str, Record]:
    """Station id -> {name, capacity}, as far as given."""
    rows = _stations(document, "station_information")
    return dict(gbfs_fields.information_record(number, row, language) for number, row in enumerate(rows))


def _stations(document: Record, name: str) -> list[Any]:
    rows = document["data"].get("stations")
    if not isinstance(rows, list):
        raise GbfsError(name, "data.stations", rows, "must be a list")
    if len(rows) > MAX_STATIONS:
        raise GbfsError(name, "data.stations", len(rows), f"must hold at most {MAX_STATIONS} stations")
    return rows


def _ttl(document: Record) -> int:
    ttl = document.get("ttl", 0)
    if type(ttl) is not int or not 0 <= ttl < 2**31:
        raise GbfsError("station_status", "ttl", ttl, "must be whole seconds from 0")
    return ttl
