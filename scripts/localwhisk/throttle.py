"""Budgets of a namespace: per calendar minute, and in flight (the server's RateThrottler)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from localwhisk import messages
from localwhisk.clock import Clock, now_ms
from localwhisk.errors import ApiError
from localwhisk.limits import Limits

_MINUTE_MS = 60_000


class RateBudget:
    """Counts what is asked for in each calendar minute; refused calls count too."""

    def __init__(self, allowed: Callable[[str], int], *, clock: Clock = now_ms) -> None:
        self._allowed = allowed
        self._clock = clock
        self._minute = -1
        self._counts: Counter[str] = Counter()

    def refusal(self, namespace: str) -> str | None:
        """Count one call; the text of the 429 when it is beyond the budget."""
        minute = self._clock() // _MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        self._counts[namespace] += 1
        count = self._counts[namespace]
        allowed = self._allowed(namespace)
        return messages.too_many_requests(count, allowed) if count > allowed else None


class Throttle:
    """All budgets of an engine; namespaces in `own` have limits of their own."""

    def __init__(
        self, limits: Limits, *, own: Mapping[str, Limits] | None = None, clock: Clock = now_ms
    ) -> None:
        self._limits = limits
        self._own = dict(own or {})
        self._invocations = RateBudget(lambda name: self.limits(name).invocations_per_minute, clock=clock)
        self._fires = RateBudget(lambda name: self.limits(name).fires_per_minute, clock=clock)
        self._anonymous = RateBudget(lambda _: limits.anonymous_per_minute or 0, clock=clock)
        self._strangers = RateBudget(lambda name: self.limits(name).invocations_per_minute // 2, clock=clock)
        self._clock = clock
        self._in_flight: Counter[str] = Counter()

    def limits(self, namespace: str) -> Limits:
        """Limits of a namespace."""
        return self._own.get(namespace, self._limits)

    def invocation_refusal(self, namespace: str) -> str | None:
        """Count an invocation against both budgets; the text of the 429 or None."""
        return self._invocations.refusal(namespace) or self._concurrency_refusal(namespace)

    def check_invocation(self, namespace: str, *, cors: bool = True) -> None:
        """Same, raised."""
        _raise(self.invocation_refusal(namespace), cors=cors)

    def check_anonymous(self, namespace: str, action: str, *, browser: bool = False) -> None:
        """Count a call of a web action without a key; raises 429 before it costs the owner anything.

        What browsers send is counted apart: any page may have them send it, which is to keep no program out. All actions together take at most
        half of the owner's minute, and half of what the owner may have in flight, however many actions there are.
        """
        if self._limits.anonymous_per_minute is None:
            return
        text = self._anonymous.refusal(f"{action} {browser}") or self._strangers.refusal(namespace)
        count, allowed = self._in_flight[namespace], self.limits(namespace).concurrent // 2
        if text is None and count >= allowed:
            text = messages.too_many_concurrent(count, allowed)
        if text is not None:
            wait_s = 60 - self._clock() // 1000 % 60
            raise ApiError(429, text, cors=False, headers=[("retry-after", str(wait_s))])

    def check_fire(self, namespace: str) -> None:
        """Count a fire; raises 429."""
        _raise(self._fires.refusal(namespace), cors=True)

    def begin(self, namespace: str) -> None:
        """One more activation in flight."""
        self._in_flight[namespace] += 1

    def end(self, namespace: str) -> None:
        """One less."""
        self._in_flight[namespace] -= 1

    def in_flight(self, namespace: str) -> int:
        """Activations running or waiting for a process."""
        return self._in_flight[namespace]

    def _concurrency_refusal(self, namespace: str) -> str | None:
        count, allowed = self._in_flight[namespace], self.limits(namespace).concurrent
        return messages.too_many_concurrent(count, allowed) if count >= allowed else None


def _raise(text: str | None, *, cors: bool) -> None:
    if text is not None:
        raise ApiError(429, text, cors=cors)
