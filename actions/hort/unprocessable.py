"""Batches with which an action does not get through, because of one of their records or because they are too much at once.

The first try is as any other. The second one notes in the journal where it is, the third cuts the batch there, or in half where
that is not known, and so each part, until what cannot be taken stands alone. After some tries that goes on without the action.

Only what a batch itself brings about may count. An action counts its try before the work, so that being killed counts, and
takes it back where Redis failed; a setting that cannot be used is found before. What stops `window` and `score` may lie outside
of the batch, so there a small part is cut further only where another batch was stored since it was made, and a record is given up only
where others were between the tries. `sink` cuts nothing: it stores a batch over which it died in portions, see `hort.portions`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from hort import action, batch, documents, isolation, parts, replay, watchdog
from hort.batch import Messages, Reference
from hort.counters import Counters
from hort.decoded import Decoded
from hort.decoding import STAGE
from hort.errors import BatchError
from hort.event_time import LATEST_MS
from hort.isolation import REASON, SPLIT_AFTER
from hort.journal import Journal
from hort.portions import Search

WHOLE_TRIES = 3
"""Tries to bury each message by itself; after these the batch is buried in one piece, which takes hardly any memory."""
UNREADABLE = (BatchError, ValueError, KeyError, IndexError, TypeError)
"""What reading a batch or a stage raises that is not as it should be."""
STEPS = {"window": "late", "score": "results"}
"""Action after ingest -> the stage field that shows that it got through, in the sequence's order."""


def buried(reference: Reference, raw: bytes, *, tries: int, at_ms: int, whole: bool) -> Decoded:
    """The batch as dead letters only: one a message, or one for the batch where it cannot be read."""
    detail = f"ingest did not get through with this batch {tries - 1} times"
    decoded = Decoded()
    try:
        decoded.dead += _letters(reference, batch.unpack(raw), detail) if whole else []
    except UNREADABLE as error:
        detail = f"{detail}: {error}"
    if not decoded.dead and not replay.is_replay(reference.batch_id):  # a replay's own dead letters are still there
        decoded.dead.append(_letter(reference, reference.batch_id, STAGE, detail, raw, at_ms=at_ms))
    decoded.counts["messages"] = decoded.counts[f"dead.{REASON}"] = len(decoded.dead)
    action.log("ingest.unprocessable", batch_id=reference.batch_id, dead=len(decoded.dead), error=detail)
    return decoded


def bury(decoded: Decoded, reference: Reference, messages: Messages, positions: Sequence[int], *, detail: str) -> None:
    """Adds dead letters for the messages at these positions, which were left out of a decoded batch."""
    letters = _letters(reference, messages.only(positions, batch_id=reference.batch_id), detail)
    decoded.dead += letters
    decoded.counts["messages"] += len(positions)
    decoded.counts[f"dead.{REASON}"] += len(letters)
    action.log("ingest.unprocessable", batch_id=reference.batch_id, dead=len(letters), error=detail)


def search(reference: Reference, journal: Journal, step: str, count: int, attempt: Callable[[range], object]) -> None:
    """Tries a batch part by part, each noted before, so that what kills the process is known by the next try; nothing is kept."""
    if count > 1:
        for positions in isolation.noted(journal, reference, step, range(count)):
            watchdog.restart(watchdog.PART_S)
            with contextlib.suppress(Exception):  # what raises is found by the whole
                attempt(positions)
        watchdog.restart()


def deadly(search: Search, count: int, attempt: Callable[[range], object]) -> list[int]:
    """The positions that have been found to end the process by themselves; looks for more of them first."""
    found: list[int] = []
    for portions in (Search.healthy, Search.suspect):
        for portion in portions(search, count):
            if portion.alone:
                found.append(portion.at.start)
                continue
            with contextlib.suppress(Exception):  # what raises is found by the whole
                attempt(portion.at)
    return found


def split_unread(reference: Reference, raw: bytes, journal: Journal, counters: Counters, *, tries: int) -> bool:
    """Cuts a batch that ingest does not get through with; False where it is not to be cut, or cannot be."""
    return tries > SPLIT_AFTER and split(reference, raw, journal, counters, suspect=True)


def split(reference: Reference, raw: bytes, journal: Journal, counters: Counters, *, suspect: bool = False) -> bool:
    """Cuts a batch that is not ingested yet; False where it cannot be. The parts of a `suspect` one are searched by their first try."""
    try:
        done = parts.split_messages(journal, reference, raw, step=STAGE, suspect=suspect)
    except UNREADABLE:
        return False
    return done and _tell_split(reference, counters, STAGE)


def help_on(reference: Reference, journal: Journal, counters: Counters, *, limit: int) -> bool:
    """Cuts a staged batch that an action after ingest does not get through with: True. A single record goes on without it.

    Not where the action's last try gets through just now.
    """
    fields = journal.read_stage(reference, list(STEPS.values()))
    step = next((step for step, field in STEPS.items() if field not in (fields or {})), None)
    if fields is None or step is None:
        return False
    tries = journal.count_try(reference, step)
    if tries >= SPLIT_AFTER and journal.others_passed(reference) and split_staged(reference, journal, counters, step=step):
        return True
    skip_step(reference, journal, counters, step, limit=limit)
    return False


def split_staged(reference: Reference, journal: Journal, counters: Counters, *, step: str) -> bool:
    """Cuts a batch that is ingested, before a step that is too much for an action; False where it cannot be."""
    with contextlib.suppress(*UNREADABLE):
        if parts.split_stage(journal, reference, step=step, unless=STEPS[step]):
            return _tell_split(reference, counters, step)
    return False


def _tell_split(reference: Reference, counters: Counters, step: str) -> bool:
    counters.add({f"{step}.split": 1})
    action.log(f"{step}.split", batch_id=reference.batch_id)
    return True


def skip_step(reference: Reference, journal: Journal, counters: Counters, step: str, *, limit: int) -> None:
    """Lets a batch that cannot be cut go on without an action that never gets through with it; its records are stored."""
    tries = journal.count_try(reference, f"{step}-alone", only_if_others_pass=True)
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
