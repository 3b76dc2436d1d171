"""From dead letters to the batches that replay them: pure, one rule a stage.

| stage | what is in the letter | what its replay does |
|---|---|---|
| `ingest` | an MQTT message, or the bad records of one | the message comes in again: decoded, windowed, scored, stored, under the ids of its first batch |
| `ingest`, a whole batch | the batch's bytes | the same with each of its messages |
| `score`, a model's | the record | that model alone is asked about it again |
| `window`, `score`, a whole batch | nothing: its records are stored | the records go through the step that was left out |
| `sink` | the document that Elasticsearch refused | it is stored under its own id |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from hort import batch, documents, replay, strict_json
from hort.batch import Message, Messages
from hort.decoding import STAGE as INGEST
from hort.errors import BatchError
from hort.results import STAGE as SCORE
from hort.sink import STAGE as SINK
from operate.letters import WINDOW, Letter, field_of, milliseconds, origin

MAX_LETTERS = 2_000
MAX_BYTES = 4_000_000
"""Of one batch; a larger letter goes alone."""

Records = Callable[[str], list[dict[str, Any]]]
"""The documents in all-events of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A registration whose provider fires what is put into its journal; `width` is its number of partitions."""

    id: str
    trigger: str
    width: int = 1
    ack: str = "sink"
    active: bool = True

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Feed:
        """Reads a registration as the provider stores it."""
        ack, active = str(value["params"]["ack"]), bool(value["active"])
        return cls(id=value["id"], trigger=value["trigger"], width=int(value["width"]), ack=ack, active=active)


@dataclass(frozen=True, slots=True)
class Portion:
    """One batch: what goes into which journal, for the sake of which letters."""

    feed: Feed
    partition: int
    messages: Messages
    letters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one letter brings to a batch: messages with their names, or a document for a stage field; or why it cannot."""

    rows: tuple[tuple[str, Message], ...] = ()
    document: tuple[str, bytes] | None = None
    skip: tuple[str, ...] = ()
    stored: bool = False
    model: str = ""
    alone: bool = False
    refused: str = ""


@dataclass(slots=True)
class _Draft:
    """A batch in the making."""

    piece: Piece
    pieces: list[Piece] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    size: int = 0


def plan(
    letters: Iterable[Letter], feeds: Sequence[Feed], *, records: Records, trigger: str = ""
) -> tuple[list[Portion], dict[str, str]]:
    """The batches that replay these letters, and the letters that cannot be replayed with the reasons."""
    drafts: dict[tuple[Any, ...], list[_Draft]] = {}
    refused: dict[str, str] = {}
    for letter in letters:
        piece = piece_of(letter, records)
        place = _place(letter, feeds, trigger)
        if piece.refused or isinstance(place, str):
            refused[letter.id] = piece.refused or str(place)
            continue
        shape = (*place, piece.document is None, piece.skip, piece.stored, piece.model, letter.id if piece.alone else "")
        _add(drafts.setdefault(shape, []), piece, letter)
    portions = [_portion(shape[0], shape[1], draft) for shape, found in drafts.items() for draft in found]
    return portions, refused


def piece_of(letter: Letter, records: Records) -> Piece:
    """What a letter's replay consists of."""
    whole_batch = letter.message_id == letter.batch_id
    if letter.stage in (WINDOW, SCORE) and whole_batch:
        return _step(letter, records)
    if letter.truncated:
        return Piece(refused=f"only the first {len(letter.payload)} of its {letter.payload_bytes} bytes were kept")
    if letter.stage == INGEST:
        return _whole(letter) if whole_batch else _message(letter)
    if letter.stage == SCORE:
        return _model(letter)
    if letter.stage == SINK:
        return _document(letter)
    return Piece(refused=f"nothing is known of stage {letter.stage!r}")


def _message(letter: Letter) -> Piece:
    if not letter.items:
        return Piece(((letter.message_id, Message(letter.topic, letter.payload, letter.received_ms)),))
    texts = strict_json.elements(letter.payload, most=len(letter.items)) or []
    if len(texts) != len(letter.items):
        return Piece(refused=f"its payload is not the {len(letter.items)} records that it names")
    rows = [
        (f"{letter.message_id}.{number}", Message(letter.topic, text, letter.received_ms))
        for number, text in zip(letter.items, texts, strict=True)
    ]
    return Piece(tuple(rows))


def _whole(letter: Letter) -> Piece:
    try:
        messages = batch.unpack(letter.payload)
        columns = zip(messages.topic_index, messages.payloads, messages.received_at, strict=True)
        names = messages.names or [f"{letter.batch_id}.{at}" for at in range(len(messages))]
        rows = [
            (name, Message(messages.topics[topic], content, received))
            for name, (topic, content, received) in zip(names, columns, strict=True)
        ]
    except (BatchError, ValueError, IndexError, TypeError) as error:
        return Piece(refused=f"its bytes are no batch: {error}")
    return Piece(tuple(rows), alone=True)


def _model(letter: Letter) -> Piece:
    document, model = letter.document, letter.message_id.rpartition("/")[2]
    if not document or not model:
        return Piece(refused="it holds no record")
    return Piece((_record(document),), skip=("late",), stored=True, model=model)


def _step(letter: Letter, records: Records) -> Piece:
    found = records(letter.batch_id)
    if not found:
        return Piece(refused=f"no record of batch {letter.batch_id} is in {documents.ALL_EVENTS} any more")
    skip = "results" if letter.stage == WINDOW else "late"
    return Piece(tuple(map(_record, found)), skip=(skip,), stored=True, alone=True)


def _record(document: Mapping[str, Any]) -> tuple[str, Message]:
    """A stored record as a message that decodes to it; its name is the record's id."""
    payload = orjson.dumps(document["data"])
    received = milliseconds(document.get("received_at"))
    return str(document["record_id"]), Message(str(document["topic"]), payload, received)


def _document(letter: Letter) -> Piece:
    index, _, doc_id = letter.message_id.partition("/")
    name, document = field_of(index), letter.document
    if name is None or not doc_id or not document:
        return Piece(refused=f"it holds no document for one of our indices, its message id is {letter.message_id!r}")
    version = document.get("revision") if index == documents.ANALYTICS else None
    line = documents.bulk_line(doc_id, letter.payload, version=version if isinstance(version, int) else None)
    return Piece(document=(name, line), skip=("late", "results"))


def _place(letter: Letter, feeds: Sequence[Feed], trigger: str) -> tuple[Feed, int] | str:
    """The journal that a letter's replay goes to: its own feed's where there is still one; or why there is none."""
    registration, partition = origin(letter.batch_id)
    usable = [feed for feed in feeds if feed.ack == "sink"]
    own = [feed for feed in usable if feed.id == registration and not trigger]
    named = [feed for feed in usable if feed.trigger == trigger] if trigger else usable
    if len(own or named) != 1:
        have = ", ".join(feed.trigger for feed in usable) or "none"
        return f"which feed shall replay it? --trigger must name one whose batches sink acknowledges; there are: {have}"
    feed = (own or named)[0]
    return feed, partition if partition < feed.width else 0


def _add(drafts: list[_Draft], piece: Piece, letter: Letter) -> None:
    size = sum(len(message.payload) for _, message in piece.rows) + (len(piece.document[1]) if piece.document else 0)
    if not drafts or len(drafts[-1].letters) >= MAX_LETTERS or drafts[-1].size + size > MAX_BYTES:
        drafts.append(_Draft(piece))
    draft = drafts[-1]
    draft.pieces.append(piece)
    draft.letters.append(letter.id)
    draft.size += size


def _portion(feed: Feed, partition: int, draft: _Draft) -> Portion:
    rows = [row for piece in draft.pieces for row in piece.rows]
    extra: dict[str, bytes] = {replay.REPLAYED: replay.only(draft.letters), **dict.fromkeys(draft.piece.skip, b"")}
    for name, line in (piece.document for piece in draft.pieces if piece.document):
        extra[name] = extra.get(name, b"") + line
    if draft.piece.stored:
        extra[replay.STORED] = b"1"
    if draft.piece.model:
        extra[replay.MODELS] = orjson.dumps([draft.piece.model])
    messages = replace(Messages.of([message for _, message in rows]), names=[name for name, _ in rows], extra=extra)
    return Portion(feed, partition, messages, tuple(draft.letters))
