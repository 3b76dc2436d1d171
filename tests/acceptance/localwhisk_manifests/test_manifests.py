"""Manifests of other people's kind, deployed by the real wskdeploy and used as their users would."""

import hashlib
import hmac
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import tools
from tests.support.engine import Engine
from tests.support.polling import wait_until
from tests.support.whisk_tool import Tool

NewWhisk = Callable[..., Engine]
HERE = Path(__file__).parent


@pytest.fixture
def deploy(new_whisk: NewWhisk, tmp_path: Path) -> Callable[[str], tuple[Engine, Tool]]:
    """Copy a project, start an engine and deploy the one to the other."""

    def run(name: str) -> tuple[Engine, Tool]:
        folder = tmp_path / name
        shutil.copytree(HERE / name, folder)
        whisk = new_whisk("--limits", "raised")
        tool = Tool(whisk, tools.wskdeploy(), folder)
        tool("-m manifest.yaml")
        return whisk, tool

    return run


def web(whisk: Engine, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(f"{whisk.apihost}/api/v1/web/guest/{path}", data=body)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_a_web_api_with_a_sequence(
    deploy: Callable[[str], tuple[Engine, Tool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTES_TITLE", "My notes")
    whisk, tool = deploy("web_api")
    note = json.dumps({"text": " " + "long " * 20, "author": "ann"}).encode()
    status, headers, body = web(whisk, "notes/create", note, Content_Type="application/json")
    assert (status, headers["location"]) == (201, "/notes/99")
    created = json.loads(body)
    assert created["author"] == "ann"
    assert len(created["text"]) == 40
    status, _, body = web(whisk, "notes/create", b"author=bob", Content_Type="application/x-www-form-urlencoded")
    assert (status, json.loads(body)) == (422, {"problem": "text is missing"})
    status, headers, body = web(whisk, "notes/page.http/a/b?x=1")
    assert (status, body) == (200, b"<title>My notes</title><p>get /a/b</p>")
    assert headers["content-type"].startswith("text/html")
    assert web(whisk, "notes/admin")[0] == 401
    assert web(whisk, "notes/admin", X_Require_Whisk_Auth="hunter2")[0] == 200
    assert web(whisk, "notes/store")[0] == 404
    tool("undeploy -m manifest.yaml")
    assert whisk.call("GET", "actions") == (200, [])


def test_a_cron_job(deploy: Callable[[str], tuple[Engine, Tool]]) -> None:
    whisk, tool = deploy("cron_job")
    records = wait_until(
        lambda: whisk.call("GET", "activations?name=reports/report&docs=true")[1][1:],
        timeout_s=120,
        what="two beats",
    )
    assert records[0]["response"]["result"]["team"] == "night"
    assert records[0]["logs"][0].endswith("report for night")
    _, fired = whisk.call("GET", "activations?name=heartbeat&docs=true&limit=1")
    assert json.loads(fired[0]["logs"][0])["rule"] == "guest/report-on-heartbeat"
    tool("-m manifest.yaml")
    tool("undeploy -m manifest.yaml")
    assert whisk.call("GET", "triggers") == (200, [])


def test_a_node_webhook(
    deploy: Callable[[str], tuple[Engine, Tool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    whisk, tool = deploy("node_webhook")
    event: Any = {"repository": "r", "commits": [1, 2]}
    raw = json.dumps(event).encode()
    signature = "sha256=" + hmac.new(b"s3cret", raw, hashlib.sha256).hexdigest()
    signed = {"Content_Type": "application/json", "X_Hub_Signature_256": signature}
    status, _, body = web(whisk, "hooks/webhook", raw, **signed)
    assert (status, json.loads(body)) == (200, {"repository": "r", "commits": 2})
    assert web(whisk, "hooks/webhook", raw + b" ", **signed)[0] == 403
    assert whisk.call("GET", "actions/hooks/slug?code=false")[1]["exec"]["kind"] == "nodejs:20"
    whisk.call("POST", "triggers/pushed", {"title": "Hello, World"})
    ran = wait_until(
        lambda: whisk.call("GET", "activations?name=hooks/slug&docs=true")[1], what="the rule"
    )
    assert ran[0]["response"]["result"] == {"slug": "hello-world"}
    tool("undeploy -m manifest.yaml")
    assert whisk.call("GET", "rules") == (200, [])
