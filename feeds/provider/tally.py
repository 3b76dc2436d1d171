"""The provider's troubles among the suite's counters, so that the dashboard shows them: `feed.<what>.<reason>`, all feeds together.

What this process counted since the last look is added to Redis; while that is away it waits. An answer that was lost counts nothing
twice, unless Redis is away for an hour after it (`hort.counters.CALLERS_KEPT_S`). A provider that is killed takes with it what it counted
since the last look, a second's worth; its own metrics begin at zero anyway.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import prometheus_client

from feeds.provider.meters import Meters
from hort.counters import Counters


@dataclass(frozen=True, slots=True)
class _Row:
    """A metric that tells of trouble: the label that says why, or a fixed word; label values that are no trouble."""

    meter: prometheus_client.Counter
    what: str
    label: str = ""
    word: str = ""
    fine: frozenset[str] = frozenset()


class Tally:
    """Adds up what is new; `flush` is called over and over by one thread."""

    def __init__(self, meters: Meters, counters: Counters) -> None:
        accepted = frozenset({"200", "202"})
        self._counters = counters
        self._told: Counter[str] = Counter()
        self._sending: Counter[str] = Counter()
        self._token = ""
        self._rows = (
            _Row(meters.duplicates, "duplicate", word="recognised"),
            _Row(meters.lost, "mqtt-lost", "reason"),
            _Row(meters.filled, "journal-full", "limit"),
            _Row(meters.fires, "fire", "status", fine=accepted),
            _Row(meters.refires, "fired-again", word="unfinished"),
            _Row(meters.not_started, "not-started", "reason"),
            _Row(meters.unverified, "unverified", word="activation-unreadable"),
            _Row(meters.cut, "cut", "reason"),
            _Row(meters.disables, "disabled", "status"),
            _Row(meters.dropped, "dropped", word="feed-deleted"),
            _Row(meters.sessions_given_up, "session-given-up", "reason"),
            _Row(meters.leases_lost, "lease-lost", "reason"),
            _Row(meters.errors, "error", "part"),
            _Row(meters.requests_refused, "request-refused", "status"),
            _Row(meters.alarm_fires, "alarm-fire", "status", fine=accepted),
            _Row(meters.alarms_missed, "alarm-missed", "reason"),
            _Row(meters.alarms_disabled, "alarm-disabled", "reason"),
        )

    def flush(self) -> None:
        """Adds what is new; RedisError where it is away, and then the next call sends that again first, unchanged: it may have arrived."""
        self._send()
        self._sending, self._token = self._counted() - self._told, secrets.token_hex(8)
        self._send()

    def _send(self) -> None:
        if self._sending:
            self._counters.add(self._sending, token=self._token)
            self._told += self._sending
            self._sending = Counter()

    def _counted(self) -> Counter[str]:
        now: Counter[str] = Counter()
        for row in self._rows:
            for reason, value in _samples(row):
                now[f"feed.{row.what}.{reason}"] += value
        return now


def _samples(row: _Row) -> Iterator[tuple[str, int]]:
    for metric in row.meter.collect():
        for sample in metric.samples:
            reason = sample.labels[row.label] if row.label else row.word
            if sample.name.endswith("_total") and sample.value and reason not in row.fine:
                yield reason, int(sample.value)
