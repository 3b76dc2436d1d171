import json
import re

import pytest

from localwhisk.identity import PUBLIC
from tests.support.localwhisk_app import LocalWhisk

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
GUEST_KEY = PUBLIC[0].auth


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "TEXT/HTML;q=0.9, application/json;q=0.2"])
def test_a_browser_gets_the_page(local: LocalWhisk, accept: str) -> None:
    reply = local.call("GET", "/", identity=None, headers={"accept": accept, "host": "localhost:3233"})
    assert (reply.status, reply.header("content-type")) == (200, "text/html; charset=UTF-8")
    assert b"<!doctype html>" in reply.body


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "application/json, text/html", "text/html;q=0, */*"]
)
def test_a_client_gets_the_json_document(local: LocalWhisk, accept: str | None) -> None:
    headers = {} if accept is None else {"accept": accept}
    reply = local.call("GET", "/", identity=None, headers=headers)
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert json.loads(reply.body)["description"] == "OpenWhisk"


def test_no_other_path_turns_into_the_page(local: LocalWhisk) -> None:
    assert local.call("GET", "/api/info", identity=None, headers={"accept": "text/html"}).status == 406


@pytest.mark.parametrize(
    ("host", "brought"),
    [("localhost:3233", True), ("127.0.0.1:1", True), ("[::1]:1", True), ("whisk.test", False), ("", False)],
)
def test_the_public_key_comes_along_by_a_loopback_name_only(
    local: LocalWhisk, host: str, brought: bool
) -> None:
    page = local.call("GET", "/", identity=None, headers={"accept": BROWSER, "host": host}).body.decode()
    assert (GUEST_KEY in page) is brought
    assert "@KEY@" not in page


def test_the_page_names_no_other_address_and_runs_only_its_own_script(local: LocalWhisk) -> None:
    replies = [local.call("GET", "/", identity=None, headers={"accept": BROWSER}) for _ in range(2)]
    assert not re.search(rb"https?://", replies[0].body)
    policies = [reply.header("content-security-policy") or "" for reply in replies]
    assert all("default-src 'none'" in policy and "'unsafe-inline'" not in policy.split(";")[1] for policy in policies)
    assert policies[0] != policies[1]
