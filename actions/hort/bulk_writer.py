"""Writing bulk bodies: cut into requests of bounded size, retried while that can help, the rest told apart.

A document that Elasticsearch refuses for good (HTTP 400) is handed back with its error. One more try comes first: two
batches that bring a new field at the same moment may each map it, and the one that came second succeeds the next time.
A version conflict (409) says that a newer version is stored, which is what was wanted: it counts as stored. Whatever else
goes wrong (429, 5xx, no connection, no permission) is tried again with growing pauses, then SinkUnavailable.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hort.document_store import DocumentStore, ItemError, RequestRefused, StoreBusy
from hort.errors import SinkUnavailable

MAX_DOCUMENTS = 5_000
MAX_BYTES = 5_000_000
MAX_REFUSALS = 2
CONFLICT = 409
"""A newer version of the document is stored."""
PAUSES_S = (0.1, 0.3, 1.0, 2.0)
"""Before the second, third ... attempt of one request."""
SHORTEST_TIMEOUT_S = 1.0
LONGEST_TIMEOUT_S = 20.0

_STATUS = re.compile(r"(?:HTTP )?([1-5]\d\d)\b")
_PASSING_400 = frozenset({"index_closed_exception", "cluster_block_exception"})
"""Error types that come with a 400 and are no fault of the document."""

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


def requests(documents: Sequence[Pair]) -> Iterator[list[Pair]]:
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

    def write(self, index: str, documents: Sequence[Pair]) -> Written:
        """Stores all documents or says which were refused; SinkUnavailable where that did not come to an end."""
        written = Written()
        for portion in requests(documents):
            self._portion(index, portion, written)
        return written

    def _portion(self, index: str, portion: list[Pair], written: Written) -> None:
        refusals: Counter[bytes] = Counter()
        for attempt in range(len(PAUSES_S) + 1):
            problem, portion = self._attempt(index, portion, written, refusals)
            if not portion:
                return
            if attempt < len(PAUSES_S):
                self._wait(PAUSES_S[attempt], problem)
                self.counts[f"retried.{_code(problem)}"] += len(portion)
        raise SinkUnavailable(f"{len(portion)} documents for {index} were not taken: {problem}")

    def _attempt(
        self, index: str, portion: list[Pair], written: Written, refusals: Counter[bytes]
    ) -> tuple[str, list[Pair]]:
        """One request; why there is anything left, and what."""
        if self._clock() >= self._deadline:
            raise SinkUnavailable(f"out of time with {len(portion)} documents for {index}")
        try:
            errors = self._store.bulk(index, _body(portion), timeout_s=self._timeout())
        except StoreBusy as error:
            return str(error), portion
        except RequestRefused as error:
            self._halves(index, portion, written, error)
            return "", []
        left: list[Pair] = []
        superseded = sum(item.status == CONFLICT for item in errors)
        self.counts["superseded"] += superseded
        errors = [item for item in errors if item.status != CONFLICT]
        for item in errors:
            pair = portion[item.position]
            refusals[pair[0]] += _is_refusal(item)
            if refusals[pair[0]] >= MAX_REFUSALS:
                written.rejected.append(Rejected(pair, item.kind, item.reason))
            else:
                left.append(pair)
        written.stored += len(portion) - len(errors)
        return f"{errors[0].status} {errors[0].kind}" if errors else "", left

    def _halves(self, index: str, portion: list[Pair], written: Written, error: RequestRefused) -> None:
        """Finds the document for which a whole request was refused."""
        if len(portion) == 1:
            written.rejected.append(Rejected(portion[0], error.kind, str(error)))
            return
        middle = len(portion) // 2
        self._portion(index, portion[:middle], written)
        self._portion(index, portion[middle:], written)

    def _timeout(self) -> float:
        return max(SHORTEST_TIMEOUT_S, min(LONGEST_TIMEOUT_S, self._deadline - self._clock()))

    def _wait(self, seconds: float, problem: str) -> None:
        if self._clock() + seconds >= self._deadline:
            raise SinkUnavailable(f"out of time: {problem}")
        self._pause(seconds)


def _code(problem: str) -> str:
    """What a retry is counted under: the HTTP status, or `unreachable` where there was none."""
    found = _STATUS.match(problem)
    return found[1] if found else "unreachable"


def _is_refusal(error: ItemError) -> bool:
    return error.status == 400 and error.kind not in _PASSING_400


def _body(portion: list[Pair]) -> bytes:
    return b"\n".join([line for pair in portion for line in pair]) + b"\n"
