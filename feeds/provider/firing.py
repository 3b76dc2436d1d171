"""From the journal to OpenWhisk: fires batches at the budget's pace, again where they stay unfinished, and judges the answers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from feeds.provider import payloads
from feeds.provider.follower import Follower, Verdict
from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.pace import HANGS_MS, Backoff, Gate, next_minute
from feeds.provider.whisk import Outcome, Target, Whisk
from hort import batch, replay
from hort.feed_options import INLINE_LIMIT, FeedConfig
from hort.isolation import FAILED
from hort.journal import Entry, Journal, Usage

IDLE_MS = 250
BLOCKED_MS = 50
HOLD_MS = 3_000
BUSY_MS = (1_000, 60_000)
DEADLINE_LIMIT_MS = 600_000
CHECK_MS = (60, 2_000)
PUT_OFF_MS = 120_000
"""Actions put a batch off for a minute at most, a throttle for two; what is later than that and the deadline comes from a wrong clock."""
AGAIN_MS = (2_000, 60_000)
"""When a batch that was put off by a wrong clock is fired again, after its first and after its last fires."""
FAILED_MS = (500, 30_000)
"""When a batch is fired again whose action failed: half a second later, then ever later."""
PER_MINUTE = "Too many requests in the last minute"
CROWDED = ("Too many concurrent requests in flight", "Too many requests")
"""OpenWhisk's words for its throttles: that of a minute opens with the next one, the others as soon as something ends."""
CHECKS = 12
UNREADABLE_ATTEMPTS = 3
MINUTE_JITTER_MS = 500
GIVE_WAY_MS = 600_000
"""A batch that is still unfinished this long after its first fire no longer keeps others from being fired."""
MOST_UNFINISHED = 4
"""So many times `max_unacked` are unfinished at most: in an outage of days the whole journal would be staged in Redis otherwise."""


@dataclass(slots=True)
class _Check:
    """An accepted fire whose rules are not yet known to have started their actions."""

    entry: Entry
    activation: str
    at: int
    backoff: Backoff
    tries: int = 0


@dataclass(frozen=True, slots=True)
class _Fire:
    """The last accepted fire of an unfinished batch: when, and how long it may take."""

    at: int
    deadline: int
    attempts: int

    def due(self, time: int) -> int:
        """When it is fired again where the journal has this time: it may come from an action whose clock is wrong."""
        if self.at <= time <= self.at + self.deadline + PUT_OFF_MS:
            return time
        return self.at + min(AGAIN_MS[0] << min(self.attempts, 10), AGAIN_MS[1])


class Firing:
    """Fires the batches of one registration; `step` is called over and over by one thread.

    Everything that waits goes by `steady`, and so does each `now`; `clock` tells OpenWhisk's minutes and how old a batch is.
    """

    def __init__(
        self,
        target: Target,
        config: FeedConfig,
        *,
        journal: Journal,
        journals: Sequence[str],
        whisk: Whisk,
        gate: Gate,
        clock: Callable[[], int],
        steady: Callable[[], int],
        meters: Meters,
        switch_off: Callable[[Target, Outcome], None],
    ) -> None:
        self.target = target
        self.config = config
        self.held = False
        self.fires = self.refires = 0
        self._journal = journal
        self._journals = journals
        self._whisk = whisk
        self._gate = gate
        self._clock = clock
        self._steady = steady
        self._meters = meters
        self._switch_off = switch_off
        self._refused: tuple[Target, Outcome] | None = None
        self._taking = threading.Lock()
        self._busy = Backoff(BUSY_MS)
        self._checks: list[_Check] = []
        self._follower = Follower(whisk, steady)
        self._unfinished: dict[batch.Reference, int] = {}
        self._fired: dict[batch.Reference, _Fire] = {}
        self._taken_over = False
        self._turn = 0

    def take(self, target: Target, config: FeedConfig, *, firing: bool) -> None:
        """Goes on with a changed target and options; what the one before is answered after that stops nothing."""
        with self._taking:
            self.target, self.config, self._gate.firing = target, config, firing

    def step(self) -> int:
        """One look at the journal and at most one fire; how many milliseconds to wait before the next step."""
        now = self._steady()
        if not self._taken_over:
            self._take_over(now)
        self._look(now)
        gate = self._gate
        if not gate.firing:
            self._tell_refused()
            return IDLE_MS
        if self._checks:
            self._verify(now)
        if verdict := self._follower.look(self.target, self._fired.__contains__):
            self._judge(verdict)
        if now < gate.not_before:
            return min(gate.not_before - now, IDLE_MS)
        again = self._again(now)
        if again is None and not gate.room:
            return BLOCKED_MS
        if wait := gate.pace.wait(now):
            return min(wait, IDLE_MS)
        entry = again or self._next(now)
        if entry is None:
            return BLOCKED_MS if self._checks or gate.in_flight else IDLE_MS
        self._fire(entry, now)
        return 0

    def _take_over(self, now: int) -> None:
        """An earlier owner's times may be of a clock ahead of this one: what it fired or put is waited for as after a first fire."""
        late = sum(self._journal.pull_in(name, due_ms=now + self._deadline(0)) for name in self._journals)
        self._taken_over = True
        if late:
            log("taken-over", trigger=self.target.trigger, batches_put_off_less=late)

    def _deadline(self, attempts: int) -> int:
        return min(round(self.config.ack_deadline_s * 1000) << min(attempts, 10), DEADLINE_LIMIT_MS)

    def _look(self, now: int) -> None:
        added = self._gate.added
        usages = [self._journal.usage(name, now=now) for name in self._journals]
        total = Usage(
            sum(usage.count for usage in usages),
            sum(usage.bytes for usage in usages),
            sum(usage.in_flight for usage in usages),
            min((usage.oldest_ms for usage in usages if usage.oldest_ms), default=0),
        )
        gate, label = self._gate, self.target.trigger
        gate.looked(total.count, total.bytes, before=added)
        gate.in_flight, gate.oldest_ms = total.in_flight, total.oldest_ms
        self._meters.journal_batches.labels(label).set(total.count)
        self._meters.journal_bytes.labels(label).set(total.bytes)
        self._meters.in_flight.labels(label).set(total.in_flight)
        self._meters.lag.labels(label).set(max(0, self._clock() - total.oldest_ms) / 1000 if total.oldest_ms else 0)
        self._meters.stuck.labels(label).set(gate.stuck)

    def _again(self, now: int) -> Entry | None:
        """The unfinished batch that is due first. Until they are done no others begin: what the actions leave for each other
        is several times a batch, and while Elasticsearch is down every batch of a long journal would be staged.
        """
        if not self._unfinished:
            self._gate.stuck, self._gate.hanging = 0, False
            return None
        times = self._times()
        self._gate.hanging = any(now - fire.at > HANGS_MS for fire in self._fired.values())
        self._unfinished = {name: since for name, since in self._unfinished.items() if times[name] is not None}
        most = len(self._unfinished) >= MOST_UNFINISHED * self._gate.max_unacked
        young = [name for name, since in self._unfinished.items() if most or now - since < GIVE_WAY_MS]
        stuck = [name for name in self._unfinished if name not in young]
        self._gate.stuck = len(stuck)
        self._gate.in_flight = max(self._gate.in_flight - sum((times[name] or 0) > now for name in stuck), len(young))
        due = [name for name in young if (times[name] or 0) <= now]
        found = self._journal.entries(sorted(due, key=lambda name: times[name] or 0)[:1])
        return found[0] if found else None

    def _times(self) -> dict[batch.Reference, int | None]:
        """From when on each unfinished batch is fired again, None where it is done; times of wrong clocks are put right."""
        names, times = list(self._unfinished), dict[batch.Reference, int | None]()
        for name, time in zip(names, self._journal.times(names), strict=True):
            times[name] = due = None if time is None else self._fired[name].due(time)
            if due is not None and due != time:
                self._journal.retry_at(name, due)
            if due is None:
                self._gate.done(self._steady() - self._fired[name].at)
        self._fired = {name: fire for name, fire in self._fired.items() if times.get(name) is not None}
        return times

    def _next(self, now: int) -> Entry | None:
        for _ in self._journals:
            journal = self._journals[self._turn % len(self._journals)]
            self._turn += 1
            if due := self._journal.due(journal, now=now, limit=1):
                return due[0]
        return None

    def _fire(self, entry: Entry, now: int) -> None:
        payload = self._payload(entry)
        deadline = self._deadline(entry.attempts)
        if payload is None or not self._journal.take(entry.reference, due_ms=now + deadline):
            return
        self._tell_cut(entry, payload)
        self._gate.in_flight += 1
        self._gate.pace.count(now)
        target = self.target
        outcome = self._whisk.fire(target, payload)
        self.fires += 1
        self._meters.fires.labels(self.target.trigger, str(outcome.status or "unreachable")).inc()
        if outcome.kind == "accepted":
            if (last := self._fired.get(entry.reference)) is not None and now >= last.at + last.deadline:
                self._gate.late()
            self._fired[entry.reference] = _Fire(now, deadline, entry.attempts)
            carried = "messages" in payload and "journal" not in payload  # as it was fired: the options may have changed since
            self._accepted(entry, outcome, carried=carried)
        else:
            self._not_accepted(entry, outcome, target)

    def _tell_cut(self, entry: Entry, payload: dict[str, Any]) -> None:
        """Messages of an inline fire that come as an error; counted with each fire."""
        cut = [row for row in payload.get("messages", ()) if "error" in row]
        if cut:
            reason = "too-large" if cut[0]["payload"] is None else "unreadable"
            self._meters.cut.labels(self.target.trigger, reason).inc(len(cut))
            batch_id = entry.reference.batch_id
            log("cut", error=cut[0]["error"], trigger=self.target.trigger, batch_id=batch_id, count=len(cut), reason=reason)

    def _accepted(self, entry: Entry, outcome: Outcome, *, carried: bool) -> None:
        """`carried`: the fire is all there is of the batch, which is done once the rules have started."""
        self._hold(held=False)
        self._busy.reset()
        self._unfinished.setdefault(entry.reference, self._steady())
        if entry.attempts:
            self.refires += 1
            self._meters.refires.labels(self.target.trigger).inc()
        self._journal.fired(entry.reference, activation=outcome.activation)
        log(
            "fired",
            trigger=self.target.trigger,
            batch_id=entry.reference.batch_id,
            count=entry.count,
            attempt=entry.attempts + 1,
            activation=outcome.activation,
        )
        if carried:
            backoff = Backoff(CHECK_MS)
            self._checks.append(_Check(entry, outcome.activation, self._steady() + backoff.next_ms(), backoff))
        else:
            self._follower.follow(entry.reference, outcome.activation)

    def _not_accepted(self, entry: Entry, outcome: Outcome, target: Target) -> None:
        self._journal.give_back(entry.reference, due_ms=self._steady())
        now = self._steady()
        self._gate.in_flight -= 1
        self._hold(held=outcome.kind == "held")
        if outcome.kind == "refused":
            log("refused", error=f"answer {outcome.status}", trigger=self.target.trigger, batch_id=entry.reference.batch_id)
            self._refuse(target, outcome)
            return
        if outcome.kind == "held":
            self._gate.not_before = now + HOLD_MS
        else:
            self._gate.not_before = self._after_busy(outcome.status, now)
        log(
            "kept",
            error=outcome.message or f"answer {outcome.status}",
            trigger=self.target.trigger,
            batch_id=entry.reference.batch_id,
            status=outcome.status,
            retry_in_ms=self._gate.not_before - now,
        )

    def _refuse(self, target: Target, outcome: Outcome) -> None:
        with self._taking:
            if self.target is not target:
                return
            self._gate.firing, self._refused = False, (target, outcome)
        self._tell_refused()

    def _tell_refused(self) -> None:
        if self._refused is not None:
            self._switch_off(*self._refused)  # RedisError: told again with the next step
            self._refused = None

    def _after_busy(self, status: int, now: int) -> int:
        if status == 429:
            wall = self._clock()
            return now + next_minute(wall) - wall + random.randint(0, MINUTE_JITTER_MS)
        return now + self._busy.next_ms()

    def _hold(self, *, held: bool) -> None:
        self.held = held
        self._meters.held.labels(self.target.trigger).set(held)

    def _payload(self, entry: Entry) -> dict[str, Any] | None:
        """What an action gets; None where the batch is done. Batches that were cut when the feed fired by reference may be
        too large to go inline: whoever was told to read the journal still can. A replay or a part is more than its messages.
        """
        too_large = entry.count > 1 and entry.bytes > INLINE_LIMIT
        more = replay.is_replay(entry.reference.batch_id) or batch.is_part(entry.reference.batch_id)
        if self.config.delivery == "reference" or too_large or more:
            return payloads.by_reference(entry)
        raw = self._journal.load(entry.reference)
        if raw is None:
            return None
        return payloads.inline(entry, raw, ack=self.config.ack) or payloads.by_reference(entry)

    # -- whether the rules started their actions ----------------------------------------------------------------

    def _verify(self, now: int) -> None:
        for check in [check for check in self._checks if check.at <= now]:
            started = self._whisk.started(self.target, check.activation)
            if not started.known and check.tries < CHECKS:
                check.tries += 1
                check.at = now + check.backoff.next_ms()
                continue
            self._checks.remove(check)
            if started.known and not started.errors:
                self._journal.ack(check.entry.reference)
            elif started.errors:
                self._start_again(check.entry.reference, started.errors)
            else:
                self._unreadable(check)

    def _start_again(self, reference: batch.Reference, errors: tuple[str, ...]) -> None:
        now = self._steady()
        throttled = any(PER_MINUTE in error for error in errors)
        due = self._after_busy(429 if throttled else 500, now)
        crowded = any(text in error for error in errors for text in CROWDED)
        self._meters.not_started.labels(self.target.trigger, "throttled" if crowded else "error").inc()
        self._journal.retry_at(reference, due)
        if crowded:
            self._gate.not_before = due
        log("not-started", error="; ".join(errors), trigger=self.target.trigger, batch_id=reference.batch_id)

    def _judge(self, verdict: Verdict) -> None:
        """Fires a batch again that nobody works on, unless it is stored, or its action said itself when to come again."""
        fire, (time,) = self._fired[verdict.reference], self._journal.times([verdict.reference])
        if time != fire.at + fire.deadline:
            return
        if verdict.errors:
            self._start_again(verdict.reference, verdict.errors)
            return
        wait = min(FAILED_MS[0] << min(fire.attempts, 10), FAILED_MS[1])
        self._meters.failed.labels(self.target.trigger).inc()
        self._journal.count_try(verdict.reference, FAILED)
        self._journal.retry_at(verdict.reference, self._steady() + wait)
        log("failed", error="its action failed", trigger=self.target.trigger, batch_id=verdict.reference.batch_id, retry_in_ms=wait)

    def _unreadable(self, check: _Check) -> None:
        if check.entry.attempts + 1 < UNREADABLE_ATTEMPTS:
            return
        self._journal.ack(check.entry.reference)
        self._meters.unverified.labels(self.target.trigger).inc()
        log(
            "unverified",
            error="the trigger's activation cannot be read, the fire counts as delivered",
            trigger=self.target.trigger,
            batch_id=check.entry.reference.batch_id,
        )
