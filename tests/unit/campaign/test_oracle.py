"""The oracle can fail: of documents that are perfect it says so, and of each thing that is spoilt it names exactly that."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.record_oracle import Rules
from campaign.stream import FLEETING, LEAST, NUMBERED, PLAIN, Kill, Outage
from campaign.verdict import Verdict
from tests.support.campaign import START_MS, Perfect, event_of, iso, published, result_of, steady, windows_of

START_S = START_MS / 1000
PERFECT = Perfect.of(steady())


def fresh() -> Perfect:
    return copy.deepcopy(PERFECT)


def found(verdict: Verdict) -> set[tuple[str, str]]:
    return {(kind, finding.what) for kind, findings in verdict.findings.items() for finding in findings}


def test_perfect_documents_are_ok() -> None:
    verdict = fresh().verdict()
    assert verdict.ok
    assert not found(verdict)
    assert verdict.stored == verdict.published == verdict.acked
    assert verdict.windows["compared"] == verdict.windows["due"] == len(PERFECT.analytics)
    assert verdict.results == {"m1": {"ok": len(PERFECT.events)}}


records = st.integers(0, len(PERFECT.events) - 1)


@settings(max_examples=12, deadline=None)
@given(number=records)
def test_a_record_that_is_missing_is_lost_with_its_windows_and_result(number: int) -> None:
    spoilt = fresh()
    gone = spoilt.events.pop(number)
    spoilt.results.pop(number)
    spoilt.analytics = windows_of(spoilt.events)
    verdict = spoilt.verdict()
    if gone["device_type"] == FLEETING:
        assert verdict.ok
        assert verdict.unseen == {FLEETING: 1}
        return
    assert found(verdict) == {("lost", "record")}
    (finding,) = verdict.of("lost")
    assert (finding.group, finding.device, finding.seq) == (gone["device_type"], gone["device_id"], gone["data"]["seq"])


@settings(max_examples=12, deadline=None)
@given(number=records)
def test_a_record_that_is_there_twice_is_doubled(number: int) -> None:
    spoilt = fresh()
    second = event_of(spoilt.stream.published[number], copy=1)
    spoilt.events.append(second)
    spoilt.results.append(result_of(second))
    spoilt.analytics = windows_of(spoilt.events)
    verdict = spoilt.verdict()
    assert found(verdict) == {("doubled", "record")}
    (finding,) = verdict.of("doubled")
    assert set(finding.ids) == {spoilt.events[number]["_id"], second["_id"]}


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "value": lambda event: event["data"].update(value=event["data"]["value"] + 0.001),
    "level as text": lambda event: event["data"].update(level=str(event["data"]["level"])),
    "time": lambda event: event.update({"@timestamp": iso(START_MS - 1)}),
    "event": lambda event: event.update(event="other"),
    "topic": lambda event: event.update(topic="iot-2/x"),
    "batch": lambda event: event.pop("batch_id"),
    "record_id": lambda event: event.update(record_id="x"),
    "arrival": lambda event: event.update(received_at=iso(START_MS - 10_000)),
    "late": lambda event: event.update(late=True),
}


@settings(max_examples=25, deadline=None)
@given(number=records, change=st.sampled_from(sorted(CHANGES)))
def test_a_record_that_is_changed_is_wrong(number: int, change: str) -> None:
    spoilt = fresh()
    CHANGES[change](spoilt.events[number])
    wrong = [finding for finding in spoilt.verdict().of("wrong", "record") if spoilt.events[number]["_id"] in finding.ids]
    assert wrong


def test_a_record_that_nobody_published_is_wrong() -> None:
    spoilt = fresh()
    spoilt.events.append({**event_of(published(PLAIN, "p0", 60, at_s=20)), "_id": "x"})
    assert any("never published" in finding.detail for finding in spoilt.verdict().of("wrong", "record"))


def test_a_document_of_something_else_is_wrong() -> None:
    spoilt = fresh()
    spoilt.events.append({**spoilt.events[0], "_id": "x", "data": {"bikes": 3}})
    (finding,) = spoilt.verdict().of("wrong")
    assert "cannot be read" in finding.detail


# -- late --------------------------------------------------------------------------------------------------------------


def test_a_late_record_within_the_allowed_lateness_counts_in_its_window() -> None:
    whole = Perfect.of([*steady(), published(NUMBERED, "n0", 60, at_s=60, late_s=150)])
    assert not found(whole.verdict())


def test_a_record_past_the_allowed_lateness_is_shown_and_in_no_window() -> None:
    whole = Perfect.of([*steady(), published(NUMBERED, "n0", 60, at_s=60, late_s=420)])
    verdict = whole.verdict()
    assert verdict.ok
    assert found(verdict) == {("late", "record")}
    del whole.events[-1]["late"]
    assert ("wrong", "record") in found(whole.verdict())


# -- the broker's own --------------------------------------------------------------------------------------------------


def killed(group: str, *, done: float, started: float = 10.0, copies: tuple[float, ...]) -> Verdict:
    """A kill at 100 s, noticed at once; a record of this group is stored at `copies` (seconds after the start)."""
    record = published(group, "x", 0, at_s=started, done_at=START_S + done)
    whole = Perfect.of([record], kills=[Kill(START_S + 100)], outages={group: [Outage(START_S + 100.1, START_S + 103)]})
    whole.events = [event_of(record, copy=number, received_s=START_S + at) for number, at in enumerate(copies)]
    whole.results = [result_of(event) for event in whole.events]
    whole.analytics = windows_of(whole.events)
    return whole.verdict(Rules(closed_until_ms=START_MS + 10**9, clock_slack_ms=1_000))


@pytest.mark.parametrize("group", [PLAIN, LEAST])
@pytest.mark.parametrize(
    ("done", "started", "copies", "kind"),
    [
        (98, 97.9, (), "brokers_own"),
        (98, 97.9, (98, 104), "brokers_own"),
        (104, 99, (), "brokers_own"),
        (98, 97.9, (98, 104, 104.1, 104.2), "doubled"),
        (50, 49.9, (), "lost"),
        (50, 49.9, (50, 50.1), "doubled"),
        (50, 49.9, (98, 104), "brokers_own"),
        (106, 105, (), "lost"),
        (106, 105, (106, 106.1), "doubled"),
    ],
)
def test_what_a_killed_broker_forgets_is_its_own(
    group: str, done: float, started: float, copies: tuple[float, ...], kind: str
) -> None:
    assert found(killed(group, done=done, started=started, copies=copies)) == {(kind, "record")}


def test_numbered_devices_lose_and_double_nothing_even_then() -> None:
    assert found(killed(NUMBERED, done=98, started=97.9, copies=())) == {("lost", "record")}
    assert found(killed(NUMBERED, done=98, started=97.9, copies=(98, 104))) == {("doubled", "record")}


def test_a_frozen_broker_could_not_save() -> None:
    record = published(PLAIN, "x", 0, at_s=60)
    whole = Perfect.of([record], kills=[Kill(START_S + 100, START_S + 62)])
    whole.events, whole.results, whole.analytics = [], [], []
    assert found(whole.verdict()) == {("brokers_own", "record")}


def test_an_interrupted_publish_at_least_once_may_repeat() -> None:
    record = published(LEAST, "x", 0, at_s=1, interrupted=True)
    whole = Perfect.of([record])
    whole.events.append(event_of(record, copy=1))
    whole.results.append(result_of(whole.events[-1]))
    whole.analytics = windows_of(whole.events)
    verdict = whole.verdict()
    assert verdict.ok
    assert found(verdict) == {("repeated", "record")}


def test_what_the_broker_never_acked_may_be_missing() -> None:
    whole = Perfect.of([published(PLAIN, "x", 0, at_s=1, done_at=None)])
    whole.events, whole.results, whole.analytics = [], [], []
    verdict = whole.verdict()
    assert verdict.ok
    assert found(verdict) == {("never_acked", "record")}


# -- windows -----------------------------------------------------------------------------------------------------------

windows = st.integers(0, len(PERFECT.analytics) - 1)


@settings(max_examples=10, deadline=None)
@given(number=windows)
def test_a_window_that_is_missing_is_lost_once_it_is_due(number: int) -> None:
    spoilt = fresh()
    gone = spoilt.analytics.pop(number)
    verdict = spoilt.verdict()
    assert found(verdict) == {("lost", "window")}
    assert (verdict.of("lost")[0].group, verdict.of("lost")[0].device) == (gone["devicetype"], gone["id"] or "")
    assert spoilt.verdict(Rules(closed_until_ms=START_MS - 10**6)).ok


@settings(max_examples=40, deadline=None)
@given(
    number=windows,
    what=st.sampled_from(["min", "max", "sum", "avg", "ssd", "std"]),
    name=st.sampled_from(["seq", "time", "value", "level"]),
)
def test_a_statistic_that_is_off_by_a_millionth_is_wrong(number: int, what: str, name: str) -> None:
    spoilt = fresh()
    values = spoilt.analytics[number]["properties"][what]
    values[name] = values[name] * (1 + 1e-6) + 1e-3
    verdict = spoilt.verdict()
    assert found(verdict) == {("wrong", "window")}
    assert f"{what}({name})" in verdict.of("wrong")[0].detail


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"count": 999}, "count is 999"),
        ({"n": {"seq": 1}}, "n is"),
        ({"revision": -1}, "revision is -1"),
        ({"revision": None}, "revision is None"),
        ({"window_start": iso(START_MS)}, "begins at"),
        ({"properties": {}}, "min is of []"),
        ({"properties": None}, "cannot be read"),
        ({"window_end": "yesterday"}, "cannot be read"),
        ({"window_end": iso(START_MS + 10**8)}, "from no record"),
    ],
)
def test_a_window_that_is_wrong_says_what(change: dict[str, Any], says: str) -> None:
    spoilt = fresh()
    spoilt.analytics[0] |= change
    assert any(says in finding.detail for finding in spoilt.verdict().of("wrong", "window"))


def test_two_documents_of_one_window_are_doubled() -> None:
    spoilt = fresh()
    spoilt.analytics.append({**spoilt.analytics[0], "_id": "x"})
    assert found(spoilt.verdict()) == {("doubled", "window")}


def test_a_window_without_a_late_record_is_wrong() -> None:
    whole = Perfect.of([*steady(), published(NUMBERED, "n0", 60, at_s=60, late_s=50)])
    whole.analytics = windows_of(whole.events[:-1])
    assert found(whole.verdict()) == {("wrong", "window")}


# -- results, alarms, dead letters -------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(number=records)
def test_a_result_that_is_missing_doubled_or_changed_is_reported(number: int) -> None:
    spoilt = fresh()
    gone = spoilt.results.pop(number)
    assert found(spoilt.verdict()) == {("lost", "result")}
    spoilt.results += [gone, {**gone, "_id": "x"}]
    assert found(spoilt.verdict()) == {("doubled", "result")}
    spoilt.results.pop()
    gone["result"]["score"] += 0.5
    assert found(spoilt.verdict()) == {("wrong", "result")}
    gone |= {"status": "timeout", "result": None}
    verdict = spoilt.verdict()
    assert verdict.ok
    assert verdict.results["m1"]["timeout"] == 1


def test_a_result_of_no_record_or_no_model_is_wrong() -> None:
    for change in ({"record_id": "x"}, {"model": "m2"}):
        spoilt = fresh()
        spoilt.results.append({**spoilt.results[0], "_id": "x", **change})
        assert found(spoilt.verdict()) == {("wrong", "result")}


def alarm(kind: str, *, seen_s: float, end_s: float) -> dict[str, Any]:
    seen, end = iso(START_MS + round(seen_s * 1000)), iso(START_MS + round(end_s * 1000))
    names = {"device_type": PLAIN, "device_id": "p0", "event": "status"}
    return {"_id": f"{kind}{seen}", "alarm": kind, **names, "last_seen": seen, "window_end": end}


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["silent"], set()),
        (["silent", "resumed", "silent", "resumed"], set()),
        (["silent", "silent"], {("doubled", "alarm")}),
        (["silent", "resumed", "resumed"], {("doubled", "alarm")}),
        (["resumed"], {("wrong", "alarm")}),
    ],
)
def test_alarms_take_turns(kinds: list[str], expected: set[tuple[str, str]]) -> None:
    whole = fresh()
    whole.alarms = [alarm(kind, seen_s=turn, end_s=turn + 120) for turn, kind in enumerate(kinds)]
    whole.alarms.reverse()
    assert found(whole.verdict()) == expected


def test_an_alarm_names_a_moment_at_which_the_device_sent() -> None:
    whole = fresh()
    whole.alarms = [alarm("silent", seen_s=3.05, end_s=120)]
    assert found(whole.verdict()) == {("wrong", "alarm")}
    whole.alarms = [{"_id": "x", "alarm": "loud"}]
    assert found(whole.verdict()) == {("wrong", "alarm")}


def test_a_dead_letter_is_wrong() -> None:
    whole = fresh()
    whole.dead = [{"_id": "d", "stage": "ingest", "reason": "not-json", "batch_id": "b1", "topic": "t", "detail": "no"}]
    verdict = whole.verdict()
    assert found(verdict) == {("wrong", "dead-letter")}
    assert "not-json" in verdict.of("wrong")[0].detail
