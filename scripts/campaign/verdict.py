"""What the oracle found: a list a kind of finding, and what it compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

LOST, DOUBLED, WRONG = "lost", "doubled", "wrong"
LATE, BROKERS_OWN, NEVER_ACKED, REPEATED = "late", "brokers_own", "never_acked", "repeated"
FAULTS = (LOST, DOUBLED, WRONG)
"""Kinds that must be empty; the others are shown and are nobody's fault, or the broker's or the device's own."""
KINDS = (*FAULTS, LATE, BROKERS_OWN, NEVER_ACKED, REPEATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as published.

    Args:
        kind: one of `KINDS`.
        what: `record`, `window`, `result`, `alarm` or `dead-letter`.
        group: the device type.
        device: its id, empty where the finding is about the whole type.
        seq: the record's, None where it is about none.
        ids: documents in Elasticsearch that it is about.
        detail: a sentence.
    """

    kind: str
    what: str
    group: str = ""
    device: str = ""
    seq: int | None = None
    ids: tuple[str, ...] = ()
    detail: str = ""

    def line(self) -> str:
        """For people."""
        where = "/".join(part for part in (self.group, self.device, "" if self.seq is None else str(self.seq)) if part)
        ids = f" [{', '.join(self.ids[:4])}{', ...' if len(self.ids) > 4 else ''}]" if self.ids else ""
        return f"{self.kind} {self.what} {where}: {self.detail}{ids}"


@dataclass(slots=True)
class Verdict:
    """Everything the oracle found and counted.

    `published`, `acked`, `stored` and `unseen` count records by group (`unseen`: QoS 0 or never acked, and not there),
    `windows` counts windows by what was seen of them, `results` documents by model and status.
    """

    findings: dict[str, list[Finding]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    published: Counter[str] = field(default_factory=Counter)
    acked: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    windows: Counter[str] = field(default_factory=Counter)
    results: dict[str, Counter[str]] = field(default_factory=dict)
    alarms: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Nothing lost, doubled or wrong."""
        return not any(self.findings[kind] for kind in FAULTS)

    def add(self, kind: str, what: str, **facts: Any) -> None:
        """Adds a finding."""
        self.findings[kind].append(Finding(kind=kind, what=what, **facts))

    def of(self, kind: str, what: str = "") -> list[Finding]:
        """The findings of a kind, about one thing where it is given."""
        return [finding for finding in self.findings[kind] if what in ("", finding.what)]

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        counters = ("published", "acked", "stored", "unseen", "windows", "alarms")
        return {
            "ok": self.ok,
            **{name: dict(getattr(self, name)) for name in counters},
            "results": {name: dict(counts) for name, counts in self.results.items()},
            "findings": {kind: [asdict(finding) for finding in found] for kind, found in self.findings.items()},
        }
