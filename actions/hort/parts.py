"""Cutting a batch into parts that take its place in the journal, each a batch of its own whose records keep their ids.

A batch is cut between two steps only: what a step has done with it, it has done with the whole. Parts of messages are
ingested again under the messages' names; parts of what ingest staged keep their documents, and what `window` marked in them.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import compress
from typing import Any

import msgpack
import orjson

from hort import batch, isolation, mapped_fields, replay
from hort.batch import Reference
from hort.journal import Journal, Part, Stage

SUMMARY = "ingested"
"""Stage field that shows that ingest got through, with its answer."""
_NAMES = mapped_fields.stage_field("events")
STAGED = ("events", _NAMES, "keys", "key_index", "ts", "cols", "dead", "count", SUMMARY, "late")
_BATCH = b',"batch_id":%b'


def split_messages(journal: Journal, reference: Reference, raw: bytes, *, step: str, suspect: bool) -> bool:
    """Cuts a batch that is not ingested; False where it cannot be, or got through meanwhile."""
    if replay.is_replay(reference.batch_id):
        return False  # its dead letters would have to be told apart
    messages, created = batch.unpack(raw), journal.created(reference)
    if len(messages) < 2 or created is None:
        return False
    found = []
    for positions in isolation.cuts(len(messages), journal.trouble(reference, step).at):
        piece = batch.pack(messages.only(positions, batch_id=reference.batch_id))
        tried = step if suspect and len(positions) > 1 else ""
        found.append(Part(_fresh(reference, created), len(positions), raw=piece, tried=tried))
    return journal.split(reference, found, unless=SUMMARY)


def split_stage(journal: Journal, reference: Reference, *, step: str, unless: str) -> bool:
    """Cuts a batch that is ingested and that `step` has not got through with, which would leave the field `unless`."""
    stage, created = journal.read_stage(reference, STAGED), journal.created(reference)
    if stage is None or created is None or replay.is_replay(reference.batch_id):
        return False
    count = int(stage["count"])
    if count < 2:
        return False
    found = []
    for positions in isolation.cuts(count, journal.trouble(reference, step).at):
        made = _fresh(reference, created)
        fields = cut(stage, positions, old=reference.batch_id, new=made.batch_id)
        found.append(Part(made, len(positions), stage=fields))
    return journal.split(reference, found, unless=unless)


def cut(stage: Stage, positions: range, *, old: str, new: str) -> dict[str, bytes]:
    """The stage fields of some of the records; what became of other messages (`dead`) goes with the first."""
    dead = stage["dead"] if positions.start == 0 else b""
    fields = {
        "events": _lines(stage["events"], positions, _BATCH % orjson.dumps(old), _BATCH % orjson.dumps(new)),
        _NAMES: stage.get(_NAMES, mapped_fields.staged({})),
        "keys": stage["keys"],
        "key_index": _column("I", stage["key_index"], positions),
        "ts": _column("q", stage["ts"], positions),
        "cols": msgpack.packb([_columns(item, positions) for item in msgpack.unpackb(stage["cols"])]),
        "dead": dead,
        "count": str(len(positions)).encode(),
        SUMMARY: orjson.dumps({"records": len(positions), "dead": dead.count(b"\n") // 2}),
    }
    if "late" in stage:
        fields["late"] = _moved(stage["late"], positions)
    return fields


def _fresh(reference: Reference, created: int) -> Reference:
    return Reference(batch.part_id(reference.batch_id, created), reference.journal)


def _lines(events: bytes, positions: range, old: bytes, new: bytes) -> bytes:
    """The bulk lines of some records, which name the part as their batch."""
    lines = events.split(b"\n")[2 * positions.start : 2 * positions.stop]
    lines[1::2] = [line.replace(old, new, 1) for line in lines[1::2]]
    return b"".join(line + b"\n" for line in lines)


def _column(kind: str, column: bytes, positions: range) -> bytes:
    return array(kind, column)[positions.start : positions.stop].tobytes()


def _moved(late: bytes, positions: range) -> bytes:
    return array("I", (at - positions.start for at in array("I", late) if at in positions)).tobytes()


def _columns(item: dict[str, Any], positions: range) -> dict[str, Any]:
    """One device type's numbers of some records, see `hort.decoded.columns`."""
    rows, values, width = array("I", item["rows"]), array("d", item["values"]), len(item["fields"])
    chosen = [row in positions for row in rows]
    kept = compress((values[at : at + width] for at in range(0, len(values), width or 1)), chosen)
    moved: Sequence[int] = [row - positions.start for row in compress(rows, chosen)]
    return {**item, "rows": array("I", moved).tobytes(), "values": b"".join(part.tobytes() for part in kept)}
