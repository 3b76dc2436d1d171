"""The npm client of OpenWhisk: the calls of its README, and what it makes of errors."""

import base64
import io
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import tools
from tests.support.engine import Engine

DRIVER = Path(__file__).parents[2] / "support" / "npm_client.js"


def node_zip() -> str:
    """A zip with an index.js that needs another file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("package.json", '{"main": "index.js"}')
        archive.writestr("index.js", "const double = require('./double')\nexports.main = p => ({ n: double(p.n) })\n")
        archive.writestr("double.js", "module.exports = n => 2 * n\n")
    return base64.b64encode(packed.getvalue()).decode()


@pytest.fixture(scope="module")
def seen(busy_whisk: Engine) -> dict[str, Any]:
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    environment = {
        **os.environ,
        "NODE_PATH": str(tools.node_modules()),
        "APIHOST": busy_whisk.apihost,
        "AUTH": busy_whisk.auth,
        "ZIP": node_zip(),
    }
    done = subprocess.run(
        ["node", str(DRIVER)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_actions(seen: dict[str, Any]) -> None:
    assert seen["namespaces"] == ["guest"]
    assert seen["create"]["exec"]["kind"] == "nodejs:20"
    assert seen["update"]["version"] == "1.2.3"
    assert seen["update"]["limits"]["timeout"] == 50000
    assert seen["invoke"] == {"reversed": "cba", "said": "bound"}
    assert seen["record"]["response"]["result"]["reversed"] == "cba"
    assert len(seen["started"]["activationId"]) == 32
    assert "function main" in seen["get"]["exec"]["code"]
    assert "code" not in seen["nocode"]["exec"]
    assert seen["zipped"]["exec"]["binary"] is True
    assert seen["zippedRun"] == {"n": 8}
    assert [one["reversed"] for one in seen["parallel"]] == [f"{n}m" for n in range(5)]


def test_lists_and_counts(seen: dict[str, Any]) -> None:
    assert [one["name"] for one in seen["list"]] == ["rejecting", "zipped"]
    assert seen["count"] == {"actions": 4}


def test_sequences_and_packages(seen: dict[str, Any]) -> None:
    assert seen["sequence"]["exec"]["components"] == ["/guest/reverse", "/guest/reverse"]
    assert seen["sequenceRun"]["said"] == "bound"
    assert seen["packagedRun"] == {"colour": "green"}
    assert {one["name"] for one in seen["packages"]} == {"pkg", "clock"}
    assert seen["package"]["binding"] == {"name": "alarms", "namespace": "whisk.system"}
    assert {one["name"] for one in seen["package"]["feeds"]} == {"alarm", "once", "interval"}


def test_triggers_rules_and_feeds(seen: dict[str, Any]) -> None:
    assert seen["unruled"] == {"type": "Buffer", "data": []}  # what it makes of a 204
    assert len(seen["fire"]["activationId"]) == 32
    assert (seen["rule"]["status"], seen["disabled"]["status"]) == ("active", "inactive")
    assert [one["name"] for one in seen["rules"]] == ["r"]
    assert [one["name"] for one in seen["triggers"]] == ["go"]
    assert seen["feed"]["response"]["success"] is True
    assert seen["feedGet"]["response"]["result"]["config"]["cron"] == "0 0 1 1 *"
    assert seen["feedUpdate"]["response"]["success"] is True
    assert "cron pattern 'x' is not valid" in seen["feedBad"]["failed"]
    assert seen["feedDelete"]["response"]["success"] is True


def test_activations(seen: dict[str, Any]) -> None:
    assert seen["activation"]["name"] == "twice"
    assert len(seen["logs"]["logs"]) == 2
    assert seen["result"]["result"] == seen["sequenceRun"]


def test_errors_keep_their_status_and_text(seen: dict[str, Any]) -> None:
    assert (seen["again"]["status"], seen["missing"]["status"]) == (409, 404)
    assert "resource already exists" in seen["again"]["failed"]
    assert seen["rejected"]["status"] == 502
    assert seen["rejected"]["error"]["response"]["result"] == {"error": {"code": 7}}
    assert seen["unauthorized"]["status"] == 401


def test_everything_is_deleted(busy_whisk: Engine, seen: dict[str, Any]) -> None:
    for collection in ("packages", "actions", "triggers", "rules"):
        assert busy_whisk.call("GET", collection) == (200, [])
