"""What became of accepted fires whose batches the sink has not stored yet, from OpenWhisk's activation records.

A rule that could not start its action, or an action that failed, is known within a second or two; without a record the
batch waits for its deadline. Reading must not hold up the firing: one look at a time, and rarely where records come slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from feeds.provider.pace import Backoff
from feeds.provider.whisk import Target, Whisk
from hort.batch import Reference

LOOK_MS = (500, 2_000)
"""When a fire's records are looked at, first and at last; a batch is stored sooner as a rule, and then they are not."""
SHARE = 10
"""So much longer than a look took it is until the next one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A batch that nobody works on: `errors` of the rules that started nothing, none where all began and an action failed."""

    reference: Reference
    errors: tuple[str, ...] = ()


@dataclass(slots=True)
class _Fire:
    reference: Reference
    activation: str
    at: int
    backoff: Backoff
    started: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


class Follower:
    """Follows the last fire of each batch until the batch is done, fired again, or known to have failed."""

    def __init__(self, whisk: Whisk, steady: Callable[[], int]) -> None:
        self._whisk = whisk
        self._steady = steady
        self._fires: dict[Reference, _Fire] = {}
        self._not_before = 0

    def follow(self, reference: Reference, activation: str) -> None:
        """A fire was accepted."""
        backoff = Backoff(LOOK_MS)
        self._fires[reference] = _Fire(reference, activation, self._steady() + backoff.next_ms(), backoff)

    def look(self, target: Target, unfinished: Callable[[Reference], bool]) -> Verdict | None:
        """Looks at the fire that is due first, if there is one; what is no longer `unfinished` is forgotten."""
        now = self._steady()
        if now < self._not_before or not self._fires:
            return None
        due = min(self._fires.values(), key=lambda fire: fire.at)
        if due.at > now:
            return None
        if not unfinished(due.reference):
            del self._fires[due.reference]
            return None
        verdict = self._verdict(target, due)
        self._not_before = self._steady() + SHARE * (self._steady() - now)
        due.at = self._steady() + due.backoff.next_ms()
        if verdict is not None:
            del self._fires[due.reference]
        return verdict

    def _verdict(self, target: Target, fire: _Fire) -> Verdict | None:
        if not fire.started:
            rules = self._whisk.started(target, fire.activation)
            if rules.known and not rules.activations:
                return Verdict(fire.reference, rules.errors) if rules.errors else None
            fire.started, fire.errors = rules.activations, rules.errors
        ended = [self._whisk.succeeded(target, activation) for activation in fire.started]
        if not ended or None in ended:
            return None
        return Verdict(fire.reference, fire.errors) if fire.errors or False in ended else None
