"""Actions in packages and behind bindings: who may do what, and who is named when one may not."""

from typing import Any

import pytest

from localwhisk import messages
from tests.support.localwhisk_app import GUEST, OTHER, LocalWhisk, Reply

BODY = {"exec": {"kind": "python:3.11", "code": "give-back"}}
NOT_FOUND = messages.NOT_FOUND


@pytest.fixture
def packages(local: LocalWhisk) -> LocalWhisk:
    """Packages of guest's, one of them shared, and bindings of other's to them and to what is not there."""
    for name, shared in (("private", False), ("shared", True), ("gone", True)):
        put(local, GUEST, f"guest/packages/{name}", {"publish": shared})
        put(local, GUEST, f"guest/actions/{name}/a", BODY)
    put(local, GUEST, "guest/packages/unshared", {"publish": True})
    for name in ("shared", "gone", "unshared"):
        put(local, OTHER, f"other/packages/b-{name}", {"binding": {"namespace": "guest", "name": name}})
    put(local, GUEST, "guest/packages/unshared?overwrite=true", {"publish": False})
    local.call("DELETE", "packages/gone?force=true")
    put(local, OTHER, "other/packages/own", {})
    put(local, OTHER, "other/packages/b-own", {"binding": {"namespace": "_", "name": "own"}})
    local.call("DELETE", f"{API}/other/packages/own", identity=OTHER)
    return local


API = "/api/v1/namespaces"


def put(local: LocalWhisk, identity: Any, path: str, body: Any) -> Reply:
    return local.call("PUT", f"{API}/{path}", body, identity=identity)


def refusal(name: str) -> str:
    return messages.not_authorized(name)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("guest/actions/shared/a", 200, None),
        ("guest/actions/shared/none", 404, NOT_FOUND),
        ("guest/actions/private/a", 403, refusal("guest/private")),
        ("guest/actions/none/a", 403, refusal("guest/none")),
        ("guest/actions/a", 403, refusal("guest/a")),
        ("other/actions/none/a", 404, NOT_FOUND),
        ("other/actions/b-shared/a", 200, None),
        ("other/actions/b-shared/none", 404, NOT_FOUND),
        ("other/actions/b-unshared/a", 403, refusal("other/b-unshared")),
        ("other/actions/b-gone/a", 403, refusal("other/b-gone")),
        ("other/actions/b-own/a", 404, NOT_FOUND),
    ],
)
def test_reading_and_running(
    packages: LocalWhisk, method: str, path: str, status: int, error: str | None
) -> None:
    """That a package of somebody else's is not there is not told; a binding is named and not what it refers to."""
    target = f"{API}/{path}" + ("?blocking=true" if method == "POST" else "")
    reply = packages.call(method, target, {} if method == "POST" else None, identity=OTHER)
    assert reply.status == status, reply.body
    assert error is None or reply.error == error


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("guest/actions/shared/a", 403, refusal("guest/shared/a")),
        ("guest/actions/none/a", 403, refusal("guest/none/a")),
        ("other/actions/none/a", 404, NOT_FOUND),
        ("other/actions/b-shared/a", 400, messages.BINDING_NO_ACTIONS),
        ("other/actions/b-gone/a", 400, messages.BINDING_NO_ACTIONS),
        ("other/actions/b-own/a", 400, messages.BINDING_NO_ACTIONS),
    ],
)
def test_changing(packages: LocalWhisk, method: str, path: str, status: int, error: str) -> None:
    reply = packages.call(method, f"{API}/{path}", BODY if method == "PUT" else None, identity=OTHER)
    assert (reply.status, reply.error) == (status, error)


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("guest/packages/private", 403, refusal("guest/private")),
        ("guest/packages/none", 403, refusal("guest/none")),
        ("other/packages/none", 404, messages.resource_missing("other/none")),
        ("other/packages/b-unshared", 403, refusal("other/b-unshared")),
        ("other/packages/b-gone", 403, refusal("other/b-gone")),
        ("other/packages/b-own", 404, messages.resource_missing("other/b-own")),
    ],
)
def test_packages_that_cannot_be_read(packages: LocalWhisk, name: str, status: int, error: str) -> None:
    reply = packages.call("GET", f"{API}/{name}", identity=OTHER)
    assert (reply.status, reply.error) == (status, error)
    listed = packages.call("GET", f"{API}/{name.replace('/packages/', '/actions/')}/", identity=OTHER)
    assert listed.status == status
    assert listed.error == (error if status == 403 else NOT_FOUND)


def test_a_list_of_others_packages_has_no_bindings(packages: LocalWhisk) -> None:
    put(packages, GUEST, "guest/packages/b", {"binding": {"namespace": "_", "name": "shared"}, "publish": True})
    found = packages.call("GET", f"{API}/guest/packages", identity=OTHER).json
    assert [package["name"] for package in found] == ["shared"]
    counted = packages.call("GET", f"{API}/guest/packages?count=true", identity=OTHER).json
    assert counted == {"packages": 1}
    assert packages.call("GET", f"{API}/nobody/packages", identity=OTHER).json == []


@pytest.mark.parametrize(
    ("binding", "status", "error"),
    [
        ({"namespace": "guest", "name": "private"}, 403, refusal("guest/private")),
        ({"namespace": "guest", "name": "none"}, 403, refusal("guest/none")),
        ({"namespace": "_", "name": "none"}, 400, messages.BINDING_TARGET_MISSING),
        ({"namespace": "_", "name": "b-shared"}, 400, messages.BINDING_OF_BINDING),
        ({"namespace": "_", "name": "b-own"}, 400, messages.BINDING_TARGET_MISSING),
        ({"namespace": "_", "name": "b-gone"}, 403, refusal("other/b-gone")),
    ],
)
@pytest.mark.parametrize("existing", [True, False])
def test_bindings_that_are_refused(
    packages: LocalWhisk, binding: Any, status: int, error: str, existing: bool
) -> None:
    name = "b-shared?overwrite=true" if existing else "b-new"
    reply = put(packages, OTHER, f"other/packages/{name}", {"binding": binding})
    assert (reply.status, reply.error) == (status, error)
    assert packages.call("GET", f"{API}/other/packages/b-shared", identity=OTHER).status == 200


def test_a_web_action_behind_a_binding(packages: LocalWhisk) -> None:
    """It is its own while the package is shared; then its owner is refused, and with him everybody."""
    web = {**BODY, "annotations": [{"key": "web-export", "value": True}]}
    put(packages, GUEST, "guest/actions/shared/web", web)
    target = "/api/v1/web/other/b-shared/web.json"
    assert packages.call("GET", target, identity=None).status == 200
    put(packages, GUEST, "guest/packages/shared?overwrite=true", {"publish": False})
    refused = packages.call("GET", target, identity=None)
    assert (refused.status, refused.error) == (403, refusal("guest/shared"))
    assert refused.header("access-control-allow-origin") is None


@pytest.mark.parametrize(("method", "status"), [("GET", 409), ("DELETE", 409), ("POST", 409)])
def test_a_package_is_no_action(packages: LocalWhisk, method: str, status: int) -> None:
    reply = packages.call(method, "actions/shared", {} if method == "POST" else None)
    assert (reply.status, reply.error) == (status, messages.CONFLICT_COLLECTION)
    assert packages.call("DELETE", "actions/shared/").status == 404
    assert packages.call("GET", "packages/shared/bar").status == 404


def test_the_binding_annotation_is_the_servers_own(packages: LocalWhisk) -> None:
    own = [{"key": "binding", "value": "mine"}, {"key": "d", "value": 1}]
    assert put(packages, GUEST, "guest/packages/plain", {"annotations": own}).json["annotations"] == own[1:]
    body = {"binding": {"namespace": "_", "name": "shared"}, "annotations": own}
    bound = put(packages, GUEST, "guest/packages/bound", body).json
    assert bound["annotations"] == [
        {"key": "d", "value": 1},
        {"key": "binding", "value": {"name": "shared", "namespace": "guest"}},
    ]
