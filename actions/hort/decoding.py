"""Decoding a batch: messages in, documents and columns out, without any I/O.

A clean flat record (the usual one) takes one parse, one look-up of its shape and one concatenation. Whatever is nested,
compressed, of an odd kind, new, or named by its fields goes the longer way through `_Decoder._message`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from hort import clock, documents, event_time, mapped_fields, payload, replay, schema, strict_json
from hort.batch import Messages
from hort.decoded import Block, Decoded, Identity, Key
from hort.errors import BatchTooLarge
from hort.flatten import Flat, flatten
from hort.ingest_options import IngestOptions
from hort.payload import OverBudget, Undecodable

STAGE = "ingest"
MAX_KEY_LENGTH = 256
"""Characters of a device type, a device id and an event."""
STAGED_BYTES = 68_000_000
"""What a bounded batch may become in memory, by these rules of thumb; documents are there twice while they are put together."""
RECORD_BYTES, VALUE_BYTES, ROUTE_BYTES = 150, 48, 1_000
LOOKED_AT = 32
"""Messages whose numbers are looked at together: one at a time costs twice as much."""
MAX_PLANNED = 100_000
"""Fields of all the shapes that are remembered; records of a shape beyond take the longer way."""
MAX_OVER = 10_000
"""Fields over the limit that are told apart, to count them."""
MAX_NAMED_ITEMS = 10
"""Bad items of an array that a dead letter lists."""

Shape = tuple[Any, ...]
"""Names and types of a flat record's values: records of one shape are treated alike."""

Plan = tuple[Block, int]
"""Where the numbers of a shape's records go, and how many quotes the text of such a flat record has."""

_LINE = b'{"index":{"_id":"%b"}}\n{"record_id":"%b"%b%b%b}\n'


@dataclass(slots=True)
class _Route:
    """What a topic (and the fields that name a device) decide for a record."""

    key: Key
    head: bytes
    plans: dict[Shape, Plan]
    number: int = -1


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a record came from."""

    position: int
    topic: str
    content: bytes
    received: int


def decode(
    messages: Messages, options: IngestOptions, known: schema.Known, *, batch_id: str, bounded: bool = False
) -> Decoded:
    """Every message as records or as one dead letter.

    `bounded`: BatchTooLarge where that is more than the actions may hold at once. Else what is beyond the batch's budget for
    arrays and compressed payloads becomes dead letters.

    Fields in `unknown` of the result are not in its statistics: extend the schemas and decode again. A device type that
    `known` does not have has an empty schema that may grow.
    """
    decoder = _Decoder(messages, options, known, batch_id, bounded=bounded)
    decoder.run()
    return decoder.decoded


class _Decoder:
    def __init__(
        self, messages: Messages, options: IngestOptions, known: schema.Known, batch_id: str, *, bounded: bool
    ) -> None:
        self.decoded = Decoded()
        self._messages = messages
        self._options = options
        self._known = known
        self._batch_id = batch_id
        self._names = messages.names
        self._stored = replay.STORED in messages.extra
        self.decoded.extra = messages.extra
        self._budget = payload.Budget(records=max(payload.MAX_ARRAY_RECORDS, options.caps.records_per_message))
        self._routes: dict[tuple[str, Key], _Route] = {}
        self._plans: dict[str, dict[Shape, Plan]] = {}
        self._key_numbers: dict[Key, int] = {}
        self._stamps: dict[int, bytes] = {}
        self._seen: set[str] = set()
        self._over: set[tuple[str, str]] = set()
        self._planned = 0
        self._bounded = bounded
        self._room: float = STAGED_BYTES if bounded else math.inf

    # -- messages --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Decodes all messages: the plain ones the short way, the others the long way."""
        messages, options = self._messages, self._options
        short_way = options.topic_decides and not options.time_field and not options.id_field
        routes = [self._topic_route(topic) if short_way else None for topic in messages.topics]
        fit = False
        rows = zip(messages.topic_index, messages.payloads, messages.received_at, strict=True)
        for position, (topic, content, received) in enumerate(rows):
            if not position % LOOKED_AT:
                fit = strict_json.numbers_fit(b"\n".join(messages.payloads[position : position + LOOKED_AT]))
            route = routes[topic]
            if route is None or not self._plain(route, position, content, received, fit=fit):
                self._message(_Origin(position, messages.topics[topic], content, received))
        self.decoded.counts["messages"] = len(messages)
        self.decoded.counts["replayed"] = len(replay.letters(messages.extra))
        self.decoded.counts["fields-over"] = len(self._over)

    def _plain(self, route: _Route, position: int, content: bytes, received: int, *, fit: bool) -> bool:
        """Takes a flat record whose shape is known; False where the message is anything else. `fit`: its numbers were looked at."""
        if len(content) > self._options.caps.payload_bytes:
            return False
        try:
            data = orjson.loads(content)
        except orjson.JSONDecodeError:
            return False
        if type(data) is not dict:
            return False
        plan = route.plans.get((*data, *map(type, data.values())))
        if plan is None or content.count(b'"') != plan[1] or not 0 <= received <= event_time.LATEST_MS:
            return False
        if not fit and not strict_json.numbers_fit(content):
            return False
        self._write(self._name(position), route, data, plan[0], at=received, received=received)
        return True

    def _name(self, position: int) -> str:
        """What a message is called, and its record where it is the only one: a replayed one as in its first batch."""
        return self._names[position] if self._names else f"{self._batch_id}.{position}"

    def _message(self, origin: _Origin) -> None:
        """Takes any message: each of its records, or one dead letter for what is bad in it."""
        try:
            if not 0 <= origin.received <= event_time.LATEST_MS:
                raise Undecodable("bad-time", f"arrival time {origin.received} is no time in milliseconds")
            found = self._match(origin.topic)
            value = payload.parse(origin.content, self._options.caps, self._budget)
            items = payload.records(value, self._options.caps, self._budget)
        except Undecodable as problem:
            if self._bounded and isinstance(problem, OverBudget):
                raise BatchTooLarge(str(problem)) from problem
            self._dead(origin, problem, origin.content)
            return
        problems: dict[int, Undecodable] = {}
        for number, item in enumerate(items):
            suffix = f".{number}" if items is value else ""
            try:
                self._record(origin, suffix, found, item)
            except Undecodable as problem:
                problems[number] = problem
        if problems:
            self._dead_items(origin, items, problems, whole=items is not value)

    def _dead(self, origin: _Origin, problem: Undecodable, content: bytes, items: Sequence[int] = ()) -> None:
        self.decoded.counts[f"dead.{problem.reason}"] += 1
        letter = documents.dead_letter(
            self._name(origin.position),
            stage=STAGE,
            reason=problem.reason,
            detail=problem.detail,
            topic=origin.topic,
            batch_id=self._batch_id,
            payload=content,
            at_ms=min(max(origin.received, 0), event_time.LATEST_MS),
            items=items,
        )
        self._take_room(2 * len(letter))
        self.decoded.dead.append(letter)

    def _take_room(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise BatchTooLarge(f"more than {STAGED_BYTES} bytes are made of the batch")

    def _dead_items(
        self, origin: _Origin, items: list[Any], problems: dict[int, Undecodable], *, whole: bool
    ) -> None:
        """One dead letter for the bad records of a message; where good ones went on, it holds the bad ones alone."""
        first = next(iter(problems.values()))
        if whole or len(problems) == len(items):
            self._dead(origin, first, origin.content)
            return
        named = ", ".join(str(number) for number in list(problems)[:MAX_NAMED_ITEMS])
        more = ", ..." if len(problems) > MAX_NAMED_ITEMS else ""
        detail = f"items {named}{more} of {len(items)}: {first.detail}"
        bad = b"[%b]" % b",".join(_text(items[number]) for number in problems)
        self._dead(origin, Undecodable(first.reason, detail), bad, list(problems))

    # -- records ---------------------------------------------------------------------------------------------------

    def _record(self, origin: _Origin, suffix: str, found: dict[str, str], item: Any) -> None:
        if isinstance(item, payload.BadItem):
            raise item.problem
        if not isinstance(item, dict):
            raise Undecodable("not-object", f"record is a JSON {payload.json_name(item)}, not an object")
        flat = flatten(item, self._options.caps)
        route = self._route(origin.topic, self._key(found, flat))
        at = self._time(flat, origin.received)
        owner = self._name(origin.position) + suffix
        record_id = owner if self._stored else self._identity(route.key, flat) or owner
        if record_id != owner:
            if record_id in self._seen:
                self.decoded.counts["repeats"] += 1
                return
            self._seen.add(record_id)
            self.decoded.identities.append(Identity(len(self.decoded.lines), record_id, owner))
        data, block = self._settle(route, flat)
        self._write(record_id, route, data, block, at=at, received=origin.received)

    def _write(
        self, record_id: str, route: _Route, data: Flat, block: Block, *, at: int, received: int
    ) -> None:
        decoded, name = self.decoded, record_id.encode()
        block.rows.append(len(decoded.lines))
        block.values += block.pick(data)
        stamp = (self._stamps.get(at) or self._stamp(at)) if at == received else _two_stamps(at, received)
        line = _LINE % (name, name, route.head, stamp, orjson.dumps(data))
        self._room -= 2 * len(line) + RECORD_BYTES + VALUE_BYTES * len(block.names)
        if self._room < 0:
            self._take_room(0)
        decoded.lines.append(line)
        decoded.key_index.append(route.number if route.number >= 0 else self._number(route))
        decoded.times.append(at)

    def _stamp(self, at: int) -> bytes:
        stamp = self._stamps[at] = _two_stamps(at, at)
        return stamp

    def _time(self, flat: Flat, received: int) -> int:
        """The time of the record: its own where it brings one, else that of its arrival."""
        options = self._options
        if not options.time_field:
            return received
        value = flat.get(options.time_field)
        if value is None:
            self.decoded.counts["time-missing"] += 1
            return received
        return event_time.parse(value, unit=options.time_unit, latest_ms=received + options.max_future_ms)

    def _identity(self, key: Key, flat: Flat) -> str | None:
        """A record's id from its device and the number that the device gave it."""
        value = flat.get(self._options.id_field) if self._options.id_field else None
        if value is None:
            return None
        return hashlib.sha256(orjson.dumps([key[0], key[1], value])).hexdigest()[:32]

    # -- keys ------------------------------------------------------------------------------------------------------

    def _match(self, topic: str) -> dict[str, str]:
        options = self._options
        found = options.pattern.match(topic)
        if found is None:
            if not (options.device_type_field and options.device_id_field):
                raise Undecodable("topic-mismatch", f"topic does not match {options.pattern.text}")
            return {}
        return found

    def _key(self, found: dict[str, str], flat: Flat) -> Key:
        options = self._options
        key = (
            _part(flat, options.device_type_field, found.get("device_type", options.default_device_type)),
            _part(flat, options.device_id_field, found.get("device_id", "")),
            _part(flat, options.event_field, found.get("event", options.default_event)),
        )
        if max(map(len, key)) > MAX_KEY_LENGTH:
            raise Undecodable(
                "bad-key", f"device type, id or event is longer than {MAX_KEY_LENGTH} characters"
            )
        return key

    def _topic_route(self, topic: str) -> _Route | None:
        try:
            return self._route(topic, self._key(self._match(topic), {}))
        except Undecodable:
            return None

    def _route(self, topic: str, key: Key) -> _Route:
        route = self._routes.get((topic, key))
        if route is None:
            names = ("batch_id", "device_type", "device_id", "event", "topic")
            head = orjson.dumps(dict(zip(names, (self._batch_id, *key, topic), strict=True)))
            route = _Route(key, b"," + head[1:-1], self._plans.setdefault(key[0], {}))
            self._take_room(ROUTE_BYTES + len(head))
            self._routes[topic, key] = route
        return route

    def _number(self, route: _Route) -> int:
        """The key's place in `keys`, given when its first record comes."""
        number = self._key_numbers.setdefault(route.key, len(self._key_numbers))
        if number == len(self.decoded.keys):
            self.decoded.keys.append(route.key)
        route.number = number
        return number

    # -- schema ----------------------------------------------------------------------------------------------------

    def _settle(self, route: _Route, flat: Flat) -> tuple[Flat, Block]:
        """The record's values as their kinds want them, and the block of its numbers."""
        shape = (*flat, *map(type, flat.values()))
        planned = route.plans.get(shape)
        if planned is not None:
            return flat, planned[0]
        device_type = route.key[0]
        known = self._schema(device_type)
        data: Flat = {}
        numeric: list[str] = []
        alike = True
        names = self.decoded.names.setdefault(device_type, {})
        for name, value in flat.items():
            kind = known.fields.get(name) or self._first_sight(device_type, known, name, value)
            mapped_fields.note(names, name, kind, value)
            alike = alike and schema.natural(kind, type(value))
            data[name], fits = (value, True) if kind is None else schema.fit(kind, value)
            self.decoded.counts["mismatch"] += not fits
            if kind == schema.NUMERIC and fits and value is not None:
                numeric.append(name)
        block = self.decoded.block(device_type, tuple(numeric))
        if alike and self._planned < MAX_PLANNED:
            self._planned += len(flat)
            route.plans[shape] = (block, strict_json.quotes(flat))
        return data, block

    def _schema(self, device_type: str) -> schema.TypeSchema:
        types = self.decoded.types
        if device_type not in types:
            given = self._options.schema.of(device_type)
            types[device_type] = given or self._known.get(device_type) or schema.TypeSchema()
        return types[device_type]

    def _first_sight(self, device_type: str, known: schema.TypeSchema, name: str, value: Any) -> str | None:
        """The kind of a field that no schema has; it is noted for the schema as long as that may grow."""
        kind = schema.kind_of(value)
        if kind is None:
            return None
        fields = self.decoded.unknown.setdefault(device_type, {}) if known.open else {}
        if known.open and (name in fields or len(known.fields) + len(fields) < self._options.max_schema_fields):
            fields.setdefault(name, kind)
        elif self._options.schema.of(device_type) is None and len(self._over) < MAX_OVER:
            self._over.add((device_type, name))
        return None


def _text(item: Any) -> bytes:
    return item.text if isinstance(item, payload.BadItem) else orjson.dumps(item)


def _two_stamps(at: int, received: int) -> bytes:
    stamps = f',"@timestamp":"{clock.iso(at)}","received_at":"{clock.iso(received)}","data":'
    return stamps.encode()


def _part(flat: Flat, name: str, otherwise: str) -> str:
    """A part of the key: from its field where it is named, else what the topic says."""
    if not name:
        return otherwise
    value = flat.get(name)
    if isinstance(value, str) and value:
        return value
    if type(value) in (int, float):
        return orjson.dumps(value).decode()
    raise Undecodable("missing-field", f"record has no text or number in field {name!r}")
