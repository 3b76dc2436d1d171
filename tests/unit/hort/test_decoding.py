"""Decoding a batch: every message becomes records or one dead letter."""

import gzip
import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import mapped_fields
from hort.batch import Message, Messages
from hort.decoding import decode
from hort.ingest_options import IngestOptions, from_params
from hort.payload import Caps
from hort.schema import BOOL, NUMERIC, STRING, TypeSchema
from tests.support.ingest import (
    ARRIVAL,
    BATCH,
    TOPIC,
    buried,
    data,
    documents,
    messages,
    numbers,
    reasons,
    settled,
    topic,
)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["12", "1e400", "true", "", "2026-01-31T12:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(["a", "b", "a.b", "t", "n", ""])
PAYLOADS = st.one_of(
    st.binary(max_size=30),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(NAMES, JSON_VALUES, max_size=4).map(lambda value: json.dumps(value).encode()),
    st.lists(st.dictionaries(NAMES, JSON_VALUES, max_size=4), max_size=4).map(
        lambda value: gzip.compress(json.dumps(value).encode())
    ),
)
TOPICS = st.sampled_from([TOPIC, topic("bus"), topic("b_|/+ü".replace("/", "-")), "elsewhere", ""])
BATCHES = st.lists(st.builds(Message, TOPICS, PAYLOADS, st.integers(-5, 2**62)), max_size=12).map(Messages.of)
OPTIONS = st.sampled_from(
    [
        {},
        {"time_field": "t"},
        {"id_field": "n"},
        {
            "time_field": "t",
            "id_field": "n",
            "schema": {"bike": {"a": "Numeric", "b": "Bool", "t": "String"}},
        },
        {"device_type_field": "a", "device_id_field": "b", "event_field": "n"},
        {"max_depth": 1, "max_fields": 2, "max_payload_bytes": 25},
    ]
)


@given(BATCHES, OPTIONS)
def test_whatever_comes_nothing_raises_and_every_message_is_accounted_for(
    batch: Messages, params: dict[str, Any]
) -> None:
    decoded = settled(batch, from_params(params))
    fields = decoded.stage_fields()

    records, letters = documents(fields["events"]), documents(fields["dead"])
    told = {int(row["_id"].removesuffix("-ingest").split(".")[1]) for row in letters}
    if not params.get("id_field"):
        told |= {int(row["record_id"].split(".")[1]) for row in records}
        assert told == set(range(len(batch)))
        assert len({row["_id"] for row in records}) == len(records)
    assert len(letters) == len({row["_id"] for row in letters})
    assert len(records) == int(fields["count"]) == len(fields["ts"]) // 8 == len(fields["key_index"]) // 4


@given(BATCHES, OPTIONS)
def test_columns_hold_the_numbers_of_the_documents(batch: Messages, params: dict[str, Any]) -> None:
    options = from_params(params)
    decoded = settled(batch, options)
    fields = decoded.stage_fields()
    found = numbers(fields)
    keys = orjson.loads(fields["keys"])

    for row, document in enumerate(documents(fields["events"])):
        key = keys[np.frombuffer(fields["key_index"], "<u4")[row]]
        assert key == [document["device_type"], document["device_id"], document["event"]]
        kinds = decoded.types[document["device_type"]].fields
        expected = {
            name: float(value)
            for name, value in document["data"].items()
            if kinds.get(name) == NUMERIC and type(value) in (int, float)
        }
        assert found.get(row, {}) == expected


def test_document_keys_stand_in_the_order_that_score_relies_on() -> None:
    decoded = settled(messages({"a": 1}))

    (document,) = documents(decoded.lines)
    assert list(document)[:-1] == [
        "record_id",
        "batch_id",
        "device_type",
        "device_id",
        "event",
        "topic",
        "@timestamp",
        "received_at",
        "data",
    ]
    assert decoded.lines[0].endswith(b',"data":{"a":1}}\n')
    assert document["record_id"] == document["_id"] == f"{BATCH}.0"
    assert document["@timestamp"] == document["received_at"] == "2026-01-31T12:00:00.123Z"


def test_same_batch_gives_the_same_bytes() -> None:
    batch = messages({"a": 1}, [{"a": 2}, {"b": "x"}], b"nope")

    assert settled(batch).stage_fields() == settled(batch).stage_fields()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"bikes: 7", "not-json"),
        (b'{"bikes": "\xff\xfe"}', "not-utf8"),
        (b"[1, 2, 3]", "not-object"),
        (b'{"text": "' + b"x" * 2_000_000 + b'"}', "too-large"),
        (b'{"bikes": NaN}', "nan"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "too-deep"),
        (b"", "empty"),
        ({f"f{number}": number for number in range(300)}, "too-many-fields"),
    ],
)
def test_malformed_payload_is_one_dead_letter_and_its_neighbours_go_on(content: Any, code: str) -> None:
    decoded = settled(messages({"n": 1}, content, {"n": 2}))

    assert data(decoded) == [{"n": 1}, {"n": 2}]
    (letter,) = documents(decoded.dead)
    assert (letter["reason"], letter["stage"], letter["topic"]) == (code, "ingest", TOPIC)
    assert letter["_id"] == f"{BATCH}.1-ingest"


def test_dead_letter_keeps_the_payload_and_says_when_it_is_cut() -> None:
    decoded = settled(messages(b"nope", b"x" * 2_000_000))

    whole, cut = documents(decoded.dead)
    assert (buried(whole), whole["payload_truncated"], whole["payload_bytes"]) == (b"nope", False, 4)
    assert (buried(cut), cut["payload_truncated"], cut["payload_bytes"]) == (b"x" * 262_144, True, 2_000_000)


def test_good_records_of_an_array_go_on_and_the_letter_holds_the_bad_ones() -> None:
    decoded = settled(messages([{"n": 1}, 5, {"n": 2}, None]))

    assert data(decoded) == [{"n": 1}, {"n": 2}]
    assert [row["_id"] for row in documents(decoded.lines)] == [f"{BATCH}.0.0", f"{BATCH}.0.2"]
    (letter,) = documents(decoded.dead)
    assert buried(letter) == b"[5,null]"
    assert letter["detail"].startswith("items 1, 3 of 4: ")


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (b'{"n":123456789012345678901234567890}', "bad-number"),
        (b'{"n":1e-400}', "bad-number"),
        (b'{"n":1e400}', "nan"),
        (b'{"n":[{"m":NaN}]}', "nan"),
        (b'{"n":1,"n":2}', "repeated-name"),
        (b'{"n":"\\ud800"}', "not-json"),
        (b'{"n":"],[\xff\xed\xa0\x80"}', "not-utf8"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_record_of_an_array_that_cannot_be_read_stands_alone(item: bytes, code: str, compress: Any) -> None:
    decoded = settled(messages(compress(b' [ {"n":1.5} ,\n%b\t, {"n":"\xc3\xa9"} ] ' % item)))

    assert data(decoded) == [{"n": 1.5}, {"n": "\u00e9"}]
    assert [row["_id"] for row in documents(decoded.lines)] == [f"{BATCH}.0.0", f"{BATCH}.0.2"]
    (letter,) = documents(decoded.dead)
    assert (letter["reason"], letter["items"], buried(letter)) == (code, [1], b"[%b]" % item)
    assert letter["detail"].startswith("items 1 of 3: ")


@pytest.mark.parametrize("content", [b'[{"n":1},{"n":01}]', b'[{"n":1},{"n":1e400}', b'[{"n":1e400},]', b'[{"n":1e400}]x', b"[" * 2_000 + b"]" * 2_000])
def test_array_that_is_no_json_is_one_dead_letter(content: bytes) -> None:
    decoded = settled(messages(content))

    assert not decoded.lines
    (letter,) = documents(decoded.dead)
    assert buried(letter) == content


def test_topic_that_does_not_match() -> None:
    assert reasons(settled(messages({"n": 1}, on="elsewhere"))) == ["topic-mismatch"]


def test_key_longer_than_any_device_has() -> None:
    assert reasons(settled(messages({"n": 1}, on=topic(device_id="x" * 300)))) == ["bad-key"]


def test_arrival_that_is_no_time() -> None:
    assert reasons(settled(messages({"n": 1}, at=2**60))) == ["bad-time"]


# -- schema ----------------------------------------------------------------------------------------------------------


def test_fields_without_a_schema_are_told_and_not_counted_yet() -> None:
    decoded = decode(
        messages({"n": 1, "s": "x", "b": True, "z": None, "l": [1]}), IngestOptions(), {}, batch_id=BATCH
    )

    assert decoded.unknown == {"bike": {"n": NUMERIC, "s": STRING, "b": BOOL}}
    assert numbers(decoded.stage_fields()) == {}


def test_numbers_as_text_count_where_the_schema_says_so() -> None:
    known = {"bike": TypeSchema({"n": NUMERIC})}

    decoded = settled(messages({"n": "12"}, {"n": " 2.5 "}, {"n": 3}), known=known)

    assert data(decoded) == [{"n": 12}, {"n": 2.5}, {"n": 3}]
    assert numbers(decoded.stage_fields()) == {0: {"n": 12}, 1: {"n": 2.5}, 2: {"n": 3}}


def test_value_of_another_kind_is_stored_and_counted_as_mismatch() -> None:
    known = {"bike": TypeSchema({"n": NUMERIC, "m": NUMERIC})}

    decoded = settled(messages({"n": "abc", "m": 1}, {"n": True, "m": 2}, {"n": [1, 2], "m": 3}), known=known)

    assert data(decoded) == [{"n": "abc", "m": 1}, {"n": True, "m": 2}, {"n": [1, 2], "m": 3}]
    assert numbers(decoded.stage_fields()) == {0: {"m": 1}, 1: {"m": 2}, 2: {"m": 3}}
    assert decoded.counts["mismatch"] == 3


def test_given_schema_leaves_other_fields_uncounted() -> None:
    options = from_params({"schema": {"b*": {"n": "Numeric", "on": "Bool", "id": "String"}}})

    decoded = settled(messages({"n": "1", "other": 2, "on": "true", "id": 5}), options)

    assert data(decoded) == [{"n": 1, "other": 2, "on": True, "id": "5"}]
    assert numbers(decoded.stage_fields()) == {0: {"n": 1}}
    assert decoded.unknown == {}


def test_schema_stops_growing_at_its_limit() -> None:
    decoded = decode(
        messages({"a": 1, "b": 2, "c": 3}), from_params({"max_schema_fields": 2}), {}, batch_id=BATCH
    )

    assert decoded.unknown == {"bike": {"a": NUMERIC, "b": NUMERIC}}


def test_two_types_may_use_one_name_for_different_kinds() -> None:
    batch = Messages.of(
        [Message(topic("bike"), b'{"x":1}', ARRIVAL), Message(topic("bus"), b'{"x":"one"}', ARRIVAL)]
    )

    decoded = settled(batch)

    assert data(decoded) == [{"x": 1}, {"x": "one"}]
    assert numbers(decoded.stage_fields()) == {0: {"x": 1}}


def test_columns_follow_the_order_of_the_schema_not_of_the_records() -> None:
    known = {"bike": TypeSchema({"c": NUMERIC, "a": NUMERIC, "b": NUMERIC})}

    decoded = settled(messages({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 5}), known=known)

    assert numbers(decoded.stage_fields()) == {0: {"a": 1, "b": 2}, 1: {"b": 3, "c": 4}, 2: {"a": 5}}


def test_integers_beyond_doubles_keep_their_digits_in_the_document() -> None:
    assert data(settled(messages({"n": 2**64 - 1}))) == [{"n": 2**64 - 1}]


# -- keys, time, identity ----------------------------------------------------------------------------------------------


def test_device_named_by_fields() -> None:
    options = from_params(
        {"device_type_field": "meta.kind", "device_id_field": "meta.no", "event_field": "what"}
    )

    decoded = settled(
        messages(
            {"meta": {"kind": "bike", "no": 7}, "what": "up"}, {"meta": {"kind": "bike"}}, on="any/topic"
        ),
        options,
    )

    assert decoded.keys == [("bike", "7", "up")]
    assert reasons(decoded) == ["missing-field"]


def test_parts_that_neither_topic_nor_field_gives_have_defaults() -> None:
    options = from_params({"topic_pattern": "home/{device_id}", "default_device_type": "lamp"})

    assert settled(messages({"n": 1}, on="home/7"), options).keys == [("lamp", "7", "event")]


@pytest.mark.parametrize("value", [ARRIVAL - 60_000, (ARRIVAL - 60_000) / 1_000, "2026-01-31T11:59:00.123Z"])
def test_time_from_a_field(value: Any) -> None:
    decoded = settled(messages({"t": value, "n": 1}), from_params({"time_field": "t"}))

    (document,) = documents(decoded.lines)
    assert document["@timestamp"] == "2026-01-31T11:59:00.123Z"
    assert document["received_at"] == "2026-01-31T12:00:00.123Z"
    assert decoded.times == [ARRIVAL - 60_000]


def test_record_without_its_time_takes_that_of_arrival() -> None:
    decoded = settled(messages({"n": 1}, {"t": None}), from_params({"time_field": "t"}))

    assert decoded.times == [ARRIVAL, ARRIVAL + 1]
    assert decoded.counts["time-missing"] == 2


@pytest.mark.parametrize("value", [-1, "soon", ARRIVAL + 2 * 86_400_000, True])
def test_absurd_time_is_a_dead_letter(value: Any) -> None:
    assert reasons(settled(messages({"t": value}), from_params({"time_field": "t"}))) == ["bad-time"]


def test_numbered_records_have_ids_that_do_not_depend_on_the_batch() -> None:
    options = from_params({"id_field": "n"})

    first = settled(messages({"n": 1}, {"n": "1"}, {"n": 1, "again": True}), options)
    second = settled(messages({"n": 1}), options, batch_id="aaaa-0-2")

    ids = [row["_id"] for row in documents(first.lines)]
    assert len(set(ids)) == 2
    assert first.counts["repeats"] == 1
    assert [row["_id"] for row in documents(second.lines)] == ids[:1]


def test_other_device_with_the_same_number_is_no_repeat() -> None:
    batch = Messages.of([Message(topic(device_id=name), b'{"n":1}', ARRIVAL) for name in ("7", "8")])

    assert len(settled(batch, from_params({"id_field": "n"})).lines) == 2


def test_records_taken_out_again_leave_no_trace_in_the_columns() -> None:
    decoded = settled(messages({"a": 1}, {"a": 2, "b": 3}, {"a": 4}, {"a": 5, "b": 6}))

    decoded.without({0, 3})

    assert data(decoded) == [{"a": 2, "b": 3}, {"a": 4}]
    assert numbers(decoded.stage_fields()) == {0: {"a": 2, "b": 3}, 1: {"a": 4}}
    assert decoded.times == [ARRIVAL + 1, ARRIVAL + 2]


def test_payload_at_the_cap_goes_through_also_the_short_way() -> None:
    options = IngestOptions(caps=Caps(payload_bytes=9))

    decoded = settled(messages(b'{"n":123}', b'{"n":123}', b'{"n":1234}'), options)

    assert data(decoded) == [{"n": 123}, {"n": 123}]
    assert reasons(decoded) == ["too-large"]


@pytest.mark.parametrize(
    ("odd", "kept", "counted"),
    [
        ("abc", "abc", None),
        ("5", 5, 5.0),
        (True, True, None),
        (None, None, None),
        ([1], [1], None),
        ({"x": 1}, None, None),
    ],
)
def test_record_of_a_known_shape_but_another_type_does_not_take_the_short_way(
    odd: Any, kept: Any, counted: float | None
) -> None:
    decoded = settled(
        messages({"n": 1}, {"n": 2}, {"n": odd}, {"n": 3}),
        known={"bike": TypeSchema({"n": NUMERIC}, open=False)},
    )

    assert [row.get("n") for row in data(decoded)] == [1, 2, kept, 3]
    found = numbers(decoded.stage_fields())
    assert found.get(2, {}).get("n") == counted
    assert [found[row]["n"] for row in (0, 1, 3)] == [1, 2, 3]


def test_small_bombs_do_not_become_more_records_than_memory_holds() -> None:
    bomb = gzip.compress(json.dumps([{"n": 1}] * 10_000).encode())
    contents = [bomb] * 9 + [b'{"n": 2}']
    found = decode(
        Messages.of([Message(TOPIC, content, ARRIVAL) for content in contents]), IngestOptions(), {}, batch_id=BATCH
    )

    assert len(found.lines) == 5 * 10_000 + 1
    assert len(found.dead) == 4
    assert found.counts["dead.too-many-records"] == 4


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"n":1,"text":"a","n":2}', "repeated-name"),
        (b'{"n":1,"text":"a","text":"b"}', "repeated-name"),
        (b'{"n":123456789012345678901,"text":"a"}', "bad-number"),
        (b'{"n":1e-999,"text":"a"}', "bad-number"),
        (b'{"n":1,"text":"a","n.":{"":1},"n":{".":{"":2}}}', "repeated-name"),
        (b'{"a":{"b":1},"a.b":1}', "repeated-name"),
    ],
)
@pytest.mark.parametrize("before", [[], [b'{"n":1.5,"text":"a"}', b'{"n":7,"text":"b"}'], [b'{"n":1.5,"text":"a"}', b'{"n":7,"text":"b"}'] * 20])
def test_a_record_of_which_a_value_would_be_lost_is_a_dead_letter_whatever_came_before(
    payload: bytes, reason: str, before: list[bytes]
) -> None:
    decoded = settled(messages(*before, payload), IngestOptions())

    assert len(decoded.lines) == len(before)
    assert reasons(decoded) == [reason]
    assert buried(documents(decoded.dead)[0]) == payload
    assert decoded.counts[f"dead.{reason}"] == 1


def test_integers_stay_exact_up_to_64_bits() -> None:
    numbers_given = [2**53 + 1, 2**63 + 1, 2**64 - 1, -(2**63)]
    decoded = settled(messages(*(b'{"n":%d}' % number for number in numbers_given)), IngestOptions())

    assert [record["n"] for record in data(decoded)] == numbers_given


def test_a_wide_record_makes_no_other_one_wide() -> None:
    wide = {f"f{number}": number for number in range(200)}
    decoded = settled(messages(*({"x": number} for number in range(1_000)), wide), IngestOptions())
    fields = decoded.stage_fields()

    assert len(fields["cols"]) < 30_000
    assert numbers(fields) == {**{number: {"x": number} for number in range(1_000)}, 1_000: wide}


def test_what_is_remembered_of_shapes_and_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hort.decoding.MAX_PLANNED", 3)
    monkeypatch.setattr("hort.decoding.MAX_OVER", 2)
    decoded = settled(messages(*({f"a{number}": 1} for number in range(9)), {"a0": 2}), from_params({"max_schema_fields": 4}))

    assert data(decoded) == [*({f"a{number}": 1} for number in range(9)), {"a0": 2}]
    assert numbers(decoded.stage_fields()) == {**{number: {f"a{number}": 1} for number in range(4)}, 9: {"a0": 2}}
    assert decoded.counts["fields-over"] == 2


def test_names_are_told_to_the_sink_also_those_that_no_schema_takes() -> None:
    decoded = settled(messages({"a": 1, "tags": ["x"], "none": None}, {"a": 2, "b": {"c": True}}), known={"bike": TypeSchema(open=False)})

    assert decoded.unknown == {}
    assert decoded.names == {"bike": {"a": NUMERIC, "tags": STRING, "b.c": BOOL}}
    assert mapped_fields.read(decoded.stage_fields()["events-fields"]) == decoded.names
