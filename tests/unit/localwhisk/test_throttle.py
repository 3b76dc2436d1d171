import pytest

from localwhisk.errors import ApiError
from localwhisk.limits import Limits
from localwhisk.throttle import Throttle


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000_020_000

    def __call__(self) -> int:
        return self.ms


def make(clock: Clock, *, rate: int = 3, concurrent: int = 2) -> Throttle:
    limits = Limits(invocations_per_minute=rate, fires_per_minute=rate, concurrent=concurrent)
    return Throttle(limits, clock=clock)


def test_refused_calls_count_too() -> None:
    throttle = make(Clock())
    refusals = [throttle.invocation_refusal("guest") for _ in range(5)]
    assert refusals[:3] == [None] * 3
    assert refusals[3:] == [
        "Too many requests in the last minute (count: 4, allowed: 3).",
        "Too many requests in the last minute (count: 5, allowed: 3).",
    ]


def test_the_budget_is_that_of_the_calendar_minute() -> None:
    clock = Clock()
    throttle = make(clock)
    for _ in range(4):
        throttle.invocation_refusal("guest")
    clock.ms = (clock.ms // 60_000 + 1) * 60_000 - 1
    assert throttle.invocation_refusal("guest") is not None
    clock.ms += 1
    assert throttle.invocation_refusal("guest") is None


def test_namespaces_and_kinds_have_budgets_of_their_own() -> None:
    throttle = make(Clock(), rate=1)
    throttle.check_invocation("guest")
    throttle.check_invocation("other")
    throttle.check_fire("guest")
    with pytest.raises(ApiError) as caught:
        throttle.check_fire("guest")
    assert caught.value.status == 429
    assert caught.value.cors


def test_concurrency_counts_what_is_in_flight() -> None:
    throttle = make(Clock(), rate=100)
    throttle.begin("guest")
    throttle.check_invocation("guest")
    throttle.begin("guest")
    with pytest.raises(ApiError, match=r"Too many concurrent requests in flight \(count: 2, allowed: 2\)\."):
        throttle.check_invocation("guest", cors=False)
    throttle.end("guest")
    throttle.check_invocation("guest")
    assert throttle.in_flight("guest") == 1


def test_limits_of_one_namespace_are_not_those_of_the_others() -> None:
    own = {"team": Limits(invocations_per_minute=1, fires_per_minute=5, concurrent=1)}
    throttle = Throttle(Limits(invocations_per_minute=2, fires_per_minute=2, concurrent=2), own=own, clock=Clock())
    refusals = {name: [throttle.invocation_refusal(name) for _ in range(2)] for name in ("team", "guest")}
    assert refusals["guest"] == [None, None]
    assert refusals["team"] == [None, "Too many requests in the last minute (count: 2, allowed: 1)."]
    assert throttle.limits("team").fires_per_minute == 5


def test_callers_without_a_key_have_a_share_by_action_and_cost_the_owner_no_more() -> None:
    clock = Clock()
    throttle = Throttle(Limits(invocations_per_minute=4, fires_per_minute=3, concurrent=4, anonymous_per_minute=1), clock=clock)
    throttle.check_anonymous("guest", "guest/a")
    throttle.check_anonymous("guest", "guest/b")
    with pytest.raises(ApiError, match=r"count: 2, allowed: 1") as caught:
        throttle.check_anonymous("guest", "guest/a")
    assert (caught.value.status, caught.value.headers) == (429, (("retry-after", "60"),))
    assert [throttle.invocation_refusal("guest") for _ in range(4)] == [None] * 4, "what was refused is not counted"
    clock.ms += 60_000
    throttle.check_anonymous("guest", "guest/a")


def test_callers_without_a_key_have_half_of_the_minute_however_many_actions_there_are() -> None:
    throttle = Throttle(Limits(invocations_per_minute=8, anonymous_per_minute=2), own={"team": Limits(invocations_per_minute=2)}, clock=Clock())
    for action in ("a", "b"):
        for browser in (False, True):
            throttle.check_anonymous("guest", action, browser=browser)
    with pytest.raises(ApiError, match=r"count: 5, allowed: 4"):
        throttle.check_anonymous("guest", "c")
    throttle.check_anonymous("team", "d")
    with pytest.raises(ApiError, match=r"count: 2, allowed: 1"):
        throttle.check_anonymous("team", "e")


def test_callers_without_a_key_have_half_of_what_may_be_in_flight() -> None:
    throttle = Throttle(Limits(concurrent=4, anonymous_per_minute=9), clock=Clock())
    throttle.begin("guest")
    throttle.check_anonymous("guest", "a")
    throttle.begin("guest")
    with pytest.raises(ApiError, match="in flight"):
        throttle.check_anonymous("guest", "a")
    throttle.check_invocation("guest")


def test_there_is_no_share_unless_one_is_asked_for() -> None:
    throttle = make(Clock(), concurrent=0)
    for _ in range(9):
        throttle.check_anonymous("guest", "guest/a")
