"""Inferred schemas and repeats in a real Redis, against their in-memory twins."""

import json

import pytest
import redis

from hort import keys
from hort.decoded import Identity
from hort.repeats import RedisRepeats, Repeats
from hort.schema import BOOL, NUMERIC, STRING, Schemas
from hort.schema_store import CACHE_S, CachedSchemas, RedisSchemas
from hort.testing import FakeClock, MemoryRepeats, MemorySchemas

LIMIT = 4


@pytest.fixture(params=["memory", "redis"])
def schemas(request: pytest.FixtureRequest) -> Schemas:
    if request.param == "memory":
        return MemorySchemas(max_fields=LIMIT)
    return CachedSchemas(RedisSchemas(request.getfixturevalue("redis_client"), 0, max_fields=LIMIT))


def test_fields_keep_the_order_in_which_they_came(schemas: Schemas) -> None:
    schemas.extend({"bike": {"b": NUMERIC, "a": STRING}})
    found = schemas.extend({"bike": {"c": BOOL}})["bike"]

    assert list(found.fields.items()) == [("b", NUMERIC), ("a", STRING), ("c", BOOL)]
    assert found.open
    assert schemas.known()["bike"] == found


def test_first_kind_wins(schemas: Schemas) -> None:
    schemas.extend({"bike": {"a": NUMERIC}})

    assert schemas.extend({"bike": {"a": STRING}})["bike"].fields == {"a": NUMERIC}


def test_full_schema_takes_no_more(schemas: Schemas) -> None:
    found = schemas.extend({"bike": dict.fromkeys("abcdef", NUMERIC)})["bike"]

    assert (list(found.fields), found.open) == (["a", "b", "c", "d"], False)


def test_types_do_not_mix(schemas: Schemas) -> None:
    schemas.extend({"bike": {"a": NUMERIC}, "b_|/+{ü}": {"a": STRING}})

    assert schemas.known()["bike"].fields == {"a": NUMERIC}
    assert schemas.known()["b_|/+{ü}"].fields == {"a": STRING}


def test_numeric_fields_are_numbered_without_gaps(redis_client: "redis.Redis") -> None:
    schemas = RedisSchemas(redis_client, 3)
    schemas.extend({"bike": {"a": NUMERIC, "b": STRING, "c": NUMERIC}})
    schemas.extend({"bike": {"d": NUMERIC}})

    entries = {
        name: json.loads(value) for name, value in redis_client.hgetall(keys.schema(3, "bike")).items()
    }
    assert {name: entry.get("index") for name, entry in entries.items()} == {
        b"a": 0,
        b"b": None,
        b"c": 1,
        b"d": 2,
    }


def test_other_process_learns_what_it_lacks(redis_client: "redis.Redis") -> None:
    clock = [0.0]
    one = CachedSchemas(RedisSchemas(redis_client, 0))
    other = CachedSchemas(RedisSchemas(redis_client, 0), clock=lambda: clock[0])
    one.extend({"bike": {"a": NUMERIC}})

    assert other.known() == {}
    assert other.extend({"bike": {"a": STRING}})["bike"].fields == {"a": NUMERIC}
    one.extend({"bike": {"b": BOOL}})
    assert list(other.known()["bike"].fields) == ["a"]
    clock[0] = CACHE_S
    assert list(other.known()["bike"].fields) == ["a", "b"]


def test_schema_lost_with_its_redis_is_built_anew(redis_client: "redis.Redis") -> None:
    clock = [0.0]
    schemas = CachedSchemas(RedisSchemas(redis_client, 0), clock=lambda: clock[0])
    schemas.extend({"bike": {"a": NUMERIC}})
    redis_client.flushall()
    clock[0] = CACHE_S

    assert schemas.known()["bike"].fields == {}
    assert schemas.extend({"bike": {"a": STRING}})["bike"].fields == {"a": STRING}


def test_device_types_are_bounded(redis_client: "redis.Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hort.schema_store.MAX_DEVICE_TYPES", 2)
    schemas = RedisSchemas(redis_client, 0)

    found = schemas.extend({"one": {"a": NUMERIC}, "two": {"a": NUMERIC}, "three": {"a": NUMERIC}})

    assert [found[name].open for name in ("one", "two", "three")] == [True, True, False]
    assert schemas.extend({"one": {"b": NUMERIC}})["one"].fields == {"a": NUMERIC, "b": NUMERIC}
    assert not redis_client.exists(keys.schema(0, "three"))


# -- repeats -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "redis"])
def repeats(request: pytest.FixtureRequest) -> Repeats:
    if request.param == "memory":
        return MemoryRepeats(FakeClock())
    return RedisRepeats(request.getfixturevalue("redis_client"), 0)


def identities(owner: str, count: int) -> list[Identity]:
    return [Identity(number, f"id-{number}", f"{owner}.{number}") for number in range(count)]


def test_second_owner_gets_the_repeats(repeats: Repeats) -> None:
    assert repeats.claim(identities("one", 3), ttl_ms=60_000) == set()

    assert repeats.claim(identities("two", 5), ttl_ms=60_000) == {0, 1, 2}


def test_same_owner_may_come_again(repeats: Repeats) -> None:
    many = identities("one", 1_201)

    assert [repeats.claim(many, ttl_ms=60_000) for _ in range(2)] == [set(), set()]


def test_claims_expire(redis_client: "redis.Redis") -> None:
    RedisRepeats(redis_client, 0).claim(identities("one", 1), ttl_ms=60_000)

    assert 0 < redis_client.pttl(keys.record_id(0, "id-0")) <= 60_000


def test_nothing_to_claim(repeats: Repeats) -> None:
    assert repeats.claim([], ttl_ms=1) == set()
