import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import orjson
import pytest

from hort import models, outgoing, score, urls
from hort.breaker import MemoryBreakers
from hort.errors import CallFailed
from hort.model_store import MemoryModelStore
from hort.models import Model
from hort.results import Sheet
from hort.score import Scorer
from hort.testing import FakeClock
from tests.support import staged

LEAST_S = 5.0
"""A batch's time where a test waits for its end: long enough for a process that stands still for a moment to begin its calls in it."""

Reply = Callable[[outgoing.Call], Awaitable[outgoing.Answer]]


class Sender:
    """Answers by the path of the URL; notes what began and what ended, in order."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.log: list[str] = []
        self.calls: list[outgoing.Call] = []

    async def send(self, call: outgoing.Call) -> outgoing.Answer:
        name = call.url.rsplit("/", 1)[1]
        self.calls.append(call)
        self.log.append(f"{name} begins")
        try:
            async with asyncio.timeout(call.timeout_s):
                return await self.replies.get(name, good)(call)
        except TimeoutError as error:
            raise CallFailed("timeout", "no answer") from error
        finally:
            self.log.append(f"{name} ends")

    def count(self, name: str) -> int:
        return self.log.count(f"{name} begins")


def answer(value: object, status: int = 200) -> outgoing.Answer:
    return outgoing.Answer(status, {}, value if isinstance(value, bytes) else orjson.dumps(value), "")


async def good(call: outgoing.Call) -> outgoing.Answer:
    if call.method == "GET":
        return answer({"query": call.query})
    value = orjson.loads(call.body)
    if "instances" in value:
        return answer({"predictions": [{"n": item["device_data"]["n"]} for item in value["instances"]]})
    return answer({"n": value["device_data"]["n"]})


async def hang(_: outgoing.Call) -> outgoing.Answer:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def failing(status: int) -> Reply:
    async def reply(_: outgoing.Call) -> outgoing.Answer:
        return answer(b"boom", status)

    return reply


class Bench:
    def __init__(self) -> None:
        self.sender = Sender()
        self.breakers = MemoryBreakers()
        self.clock = FakeClock()
        self.scorer = Scorer(urls.PUBLIC, sender=self.sender)

    def run(
        self, *found: Model, rows: list[staged.Row] | None = None, budget_s: float = 20
    ) -> dict[str, Sheet]:
        records = staged.records(staged.bikes(5) if rows is None else rows)
        records.join(dict.fromkeys(range(len(records.keys)), b'{"count":3}'), {"bike": b'{"count":9}'})
        sheets = self.scorer.score(records, found, breakers=self.breakers, budget_s=budget_s, now=self.clock)
        return {sheet.model.name: sheet for sheet in sheets}


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.scorer.close()


def model(name: str, **fields: Any) -> Model:
    return models.parse(name, {"url": f"http://model.example/{name}", **fields})


@pytest.mark.parametrize("protocol", models.PROTOCOLS)
def test_each_record_gets_its_own_answer(bench: Bench, protocol: str) -> None:
    sheet = bench.run(model("m", protocol=protocol))["m"]
    found = staged.documents(sheet.lines())
    assert [item["record_id"] for item in found] == [f"b-0-1.{number}" for number in range(5)]
    assert {item["status"] for item in found} == {"ok"}
    if protocol == "query":
        assert found[3]["result"]["query"] == "analytics=%7B%22count%22%3A3%7D&device_data=%7B%22n%22%3A3%7D"
    else:
        assert [item["result"]["n"] for item in found] == [0, 1, 2, 3, 4]
    assert bench.sender.count("m") == (1 if protocol == "instances" else 5)


def test_a_request_carries_record_and_both_windows_and_no_key(bench: Bench) -> None:
    bench.run(model("m"))
    call = bench.sender.calls[0]
    value = orjson.loads(call.body)
    assert set(value) == {"device_data", "record", "analytics", "type_analytics"}
    assert (value["analytics"], value["type_analytics"]) == ({"count": 3}, {"count": 9})
    assert set(call.headers) == {"Content-Type", "Accept"}


@pytest.mark.parametrize(("protocol", "calls"), [("json", 1), ("instances", 1)])
def test_a_model_that_hangs_costs_nothing_to_the_others(bench: Bench, protocol: str, calls: int) -> None:
    """By the order of events: every call of the others ends before the hanging model is given up."""
    bench.sender.replies["slow"] = hang
    found = [
        model("slow", protocol=protocol, concurrency=1, timeout_ms=30_000),
        model("one"),
        model("two", protocol="instances"),
    ]
    sheets = bench.run(*found, budget_s=LEAST_S)
    assert sheets["slow"].counts == {"timeout": 5}
    assert sheets["one"].counts == {"ok": 5}
    assert sheets["two"].counts == {"ok": 5}
    assert bench.sender.log[-1] == "slow ends"
    assert bench.sender.count("slow") == calls


def test_a_hanging_model_loses_its_breaker_even_when_the_batch_ends_first(bench: Bench) -> None:
    bench.sender.replies["slow"] = hang
    slow = model("slow", timeout_ms=30_000, breaker={"failures": 2})
    for _ in range(2):
        bench.run(slow, budget_s=LEAST_S, rows=staged.bikes(1))
    before = bench.sender.count("slow")
    assert bench.run(slow)["slow"].counts == {"open": 5}
    assert bench.sender.count("slow") == before


def test_a_call_that_outlives_its_own_time_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn:
        async def send(self, call: outgoing.Call) -> outgoing.Answer:
            return await hang(call)

    monkeypatch.setattr(score, "GRACE_S", 0.0)
    records = staged.records(staged.bikes(3))
    scorer = Scorer(urls.PUBLIC, sender=Stubborn())
    (sheet,) = scorer.score(records, [model("m")], breakers=MemoryBreakers(), budget_s=0.1)
    scorer.close()
    assert sheet.counts == {"timeout": 3}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (failing(500), "status 500: boom"),
        (failing(404), "status 404"),
        (failing(302), "status 302"),
        (lambda _: _later(answer(b"<html>")), "not JSON"),
        (lambda _: _later(answer(b'{"predictions":[NaN]}')), "NaN"),
        (lambda _: _later(answer(b'{"predictions":[{"a":1,"a":2}]}')), "two members 'a'"),
        (lambda _: _later(answer(b'{"predictions":[%b]}' % (b"1" * 300))), "beyond 64 bits"),
        (lambda _: _later(answer(b'{"predictions":[%b%b]}' % (b"[" * 500, b"]" * 500))), "too deeply"),
        (lambda _: _later(answer({"predictions": [1]})), "1 predictions for 5 instances"),
        (lambda _: _later(answer({"predictions": {}})), "no list"),
        (lambda _: _later(answer([])), "no list"),
    ],
)
def test_a_bad_answer_is_an_error_with_its_reason(bench: Bench, reply: Reply, reason: str) -> None:
    bench.sender.replies["m"] = reply
    sheets = bench.run(model("m", protocol="instances"), model("other"))
    found = staged.documents(sheets["m"].lines())
    assert {item["status"] for item in found} == {"error"}
    assert reason in found[0]["error"]
    assert sheets["other"].counts == {"ok": 5}


async def _later(value: outgoing.Answer) -> outgoing.Answer:
    return value


def test_an_answer_for_one_record_may_be_any_json(bench: Bench) -> None:
    bench.sender.replies["m"] = lambda _: _later(answer(0.75))
    found = staged.documents(bench.run(model("m"), rows=staged.bikes(1))["m"].lines())
    assert found[0]["result"] == {"value": 0.75}


def test_retries_are_for_what_may_pass(bench: Bench) -> None:
    bench.sender.replies["gone"] = failing(503)
    bench.sender.replies["wrong"] = failing(400)
    fields = {"retries": 2, "breaker": {"failures": 0}}
    bench.run(model("gone", **fields), model("wrong", **fields), rows=staged.bikes(1))
    assert bench.sender.count("gone") == 3
    assert bench.sender.count("wrong") == 1


def test_a_retry_that_comes_through_is_ok(bench: Bench) -> None:
    answers = iter([answer(b"", 503), answer(b"", 503), answer({"good": 1})])
    bench.sender.replies["m"] = lambda _: _later(next(answers))
    sheet = bench.run(model("m", on_error="retry"), rows=staged.bikes(1))["m"]
    assert sheet.counts == {"ok": 1}
    assert sheet.calls == 3


def test_retrying_ends_with_the_breaker_or_the_batch(bench: Bench) -> None:
    bench.sender.replies["m"] = failing(503)
    assert (
        bench.run(model("m", on_error="retry", breaker={"failures": 4}), rows=staged.bikes(1))["m"].calls == 4
    )
    stubborn = model("n", on_error="retry", breaker={"failures": 0})
    bench.sender.replies["n"] = failing(503)
    assert bench.run(stubborn, rows=staged.bikes(1), budget_s=LEAST_S)["n"].counts == {"error": 1}


def test_the_breaker_opens_probes_and_closes(bench: Bench) -> None:
    bench.sender.replies["m"] = failing(500)
    broken = model("m", concurrency=1, breaker={"failures": 2, "open_s": 30})
    assert bench.run(broken)["m"].counts == {"error": 2, "open": 3}
    assert bench.run(broken)["m"].counts == {"open": 5}
    bench.clock.advance(30_000)
    assert bench.run(broken)["m"].counts == {"error": 1, "open": 4}
    bench.clock.advance(30_000)
    bench.sender.replies["m"] = good
    assert bench.run(broken)["m"].counts == {"ok": 5}
    assert bench.run(broken)["m"].counts == {"ok": 5}


def test_a_record_that_a_model_refuses_says_nothing_about_the_model(bench: Bench) -> None:
    bench.sender.replies["m"] = failing(422)
    picky = model("m", breaker={"failures": 1})
    assert bench.run(picky)["m"].counts == {"error": 5}
    assert bench.run(picky)["m"].counts == {"error": 5}


def test_instances_are_split_by_number_and_by_size(bench: Bench) -> None:
    bench.run(model("few", protocol="instances", max_instances=2))
    assert bench.sender.count("few") == 3
    large = [(("bike", f"d{number}", "status"), {"n": number, "x": "y" * 50_000}) for number in range(6)]
    sheet = bench.run(model("small", protocol="instances", max_bytes=130_000), rows=large)["small"]
    assert sheet.counts == {"ok": 6}
    assert [len(call.body) < 132_000 for call in bench.sender.calls if call.url.endswith("small")] == [
        True
    ] * 3


def test_one_batch_makes_a_bounded_number_of_calls(bench: Bench) -> None:
    sheet = bench.run(model("m", protocol="instances", max_instances=1), rows=staged.bikes(300))["m"]
    assert sheet.counts == {"ok": 256, "error": 44}


def test_calls_at_the_same_time_are_bounded(bench: Bench) -> None:
    most = now = 0

    async def reply(call: outgoing.Call) -> outgoing.Answer:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return await good(call)

    bench.sender.replies["m"] = reply
    assert bench.run(model("m", concurrency=3), rows=staged.bikes(40))["m"].counts == {"ok": 40}
    assert most == 3


def test_a_fault_of_ours_in_one_model_is_an_error_there_only(bench: Bench) -> None:
    async def broken(_: outgoing.Call) -> outgoing.Answer:
        raise ZeroDivisionError

    bench.sender.replies["m"] = broken
    sheets = bench.run(model("m"), model("other"))
    assert sheets["m"].counts == {"error": 5}
    assert sheets["other"].counts == {"ok": 5}


def test_no_model_and_no_record_are_no_work(bench: Bench) -> None:
    assert bench.run() == {}
    assert bench.run(model("m"), rows=[]) == {}


def test_retries_and_the_breaker_are_counted(bench: Bench) -> None:
    bench.sender.replies["flaky"] = failing(503)
    flaky = model("flaky", retries=1, concurrency=2, breaker={"failures": 3, "within_s": 60, "open_s": 10})
    sheet = bench.run(flaky)["flaky"]
    assert sheet.breaker == {"opened": 1}
    made = score.scored([sheet]).made
    assert made["score.retries.http-5xx"] == sheet.retries["http-5xx"] > 0
    assert made["breaker.opened"] == 1
    bench.sender.replies["flaky"] = good
    bench.clock.advance(11_000)
    assert bench.run(flaky)["flaky"].breaker == {"closed": 1}


def test_counts_and_numbers_tell_what_happened(bench: Bench) -> None:
    bench.sender.replies["bad"] = failing(500)
    sheets = bench.run(model("good"), model("bad", protocol="instances", on_error="dead-letter"))
    whole = score.scored(list(sheets.values()))
    assert whole.statuses == {"ok": 5, "error": 5}
    counts = {name: count for name, count in whole.counts.items() if count}
    assert counts == {"score.batches": 1, "score.ok": 5, "score.error": 5, "dead.score.model-error": 5}
    assert whole.made == {"score.calls": 6}
    trouble = score.troubles(list(sheets.values()))
    assert list(trouble) == ["bad"]
    assert "500" in trouble["bad"]["error"]
    assert len(staged.documents(whole.results)) == 10
    assert len(staged.documents(whole.dead)) == 5
    store = MemoryModelStore()
    score.note(store, list(sheets.values()), kept=True, now=1_700_000_000_000)
    numbers = store.stats(["good", "bad"])
    assert (numbers["good"]["ok"], numbers["good"]["calls"]) == ("5", "5")
    assert numbers["bad"]["last_error"] == "status 500: boom"
    assert "last_at" not in numbers["bad"]


def test_the_last_error_is_the_cause_and_not_that_the_breaker_is_open(bench: Bench) -> None:
    """It became "the breaker is open", and nobody learned that the connection was refused."""

    async def refused(_: outgoing.Call) -> outgoing.Answer:
        raise CallFailed("connect", "cannot connect: Connection refused")

    bench.sender.replies["gone"] = refused
    gone = model("gone", concurrency=1, breaker={"failures": 2, "within_s": 60, "open_s": 10})
    store = MemoryModelStore()
    for _ in range(2):  # it opens in the first batch, and is open in the second one
        sheets = bench.run(gone)
        score.note(store, list(sheets.values()), kept=True, now=bench.clock())
        assert sheets["gone"].counts["open"] > 0
        assert store.stats(["gone"])["gone"]["last_error"] == "cannot connect: Connection refused"
    assert score.troubles(list(sheets.values())) == {"gone": {"open": 5, "error": "open"}}


def test_the_last_error_is_the_cause_and_not_that_time_was_over() -> None:
    (sheet,) = score.sheets_for(staged.records(staged.bikes(5)), [model("gone")])
    sheet.failed([0], "error", 1.0, "status 503: boom")
    sheet.finish("timeout", "the batch's time for scoring was over")
    assert (dict(sheet.counts), sheet.last_error) == ({"error": 1, "timeout": 4}, "status 503: boom")


def test_the_active_list_is_read_at_most_once_a_second() -> None:
    store, now = MemoryModelStore(), [0.0]
    active = score.ActiveModels(store, monotonic=lambda: now[0])
    assert active() == []
    values = [model("m").as_json(), model("off", enabled=False).as_json(), {"name": "bad"}]
    store.set_active(orjson.dumps({"models": values, "polled_at": 1}), poll=1)
    assert active() == []
    now[0] = 1.0
    assert [item.name for item in active()] == ["m"]
    store.set_active(b"broken", poll=2)
    now[0] = 2.0
    assert active() == []
