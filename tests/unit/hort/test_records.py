import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort.errors import BatchError
from hort.records import Records
from tests.support import staged

TEXT = st.text(min_size=1, max_size=12)
ROWS = st.lists(
    st.tuples(
        st.tuples(TEXT, TEXT, TEXT),
        st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False) | TEXT, max_size=3),
    ),
    max_size=8,
)


@given(ROWS)
def test_records_are_cut_without_changing_a_value(rows: list[staged.Row]) -> None:
    records = staged.records(rows)
    assert len(records) == len(rows)
    records.join({number: b'{"count":1}' if number % 2 else None for number in range(len(records.keys))}, {})
    for position, (key, data) in enumerate(rows):
        instance = orjson.loads(records.instance(position))
        assert len(records.instance(position)) == records.instance_bytes(position)
        assert instance["device_data"] == data
        assert (instance["record"]["device_type"], instance["record"]["device_id"]) == key[:2]
        assert "data" not in instance["record"]
        assert instance["analytics"] == ({"count": 1} if records.key_index[position] % 2 else None)
        assert orjson.loads(records.document(position))["data"] == data


@given(ROWS)
def test_identities_are_those_of_the_documents(rows: list[staged.Row]) -> None:
    records = staged.records(rows)
    for position, (name, identity) in enumerate(records.identities()):
        document = orjson.loads(records.document(position))
        found = orjson.loads(b'{"record_id":' + identity + b"}")
        assert orjson.loads(name) == document["record_id"]
        assert found == {
            key: document[key] for key in ("record_id", "batch_id", "device_type", "device_id", "event", "@timestamp")
        }


def test_a_topic_that_looks_like_the_data_key_is_no_data_key() -> None:
    tricky = ',"data":{,"@timestamp":,"batch_id":'
    records = staged.records([((tricky, tricky, tricky), {tricky: tricky})])
    assert orjson.loads(records.instance(0))["device_data"] == {tricky: tricky}


def test_both_windows_ride_along() -> None:
    records = staged.records(staged.bikes(2))
    records.join({0: b'{"a":1}', 1: None}, {"bike": b'{"b":2}'})
    assert orjson.loads(records.instance(0))["analytics"] == {"a": 1}
    assert orjson.loads(records.instance(1))["analytics"] is None
    assert orjson.loads(records.instance(1))["type_analytics"] == {"b": 2}
    assert records.analytics(1) == b"null"


def test_a_batch_without_records_is_empty() -> None:
    records = staged.records([])
    assert len(records) == 0
    assert records.identities() == []


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("key_index", b"", "0 keys"),
        ("keys", b"[]", "only 0 keys"),
        ("events", b'{}\n{"record_id":"x"}\n', "no data"),
    ],
)
def test_a_stage_that_does_not_fit_is_named(field: str, value: bytes, message: str) -> None:
    fields = {**staged.stage_fields(staged.bikes(1)), field: value}
    with pytest.raises(BatchError, match=message):
        Records(fields["events"], fields["keys"], fields["key_index"])
