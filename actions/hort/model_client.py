"""Calling one model for its share of a batch: the three protocols, retries, the breaker."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote

from hort import clock, outgoing, strict_json, urls
from hort.breaker import Breakers
from hort.errors import AddressRefused, CallFailed
from hort.results import ERROR, OPEN, TIMEOUT, Sheet

MAX_ANSWER_BYTES = 1024 * 1024
"""Of an answer for one record; for `instances` an answer may also be as large as its request."""
MAX_QUERY = 64 * 1024
MAX_CALLS = 256
"""Calls of protocol `instances` for one batch."""
BODY_BYTES = 24 * 1024 * 1024
"""All calls of protocol `instances` under way in one activation, together."""
MIN_BODY_BYTES = 128 * 1024
BACKOFF_S = 0.05
BACKOFF_CAP_S = 2.0

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_PASSING = frozenset({408, 425, 429})
_WRONG_ADDRESS = frozenset({401, 403, 404, 405, 410})


class Sender(Protocol):
    """What makes the calls, `outgoing.Client` for one."""

    async def send(self, call: outgoing.Call) -> outgoing.Answer:
        """The answer to a call; CallFailed or AddressRefused where there is none."""


class Failure(Exception):
    """A call brought nothing usable; `passing` says that it may do so later, `counted` that the breaker should know.

    `kind` is a stable code for what failed.
    """

    def __init__(
        self, reason: str, *, status: str = ERROR, passing: bool = False, counted: bool = True, kind: str = "answer"
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.passing = passing
        self.counted = counted
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Limits:
    """What one model's calls may use: `deadline` on the monotonic clock, `body_bytes` of requests under way."""

    deadline: float
    body_bytes: int = BODY_BYTES

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()


class ModelCalls:
    """One model's calls for one batch; results go to its sheet."""

    def __init__(
        self,
        sheet: Sheet,
        *,
        sender: Sender,
        breakers: Breakers,
        limits: Limits,
        now: Callable[[], int] = clock.now_ms,
    ) -> None:
        self._sheet = sheet
        self._model = sheet.model
        self._sender = sender
        self._breakers = breakers
        self._limits = limits
        self._now = now
        self._tripped = False

    async def run(self) -> None:
        """Makes all calls; records that are left without a result are the caller's to finish."""
        model = self._model
        gate = self._breakers.enter(model.name, model.breaker, now=self._now())
        units = self._units()
        if gate == "open" or (gate == "probe" and not await self._probe(units)):
            self._sheet.finish(OPEN, "the breaker is open: too many calls failed")
            return
        async with asyncio.TaskGroup() as group:
            for _ in range(self._parallel()):
                group.create_task(self._work(units))
        if self._tripped:
            self._sheet.finish(OPEN, "the breaker opened: too many calls failed")

    async def _probe(self, units: Iterator[Sequence[int]]) -> bool:
        """One call decides whether the breaker closes."""
        first = next(units, None)
        if first is None or not await self._unit(first):
            return False
        self._breakers.succeeded(self._model.name)
        self._sheet.breaker["closed"] += 1
        return True

    async def _work(self, units: Iterator[Sequence[int]]) -> None:
        for slots in units:
            if self._tripped or self._limits.left_s <= 0:
                return
            await self._unit(slots)

    def _parallel(self) -> int:
        if self._model.protocol != "instances":
            return min(self._model.concurrency, max(1, len(self._sheet.positions)))
        return max(1, min(self._model.concurrency, 4, self._limits.body_bytes // (2 * self._call_bytes())))

    def _call_bytes(self) -> int:
        return max(MIN_BODY_BYTES, min(self._model.request_bytes, self._limits.body_bytes // 2))

    def _units(self) -> Iterator[Sequence[int]]:
        """The slots of each call."""
        count = len(self._sheet.positions)
        if self._model.protocol != "instances":
            return iter([range(slot, slot + 1) for slot in range(count)])
        return self._chunks(count)

    def _chunks(self, count: int) -> Iterator[Sequence[int]]:
        sizes, limit, most = self._sizes(), self._call_bytes(), self._model.max_instances
        start, size, calls = 0, 0, 0
        for slot, more in enumerate(sizes):
            if slot > start and (size + more > limit or slot - start >= most):
                yield range(start, slot)
                start, size, calls = slot, 0, calls + 1
                if calls == MAX_CALLS:
                    reason = f"a batch may take {MAX_CALLS} calls: allow more instances or bytes in one"
                    self._sheet.failed(range(start, count), ERROR, 0, reason)
                    return
            size += more
        if start < count:
            yield range(start, count)

    def _sizes(self) -> Iterator[int]:
        records = self._sheet.records
        return (records.instance_bytes(position) + 1 for position in self._sheet.positions)

    async def _unit(self, slots: Sequence[int]) -> bool:
        """One call and its repetitions; false where it failed in a way that the breaker counts."""
        call = self._call(slots)
        attempt = 0
        while True:
            began = time.monotonic()
            try:
                values = await self._answers(call, len(slots))
            except Failure as failure:
                latency_ms = self._called(began)
                if failure.counted:
                    self._failed()
                pause = min(BACKOFF_CAP_S, BACKOFF_S * 2**attempt) * random.uniform(0.5, 1)
                if not self._again(failure, attempt, pause):
                    self._sheet.failed(slots, failure.status, latency_ms, failure.reason)
                    return not failure.counted
                attempt += 1
                self._sheet.retries[failure.kind] += 1
                await asyncio.sleep(pause)
            else:
                self._sheet.answered(slots, values, self._called(began))
                return True

    def _failed(self) -> None:
        """Tells the breaker; that it opens counts once, however many calls were under way."""
        if self._breakers.failed(self._model.name, self._model.breaker, now=self._now()) and not self._tripped:
            self._tripped = True
            self._sheet.breaker["opened"] += 1

    def _again(self, failure: Failure, attempt: int, pause: float) -> bool:
        if not failure.passing or self._tripped or self._limits.left_s <= pause:
            return False
        return attempt < self._model.retries or self._model.on_error == "retry"

    def _called(self, began: float) -> float:
        latency_ms = (time.monotonic() - began) * 1000
        self._sheet.called(latency_ms)
        return latency_ms

    def _call(self, slots: Sequence[int]) -> outgoing.Call:
        model, records = self._model, self._sheet.records
        positions = [self._sheet.positions[slot] for slot in slots]
        if model.protocol == "query":
            query = _query(records.analytics(positions[0]), records.data[positions[0]])
            return outgoing.Call(
                model.url, headers={"Accept": "application/json"}, query=query, max_bytes=MAX_ANSWER_BYTES
            )
        if model.protocol == "json":
            body = records.instance(positions[0])
        else:
            body = b'{"instances":[%b]}' % b",".join(map(records.instance, positions))
        most = max(MAX_ANSWER_BYTES, len(body))
        return outgoing.Call(model.url, "POST", _JSON, body, max_bytes=most)

    async def _answers(self, call: outgoing.Call, count: int) -> Sequence[Any]:
        """The answers of one call, one a record; Failure where there are none."""
        if len(call.query) > MAX_QUERY:
            raise Failure(f"the query is longer than {MAX_QUERY} characters", counted=False)
        timeout_s = min(self._model.timeout_ms / 1000, max(0.0, self._limits.left_s))
        try:
            answer = await self._sender.send(replace(call, timeout_s=timeout_s))
        except CallFailed as error:
            late = error.kind == "timeout"
            raise Failure(
                error.reason,
                status=TIMEOUT if late else ERROR,
                passing=late or error.kind in {"connect", "closed"},
                kind=error.kind,
            ) from error
        except AddressRefused as error:
            raise Failure(str(error)) from error
        if not 200 <= answer.status < 300:
            raise _refused(answer, self._model.url)
        return self._values(answer.body, count)

    def _values(self, body: bytes, count: int) -> Sequence[Any]:
        try:
            value = strict_json.loads(body)
        except strict_json.Refused as error:
            raise Failure(f"the answer cannot be used: {error}") from error
        if self._model.protocol != "instances":
            return [value]
        predictions = value.get("predictions") if isinstance(value, dict) else None
        if not isinstance(predictions, list):
            raise Failure("the answer has no list 'predictions'")
        if len(predictions) != count:
            raise Failure(f"the answer has {len(predictions)} predictions for {count} instances")
        return predictions


def _query(analytics: bytes, device_data: bytes) -> str:
    return f"analytics={quote(analytics, safe='')}&device_data={quote(device_data, safe='')}"


def _refused(answer: outgoing.Answer, url: str) -> Failure:
    """What a status says; servers like to repeat the address they were asked for, and results are read by many."""
    text = urls.without_secrets(answer.body[:2_000].decode("utf-8", "replace"), url)[:200]
    status = answer.status
    passing = status >= 500 or status in _PASSING
    counted = passing or status < 400 or status in _WRONG_ADDRESS
    kind = "http-5xx" if status >= 500 else f"http-{status}"
    return Failure(
        f"status {status}: {text}" if text else f"status {status}", passing=passing, counted=counted, kind=kind
    )
