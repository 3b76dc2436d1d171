"""Following an id both ways: MQTT message, batch, fire, activations, documents.

The batch is what all of them have in common: records and results name it, its activations have it in their payload or
results. A window and an alarm belong to a device and a time and not to a batch; their activations are those of the tick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hort import batch as batches
from hort import clock, documents, keys, replay
from hort.batch import Reference
from hort.errors import BatchError
from operate import queries
from operate.activations import Activation, WhiskFailed
from operate.families import CLOSE, Families
from operate.letters import milliseconds, origin
from operate.search import Found, Query, Search

TICK_MS = 90_000
"""How long after a window's end the activation of `close` is looked for."""

_TIME_FIELDS = {documents.ANALYTICS: "window_end", documents.ALARMS: "window_end"}


@dataclass(slots=True)
class Trace:
    """What is known: facts in the order of the way; `unknown` says what could not be found out and why."""

    what: str
    id: str
    message: dict[str, Any] = field(default_factory=dict)
    batch: dict[str, Any] = field(default_factory=dict)
    activations: list[dict[str, Any]] = field(default_factory=list)
    documents: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tracer:
    """Follows ids over one installation; `redis` may be None where it does not answer."""

    search: Search
    families: Families
    redis: Any
    limit: int = 20
    now: Callable[[], int] = clock.now_ms

    def trace(self, name: str) -> Trace | None:
        """The trace of an id; None where nothing knows it."""
        found = self.search.by_id(name)
        if found:
            return self._of_document(found[0])
        if self._knows_batch(name):
            return self._of_batch(name, Trace("batch", name))
        activation = self.families.get(name)
        if activation is not None:
            return self._of_activation(activation)
        return self._of_message(name)

    def newest(self, topic: str, *, limit: int) -> list[str]:
        """The newest records and dead letters whose topic fits."""
        query = {"wildcard": {"topic": {"value": topic}}}
        newest = [{"@timestamp": "desc"}]
        found = [
            row
            for index in (documents.ALL_EVENTS, documents.DEAD_LETTERS)
            for row in self.search.find(index, query, limit=limit, sort=newest, without=("payload_base64",))
        ]
        found.sort(key=lambda row: str(row.source["@timestamp"]), reverse=True)
        return [row.id for row in found[:limit]]

    # -- from a document -----------------------------------------------------------------------------------------------

    def _of_document(self, found: Found) -> Trace:
        source = found.source
        trace = Trace(found.index, found.id)
        if found.index == documents.ALL_EVENTS:
            self._record(trace, source)
        elif found.index == documents.MODEL_RESULTS:
            self._result(trace, source)
        elif found.index == documents.DEAD_LETTERS:
            self._letter(trace, found)
        elif found.index in _TIME_FIELDS:
            self._window(trace, found)
        else:
            trace.documents[found.index] = [_row(found)]
            trace.unknown.append("a report has no MQTT message and no batch: its activations are those of the sequence recognize")
        return trace

    def _record(self, trace: Trace, source: Mapping[str, Any]) -> None:
        name = str(source["record_id"])
        self._message(trace, source, name)
        self._batch(trace, str(source["batch_id"]))
        self._documents(trace, {"term": {"record_id": name}}, documents.ALL_EVENTS, documents.MODEL_RESULTS)
        self._windows_of(trace, source)
        alarm = {
            "device_type": source["device_type"],
            "device_id": source["device_id"],
            "event": source["event"],
            "last_seen": source["@timestamp"],
        }
        self._documents(trace, queries.every(alarm), documents.ALARMS)
        self._documents(trace, queries.letters_of(name), documents.DEAD_LETTERS)

    def _result(self, trace: Trace, source: Mapping[str, Any]) -> None:
        events = self.search.find(documents.ALL_EVENTS, {"term": {"record_id": source["record_id"]}}, limit=1)
        if events:
            self._record(trace, events[0].source)
        else:
            trace.unknown.append(f"its record {source['record_id']} is not in {documents.ALL_EVENTS}")
        own = str(source.get("batch_id") or "")
        if not own:
            trace.unknown.append("the result names no batch: it was stored by an older version")
        elif own != trace.batch.get("id"):
            self._batch(trace, own)  # scored again later, by a replay
        self._only_model(trace, str(source["model"]))

    def _only_model(self, trace: Trace, model: str) -> None:
        rows = trace.documents.get(documents.MODEL_RESULTS)
        if rows is None:
            return
        trace.documents[documents.MODEL_RESULTS] = [row for row in rows if row["_id"] == trace.id or row.get("model") != model]

    def _letter(self, trace: Trace, found: Found) -> None:
        source = {name: value for name, value in found.source.items() if name != "payload_base64"}
        message_id = str(source["message_id"])
        self._message(trace, {**source, "received_at": source["@timestamp"]}, message_id)
        self._batch(trace, str(source["batch_id"]))
        trace.documents[documents.DEAD_LETTERS] = [{"_id": found.id, **source}]
        record_id = message_id.partition("/")[2] if source["stage"] == "sink" else message_id.rpartition("/")[0]
        self._documents(trace, {"term": {"record_id": record_id or message_id}}, documents.ALL_EVENTS, documents.MODEL_RESULTS)

    def _window(self, trace: Trace, found: Found) -> None:
        source = found.source
        trace.documents[found.index] = [_row(found)]
        query = queries.records_of_window(source) if found.index == documents.ANALYTICS else queries.last_record(source)
        self._documents(trace, query, documents.ALL_EVENTS)
        if found.index == documents.ANALYTICS:
            rows = self.search.groups(documents.ALL_EVENTS, query, ("batch_id",))
            trace.batch = {"ids": [names[0] for names, _ in rows[: self.limit]], "count": len(rows)}
        end = milliseconds(source["window_end"])
        self._ticks(trace, end)

    def _ticks(self, trace: Trace, end: int) -> None:
        """The activations of `close` that began soon after a window's end: which one wrote a document is not kept."""
        try:
            ticks = [tick for tick in self.families.whisk.between(CLOSE, end, end + TICK_MS) if tick.result.get("windows")]
        except WhiskFailed as error:
            trace.unknown.append(str(error))
            return
        if not ticks:
            trace.unknown.append(f"no activation of {CLOSE} that closed windows within {TICK_MS // 1000} s after the window's end is kept")
            return
        first = min(ticks, key=lambda tick: tick.start)
        trace.unknown.append(f"that activation {first.id} closed this window is told by its time; a later one may have written it again")
        self._family(trace, first)

    # -- from a batch or an activation ---------------------------------------------------------------------------------

    def _knows_batch(self, name: str) -> bool:
        query = {"term": {"batch_id": name}}
        indices = (documents.ALL_EVENTS, documents.DEAD_LETTERS, documents.MODEL_RESULTS)
        return self._in_redis(name) is not None or any(self.search.count(index, query) for index in indices)

    def _of_batch(self, name: str, trace: Trace) -> Trace:
        self._batch(trace, name)
        query = {"term": {"batch_id": name}}
        self._documents(trace, query, documents.ALL_EVENTS, documents.MODEL_RESULTS, documents.DEAD_LETTERS)
        return trace

    def _of_activation(self, activation: Activation) -> Trace:
        trace = Trace("activation", activation.id)
        name = activation.batch_id or self.families.batch_around(activation)
        if not name:
            self._family(trace, activation)
            trace.unknown.append("no activation of this family names a batch")
            return trace
        self._of_batch(name, trace)
        if activation.id not in {row["activation"] for row in trace.activations}:
            self._family(trace, activation)
        return trace

    def _of_message(self, name: str) -> Trace | None:
        """An id that is in no index: the batch before its last dot may be known."""
        batch_id, dot, position = name.rpartition(".")
        if not dot or not position.isdigit() or not self._knows_batch(batch_id):
            return None
        trace = Trace("message", name, message={"batch_id": batch_id, "position": int(position)})
        self._batch(trace, batch_id)
        trace.unknown.append("no record and no dead letter has this id: it waits, or a device's repeat was dropped")
        self._from_redis(trace, name)
        return trace

    # -- message -------------------------------------------------------------------------------------------------------

    def _message(self, trace: Trace, source: Mapping[str, Any], name: str) -> None:
        trace.message = {"topic": source.get("topic"), "received_at": source.get("received_at")}
        first, dot, position = name.partition("/")[0].rpartition(".")
        batch_id = str(source.get("batch_id") or "")
        if dot and position.isdigit():
            # The item of an array has two numbers: the message's place and its own in it.
            outer, more, message = first.rpartition(".")
            if more and message.isdigit():
                trace.message |= {"batch_id": outer, "position": int(message), "item": int(position)}
            else:
                trace.message |= {"batch_id": first, "position": int(position)}
            if batch_id and trace.message["batch_id"] != batch_id:
                trace.message["replayed_in"] = batch_id
        else:
            trace.unknown.append("its place in the batch is not in its id (a number of its device's makes the id, or a whole batch)")
        self._from_redis(trace, name)

    def _from_redis(self, trace: Trace, name: str) -> None:
        """Topic and QoS while the batch waits; the QoS is not stored."""
        batch_id, position = trace.message.get("batch_id"), trace.message.get("position")
        raw = self._raw(str(batch_id)) if batch_id else None
        if raw is None or position is None:
            trace.unknown.append("the QoS of the message: it is known only until its batch is stored")
            return
        try:
            messages = batches.unpack(raw)
            flags, topic = messages.flags[position], messages.topics[messages.topic_index[position]]
        except (BatchError, IndexError) as error:
            trace.unknown.append(f"message {name} cannot be read in its batch: {error}")
            return
        trace.message |= {"topic": topic, "received_at": clock.iso(messages.received_at[position])}
        trace.message |= {"qos": flags & 3, "retained": bool(flags & batches.RETAINED)}

    # -- batch ---------------------------------------------------------------------------------------------------------

    def _batch(self, trace: Trace, batch_id: str) -> None:
        facts: dict[str, Any] = {"id": batch_id}
        made = _made(batch_id)
        if made is not None:
            facts["made_at"] = clock.iso(made)
        if replay.is_replay(batch_id):
            facts["replay"] = True
        waiting = self._in_redis(batch_id)
        if waiting is None and self.redis is None:
            facts["state"] = "unknown"
            trace.unknown.append("Redis does not answer: whether the batch waits is not known")
        else:
            facts |= waiting or {"state": "stored: no longer in the journal"}
        trace.batch = facts
        self._batch_activations(trace, batch_id, made or milliseconds(trace.message.get("received_at")))

    def _in_redis(self, batch_id: str) -> dict[str, Any] | None:
        """What the journal says of a batch that is not stored yet."""
        reference = _reference(batch_id)
        if self.redis is None or reference is None:
            return None
        names = ("trigger", "count", "bytes", "created_ms", "attempts", "activation")
        values = self.redis.hmget(reference.batch_key, names)
        if all(value is None for value in values):
            return None
        facts = {name: value.decode() for name, value in zip(names, values, strict=True) if value is not None}
        facts |= {name: int(facts[name]) for name in names[1:5] if name in facts}
        due = self.redis.zscore(reference.journal, batch_id)
        state = "waits, in no journal" if due is None else "waits to be fired" if due <= self.now() else "fired, not stored yet"
        more = {} if due is None else {"fired_again_at": clock.iso(int(due))}
        return {"state": state, **facts, **more}

    def _raw(self, batch_id: str) -> bytes | None:
        reference = _reference(batch_id)
        raw: bytes | None = None if self.redis is None or reference is None else self.redis.hget(reference.batch_key, "raw")
        return raw

    # -- activations ---------------------------------------------------------------------------------------------------

    def _batch_activations(self, trace: Trace, batch_id: str, made: int) -> None:
        trace.activations.clear()
        try:
            found = self.families.heads(batch_id, made, str(trace.batch.get("activation", "")))
            for head in found:
                self._family(trace, head)
        except WhiskFailed as error:
            trace.unknown.append(str(error))
            return
        if not found:
            trace.unknown.append("the batch's activations: none that names it is kept (any more) in this namespace")

    def _family(self, trace: Trace, head: Activation) -> None:
        """An activation and all that it started, each once; of an inner one the sequence's whole family."""
        rows, missing = self.families.of(head, known={row["activation"] for row in trace.activations})
        trace.activations += rows
        trace.unknown += missing

    # -- documents -----------------------------------------------------------------------------------------------------

    def _documents(self, trace: Trace, query: Query, *indices: str) -> None:
        for index in indices:
            rows = self.search.find(index, query, limit=self.limit, without=("payload_base64",))
            have = {row["_id"] for row in trace.documents.get(index, [])}
            trace.documents.setdefault(index, []).extend(_row(row) for row in rows if row.id not in have)
            trace.counts[index] = self.search.count(index, query) if len(rows) == self.limit else len(rows)

    def _windows_of(self, trace: Trace, source: Mapping[str, Any]) -> None:
        """The windows that hold the record's time, of its device and of its device type."""
        if source.get("late"):
            trace.unknown.append("the record came too late for any window")
            return
        self._documents(trace, queries.windows_of(source), documents.ANALYTICS)


def _made(batch_id: str) -> int | None:
    try:
        return batches.created_ms(batch_id) if not batch_id.startswith(("close-", "direct-")) else None
    except ValueError:
        return None


def _reference(batch_id: str) -> Reference | None:
    registration, partition = origin(batch_id)
    try:
        found = Reference(batch_id, keys.journal(partition, registration))
        return batches.reference(found.as_result())
    except BatchError:
        return None


def _row(found: Found) -> dict[str, Any]:
    return {"_id": found.id, **found.source}
