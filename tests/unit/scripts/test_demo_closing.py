"""The demo sums up when its last windows are written."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from demonstrate import closing
from demonstrate.closing import close_rest

NOTHING: dict[str, Any] = {"batch_id": "close-0", "acked": True}
WRITTEN: dict[str, Any] = {"batch_id": "close-0", "stored": {"analytics": 3}}


class Suite:
    """Answers of the sequence, and whether somebody is still at it after each."""

    def __init__(self, *rounds: tuple[dict[str, Any] | Exception, bool]) -> None:
        self.rounds: Iterator[tuple[dict[str, Any] | Exception, bool]] = iter(rounds)
        self._busy = False
        self.calls = 0

    def invoke(self, action: str) -> dict[str, Any]:
        assert action == "hort/close-windows"
        self.calls += 1
        answer, self._busy = next(self.rounds, (NOTHING, False))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def closing(self) -> bool:
        return self._busy


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "LOOK_EVERY_S", 0)


@pytest.mark.parametrize(
    ("rounds", "calls"),
    [
        ((), 2),
        (((WRITTEN, False),), 3),
        (((WRITTEN, True), (NOTHING, True), (WRITTEN, False)), 5),
        (((NOTHING, False), (WRITTEN, False)), 4),
        (((NOTHING, False), (RuntimeError("502"), False)), 4),
    ],
)
def test_goes_on_until_nothing_is_left(rounds: tuple[tuple[dict[str, Any] | Exception, bool], ...], calls: int) -> None:
    suite = Suite(*rounds)
    assert close_rest(suite, suite, deadline=time.monotonic() + 60)
    assert suite.calls == calls


def test_says_so_when_it_takes_too_long() -> None:
    suite = Suite()
    suite.rounds = itertools.repeat((WRITTEN, True))
    assert not close_rest(suite, suite, deadline=time.monotonic() + 0.05)
