import json
from typing import Any

import pytest

from tests.support.localwhisk_app import LocalWhisk


def annotations(document: Any) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in document["annotations"]}


def test_a_new_action(local: LocalWhisk) -> None:
    created = local.put_action("a").json
    assert created["exec"] == {"kind": "python:3.11", "code": "give-back", "binary": False}
    assert created["limits"] == {"concurrency": 1, "logs": 10, "memory": 256, "timeout": 60000}
    assert annotations(created) == {"provide-api-key": False, "exec": "python:3.11"}
    assert (created["version"], created["namespace"]) == ("0.0.1", "guest")
    without = local.call("GET", "actions/a?code=false").json
    assert without["exec"] == {"kind": "python:3.11", "binary": False}
    assert local.call("GET", "actions/a").json["exec"]["code"] == "give-back"


def test_an_update_merges_annotations_and_replaces_parameters(local: LocalWhisk) -> None:
    local.put_action(
        "a",
        annotations=[{"key": "x", "value": 1}, {"key": "exec", "value": "fake"}],
        parameters=[{"key": "p", "value": 1}],
    )
    updated = local.call(
        "PUT",
        "actions/a?overwrite=true",
        {"annotations": [{"key": "y", "value": 2}], "parameters": [{"key": "q", "value": 2}]},
    ).json
    assert annotations(updated) == {"x": 1, "y": 2, "provide-api-key": False, "exec": "python:3.11"}
    assert updated["parameters"] == [{"key": "q", "value": 2}]
    assert (updated["version"], updated["exec"]["code"]) == ("0.0.2", "give-back")
    removed = local.call("PUT", "actions/a?overwrite=true", {"delAnnotations": ["x"], "version": "7.0"}).json
    assert "x" not in annotations(removed)
    assert removed["version"] == "7.0.0"


def test_every_update_makes_the_next_run_cold(local: LocalWhisk) -> None:
    local.put_action("a")
    for expected in (True, False):
        record = local.call("POST", "actions/a?blocking=true", {}).json
        assert ("initTime" in annotations(record)) is expected
    local.call("PUT", "actions/a?overwrite=true", {"parameters": []})
    assert "initTime" in annotations(local.call("POST", "actions/a?blocking=true", {}).json)


def test_what_the_runtime_gets(local: LocalWhisk) -> None:
    local.call("PUT", "packages/p", {"parameters": [{"key": "secret", "value": {"a": 1}, "init": True}]})
    exec_ = {"kind": "python:3.11", "code": "give-back", "main": "go"}
    local.call(
        "PUT",
        "actions/p/a",
        {
            "exec": exec_,
            "limits": {"timeout": 500},
            "annotations": [{"key": "provide-api-key", "value": True}],
        },
    )
    local.result("p/a", {"x": 1})
    spec, context, params = local.runtimes.runs[-1]
    assert (spec.fqn, spec.main, spec.timeout_ms, spec.memory_mb) == ("/guest/p/a", "go", 500, 256)
    assert spec.init_env == {"secret": '{"a":1}'}
    assert context.api_key is not None
    assert context.api_key.startswith("23bc46b1-")
    assert json.loads(params) == {"x": 1}


def test_lists(local: LocalWhisk) -> None:
    local.call("PUT", "packages/p", {})
    for name in ("a", "b", "p/c"):
        local.put_action(name)
    listed = local.call("GET", "actions").json
    assert [(item["namespace"], item["name"]) for item in listed] == [
        ("guest/p", "c"),
        ("guest", "b"),
        ("guest", "a"),
    ]
    assert listed[0]["exec"] == {"binary": False}
    assert [item["name"] for item in local.call("GET", "actions?limit=1&skip=1").json] == ["b"]
    assert local.call("GET", "actions?count=true&limit=1").json == {"actions": 3}
    assert local.call("GET", "actions?count=true&skip=2").json == {"actions": 1}
    assert [item["name"] for item in local.call("GET", "actions/p/").json] == ["c"]
    assert len(local.call("GET", "actions?limit=0").json) == 3


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=201", "The value '201' is not in the range of 0 to 200 for actions."),
        ("limit=-1", "The value '-1' is not in the range of 0 to 200 for actions."),
        ("limit=x", "The value 'x' is not an integer for actions."),
        ("skip=-1", "The value '-1' is not greater than or equal to 0 for actions."),
        ("count=maybe", "'maybe' is not a valid Boolean value"),
    ],
)
def test_list_parameters_out_of_range(local: LocalWhisk, query: str, text: str) -> None:
    reply = local.call("GET", f"actions?{query}")
    assert reply.status == 400
    assert reply.error.endswith(text)
    assert reply.header("access-control-allow-origin") is None


def test_collections_share_their_names(local: LocalWhisk) -> None:
    local.put_action("x")
    for method, path, body in (
        ("PUT", "triggers/x", {}),
        ("GET", "packages/x", None),
        ("POST", "triggers/x", {}),
        ("PUT", "rules/x", {"trigger": "/_/x", "action": "/_/x"}),
    ):
        reply = local.call(method, path, body)
        assert (reply.status, reply.error) == (
            409,
            "Resource by this name exists but is not in this collection.",
        ), path


@pytest.mark.parametrize("code", ["def main(a):\n    return a\n", ""])
def test_deleting_answers_the_entity_with_its_code(local: LocalWhisk, code: str) -> None:
    local.put_action("a", code)
    assert local.call("DELETE", "actions/a").json["exec"]["code"] == code
    assert local.call("DELETE", "actions/a").status == 404


def test_fields_beyond_their_size(local: LocalWhisk) -> None:
    big = [{"key": "a", "value": "x" * 1048577}]
    reply = local.put_action("a", annotations=big)
    assert (reply.status, reply.error) == (413, "annotations larger than allowed: 1048580 > 1048576 bytes.")
    reply = local.call("PUT", "triggers/t", {"parameters": big})
    assert reply.error == "parameters larger than allowed: 1048580 > 1048576 bytes."


def test_a_body_beyond_all_bounds_is_refused_in_plain_text(local: LocalWhisk) -> None:
    reply = local.call("PUT", "actions/a", b"x" * 10, headers={"content-length": str(60 * 1024 * 1024)})
    assert (reply.status, reply.body) == (400, b"Request too large")
    assert reply.header("connection") == "close"


def test_what_is_replaced_or_deleted_is_not_kept_warm(local: LocalWhisk) -> None:
    local.call("PUT", "packages/pkg", {})
    for name in ("a", "pkg/b", "pkg/c"):
        local.put_action(name)
    assert local.runtimes.forgotten == []
    local.put_action("a")
    local.call("DELETE", "actions/pkg/b")
    local.call("DELETE", "packages/pkg?force=true")
    assert local.runtimes.forgotten == ["/guest/a", "/guest/pkg/b", "/guest/pkg/c"]


def test_code_of_many_pieces_is_kept_whole(local: LocalWhisk) -> None:
    code = "# \u00e9\n" * 700_000
    assert local.put_action("large", code).status == 200
    assert local.call("GET", "actions/large").json["exec"]["code"] == code
    local.put_action("large", "")
    assert local.call("GET", "actions/large").json["exec"]["code"] == ""


@pytest.mark.parametrize(
    ("instances", "error"),
    [
        (1001, "Max action instance concurrency must not exceed your namespace concurrency of 1000."),
        (-1, "must be greater than or equal to 0."),
        ("x", "instance concurrency limit malformed"),
    ],
)
def test_instances_are_at_most_what_the_namespace_may_have(local: LocalWhisk, instances: Any, error: str) -> None:
    reply = local.put_action("a", limits={"instances": instances})
    assert reply.status == 400
    assert reply.error.endswith(error)
    assert local.put_action("a", limits={"instances": 1000}).json["limits"]["instances"] == 1000
