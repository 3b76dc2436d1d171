"""Writing bulk bodies: cut into requests of bounded size, retried while that can help, the rest told apart.

A document that Elasticsearch refuses for its own fault (see `hort.bulk_errors`) is handed back with its error. One more try
comes first: two batches that bring a new field at the same moment may each map it, and the one that came second succeeds
the next time. A version conflict (409) says that a newer version is stored, which is what was wanted: it counts as stored.
Where a request of one document is refused as a whole, it counts only if another request passes: a proxy may refuse them all.
Whatever else goes wrong is tried again with growing pauses, then SinkUnavailable.

Of one batch only one request is under way: before a request that may find an earlier one at work (an answer that never
came, an action that was killed), Elasticsearch is asked for it.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from hort import bulk_errors, watchdog
from hort.document_store import DocumentStore, ItemError, RequestRefused, StoreBusy
from hort.errors import DocumentsPutOff, SinkUnavailable

MAX_DOCUMENTS = 5_000
MAX_BYTES = 5_000_000
COPIED_BYTES = 500_000
MAX_REFUSALS = 2
MAX_TOO_LARGE = 10
"""Single documents that are too large for what stands before Elasticsearch, after which the rest is not tried."""
ABSENT = "hort-absent"
"""The id of no document: its deletion changes nothing, and shows that requests are taken."""
CONFLICT = 409
"""A newer version of the document is stored."""
PAUSES_S = (0.1, 0.3, 1.0, 2.0)
"""Before the second, third ... attempt of one request."""
LEAST_S = 1.0
"""What must be left of the time for another request. Each may take all that is left: cut short, it would go on in Elasticsearch."""

_STATUS = re.compile(r"(?:HTTP )?([1-5]\d\d)\b(?: ([a-z_]{1,64})\b)?")
_ERROR_TYPE = "_exception"
"""How Elasticsearch's names of errors end: a status alone does not say whether an index is blocked or a right is missing."""
_LONGEST_REASON = 200

Pair = tuple[bytes, bytes]
"""The action line and the document line, without newlines."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A document that was refused for good, with its error."""

    pair: Pair
    kind: str
    reason: str


@dataclass(slots=True)
class Written:
    """What became of a body."""

    stored: int = 0
    rejected: list[Rejected] = field(default_factory=list)


def pairs(body: bytes) -> list[Pair]:
    """The lines of a bulk body, two by two."""
    lines = body.split(b"\n")
    return list(zip(lines[::2], lines[1::2], strict=False))


def streamed(body: bytes) -> Iterator[Pair]:
    """The same lines, of which only some are copied at a time: a body may be as large as the action's memory allows."""
    start = 0
    while start < len(body):
        end = _after_line(body, start + COPIED_BYTES)
        if body.count(b"\n", start, end) % 2:
            end = _after_line(body, end)
        yield from pairs(body[start:end])
        start = end


def _after_line(body: bytes, position: int) -> int:
    """Where the line goes on that is there, or where the body ends."""
    found = body.find(b"\n", position)
    return len(body) if found < 0 else found + 1


def requests(documents: Iterable[Pair]) -> Iterator[list[Pair]]:
    """The documents in portions that are no more than 5,000 and 5 MB; a larger document goes alone."""
    portion: list[Pair] = []
    size = 0
    for pair in documents:
        length = len(pair[0]) + len(pair[1]) + 2
        if portion and (len(portion) == MAX_DOCUMENTS or size + length > MAX_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(pair)
        size += length
    if portion:
        yield portion


class BulkWriter:
    """Writes to one store within `time_s` seconds from now; `clock` and `pause` count seconds too."""

    def __init__(
        self,
        store: DocumentStore,
        *,
        time_s: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._store = store
        self._deadline = clock() + time_s
        self._clock = clock
        self._pause = pause
        self._batch_id = ""
        self._asks: Callable[[float], None] = lambda _: None
        self._unsure = False
        self._answered = False
        self._too_large = 0
        self._put_off: list[str] = []

    def begin(self, batch_id: str, *, tried_before: bool, asks: Callable[[float], None] = lambda _: None) -> None:
        """Name the batch that is written; where it was tried before, a request of it may still be under way.

        `asks` is told before a request how many seconds it may take, and 0 after it.
        """
        self._batch_id, self._unsure, self._asks = batch_id, tried_before, asks

    def write(self, index: str, documents: Iterable[Pair]) -> Written:
        """Store all documents or say which were refused; SinkUnavailable where that did not come to an end.

        DocumentsPutOff where all that Elasticsearch takes now is stored.
        """
        written = Written()
        self._put_off.clear()
        for portion in requests(documents):
            self._portion(index, portion, written)
        if self._put_off:
            raise DocumentsPutOff(self._put_off[0])
        return written

    def _portion(self, index: str, portion: list[Pair], written: Written) -> None:
        refusals: Counter[bytes] = Counter()
        pauses = PAUSES_S[:MAX_REFUSALS] if self._put_off else PAUSES_S
        for attempt in range(len(pauses) + 1):
            problem, portion = self._attempt(index, portion, written, refusals)
            if not portion:
                return
            if attempt < len(pauses):
                self._wait(pauses[attempt], problem)
                self.counts[f"retried.{_code(problem)}"] += len(portion)
        text = f"{len(portion)} documents for {index} were not taken: {problem}"
        if not self._answered:
            raise SinkUnavailable(text)
        self._put_off.append(text)

    def _attempt(
        self, index: str, portion: list[Pair], written: Written, refusals: Counter[bytes]
    ) -> tuple[str, list[Pair]]:
        """One request; why there is anything left, and what."""
        left_s = self._deadline - self._clock()
        if left_s < LEAST_S:
            raise SinkUnavailable(f"out of time with {len(portion)} documents for {index}")
        self._asks(left_s)
        try:
            if self._unsure and self._store.under_way(self._batch_id):
                return "an earlier request of the batch is still under way", portion
            self._unsure = self._answered = False
            errors = self._store.bulk(index, _body(portion), timeout_s=left_s, batch_id=self._batch_id)
        except StoreBusy as error:
            self._unsure = bool(self._batch_id)
            return str(error), portion
        except RequestRefused as error:
            if not bulk_errors.is_one_lines(error.status, error.kind):
                return str(error), portion
            if len(portion) == 1:
                return str(error), self._alone(index, portion[0], written, refusals, error)
            self._halves(index, portion, written)
            return "", []
        finally:
            self._asks(0)
        self._answered = True
        left, waiting = self._told_apart(portion, errors, written, refusals)
        return _problem(waiting[0]) if waiting else "", left

    def _told_apart(
        self, portion: list[Pair], errors: list[ItemError], written: Written, refusals: Counter[bytes]
    ) -> tuple[list[Pair], list[ItemError]]:
        """Count what was stored and hand back what was refused; the documents to try again, with their errors."""
        superseded = sum(item.status == CONFLICT for item in errors)
        self.counts["superseded"] += superseded
        left: list[Pair] = []
        waiting: list[ItemError] = []
        for item in errors:
            if item.status == CONFLICT:
                continue
            pair = portion[item.position]
            refusals[pair[0]] += bulk_errors.is_documents_own(item.status, item.kind, item.reason)
            if refusals[pair[0]] >= MAX_REFUSALS:
                written.rejected.append(Rejected(pair, item.kind, item.reason))
            else:
                left.append(pair)
                waiting.append(item)
        written.stored += len(portion) - len(errors) + superseded
        return left, waiting

    def _halves(self, index: str, portion: list[Pair], written: Written) -> None:
        """Find the document for which a whole request was refused."""
        middle = len(portion) // 2
        self._portion(index, portion[:middle], written)
        self._portion(index, portion[middle:], written)

    def _alone(
        self, index: str, pair: Pair, written: Written, refusals: Counter[bytes], error: RequestRefused
    ) -> list[Pair]:
        """Hand back a document that no request can hold, while others pass; one that is only too large waits. What to try again."""
        if error.status == bulk_errors.TOO_LARGE:
            self._wait_for_room(index, error)
            return []
        refusals[pair[0]] += self._others_pass(index)
        if refusals[pair[0]] < MAX_REFUSALS:
            return [pair]
        written.rejected.append(Rejected(pair, error.kind, str(error)))
        return []

    def _wait_for_room(self, index: str, error: RequestRefused) -> None:
        self._too_large += 1
        self._put_off.append(f"documents for {index} were not taken: {error}")
        if self._too_large == MAX_TOO_LARGE:
            raise SinkUnavailable(f"{MAX_TOO_LARGE} documents for {index} and maybe more were not taken: {error}")

    def _others_pass(self, index: str) -> bool:
        """Tell whether a request without any document of ours is taken: what refuses that one refuses everything."""
        try:
            self._store.delete(index, [ABSENT])
        except (StoreBusy, RequestRefused):
            return False
        return True

    def _wait(self, seconds: float, problem: str) -> None:
        if self._clock() + seconds >= self._deadline:
            raise SinkUnavailable(f"out of time: {problem}")
        with watchdog.waiting():
            self._pause(seconds)


def _problem(item: ItemError) -> str:
    return f"{item.status} {item.kind}: {item.reason[:_LONGEST_REASON]}"


def _code(problem: str) -> str:
    """What a retry is counted under: the error's type where Elasticsearch names one, else the HTTP status, or `unreachable`."""
    found = _STATUS.match(problem)
    if not found:
        return "unreachable"
    status, kind = found[1], found[2] or ""
    return kind if kind.endswith(_ERROR_TYPE) or (kind and status == "400") else status


def _body(portion: list[Pair]) -> bytes:
    return b"\n".join([line for pair in portion for line in pair]) + b"\n"
