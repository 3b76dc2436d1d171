"""An intake with all its twins in memory."""

from dataclasses import dataclass, field
from typing import Any

from feeds.provider.intake import Intake
from feeds.provider.link import Stream
from feeds.provider.meters import Meters
from feeds.provider.pace import Gate, Pace
from feeds.provider.testing import MemoryLedger, MemorySubscriptions
from feeds.provider.testing_broker import MemoryBroker, MemoryConnection
from hort import batch, feed_options, keys
from hort.testing import FakeClock, MemoryJournal

REGISTRATION = "0123456789abcdef"
JOURNAL = keys.journal(0, REGISTRATION)


@dataclass
class Bench:
    """An intake with all its twins; `restart` makes a new one on what is left."""

    options: dict[str, Any] = field(default_factory=dict)
    window: int = 65_535
    lowest_free: bool = False

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.journal = MemoryJournal()
        self.broker = MemoryBroker(window=self.window, lowest_free=self.lowest_free)
        self.ledger = MemoryLedger(self.journal)
        self.subscriptions = MemorySubscriptions()
        self.meters = Meters()
        self.restart()

    def restart(self) -> None:
        self.broker.drop()
        self.ledger.token += 1
        config = feed_options.parse({"url": "mqtt://broker", "topics": "t/#", "linger_ms": 100, **self.options})
        self.gate = Gate(Pace(600), config.max_unacked, config.max_journal_batches, config.max_journal_bytes)
        self.intake = Intake(
            Stream(REGISTRATION, "/guest/t", "client"),
            config,
            ledgers=[self.ledger],
            subscriptions=self.subscriptions,
            gate=self.gate,
            connect=self.broker.connect,
            clock=self.clock,
            steady=self.clock,
            meters=self.meters,
            pause=lambda _seconds: None,
        )
        self.intake.open()

    @property
    def connection(self) -> MemoryConnection:
        connection = self.intake.link.connection
        assert isinstance(connection, MemoryConnection)
        return connection

    def run(self, milliseconds: int = 0, *, step_ms: int = 10) -> None:
        """Steps the intake while the clock moves on; the firing side is assumed to fire and finish at once."""
        for _ in range(milliseconds // step_ms + 1):
            self.intake.step()
            self.gate.batches = self.gate.in_flight = 0
            self.clock.advance(step_ms)

    def batches(self) -> list[list[bytes]]:
        due = self.journal.due(JOURNAL, now=self.clock.now + 10**9, limit=1000)
        found = sorted(entry.reference.batch_id for entry in due)
        raws = [self.journal.load(batch.Reference(name, JOURNAL)) for name in found]
        return [list(batch.unpack(raw).payloads) for raw in raws if raw is not None]

    def payloads(self) -> list[bytes]:
        return [payload for payloads in self.batches() for payload in payloads]
