import pytest

from tests.support.localwhisk_app import OTHER, SYSTEM, LocalWhisk

PARAMETERS = [{"key": "a", "value": "pkg"}, {"key": "b", "value": "pkg"}]


def test_life_of_a_package(local: LocalWhisk) -> None:
    created = local.call("PUT", "packages/p", {"parameters": PARAMETERS, "version": "1.2"}).json
    assert (created["version"], created["binding"], created["publish"]) == ("1.2.0", {}, False)
    assert local.call("PUT", "packages/p", {}).error == "resource already exists"
    updated = local.call("PUT", "packages/p?overwrite=true", {"publish": True}).json
    assert (updated["version"], updated["parameters"], updated["publish"]) == ("1.2.1", PARAMETERS, True)
    assert local.call("GET", "packages/p").json["actions"] == []
    assert local.call("DELETE", "packages/p").status == 200
    missing = local.call("GET", "packages/p")
    assert (missing.status, missing.error) == (404, "The requested resource 'guest/p' does not exist.")


def test_a_package_with_actions_is_deleted_only_by_force(local: LocalWhisk) -> None:
    local.call("PUT", "packages/p", {})
    local.put_action("p/a")
    refused = local.call("DELETE", "packages/p")
    assert refused.status == 409
    assert refused.error.startswith("Package not empty (contains 1 entity).")
    assert local.call("DELETE", "packages/p?force=true").status == 200
    assert local.call("GET", "actions/p/a").status == 404


def test_feeds_are_listed_apart(local: LocalWhisk) -> None:
    local.call("PUT", "packages/p", {})
    local.put_action("p/a")
    local.put_action("p/f", annotations=[{"key": "feed", "value": True}])
    package = local.call("GET", "packages/p").json
    assert [action["name"] for action in package["actions"]] == ["a"]
    assert [feed["name"] for feed in package["feeds"]] == ["f"]


def test_a_binding_adds_its_parameters_and_shows_the_provider(local: LocalWhisk) -> None:
    local.call("PUT", "packages/p", {"parameters": PARAMETERS})
    local.put_action("p/echo", parameters=[{"key": "c", "value": "act"}])
    bound = local.call(
        "PUT",
        "packages/b",
        {"binding": {"namespace": "_", "name": "p"}, "parameters": [{"key": "b", "value": "bind"}]},
    ).json
    assert bound["binding"] == {"name": "p", "namespace": "guest"}
    assert bound["annotations"] == [{"key": "binding", "value": {"name": "p", "namespace": "guest"}}]
    shown = local.call("GET", "packages/b").json
    assert {pair["key"]: pair["value"] for pair in shown["parameters"]} == {"a": "pkg", "b": "bind"}
    assert [action["name"] for action in shown["actions"]] == ["echo"]
    assert local.result("b/echo", {"z": 1}) == {"a": "pkg", "b": "bind", "c": "act", "z": 1}


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("packages/default", {}, 400, "Package name 'default' is reserved."),
        (
            "packages/x",
            {"binding": {"namespace": "_", "name": "nope"}},
            400,
            "Binding references a package that does not exist.",
        ),
        (
            "packages/x",
            {"binding": {"namespace": "_", "name": "b"}},
            400,
            "Cannot bind to another package binding.",
        ),
        ("packages/x", {"binding": {"name": "p"}}, 400, "Object is missing required member 'namespace'"),
        (
            "packages/x",
            {"binding": {"namespace": "whisk.system", "name": "nope"}},
            403,
            "'whisk.system/nope'",
        ),
        (
            "packages/p?overwrite=true",
            {"binding": {"namespace": "_", "name": "q"}},
            409,
            "cannot be converted",
        ),
        (
            "actions/b/new",
            {"exec": {"kind": "python:3.11", "code": "x"}},
            400,
            "Operation not permitted on package binding.",
        ),
        ("actions/nopkg/new", {"exec": {"kind": "python:3.11", "code": "x"}}, 404, "does not exist"),
        ("packages/x", [1], 400, "Object expected in field 'exec'"),
        ("packages/x", {"binding": None}, 400, "Object expected in field 'namespace'"),
        ("packages/x", {"binding": {"namespace": "_"}}, 400, "Object is missing required member 'name'"),
        ("packages/x", {"binding": {"namespace": 5, "name": "p"}}, 400, "entity name malformed"),
        ("packages/x", {"binding": {"namespace": "_", "name": "p!"}}, 400, "entity name malformed"),
        ("packages/x", {"exec": {"code": "x"}}, 400, "'kind' must be a string defined in 'exec'"),
        ("packages/x", {"binding": {"namespace": "_", "name": "a"}}, 409, "Cannot bind to a resource"),
        ("packages/x?overwrite=perhaps", {}, 400, "The query parameter 'overwrite' was malformed"),
        ("packages/default", {"version": "x"}, 400, "Package name 'default' is reserved."),
        ("packages/default", {"parameters": 1}, 400, "parameters malformed!"),
    ],
)
def test_what_is_refused(local: LocalWhisk, path: str, body: object, status: int, text: str) -> None:
    local.call("PUT", "packages/p", {})
    local.call("PUT", "packages/q", {})
    local.call("PUT", "packages/b", {"binding": {"namespace": "_", "name": "p"}})
    local.put_action("a")
    reply = local.call("PUT", path, body)
    assert reply.status == status
    assert text in reply.error


def test_a_dangling_binding_is_listed_and_missing(local: LocalWhisk) -> None:
    local.call("PUT", "packages/p", {})
    local.call("PUT", "packages/b", {"binding": {"namespace": "_", "name": "p"}})
    local.call("DELETE", "packages/p")
    assert [item["name"] for item in local.call("GET", "packages").json] == ["b"]
    assert local.call("GET", "packages/b").status == 404
    assert local.call("DELETE", "packages/b").status == 200


def test_only_shared_packages_are_seen_by_others(local: LocalWhisk) -> None:
    base = "/api/v1/namespaces/whisk.system"
    for name, publish in (("shared", True), ("private", False)):
        local.call("PUT", f"{base}/packages/{name}", {"publish": publish}, identity=SYSTEM)
        exec_ = {"exec": {"kind": "python:3.11", "code": "give-back"}}
        local.call("PUT", f"{base}/actions/{name}/echo", exec_, identity=SYSTEM)
    assert [item["name"] for item in local.call("GET", f"{base}/packages").json] == ["shared"]
    assert local.call("POST", f"{base}/actions/shared/echo?blocking=true&result=true", {"x": 1}).json == {
        "x": 1
    }
    assert local.call("GET", f"{base}/actions/private/echo").error.endswith("'whisk.system/private'.")
    assert local.call("PUT", f"{base}/actions/shared/mine", {}).status == 403
    record = local.call("POST", f"{base}/actions/shared/echo?blocking=true", {}).json
    assert record["namespace"] == "guest"
    assert local.runtimes.runs[-1][0].namespace == "guest"
    assert local.call("GET", f"activations/{record['activationId']}", identity=OTHER).status == 404


def test_what_is_no_package_cannot_be_bound(local: LocalWhisk) -> None:
    local.put_action("act")
    reply = local.call("PUT", "packages/b", {"binding": {"namespace": "_", "name": "act"}})
    assert (reply.status, reply.error) == (409, "Cannot bind to a resource that is not a package.")


def test_that_a_package_stays_one_is_said_before_what_the_binding_is_of(local: LocalWhisk) -> None:
    local.call("PUT", "packages/p", {})
    local.call("PUT", "packages/b", {"binding": {"namespace": "_", "name": "p"}})
    body = {"binding": {"namespace": "_", "name": "b"}}
    assert local.call("PUT", "packages/p", body).error == "resource already exists"
    reply = local.call("PUT", "packages/p?overwrite=true", body)
    assert (reply.status, reply.error) == (409, "Resource is a package and cannot be converted into a binding.")
