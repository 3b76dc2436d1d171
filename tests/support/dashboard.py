"""What Elasticsearch would answer the dashboard, made from the simulated city, and a server that shows the page with it."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gbfs_server import city
from gbfs_server.simulation import City
from hort import clock, documents
from hort.breaker import MemoryBreakers
from hort.counters import MemoryCounters
from hort.dashboard import collect, page
from hort.dashboard.queries import Search
from hort.dashboard.state import State
from hort.dashboard.view import View
from hort.model_store import MemoryModelStore
from tests.support.paths import ROOT
from tests.support.web_answers import WebAnswers

FOLDER = ROOT / "actions" / "dashboard"
NOW = 1_790_000_000_000
SLIDE_MS = 15_000
FIELDS = ("num_bikes_available", "num_docks_available", "num_bikes_disabled", "capacity")
HOSTILE = "<img src=x onerror=alert(1)>&\"'"


def analytics(
    *, level: str, device_id: str | None, end: int, values: dict[str, float], count: int = 3
) -> dict[str, Any]:
    """One analytics document."""
    stats = {"avg": 0.0, "min": -0.6, "max": 0.7}
    properties = {stat: {name: value + by for name, value in values.items()} for stat, by in stats.items()}
    properties["std"] = {name: abs(value) / 3 for name, value in values.items()}
    properties["sum"] = {name: value * count for name, value in values.items()}
    return {
        "level": level,
        "devicetype": "divvy",
        "id": device_id,
        "event": "status" if device_id else None,
        "window_start": clock.iso(end - 45_000),
        "window_end": clock.iso(end),
        "count": count,
        "n": dict.fromkeys(values, count),
        "properties": properties,
    }


@dataclass
class FakeSearch:
    """Answers the dashboard's searches; `replaced` holds other answers by index."""

    now: int = NOW
    devices: int = 6
    points: int = 58
    names: Callable[[int], str] = lambda number: str(number + 1)
    replaced: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[Search] = field(default_factory=list)

    def __call__(self, searches: Sequence[Search]) -> list[dict[str, Any]]:
        self.asked += searches
        return [
            self.replaced[index] if index in self.replaced else self._answer(index, body)
            for index, body in searches
        ]

    def _answer(self, index: str, body: dict[str, Any]) -> dict[str, Any]:
        aggregations = body.get("aggs", {})
        if index == documents.ANALYTICS and "lines" in aggregations:
            return self._lines()
        if index == documents.ANALYTICS and "types" in aggregations:
            return self._types()
        if index == documents.ANALYTICS and "0" in aggregations:
            return {
                "aggregations": {
                    "0": {"value": 0.4},
                    "1": {"value": 0.2},
                    "2": {"value": 0.01},
                    "3": {"value": 0.0},
                }
            }
        if index == documents.ANALYTICS:
            values = {
                "num_bikes_available": 9.4,
                "num_docks_available": 8.9,
                "num_bikes_disabled": 0.1,
                "capacity": 18.4,
            }
            return _hits(
                [
                    analytics(
                        level="device_type", device_id=None, end=self.now - 2000, values=values, count=900
                    )
                ]
            )
        if index == documents.ALL_EVENTS and "rate" in aggregations:
            keys = range(self.now - 900_000, self.now, 30_000)
            rows = [{"key": key, "doc_count": 30 * 30 + key // 30_000 % 5 * 9} for key in keys]
            return {"aggregations": {"rate": {"buckets": rows}}}
        if index == documents.ALL_EVENTS:
            return _hits([self._record(number) for number in range(self.devices)])
        return {
            documents.MODEL_RESULTS: self._anomalies if "devices" in aggregations else self._models,
            documents.ALARMS: self._alarms,
            documents.DEAD_LETTERS: self._dead,
        }[index]()

    def _types(self) -> dict[str, Any]:
        row = {"key": "divvy", "events": {"buckets": [{"key": "status"}]}, "devices": {"value": 300}}
        pump = {"key": "pump", "events": {"buckets": [{"key": "reading"}]}, "devices": {"value": 12}}
        return {"aggregations": {"types": {"buckets": [row, pump]}}}

    def _lines(self) -> dict[str, Any]:
        made = City(city.build(max(self.devices, 60), seed=7), 7, start_hour=7.0)
        order = sorted(range(len(made.stations)), key=lambda number: -made.places[number].work)[
            : self.devices
        ]
        columns: list[list[int]] = [[] for _ in order]
        for _ in range(self.points):
            for _ in range(3):
                made.step()
            for column, number in zip(columns, order, strict=True):
                column.append(made.stations[number].bikes)
        buckets = [self._line(number, column) for number, column in enumerate(columns)]
        ids = [{"key": self.names(number)} for number in range(self.devices)]
        return {
            "aggregations": {
                "lines": {"devices": {"buckets": buckets}},
                "ids": {"buckets": ids},
                "known": {"value": 300},
            }
        }

    def _line(self, number: int, column: list[int]) -> dict[str, Any]:
        first = (self.now // SLIDE_MS - len(column)) * SLIDE_MS
        points = [
            {"key": first + at * SLIDE_MS, "value": {"value": float(value)}}
            for at, value in enumerate(column)
        ]
        values = {"num_bikes_available": float(column[-1]), "num_docks_available": 19.0 - column[-1]}
        last = analytics(level="device", device_id=self.names(number), end=self.now - 2000, values=values)
        return {"key": self.names(number), "points": {"buckets": points}, "last": _hits([last])}

    def _record(self, number: int) -> dict[str, Any]:
        names = (
            "Maple St & Quarry Ave",
            "Anchor Pl & Heron St",
            "Canal St & Linden Blvd",
            "Birchwood Ave & Reed St",
        )
        data = {"name": names[number % len(names)], "num_bikes_available": 4}
        return {"device_id": self.names(number), "@timestamp": clock.iso(self.now - 4000), "data": data}

    def _models(self) -> dict[str, Any]:
        def bucket(
            name: str, statuses: dict[str, int], p50: float | None, p95: float | None
        ) -> dict[str, Any]:
            rows = [{"key": status, "doc_count": count} for status, count in statuses.items()]
            return {
                "key": name,
                "statuses": {"buckets": rows},
                "latency": {"values": {"50.0": p50, "95.0": p95}},
            }

        rows = [
            bucket("anomaly", {"ok": 8950, "timeout": 12}, 4.2, 18.0),
            bucket("echo", {"ok": 9000}, 3.1, 9.7),
            bucket("broken", {"error": 55, "open": 8945}, None, None),
        ]
        return {"aggregations": {"models": {"buckets": rows}}}

    def _anomalies(self) -> dict[str, Any]:
        result = {
            "status": "danger-high",
            "fields": {"num_bikes_available": {"status": "danger-high", "value": 17, "avg": 9.2, "std": 3.1}},
            "simple_anomaly_detection_num_bikes_available": "danger-high",
        }
        low = {
            "fields": {"num_docks_available": {"status": "danger-low", "value": 0, "avg": 7.5, "std": 2.0}}
        }
        rows = [
            {
                "@timestamp": clock.iso(self.now - 3000 * (number + 1)),
                "device_type": "divvy",
                "device_id": self.names(number),
                "event": "status",
                "model": "anomaly",
                "result": low if number % 3 == 1 else result,
            }
            for number in range(8)
        ]
        devices = [
            {"key": self.names(number), "doc_count": 40 - 7 * number, "type": {"buckets": [{"key": "divvy"}]}}
            for number in range(5)
        ]
        return _hits(rows, total=1312) | {"aggregations": {"devices": {"buckets": devices}}}

    def _alarms(self) -> dict[str, Any]:
        rows = [
            {
                "@timestamp": clock.iso(self.now - 60_000 * (number + 1)),
                "alarm": kind,
                "device_type": "divvy",
                "device_id": self.names(number + 3),
                "event": "status",
            }
            for number, kind in enumerate(("silent", "resumed", "silent", "silent"))
        ]
        return _hits(rows)

    def _dead(self) -> dict[str, Any]:
        rows = [
            {
                "@timestamp": clock.iso(self.now - 20_000 * (number + 1)),
                "stage": "ingest",
                "reason": reason,
                "detail": "expected a JSON object at line 1 column 1",
                "topic": f"iot-2/type/divvy/id/{self.names(number)}/evt/status/fmt/json",
                "payload_bytes": 2_000_000 if number else 14,
            }
            for number, reason in enumerate(("not-json", "too-large", "not-utf8"))
        ]
        reasons = [
            {"key": row["reason"], "doc_count": 3 - number, "stages": {"buckets": [{"key": "ingest"}]}}
            for number, row in enumerate(rows)
        ]
        return _hits(rows, total=6) | {"aggregations": {"reasons": {"buckets": reasons}}}


def _hits(sources: list[dict[str, Any]], total: int | None = None) -> dict[str, Any]:
    found = {"value": len(sources) if total is None else total}
    return {"hits": {"total": found, "hits": [{"_source": source} for source in sources]}}


class FakeFeeds:
    """One feed, connected, with two batches waiting."""

    def all(self, *, now: int) -> list[dict[str, Any]]:
        told = {"connected": True, "problem": "", "hold": "", "fires": 61, "refires": 1, "full": False, "held_back_since": 0, "stuck": 0}
        usage = {"batches": 2, "bytes": 84_213, "in_flight": 1, "oldest_ms": now - 1400}
        on = {"active": True, "reason": "", "status_code": None, "changed": now - 90_000}
        return [{"trigger": "/guest/device-events", **on, **told, **usage}]


def state() -> State:
    """Counters, a journal and three models in memory."""
    counters = MemoryCounters(now=lambda: NOW - 30_000)
    counters.add({"ingest.records": 128_400, "dead.ingest.not-json": 6, "window.late": 41, "feed.fire.204": 3, "breaker.opened": 1})
    counters.add(
        {
            "divvy.published": 128_394,
            "sink.all-events": 128_394,
            "close.windows": 1204,
            "alarms.silent": 4,
            "divvy.polls": 430,
        }
    )
    models, breakers = MemoryModelStore(), MemoryBreakers()
    known = []
    for name, more in (("anomaly", {}), ("echo", {"mode": "shadow"}), ("broken", {})):
        model = {
            "name": name,
            "url": f"http://user:secret@127.0.0.1/{name}?key=secret",
            "version": "1",
            **more,
        }
        models.replace(name, expected=None, value=json.dumps(model).encode(), limit=9)
        known.append(model)
    models.set_active(json.dumps({"models": known, "polled_at": NOW - 12_000}).encode(), poll=1)
    breakers._open_until["broken"] = NOW + 1000
    return State(counters=counters, feeds=FakeFeeds(), models=models, breakers=breakers)


Collector = Callable[[dict[str, Any]], dict[str, Any]]


def collector(search: Any, known: State | None = None) -> Collector:
    """The answer of `/data` to a query, from a search of the test's."""
    found = known or state()
    return lambda query: collect(View.of(query), search=search, state=found, now=NOW)


@contextmanager
def served(data: Collector) -> Iterator[str]:
    """The page's address, on loopback, with its real headers."""

    class Handler(WebAnswers, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path.endswith("/data"):
                body, headers = (
                    json.dumps(data(dict(parse_qsl(parts.query)))),
                    {"content-type": "application/json"},
                )
            else:
                body, headers = page.assemble(FOLDER)
            raw = body.encode()
            self.send_response(200)
            for name, value in {**headers, "content-length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(
                BrokenPipeError, ConnectionResetError
            ):  # the page gave the request up for a newer one
                self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api/v1/web/guest/hort/dashboard"
    finally:
        server.shutdown()
        server.server_close()
