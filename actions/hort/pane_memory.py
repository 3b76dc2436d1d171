"""In-memory twins of the pane store and of presence, for anyone's tests; the contract tests run on these and on Redis."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from hort import keys
from hort.batch import Reference
from hort.pane_store import (
    AGAIN,
    FUTURE_MS,
    GONE,
    HOME,
    JOURNAL,
    MERGED,
    REMOVED,
    Addition,
    Base,
    Commit,
    Content,
    Outbox,
    PaneKey,
    Settlement,
    State,
)
from hort.testing import MemoryJournal


class MemoryPresence:
    """Presence of one process, see `hort.presence.Presence`."""

    def __init__(self) -> None:
        self.active_devices: dict[tuple[int, str], dict[bytes, int]] = defaultdict(dict)
        self.silent_devices: dict[tuple[int, str], dict[bytes, int]] = defaultdict(dict)
        self._types: dict[int, set[str]] = defaultdict(set)

    def admit(
        self,
        partition: int,
        device_type: str,
        newest: Mapping[bytes, int],
        *,
        max_devices: int,
        max_types: int,
    ) -> set[bytes] | None:
        """Notes new devices."""
        types = self._types[partition]
        if device_type not in types and len(types) >= max_types:
            return None
        types.add(device_type)
        active, silent = (
            self.active_devices[partition, device_type],
            self.silent_devices[partition, device_type],
        )
        refused = set()
        for item, moment in newest.items():
            if item in active or item in silent:
                continue
            if len(active) + len(silent) < max_devices:
                active[item] = moment
            else:
                refused.add(item)
        return refused

    def types(self, partition: int) -> list[str]:
        """The device types there are."""
        return sorted(self._types[partition])

    def silent(self, partition: int, device_type: str, members: Sequence[bytes]) -> set[bytes]:
        """The silent ones."""
        return self.silent_devices[partition, device_type].keys() & set(members)

    def saw(self, partition: int, device_type: str, newest: Mapping[bytes, int]) -> None:
        """Moves times on, never back."""
        active = self.active_devices[partition, device_type]
        for item, moment in newest.items():
            active[item] = max(moment, active.get(item, moment))
            self._types[partition].add(device_type)

    def overdue(
        self, partition: int, device_type: str, before: int, *, limit: int
    ) -> list[tuple[bytes, int]]:
        """The longest silent first."""
        rows = self.active_devices[partition, device_type].items()
        return sorted((row for row in rows if row[1] < before), key=lambda row: (row[1], row[0]))[:limit]

    def forget(self, partition: int, device_type: str, before: int) -> int:
        """Forgets devices and empty types."""
        gone = 0
        groups = (self.active_devices[partition, device_type], self.silent_devices[partition, device_type])
        for group in groups:
            old = [item for item, moment in group.items() if moment < before]
            gone += len(old)
            for item in old:
                del group[item]
        if not any(groups):
            self._types[partition].discard(device_type)
        return gone


class MemoryPaneStore:
    """Panes of one process over a MemoryJournal, see `hort.pane_store.PaneStore`."""

    def __init__(self, journal: MemoryJournal, presence: MemoryPresence) -> None:
        self._journal = journal
        self._presence = presence
        self._panes: dict[PaneKey, dict[bytes, bytes]] = {}
        self._touched: dict[int, set[int]] = defaultdict(set)
        self._state = State()
        self._bases: dict[PaneKey, Base] = {}
        self._parts: dict[tuple[PaneKey, str], dict[str, bytes]] = defaultdict(dict)
        self._staged: dict[Reference, tuple[Mapping[str, bytes], int, int]] = {}
        self._turn: tuple[str, float] | None = None
        self._revisions: dict[int, int] = {}
        self._journals: dict[int, dict[str, int]] = defaultdict(dict)
        self._removed: dict[int, int] = defaultdict(int)
        self._by = ""

    def add(self, reference: Reference, additions: Sequence[Addition], *, late: bytes, now: int) -> str:
        """Adds a batch once."""
        stage = self._journal.read_stage(reference, ["late"])
        if stage is None:
            return GONE
        if stage:
            return AGAIN
        if any(addition.pane.start < self.removed(reference.partition) for addition in additions):
            return REMOVED
        for addition in additions:
            self._panes.setdefault(addition.pane, {}).setdefault(reference.batch_id.encode(), addition.blob)
            self._touched[reference.partition].add(addition.pane.start)
        self._journal.write_stage(reference, {"late": late})
        self._journals[reference.partition][reference.journal] = now
        return MERGED

    def removed(self, partition: int) -> int:
        """Up to where windows lost panes."""
        return self._removed[partition]

    def panes(self, partition: int) -> list[int]:
        """Starts of the panes there are."""
        return sorted({pane.start for pane in self._panes if pane.partition == partition})

    def touched(self, partition: int) -> list[int]:
        """Starts of the panes with batches that no close has merged."""
        return sorted(self._touched[partition])

    def content(self, pane: PaneKey) -> Content:
        """Names and sizes."""
        batches = self._panes.get(pane, {})
        return Content(self._bases.get(pane), {name: len(blob) for name, blob in batches.items()})

    def read_batch(self, pane: PaneKey, batch_id: bytes) -> bytes | None:
        """What a batch brought."""
        return self._panes.get(pane, {}).get(batch_id)

    def read_parts(self, pane: PaneKey, name: str, parts: Sequence[str]) -> list[bytes]:
        """Those that are there."""
        there = self._parts[pane, name]
        return [there[part] for part in parts if part in there]

    def write_parts(self, pane: PaneKey, name: str, parts: Mapping[str, bytes]) -> None:
        """Keeps parts."""
        self._parts[pane, name].update(parts)

    def drop_parts(self, pane: PaneKey, name: str) -> None:
        """Forgets parts, not those of the base."""
        base = self._bases.get(pane)
        if base is None or base.name != name:
            self._parts.pop((pane, name), None)

    def unnamed_parts(self) -> int:
        """How many sets of parts are kept that are no pane's base: none but while a close runs."""
        named = {(pane, base.name) for pane, base in self._bases.items()}
        return sum(bool(parts) for key, parts in self._parts.items() if key not in named)

    def begin(self, token: str, *, ttl_ms: int) -> bool:
        """Takes the turn."""
        if self._turn is not None and self._turn[0] != token and self._turn[1] > time.monotonic():
            return False
        self._turn = token, time.monotonic() + ttl_ms / 1000
        return True

    def keep(self, token: str, *, ttl_ms: int) -> None:
        """Keeps the turn."""
        if self._turn is not None and self._turn[0] == token:
            self._turn = token, time.monotonic() + ttl_ms / 1000

    def end(self, token: str) -> None:
        """Gives the turn back."""
        if self._turn is not None and self._turn[0] == token:
            self._turn = None

    def state(self) -> State:
        """How far closing came."""
        return self._state

    def outbox(self, now: int) -> Outbox:
        """The close journal."""
        journal = keys.journal(HOME, JOURNAL)
        waiting = [entry.reference for entry in self._journal.due(journal, now=2**53, limit=2**31)]
        times = zip(waiting, self._journal.times(waiting), strict=True)
        due = [item for item, moment in times if moment is not None and not now < moment < now + FUTURE_MS]
        return Outbox(due[0] if due else None, len(waiting))

    def revision(self, end: int) -> int:
        """How many times a window was written again."""
        return self._revisions.get(end, 0)

    def stage(self, reference: Reference, fields: Mapping[str, bytes], *, count: int, now: int) -> None:
        """Keeps documents unseen."""
        self._staged[reference] = (dict(fields), count, now)

    def discard(self, references: Sequence[Reference]) -> None:
        """Forgets documents."""
        for reference in references:
            self._staged.pop(reference, None)

    def commit(self, commit: Commit) -> bool:
        """Ends a close."""
        if commit.by == self._by:
            return True
        there = all(reference in self._staged for reference in commit.references)
        if commit.generation != self._state.generation or not there:
            return False
        self._by = commit.by
        self._state = State(
            commit.closed, commit.generation + 1, commit.furthest, ticked=commit.now, watched=commit.watched
        )
        for reference in commit.references:
            fields, count, now = self._staged.pop(reference)
            self._journal.put(reference, b"", trigger="close", count=count, now=now)
            self._journal.write_stage(reference, fields)
        self._revisions.update(commit.revisions)
        self.settle(HOME, commit.settlement)
        return True

    def settle(self, partition: int, settlement: Settlement) -> None:
        """The changes in one partition."""
        for item in settlement.transitions:
            key = partition, item.device_type
            ends = [self._presence.active_devices[key], self._presence.silent_devices[key]]
            source, target = ends if item.silent else reversed(ends)
            source.pop(item.member, None)
            target[item.member] = max(item.newest, target.get(item.member, item.newest))
        for compaction in settlement.compactions:
            pane = self._panes.get(compaction.pane, {})
            before = self._bases.get(compaction.pane)
            whole = before == compaction.replaced and compaction.pane in self._panes
            parts = self._parts.get((compaction.pane, compaction.base.name), {})
            whole = whole and len(parts) == compaction.base.parts
            if not whole or not all(batch in pane for batch in compaction.batches):
                if before != compaction.base:
                    self.drop_parts(compaction.pane, compaction.base.name)
                continue
            for batch in compaction.batches:
                del pane[batch]
            self._bases[compaction.pane] = compaction.base
            if before is not None:
                self.drop_parts(compaction.pane, before.name)
            if not pane:
                self._touched[partition].discard(compaction.pane.start)
        self._remove_panes(partition, settlement)

    def _remove_panes(self, partition: int, settlement: Settlement) -> None:
        there = set(self.panes(partition))
        unsettled = min(self._touched[partition] & there, default=2**63)
        if settlement.unsettled is not None:
            unsettled = min(unsettled, settlement.unsettled)
        before = min(settlement.panes_before, unsettled - settlement.window_length + 1)
        for pane in [pane for pane in self._panes if pane.partition == partition and pane.start < before]:
            del self._panes[pane]
            self._removed[partition] = max(self._removed[partition], pane.start + settlement.window_length)
            base = self._bases.pop(pane, None)
            if base is not None:
                self.drop_parts(pane, base.name)

    def oldest_waiting(self, partition: int) -> int | None:
        """When the oldest batch that is not yet stored was put."""
        entries = [
            e for name in self._journals[partition] for e in self._journal.due(name, now=2**53, limit=2**31)
        ]
        return min((entry.created_ms for entry in entries), default=None)
