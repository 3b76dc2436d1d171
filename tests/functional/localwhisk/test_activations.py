from typing import Any

import pytest

from localwhisk import messages
from tests.support.localwhisk_app import OTHER, LocalWhisk


@pytest.fixture
def history(local: LocalWhisk) -> list[Any]:
    """Records of three runs, newest first."""
    local.call("PUT", "packages/p", {})
    local.put_action("a")
    local.put_action("p/a", "fail")
    made = [local.call("POST", f"actions/{name}?blocking=true", {}).json for name in ("a", "p/a", "a")]
    return made[::-1]


def ids(reply: Any) -> list[str]:
    return [item["activationId"] for item in reply.json]


def test_a_list_item(local: LocalWhisk, history: list[Any]) -> None:
    newest = local.call("GET", "activations").json[0]
    expected = {key: value for key, value in history[0].items() if key not in ("logs", "response", "subject")}
    assert newest == {**expected, "statusCode": 0}
    assert [item["statusCode"] for item in local.call("GET", "activations").json] == [0, 1, 0]


def test_pages_names_and_full_records(local: LocalWhisk, history: list[Any]) -> None:
    every = [record["activationId"] for record in history]
    assert ids(local.call("GET", "activations")) == every
    assert ids(local.call("GET", "activations?limit=1&skip=1")) == [every[1]]
    assert ids(local.call("GET", "activations?name=a")) == [every[0], every[2]]
    assert ids(local.call("GET", "activations?name=p/a")) == [every[1]]
    assert ids(local.call("GET", "activations?name=nope")) == []
    assert local.call("GET", "activations?docs=true&limit=1").json == [local.record(every[0])]
    assert local.call("GET", "activations?count=true&name=a&skip=1").json == {"activations": 1}


def test_since_and_upto_are_inclusive(local: LocalWhisk, history: list[Any]) -> None:
    start = history[1]["start"]
    assert history[1]["activationId"] in ids(local.call("GET", f"activations?since={start}"))
    assert history[1]["activationId"] in ids(local.call("GET", f"activations?upto={start}"))
    assert history[1]["activationId"] not in ids(local.call("GET", f"activations?since={start + 1}"))
    assert history[1]["activationId"] not in ids(local.call("GET", f"activations?upto={start - 1}"))


def test_parts_of_a_record(local: LocalWhisk, history: list[Any]) -> None:
    name = history[1]["activationId"]
    assert local.call("GET", f"activations/{name}/result").json == history[1]["response"]
    assert len(local.call("GET", f"activations/{name}/logs").json["logs"]) == 1
    assert local.call("GET", f"activations/{name}/bogus").error == messages.ROUTE_NOT_FOUND


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("activations/xyz", 400, "Activation id length is 3 but must be 32."),
        ("activations/" + "A" * 32, 400, "The activation id is not valid."),
        ("activations/" + "a" * 32, 404, messages.NOT_FOUND),
        (
            "activations?name=a/b/c",
            400,
            "Parameter may be a 'simple' name or 'package-name/simple' name: a/b/c",
        ),
        ("activations?since=x", 400, "Parameter is not a valid value for epoch seconds: x"),
        ("activations?docs=true&count=true", 400, "The parameter 'docs' is not permitted with 'count'."),
    ],
)
def test_what_is_refused(local: LocalWhisk, path: str, status: int, text: str) -> None:
    reply = local.call("GET", path)
    assert reply.status == status
    assert text in reply.error


def test_records_are_private(local: LocalWhisk, history: list[Any]) -> None:
    name = history[0]["activationId"]
    assert local.call("GET", f"activations/{name}", identity=OTHER).status == 404
    assert local.call("GET", f"/api/v1/namespaces/guest/activations/{name}", identity=OTHER).status == 403
