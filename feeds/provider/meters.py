"""The provider's metrics for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

_PREFIX = "hort_provider"


class Meters:
    """Every metric, by registration (the trigger's name)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = self._counter("received", "Messages taken from the broker")
        self.received_bytes = self._counter("received_bytes", "Payload bytes taken from the broker")
        self.journalled = self._counter("journalled", "Messages journalled in batches")
        self.batches = self._counter("batches", "Batches journalled")
        self.spooled = self._counter("spooled", "Messages spooled before their batch was cut")
        self.acked = self._counter("acked", "Messages acknowledged to the broker")
        self.duplicates = self._counter("duplicates", "Repeated messages recognised and not journalled again")
        self.fires = self._counter("fires", "Fires by what OpenWhisk answered", "status")
        self.refires = self._counter("refires", "Fires of a batch that was fired before")
        self.unverified = self._counter("unverified", "Batches given up on because the trigger's activation could not be read")
        self.dropped = self._counter("dropped", "Batches dropped with a deleted registration")
        self.reconnects = self._counter("mqtt_connects", "MQTT connections made", "session")
        self.errors = self._counter("errors", "Failures that were survived", "part")
        self.connected = self._gauge("mqtt_connected", "1 while connected to the broker")
        self.held = self._gauge("held", "1 while no rule is active")
        self.disabled = self._gauge("disabled", "1 while switched off", "reason")
        self.journal_batches = self._gauge("journal_batches", "Batches not yet stored")
        self.journal_bytes = self._gauge("journal_bytes", "Bytes of the batches not yet stored")
        self.in_flight = self._gauge("in_flight", "Batches fired and not yet stored")
        self.lag = self._gauge("lag_seconds", "Age of the oldest batch not yet stored")

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, ("registration", *labels), registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, ("registration", *labels), registry=self.registry)
