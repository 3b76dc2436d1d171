"""The provider's metrics for Prometheus: what this process did since it began, by registration (the trigger's name)."""

from __future__ import annotations

import threading
from collections.abc import Container

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.registry import Collector

_PREFIX = "hort_provider"
NONE = ""
"""In the place of a registration, for what concerns none."""
GONE, GONE_KEPT = "(gone)", 100
"""In the place of registrations that were removed, but for so many of the last."""


class Meters:
    """Every metric; counters are kept for feeds that ended, in the end in one sum, gauges are not."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gauges, self._counters = list[Gauge](), list[Counter]()
        self._lock, self._ended = threading.Lock(), dict[str, None]()
        # -- from the broker
        self.received = self._counter("received", "Messages taken from the broker")
        self.received_bytes = self._counter("received_bytes", "Payload bytes taken from the broker")
        self.duplicates = self._counter("duplicates", "Repeated messages recognised and not journalled again")
        self.reconnects = self._counter("mqtt_connects", "MQTT connections made", "session")
        self.lost = self._counter("mqtt_lost", "MQTT connections that broke, or could not be made", "reason")
        self.connected = self._gauge("mqtt_connected", "1 while connected to the broker")
        # -- into the journal
        self.spooled = self._counter("spooled", "Messages spooled before their batch was cut")
        self.journalled = self._counter("journalled", "Messages journalled in batches")
        self.batches = self._counter("batches", "Batches journalled")
        self.acked = self._counter("acked", "Messages acknowledged to the broker")
        self.filled = self._counter("journal_filled", "Times the journal became full, and the broker had to wait", "limit")
        self.full = self._gauge("journal_full", "1 while the journal is full and the broker has to wait")
        self.journal_batches = self._gauge("journal_batches", "Batches not yet stored")
        self.journal_bytes = self._gauge("journal_bytes", "Bytes of the batches not yet stored")
        self.holding_back = self._gauge("holding_back", "1 while messages are left to the broker, and for 5 s after")
        self.held_back_s = self._counter("held_back_seconds", "Seconds in which nothing was read from the broker", "reason")
        self.lag = self._gauge("lag_seconds", "Age of the oldest batch not yet stored")
        # -- to OpenWhisk
        self.fires = self._counter("fires", "Fires by what OpenWhisk answered; 204: held, no active rule", "status")
        self.refires = self._counter("refires", "Fires of a batch that was fired before")
        self.not_started = self._counter("not_started", "Fires of which a rule could not start its action", "reason")
        self.failed = self._counter("failed", "Fires of which an action failed, known from its activation record")
        self.unverified = self._counter("unverified", "Batches given up on because the trigger's activation could not be read")
        self.cut = self._counter("cut", "Messages too large: in an inline fire with an error in their place (too-large), or cut to 16 MiB as they came (oversized)", "reason")
        self.in_flight = self._gauge("in_flight", "Batches fired and not yet stored")
        self.stuck = self._gauge("stuck", "Batches unfinished for so long that others no longer wait for them")
        self.held = self._gauge("held", "1 while no rule is active")
        self.disabled = self._gauge("disabled", "1 while switched off", "reason")
        self.disables = self._counter("disables", "Times a feed was switched off by the provider, by OpenWhisk's answer", "status")
        # -- the provider itself
        self.dropped = self._counter("dropped", "Batches, and pieces that were spooled for one, dropped with a deleted registration")
        self.sessions_given_up = self._counter("sessions_given_up", "MQTT sessions ended by an UPDATE, with what waited in them", "reason")
        self.leases_lost = self._counter("leases_lost", "Registrations that another provider took over", "reason")
        self.errors = self._counter("errors", "Failures that were survived", "part")
        self.unreadable = self._plain_gauge("registrations_unreadable", "Registrations whose secrets cannot be opened")
        self.requests_refused = self._plain("requests_refused", "Requests of feed actions that were refused", "status")
        self.alarm_fires = self._plain("alarm_fires", "Fires of alarms by what OpenWhisk answered; 0: nothing", "status")
        self.alarms_missed = self._plain("alarms_missed", "Ticks of alarms that were skipped", "reason")
        self.alarms_disabled = self._plain("alarms_disabled", "Alarms that ended or were switched off", "reason")

    def add(self, collector: Collector) -> None:
        """Adds metrics from elsewhere."""
        self.registry.register(collector)

    def ended(self, registration: str) -> None:
        """A registration is no longer served here: its gauges would go on telling what is no longer so."""
        with self._lock:
            self._ended.pop(registration, None)
            self._ended[registration] = None
            for gauge in self._gauges:
                gauge.remove_by_labels({"registration": registration})

    def forget(self, living: Container[str]) -> None:
        """Adds up what registrations counted that ended here and live nowhere, the oldest first, as soon as they are too many."""
        with self._lock:
            gone = [name for name in self._ended if name not in living]
            for name in gone[: max(0, len(gone) - GONE_KEPT)]:
                del self._ended[name]
                for counter in self._counters:
                    _fold(counter, name)

    def text(self) -> bytes:
        """The exposition format."""
        with self._lock:
            return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        counter = self._plain(name, text, "registration", *labels)
        self._counters.append(counter)
        return counter

    def _plain(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        gauge = Gauge(f"{_PREFIX}_{name}", text, ("registration", *labels), registry=self.registry)
        self._gauges.append(gauge)
        return gauge

    def _plain_gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, registry=self.registry)


def _fold(counter: Counter, registration: str) -> None:
    samples = [sample for metric in counter.collect() for sample in metric.samples if sample.name.endswith("_total")]
    counter.remove_by_labels({"registration": registration})
    for sample in samples:
        if sample.labels["registration"] == registration:
            counter.labels(**{**sample.labels, "registration": GONE}).inc(sample.value)
