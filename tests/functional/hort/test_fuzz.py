"""Hostile arguments to ingest, registry and report: each ends in an answer, a refusal that says why, or a dead letter; nothing raises."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from hort import batch, ingest, ingest_options, models, registry, report, urls, web
from hort.breaker import MemoryBreakers
from hort.counters import MemoryCounters
from hort.errors import ConfigError, HortError
from hort.ingest import Ingest
from hort.ingest_options import IngestOptions
from hort.model_store import MemoryModelStore
from hort.poll import PollFailed, listing
from hort.report_store import MemoryReports
from hort.testing import FakeClock, MemoryJournal, MemoryRepeats, MemorySchemas
from tests.support import fuzz
from tests.support.ingest import ARRIVAL, documents, topic

# -- ingest ----------------------------------------------------------------------------------------------------------

TOPICS = st.sampled_from([topic(), topic(), topic("bus", "\0"), topic("\ud800", "é"), topic("t" * 300), topic("a", '"\\\n'), topic("", ""), "", "/", "elsewhere"])
RECORD = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "t": 1_769_860_800_000, "n": 7, "on": True}
PAYLOADS = st.one_of(
    fuzz.near(RECORD).map(fuzz.encoded), fuzz.near([RECORD, RECORD]).map(fuzz.encoded), fuzz.values.map(fuzz.encoded), fuzz.raw_bodies
)  # fmt: skip
PARAMS = st.sampled_from(
    [
        {},
        {"time_field": "t", "id_field": "n"},
        {"device_type_field": "b.d", "device_id_field": "n", "event_field": "on"},
        {"schema": {"bike": {"a": "String", "t": "Bool", "on": "Numeric"}, "*": {}}},
        {"max_depth": 1, "max_fields": 2, "max_payload_bytes": 30, "max_records_per_message": 1, "max_name_length": 2},
    ]
)


@st.composite
def inline_messages(draw: st.DrawFn) -> dict[str, Any]:
    """A message of an inline fire."""
    content = draw(PAYLOADS)
    if draw(st.booleans()):
        return {"topic": draw(TOPICS), "payload": base64.b64encode(content).decode(), "encoding": "base64", "qos": 1, "received_at": ARRIVAL}
    return {"topic": draw(TOPICS), "payload": content.decode("utf-8", "surrogateescape"), "encoding": "utf-8", "retained": False}


def staged(params: dict[str, Any], options: IngestOptions) -> tuple[int, dict[str, bytes]]:
    """How many messages ingest took, and what it staged."""
    journal = MemoryJournal()
    reference, messages = ingest.inline(params, journal, now=ARRIVAL)
    step = Ingest(journal=journal, schemas=MemorySchemas(), repeats=MemoryRepeats(FakeClock()), counters=MemoryCounters(), options=options)
    result = step.run(reference, messages)
    json.dumps(result)
    stage = journal.read_stage(reference, ["events", "dead", "count", "keys"])
    assert stage is not None
    assert messages is not None
    assert batch.unpack(batch.pack(messages)) is not None
    return len(messages), stage


@fuzz.profile(60)
@given(st.lists(inline_messages(), max_size=6), PARAMS)
def test_each_message_has_one_end(messages: list[dict[str, Any]], params: dict[str, Any]) -> None:
    count, stage = staged({"messages": messages}, ingest_options.from_params(params))
    records, letters = documents(stage.get("events", b"")), documents(stage.get("dead", b""))
    if not params.get("id_field"):
        told = {int(row["_id"].split(".")[1].removesuffix("-ingest")) for row in (*records, *letters)}
        assert told == set(range(count))
    assert all(letter["reason"] and letter["detail"] for letter in letters)
    assert len({row["_id"] for row in (*records, *letters)}) == len(records) + len(letters)
    assert all(len(row["_id"].encode()) <= 512 for row in (*records, *letters))


@fuzz.profile(60)
@given(fuzz.near({"messages": [{"topic": topic(), "payload": "e30=", "encoding": "base64", "qos": 1, "received_at": ARRIVAL}], "batch_id": "a-0-1", "journal": "hort:{0}:journal:a"}))
def test_arguments_that_are_no_batch_are_refused(params: Any) -> None:
    if not isinstance(params, dict):
        return
    try:
        ingest.inline(params, MemoryJournal(), now=ARRIVAL)
    except HortError as error:
        str(error).encode("utf-8", "backslashreplace")


EVERY_OPTION = {
    "topic_pattern": "iot/{device_type}/{device_id}/+/#", "time_field": "t", "time_unit": "ms", "id_field": "n", "dedupe_s": 5, "max_future_s": 1,
    "schema": {"a": {"b": "Numeric"}}, "max_depth": 3, "max_fields": 5, "max_attempts": 2, "max_schema_fields": 9, "event_field": "e",
}  # fmt: skip


@fuzz.profile(60)
@given(fuzz.near(EVERY_OPTION), st.lists(inline_messages(), min_size=1, max_size=3))
def test_options_are_taken_or_refused_by_name(params: Any, messages: list[dict[str, Any]]) -> None:
    if not isinstance(params, dict):
        return
    refused = ""
    try:
        staged({"messages": messages}, ingest_options.from_params(params))
    except ConfigError as error:
        refused = error.name.partition(".")[0]
    assert not refused or refused in {*EVERY_OPTION, *params}


# -- registry and report ---------------------------------------------------------------------------------------------

MODEL = {name: value for name, value in models.Model(name="m", url="http://a.example/?k=v").as_json().items() if name not in models.READ_ONLY}
PATHS = st.sampled_from(["", "/", "/m", "/m", "/models/m", "/m/n", "/%00", "/%ff", "/..", "/" + "m" * 65, "/\ud800", "//"])
METHODS = st.sampled_from(["get", "put", "put", "patch", "patch", "delete", "post", "head", "options", "PUT", "\ud800", ""])
HEADERS = st.sampled_from([{"x-hort-key": "secret"}, {"X-HoRT-Key": "secret"}, {"x-hort-key": "é"}, {"x-hort-key": ["secret"]}, {}, None])


@st.composite
def web_calls(draw: st.DrawFn, *templates: Any) -> dict[str, Any]:
    """The arguments of a raw web action, as OpenWhisk and as nobody would hand them over."""
    body = draw(fuzz.bodies(*templates))
    wrapped = draw(st.sampled_from([base64.b64encode(body).decode(), body.decode("utf-8", "surrogateescape"), body.decode("latin-1")]))
    args = {"__ow_method": draw(METHODS), "__ow_path": draw(PATHS), "__ow_body": wrapped, "__ow_headers": draw(HEADERS), "__ow_query": "a=b"}
    return args | (draw(st.dictionaries(st.sampled_from(list(args)), fuzz.values, max_size=1)) if draw(st.integers(0, 9)) == 0 else {})


def public(_host: str, _port: int) -> Sequence[str]:
    return ["93.184.216.34"]


@fuzz.profile(60)
@given(st.lists(web_calls(MODEL, {"url": "http://b/", "breaker": {"failures": 1}}), min_size=1, max_size=6))
def test_no_request_breaks_the_registry(calls: list[dict[str, Any]]) -> None:
    target = registry.Registry(MemoryModelStore(), MemoryBreakers(), key="secret", resolver=public)
    for args in calls:
        result = registry.handle(target, web.request(args))
        assert 200 <= result["statusCode"] < 500, args
        json.dumps(result)


@fuzz.profile(60)
@given(fuzz.bodies({"endpoints": [{"m": "http://a/"}]}, {"models": [{**MODEL, "name": "m", "revision": 1}]}))
def test_no_answer_of_a_registry_breaks_the_poll(body: bytes) -> None:
    try:
        found = listing(body)
    except PollFailed:
        return
    orjson.dumps([model.as_json() for model in found.models])


class _Whisk:
    def web_path(self) -> str:
        return "/report"

    def fire(self, trigger: str, payload: object) -> str:
        orjson.dumps(payload)
        return "a1"

    def activation(self, activation_id: str) -> dict[str, Any]:
        return {}


REPORT = {"image": base64.b64encode(b"\xff\xd8\xff\xe0").decode(), "id": "r-1", "time": "2026-01-31T12:00:00Z", "place": {"lat": 1, "lon": 2}, "company": "c", "note": "n", "n": 3, "country": "us"}


@fuzz.profile(60)
@given(st.lists(web_calls(REPORT, {**REPORT, "image": None, "url": "http://a.example/x.jpg"}), min_size=1, max_size=4))
def test_no_request_breaks_the_report(calls: list[dict[str, Any]]) -> None:
    desk = report.Desk(MemoryReports(), _Whisk(), lambda _id: None, key="secret", policy=urls.PUBLIC, now=lambda: ARRIVAL, resolver=public)
    for args in calls:
        result = report.handle(desk, web.request(args))
        assert 200 <= result["statusCode"] < 500, args
        json.dumps(result)
