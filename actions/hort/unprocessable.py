"""Batches with which an action never gets through: they would be fired for ever, so after some tries they go on without it.

Only what a batch itself brings about may count. An action counts its try before the work, so that being killed counts, and
takes it back where Redis failed; a setting that cannot be used is found before. What stops `window` and `score` may lie outside
of the batch, so there a try counts only where other batches were stored since the last one. `sink` never counts: what it
cannot store now, it can when Elasticsearch is back.
"""

from __future__ import annotations

from hort import action, batch, documents, replay
from hort.batch import Messages, Reference
from hort.counters import Counters
from hort.decoded import Decoded
from hort.decoding import STAGE
from hort.errors import BatchError
from hort.event_time import LATEST_MS
from hort.journal import Journal

REASON = "unprocessable"
WHOLE_TRIES = 3
"""Tries to bury each message by itself; after these the batch is buried in one piece, which takes hardly any memory."""
STEPS = {"window": "late", "score": "results"}
"""Action after ingest -> the stage field that shows that it got through, in the sequence's order."""


def buried(reference: Reference, raw: bytes, *, tries: int, at_ms: int, whole: bool) -> Decoded:
    """The batch as dead letters only: one a message, or one for the batch where it cannot be read."""
    detail = f"ingest did not get through with this batch {tries - 1} times"
    decoded = Decoded()
    try:
        decoded.dead += _letters(reference, batch.unpack(raw), detail) if whole else []
    except (BatchError, ValueError, IndexError, TypeError) as error:
        detail = f"{detail}: {error}"
    if not decoded.dead and not replay.is_replay(reference.batch_id):  # a replay's own dead letters are still there
        decoded.dead.append(_letter(reference, reference.batch_id, STAGE, detail, raw, at_ms=at_ms))
    decoded.counts["messages"] = decoded.counts[f"dead.{REASON}"] = len(decoded.dead)
    action.log("ingest.unprocessable", batch_id=reference.batch_id, dead=len(decoded.dead), error=detail)
    return decoded


def skip_step(reference: Reference, journal: Journal, counters: Counters, *, limit: int) -> None:
    """Lets a staged batch go on without the action after ingest that never gets through with it; its records are stored.

    Not where the action's last try gets through just now.
    """
    fields = journal.read_stage(reference, list(STEPS.values()))
    step = next((step for step, field in STEPS.items() if field not in (fields or {})), None)
    if fields is None or step is None:
        return
    tries = journal.count_try(reference, step, only_if_others_pass=True)
    if tries <= limit:
        return
    detail = f"{step} did not get through with this batch {tries - 1} times while others passed: it is stored without"
    if journal.write_stage(reference, _without(reference, journal, step, detail), STEPS[step]):
        counters.add({f"{step}.skipped": 1, f"dead.{step}.{REASON}": 1})
        action.log(f"{step}.skipped", batch_id=reference.batch_id, error=detail)


def _without(reference: Reference, journal: Journal, step: str, detail: str) -> dict[str, bytes]:
    """The stage fields that let a batch pass a step; a replay that was for such a step's sake leaves its dead letters alone."""
    stage = journal.read_stage(reference, ["dead", replay.STORED]) or {}
    if replay.STORED in stage:
        return {STEPS[step]: b"", replay.REPLAYED: b""}
    letter = _letter(reference, reference.batch_id, step, detail, b"", at_ms=journal.created(reference) or 0)
    return {STEPS[step]: b"", "dead": stage.get("dead", b"") + letter}


def _letters(reference: Reference, messages: Messages, detail: str) -> list[bytes]:
    if replay.STORED in messages.extra:
        return []
    names = messages.names or [f"{reference.batch_id}.{at}" for at in range(len(messages))]
    rows = zip(names, messages.topic_index, messages.payloads, messages.received_at, strict=True)
    return [
        _letter(reference, name, STAGE, detail, content, at_ms=received, topic=messages.topics[topic])
        for name, topic, content, received in rows
    ]


def _letter(
    reference: Reference, name: str, stage: str, detail: str, content: bytes, *, at_ms: int, topic: str = ""
) -> bytes:
    return documents.dead_letter(
        name,
        stage=stage,
        reason=REASON,
        detail=detail,
        topic=topic,
        batch_id=reference.batch_id,
        payload=content,
        at_ms=min(max(at_ms, 0), LATEST_MS),
    )
