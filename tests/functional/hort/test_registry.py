import json
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hort import models, poll, registry, urls, web
from hort.breaker import MemoryBreakers
from hort.counters import MemoryCounters
from hort.model_store import MemoryModelStore
from hort.registry import Registry
from hort.testing import FakeClock
from tests.support.fuzz import examples

URL = "http://model.example/score"


def public(_host: str, _port: int) -> Sequence[str]:
    return ["93.184.216.34"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def models_registry(clock: FakeClock) -> Registry:
    return Registry(MemoryModelStore(), MemoryBreakers(), key="secret", now=clock, resolver=public)


def call(
    target: Registry, method: str, path: str, value: object = None, *, key: str = "secret"
) -> tuple[int, Any]:
    body = b"" if value is None else json.dumps(value).encode()
    request = web.Request(method, tuple(part for part in path.split("/") if part), body, key=key)
    result = registry.handle(target, request)
    return result["statusCode"], result["body"]


def test_a_model_lives_from_put_to_delete(models_registry: Registry) -> None:
    status, model = call(models_registry, "PUT", "/anomaly", {"url": URL})
    assert (status, model["version"], model["revision"]) == (201, "1", 1)
    assert call(models_registry, "GET", "/anomaly") == (200, model)
    status, found = call(models_registry, "GET", "/")
    assert status == 200
    assert found["endpoints"] == [{"anomaly": URL}]
    assert found["models"] == [model]
    assert call(models_registry, "DELETE", "/anomaly") == (200, {"deleted": "anomaly"})
    assert call(models_registry, "GET", "/anomaly")[0] == 404
    assert call(models_registry, "DELETE", "/anomaly")[0] == 404


def test_the_path_may_repeat_the_collection(models_registry: Registry) -> None:
    assert call(models_registry, "PUT", "/models/a", {"url": URL})[0] == 201
    assert call(models_registry, "GET", "/models/a")[0] == 200
    assert len(call(models_registry, "GET", "/models")[1]["models"]) == 1
    assert call(models_registry, "GET", "/models/a/b")[0] == 404


def test_the_version_counts_up_unless_it_is_named(models_registry: Registry, clock: FakeClock) -> None:
    call(models_registry, "PUT", "/m", {"url": URL})
    clock.advance(1000)
    assert call(models_registry, "PATCH", "/m", {"retries": 2})[1]["version"] == "2"
    assert call(models_registry, "PUT", "/m", {"url": URL})[1]["version"] == "3"
    assert call(models_registry, "PATCH", "/m", {"version": "2026-a"})[1]["version"] == "2026-a"
    _, last = call(models_registry, "PATCH", "/m", {"enabled": False})
    assert (last["version"], last["revision"]) == ("2026-a", 5)
    assert last["created_at"] < last["updated_at"]


def test_what_was_read_can_be_written_back(models_registry: Registry) -> None:
    _, model = call(models_registry, "PUT", "/m", {"url": URL, "breaker": {"failures": 2}})
    status, again = call(models_registry, "PUT", "/m", model)
    assert (status, again["breaker"], again["version"]) == (200, model["breaker"], "1")


def test_patch_merges_the_breaker_and_null_restores_a_default(models_registry: Registry) -> None:
    call(models_registry, "PUT", "/m", {"url": URL, "retries": 3, "breaker": {"failures": 2, "open_s": 5}})
    _, model = call(models_registry, "PATCH", "/m", {"breaker": {"open_s": 7}, "retries": None})
    assert model["breaker"] == {"failures": 2, "within_s": 60, "open_s": 7}
    assert model["retries"] == 0


def test_a_protocol_that_nobody_chose_goes_by_the_address(models_registry: Registry) -> None:
    outside, web = "https://models.example/score", "https://whisk.example/prefix/api/v1/web/guest/default/score"
    models_registry.put("m", {"url": outside})
    assert models_registry.patch("m", {"url": web}).protocol == "instances", "a call a record would use up the namespace's minute"
    assert models_registry.patch("m", {"url": outside}).protocol == "json"
    assert models_registry.patch("m", {"url": web, "protocol": "json"}).protocol == "json"
    assert models_registry.patch("m", {"url": f"{web}.json"}).protocol == "json", "it was chosen"


def test_patch_of_an_unknown_model_is_404(models_registry: Registry) -> None:
    assert call(models_registry, "PATCH", "/m", {"retries": 1})[0] == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_writes_need_the_key_and_reads_do_not(models_registry: Registry, method: str) -> None:
    call(models_registry, "PUT", "/m", {"url": URL})
    for key in ("", "wrong", "secre"):
        status, body = call(models_registry, method, "/m", {"url": URL}, key=key)
        assert status == 401
        assert "secret" not in json.dumps(body)
    assert call(models_registry, "GET", "/m", key="")[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"url": URL, "colour": "red"}, 422, "colour"),
        ({"url": "ftp://x/"}, 422, "url"),
        ({"url": URL, "timeout_ms": 1}, 422, "timeout_ms"),
        ({}, 422, "url"),
        ([1], 400, None),
        ({"url": URL, "description": "x" * 70_000}, 413, None),
    ],
)
def test_a_wrong_body_names_field_and_reason(
    models_registry: Registry, body: Any, status: int, field: str
) -> None:
    found, answer = call(models_registry, "PUT", "/m", body)
    assert found == status
    assert answer.get("field") == field
    assert answer["error"]


def test_addresses_that_are_not_allowed_are_refused(models_registry: Registry) -> None:
    inner = Registry(MemoryModelStore(), MemoryBreakers(), key="secret", resolver=lambda _h, _p: ["10.0.0.1"])
    status, answer = call(inner, "PUT", "/m", {"url": URL})
    assert (status, answer["field"]) == (422, "url")
    assert "10.0.0.1" in answer["reason"]
    allowed = Registry(
        MemoryModelStore(),
        MemoryBreakers(),
        key="secret",
        policy=urls.Policy(private=True),
        resolver=inner.resolver,
    )
    assert call(allowed, "PUT", "/m", {"url": URL})[0] == 201


def test_the_registry_holds_so_many_models_and_no_more(models_registry: Registry) -> None:
    for number in range(models.MAX_MODELS):
        assert call(models_registry, "PUT", f"/m{number}", {"url": URL})[0] == 201
    assert call(models_registry, "PUT", "/one-more", {"url": URL})[0] == 409
    assert call(models_registry, "PUT", "/m0", {"url": URL})[0] == 200


def test_other_methods_and_paths_are_refused(models_registry: Registry) -> None:
    assert call(models_registry, "POST", "/m", {"url": URL})[0] == 405
    assert call(models_registry, "PUT", "/", {"url": URL})[0] == 400
    assert call(models_registry, "PUT", "/a b", {"url": URL})[0] == 422
    assert call(models_registry, "GET", "/a b")[0] == 422


def test_a_new_address_closes_the_breaker(models_registry: Registry, clock: FakeClock) -> None:
    call(models_registry, "PUT", "/m", {"url": URL})
    rule = models_registry.get("m").breaker
    while not models_registry.breakers.failed("m", rule, now=clock()):
        pass
    assert call(models_registry, "GET", "/m")[1]["state"]["breaker"] == "open"
    assert call(models_registry, "PATCH", "/m", {"retries": 1})[1]["state"]["breaker"] == "open"
    assert call(models_registry, "PATCH", "/m", {"url": URL + "2"})[1]["state"]["breaker"] == "closed"


def test_a_change_by_somebody_else_is_not_lost(models_registry: Registry) -> None:
    call(models_registry, "PUT", "/m", {"url": URL})

    class Racing(MemoryModelStore):
        raced = 0

        def get(self, name: str) -> bytes | None:
            value = super().get(name)
            if value is not None and self.raced < 2:
                self.raced += 1
                other = {**orjson.loads(value), "description": f"other {self.raced}"}
                super().replace(name, expected=value, value=orjson.dumps(other), limit=9)
            return value

    store = Racing()
    racing = Registry(store, MemoryBreakers(), key="secret", resolver=public)
    call(racing, "PUT", "/m", {"url": URL})
    _, model = call(racing, "PATCH", "/m", {"retries": 4})
    assert (model["retries"], model["description"]) == (4, "other 2")


def test_a_model_is_polled_once_the_poll_saw_this_revision(models_registry: Registry) -> None:
    call(models_registry, "PUT", "/m", {"url": URL})
    assert call(models_registry, "GET", "/m")[1]["state"]["polled"] is False
    poll.poll(models_registry.store, MemoryCounters(), url="", fetch=lambda _: b"")
    assert call(models_registry, "GET", "/m")[1]["state"]["polled"] is True
    call(models_registry, "PATCH", "/m", {"retries": 1})
    assert call(models_registry, "GET", "/m")[1]["state"]["polled"] is False


@pytest.mark.parametrize("stored", [b"{", b"[]", b'{"name":"old","url":"http://x/","gone":1}'])
def test_a_model_that_another_version_wrote_hides_nothing(models_registry: Registry, stored: bytes) -> None:
    call(models_registry, "PUT", "/m", {"url": URL})
    models_registry.store.replace("old", expected=None, value=stored, limit=9)
    assert [item["name"] for item in call(models_registry, "GET", "/")[1]["models"]] == ["m"]
    assert call(models_registry, "GET", "/old")[0] == 404
    assert call(models_registry, "PUT", "/old", {"url": URL})[0] == 201
    assert call(models_registry, "DELETE", "/old")[0] == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ARGS = st.fixed_dictionaries(
    {
        "__ow_method": st.sampled_from(["get", "put", "patch", "delete", "post", "head", "", "PUT"])
        | st.text(max_size=5),
        "__ow_path": st.sampled_from(["", "/", "/m", "/models/m", "/%ff", "//", "/m/n"])
        | st.text(max_size=20),
        "__ow_body": st.none()
        | st.text(max_size=40)
        | st.dictionaries(st.sampled_from([*models.Model.__dataclass_fields__, "x"]), JSON, max_size=5)
        | st.just('{"a":' * 900 + "1" + "}" * 900),
        "__ow_headers": st.just({"x-hort-key": "secret"})
        | st.dictionaries(st.text(max_size=10), st.text(max_size=5))
        | JSON,
    }
)


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(ARGS, min_size=1, max_size=4))
def test_no_request_breaks_the_registry(requests: list[dict[str, Any]]) -> None:
    target = Registry(MemoryModelStore(), MemoryBreakers(), key="secret", resolver=public)
    for args in requests:
        result = registry.handle(target, web.request(args))
        assert 200 <= result["statusCode"] < 500
        json.dumps(result)


SECRET_URL = "http://model.example/score?token=hunter2hunter2&v=1"
MASKED_URL = "http://model.example/score?token=***&v=***"


@pytest.mark.parametrize("path", ["/", "/m"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nobody_sees_what_is_secret_in_an_address(models_registry: Registry, method: str, path: str) -> None:
    assert call(models_registry, "PUT", "/m", {"url": SECRET_URL})[1]["url"] == MASKED_URL
    assert call(models_registry, "PATCH", "/m", {"retries": 1})[1]["url"] == MASKED_URL
    for key in ("", "wrong", "secre", "secret\0", "sécret", "s" * 100_000, "secret"):
        shown = json.dumps(call(models_registry, method, path, key=key))
        assert "hunter2" not in shown
        assert MASKED_URL in shown
        assert ("sealed_url" in shown) == (key == "secret"), "an answer stays in an activation record, the key does not"


def test_the_original_s_contract_holds_masked(models_registry: Registry) -> None:
    call(models_registry, "PUT", "/m", {"url": SECRET_URL})
    call(models_registry, "PUT", "/plain", {"url": URL})
    for key in ("", "secret"):
        body = call(models_registry, "GET", "/", key=key)[1]
        assert body["endpoints"] == [{"m": MASKED_URL}, {"plain": URL}]
    assert [models.SEALED in model for model in body["models"]] == [True, False], "only where there is something to seal"


@pytest.mark.parametrize(("key", "address"), [("secret", SECRET_URL), ("wrong", None), ("", None)])
def test_another_registry_s_poll_opens_the_address_with_the_key(models_registry: Registry, key: str, address: str | None) -> None:
    call(models_registry, "PUT", "/m", {"url": SECRET_URL})
    body = json.dumps(call(models_registry, "GET", "/")[1]).encode()
    assert [model.url for model in poll.listing(body, key=key).models] == ([address] if address else [])
    assert b"hunter2" not in body


def test_a_masked_address_that_is_written_back_replaces_nothing(models_registry: Registry) -> None:
    call(models_registry, "PUT", "/m", {"url": SECRET_URL})
    shown = call(models_registry, "GET", "/m", key="")[1]
    for method, value in (("PUT", shown), ("PATCH", {"url": MASKED_URL})):
        status, body = call(models_registry, method, "/m", value)
        assert (status, body["field"]) == (422, "url")
        assert "shown to nobody" in body["reason"]
    assert models_registry.get("m").url == SECRET_URL


def test_the_own_registry_s_poll_gets_the_whole_address(models_registry: Registry) -> None:
    call(models_registry, "PUT", "/m", {"url": SECRET_URL})
    poll.poll(models_registry.store, MemoryCounters(), url="", fetch=lambda _url: b"")
    (model,) = registry.active_list(models_registry.store)["models"]
    assert model["url"] == SECRET_URL


@pytest.mark.parametrize("url", ["http://user:hunter2@model.example/", "http://:hunter2@model.example/", "http://a/?k=hunter2 x", "ftp://a/?k=hunter2"])
def test_an_address_that_is_refused_shows_no_secret(models_registry: Registry, url: str) -> None:
    status, body = call(models_registry, "PUT", "/m", {"url": url})
    assert status == 422
    assert "hunter2" not in json.dumps(body)


def test_strangers_are_not_told_where_a_model_could_not_be_reached(models_registry: Registry) -> None:
    call(models_registry, "PUT", "/m", {"url": URL})
    models_registry.store.add_stats("m", counts={}, facts={"last_error": "cannot connect to 10.0.0.5:8000: Connection refused"})
    models_registry.store.set_active(b'{"models":[],"last_error":"connect: cannot connect to registry.inner:80"}', poll=1)
    for key, where in (("secret", "10.0.0.5:8000"), ("", "***")):
        assert call(models_registry, "GET", "/m", key=key)[1]["state"]["last_error"] == f"cannot connect to {where}: Connection refused"
    everything = call(models_registry, "GET", "/", key="")[1]
    assert everything["poll"]["last_error"] == "connect: cannot connect to ***"
    assert "10.0.0.5" not in json.dumps(everything)
