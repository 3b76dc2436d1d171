"""In-memory twins of the ports, shipped so that anyone's tests can use them; the contract tests run on both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import orjson

from hort import batch as batches
from hort.decoded import Identity
from hort.document_store import ItemError, TemplateState
from hort.journal import FAR_MS, FREE_CUTS, Entry, Part, Stage, Trouble, Usage
from hort.schema import MAX_FIELDS_PER_TYPE, Known, TypeSchema, Unknown


class FakeClock:
    """A clock that moves only when told; milliseconds."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        """The time it was told."""
        return self.now

    def advance(self, milliseconds: int) -> None:
        """Moves the clock on."""
        self.now += milliseconds


class MemoryJournal:
    """A journal of one process, see `hort.journal.Journal`."""

    def __init__(self) -> None:
        self._entries: dict[batches.Reference, Entry] = {}
        self._raw: dict[batches.Reference, bytes] = {}
        self._stages: dict[batches.Reference, Stage] = {}
        self._due: dict[batches.Reference, int] = {}
        self._tries: dict[tuple[batches.Reference, str], tuple[int, int]] = {}
        self._at: dict[tuple[batches.Reference, str], range | None] = {}
        self._acked: Counter[str] = Counter()
        self._cuts: dict[batches.Reference, tuple[int, int]] = {}
        self.activations: dict[str, str] = {}

    def put(
        self, reference: batches.Reference, raw: bytes, *, trigger: str, count: int, now: int, due_ms: int | None = None
    ) -> None:
        """Keeps a batch; it is due at once."""
        self._raw[reference] = raw
        self._entries[reference] = Entry(reference, trigger, count, len(raw), now, 0)
        self._due[reference] = now if due_ms is None else due_ms

    def put_direct(self, reference: batches.Reference, raw: bytes, *, count: int, now: int) -> None:
        """Keeps messages that came without a journal; they are never due."""
        self._raw[reference] = raw
        self._entries[reference] = Entry(reference, "", count, len(raw), now, 0)

    def load(self, reference: batches.Reference) -> bytes | None:
        """The batch's bytes, or None where it is done."""
        return self._raw.get(reference)

    def created(self, reference: batches.Reference) -> int | None:
        """When the batch was put (ms), or None where it is done."""
        entry = self._entries.get(reference)
        return None if entry is None else entry.created_ms

    def write_stage(self, reference: batches.Reference, fields: Mapping[str, bytes], unless: str = "") -> bool:
        """Leaves fields for the next actions; False where the batch is done, or already has the field `unless`."""
        if reference not in self._raw or unless in self._stages.get(reference, {}):
            return False
        self._stages.setdefault(reference, {}).update(fields)
        return True

    def read_stage(self, reference: batches.Reference, names: Sequence[str]) -> Stage | None:
        """The named fields that are there, or None where the batch is done."""
        if reference not in self._raw:
            return None
        stage = self._stages.get(reference, {})
        return {name: stage[name] for name in names if name in stage}

    def count_try(self, reference: batches.Reference, step: str, *, only_if_others_pass: bool = False) -> int:
        """Counts that an action begins with the batch."""
        if reference not in self._raw:
            return 0
        tries, seen = self._tries.get((reference, step), (0, -1))
        acked = self._acked[reference.journal]
        if not only_if_others_pass or seen != acked:
            tries += 1
        self._tries[reference, step] = (tries, acked)
        return tries

    def uncount_try(self, reference: batches.Reference, step: str) -> None:
        """Takes a try back."""
        tries, seen = self._tries[reference, step]
        self._tries[reference, step] = (tries - 1, seen)

    def note(self, reference: batches.Reference, step: str, at: range | None) -> None:
        """Keeps where an action is."""
        self._at[reference, step] = at

    def trouble(self, reference: batches.Reference, step: str) -> Trouble:
        """What is kept of an action's tries."""
        return Trouble(self._tries.get((reference, step), (0, 0))[0], self._at.get((reference, step)))

    def others_passed(self, reference: batches.Reference) -> bool:
        """Compares how many were stored when the part was made, and now."""
        cuts, before = self._cuts.get(reference, (0, 0))
        return cuts < FREE_CUTS or before != self._acked[reference.journal]

    def split(self, reference: batches.Reference, parts: Sequence[Part], *, unless: str) -> bool:
        """Puts parts in the place of a batch."""
        if reference not in self._due or unless in self._stages.get(reference, {}):
            return False
        old = self._entries.pop(reference)
        for part in parts:
            self.put(part.reference, part.raw, trigger=old.trigger, count=part.count, now=old.created_ms)
            self._stages[part.reference] = dict(part.stage)
            if part.tried:
                self.count_try(part.reference, part.tried)
            self._cuts[part.reference] = (self._cuts.get(reference, (0, 0))[0] + 1, self._acked[reference.journal])
        for rows in (self._raw, self._stages, self._due):
            rows.pop(reference, None)
        return True

    def ack(self, reference: batches.Reference) -> bool:
        """Forgets the batch and all that was staged."""
        if reference in self._due:
            self._acked[reference.journal] += 1
        self._stages.pop(reference, None)
        self._due.pop(reference, None)
        self._entries.pop(reference, None)
        return self._raw.pop(reference, None) is not None

    def retry_at(self, reference: batches.Reference, due_ms: int) -> bool:
        """Moves the time from which on the batch is fired again."""
        if reference not in self._raw:
            return False
        self._due[reference] = due_ms
        return True

    def due(self, journal: str, *, now: int, limit: int) -> list[Entry]:
        """The batches whose time has come, earliest first, then those of times that cannot be meant."""
        rows = sorted(
            (due > now, due, reference.batch_id, reference)
            for reference, due in self._due.items()
            if reference.journal == journal and not now < due <= now + FAR_MS
        )
        return [self._entries[reference] for *_, reference in rows[:limit]]

    def pull_in(self, journal: str, *, due_ms: int) -> int:
        """Batches that are due later than this are due then."""
        late = [reference for reference, due in self._due.items() if reference.journal == journal and due > due_ms]
        self._due.update(dict.fromkeys(late, due_ms))
        return len(late)

    def times(self, references: Sequence[batches.Reference]) -> list[int | None]:
        """From when on each batch may be fired (again)."""
        return [self._due.get(reference) for reference in references]

    def entries(self, references: Sequence[batches.Reference]) -> list[Entry]:
        """These batches, without those that are done."""
        return [self._entries[reference] for reference in references if reference in self._entries]

    def take(self, reference: batches.Reference, *, due_ms: int) -> bool:
        """Counts an attempt and moves the time of the next one."""
        return self._move(reference, due_ms, 1)

    def give_back(self, reference: batches.Reference, *, due_ms: int) -> bool:
        """Takes back an attempt."""
        return self._move(reference, due_ms, -1)

    def _move(self, reference: batches.Reference, due_ms: int, attempts: int) -> bool:
        if not self.retry_at(reference, due_ms):
            return False
        old = self._entries[reference]
        self._entries[reference] = replace(old, attempts=old.attempts + attempts)
        return True

    def fired(self, reference: batches.Reference, *, activation: str) -> None:
        """Notes the activation."""
        if reference in self._raw:
            self.activations[reference.batch_id] = activation

    def usage(self, journal: str, *, now: int) -> Usage:
        """How full a journal is."""
        mine = [reference for reference in self._due if reference.journal == journal]
        return Usage(
            len(mine),
            sum(self._entries[reference].bytes for reference in mine),
            sum(now < self._due[reference] <= now + FAR_MS for reference in mine),
            min((self._entries[reference].created_ms for reference in mine), default=0),
        )

    def drop(self, journal: str) -> int:
        """Forgets every batch of a journal."""
        return sum(self.ack(reference) for reference in list(self._due) if reference.journal == journal)

    def size(self, journal: str) -> int:
        """How many batches are not yet stored."""
        return sum(reference.journal == journal for reference in self._due)


class MemorySchemas:
    """Inferred schemas of one process, see `hort.schema.Schemas`."""

    def __init__(self, *, max_fields: int = MAX_FIELDS_PER_TYPE) -> None:
        self._max_fields = max_fields
        self._known: dict[str, TypeSchema] = {}

    def known(self) -> Known:
        """All schemas."""
        return dict(self._known)

    def extend(self, unknown: Unknown) -> dict[str, TypeSchema]:
        """Adds fields where nobody else did so first."""
        for device_type, fields in unknown.items():
            old = self._known.get(device_type, TypeSchema()).fields
            merged = dict(list({**old, **{n: k for n, k in fields.items() if n not in old}}.items())[: self._max_fields])
            self._known[device_type] = TypeSchema(merged, open=len(merged) < self._max_fields)
        return {device_type: self._known[device_type] for device_type in unknown}


class MemoryRepeats:
    """The owners of records in one process, see `hort.repeats.Repeats`; times in milliseconds of the clock given."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._owners: dict[str, tuple[str, int]] = {}

    def claim(self, identities: Sequence[Identity], *, ttl_ms: int) -> set[int]:
        """Claims records for their owners."""
        now, repeats = self._clock(), set()
        for identity in identities:
            owner, until = self._owners.get(identity.record_id, (identity.owner, 0))
            if owner != identity.owner and until > now:
                repeats.add(identity.record)
            else:
                self._owners[identity.record_id] = (identity.owner, now + ttl_ms)
        return repeats


def _stored(_index: str, _document: dict[str, Any]) -> tuple[int, str] | None:
    return None


class MemoryDocuments:
    """A document store of one process, see `hort.document_store.DocumentStore`.

    `refuse` says why a document may not be stored (None: it may), `failures` are raised by the next bulk requests in turn,
    `at_work` are the batches of which a request is said to be under way.
    """

    def __init__(self) -> None:
        self.indices: dict[str, dict[str, dict[str, Any]]] = {}
        self.templates: dict[str, Mapping[str, Any]] = {}
        self.mappings: dict[str, dict[str, Any]] = {}
        self.at_work: set[str] = set()
        self.refuse: Callable[[str, dict[str, Any]], tuple[int, str] | None] = _stored
        self.failures: list[Exception] = []
        self.versions: dict[tuple[str, str], int] = {}
        self.requests: list[int] = []

    def bulk(self, index: str, body: bytes, *, timeout_s: float, batch_id: str = "") -> list[ItemError]:
        """Stores the documents of a bulk body; `requests` notes how many came."""
        del batch_id
        if timeout_s <= 0:
            raise ValueError(f"timeout_s must be positive, got {timeout_s}")
        lines = [orjson.loads(line) for line in body.splitlines()]
        self.requests.append(len(lines) // 2)
        if self.failures:
            raise self.failures.pop(0)
        errors = []
        for position, (head, document) in enumerate(zip(lines[::2], lines[1::2], strict=True)):
            problem = self.refuse(index, document) or self._conflict(index, head["index"])
            if problem is None:
                self.indices.setdefault(index, {})[head["index"]["_id"]] = document
            else:
                errors.append(ItemError(position, problem[0], problem[1], "made up"))
        return errors

    def delete(self, index: str, ids: Sequence[str]) -> None:
        """Removes documents."""
        if self.failures:
            raise self.failures.pop(0)
        for name in ids:
            self.indices.get(index, {}).pop(name, None)

    def _conflict(self, index: str, head: dict[str, Any]) -> tuple[int, str] | None:
        """What an external version (greater or equal) forbids."""
        name, version = (index, head["_id"]), head.get("version", 0)
        if version < self.versions.get(name, 0):
            return 409, "version_conflict_engine_exception"
        self.versions[name] = version
        return None

    def under_way(self, batch_id: str) -> bool:
        """What a test says."""
        return batch_id in self.at_work

    def template_states(self, pattern: str) -> dict[str, TemplateState]:
        """Versions and fields of the templates whose names match."""
        return {
            name: TemplateState(body["version"], body.get("_meta", {}).get("fields", {}))
            for name, body in self.templates.items()
            if fnmatchcase(name, pattern)
        }

    def put_template(self, name: str, body: Mapping[str, Any]) -> None:
        """Keeps a template."""
        self.templates[name] = body

    def mapping(self, index: str) -> dict[str, Any] | None:
        """The mapping of an index that has documents or was given a mapping."""
        return self.mappings.get(index, {} if index in self.indices else None)

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> None:
        """Adds to what is mapped."""
        self.mappings[index] = _merged(self.mappings.get(index, {}), body)


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}
