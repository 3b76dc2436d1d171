"""The real wsk, driven through its surface."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Engine
from tests.support.polling import wait_until
from tests.support.whisk_tool import Tool, status

HELLO = """
import sys
def main(args):
    print('hello', args.get('name'))
    print('aside', file=sys.stderr)
    return {'greeting': 'Hello ' + str(args.get('name', 'you')), 'place': args.get('place')}
def other(args):
    return {'other': True}
"""
FAILING = "def main(args):\n    return {'error': 'it will not'}\n"
CRASHING = "def main(args):\n    raise SystemExit(1)\n"
PAGE = "def main(args):\n    return {'body': '<h1>' + args.get('title', '-') + '</h1>'}\n"
NODE = "function main(args) { return {payload: 'node ' + args.name} }\n"
ALARM = "/whisk.system/alarms/alarm"


@pytest.fixture(autouse=True)
def sources(folder: Path) -> None:
    for name, text in {"hello": HELLO, "failing": FAILING, "crashing": CRASHING, "page": PAGE}.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "node.js").write_text(NODE)


def shown(output: str) -> Any:
    """The JSON in what wsk prints."""
    return json.loads(output[re.search(r"^[{\[]", output, re.MULTILINE).start() :])  # type: ignore[union-attr]


def annotations(entity: Any) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in entity["annotations"]}


def test_properties_are_set_shown_and_unset(clean_whisk: Engine, wsk: Tool, folder: Path) -> None:
    plain = Tool(clean_whisk, Path(wsk._command[0]), folder, flags=False)
    assert "ok: whisk API host set" in plain("property", "set", "--apihost", clean_whisk.apihost)
    plain("property", "set", "--auth", clean_whisk.auth)
    found = plain("property", "get", "--all")
    assert clean_whisk.apihost in found
    assert re.search(r"whisk namespace\s+(_|guest)", found)
    assert "standalone" in plain("property", "get", "--apibuildno")
    assert plain("namespace", "list").split() == ["namespaces", "guest"]
    assert "packages" in plain("namespace", "get")
    assert "whisk auth unset" in plain("property", "unset", "--auth")
    assert "Authorization key is not configured" in plain("list", code=2)


def test_an_action_from_creation_to_its_end(wsk: Tool) -> None:
    wsk(
        "action create hello hello.py --kind python:3.11 -p name World -a about greeting -t 50000 -m 128 -l 1"
    )
    entity = shown(wsk("action", "get", "hello"))
    assert entity["limits"] == {"timeout": 50000, "memory": 128, "logs": 1, "concurrency": 1}
    assert annotations(entity) == {"about": "greeting", "exec": "python:3.11", "provide-api-key": False}
    assert "action /guest/hello" in wsk("action", "get", "hello", "--summary")
    assert shown(wsk("action", "invoke", "hello", "-r")) == {"greeting": "Hello World", "place": None}
    assert shown(wsk("action", "invoke", "hello", "-r", "-p", "name", "A"))["greeting"] == "Hello A"
    record = shown(wsk("action", "invoke", "hello", "-b"))
    assert record["response"]["status"] == "success"
    assert "ok: invoked /_/hello with id" in wsk("action", "invoke", "hello")
    wsk("action", "create", "hello", "hello.py", code=status(409))
    wsk("action", "update", "hello", "-p", "name", "New")
    assert shown(wsk("action", "invoke", "hello", "-r"))["greeting"] == "Hello New"
    wsk("action update hello hello.py --kind python:3.11 --main other")
    assert shown(wsk("action", "invoke", "hello", "-r")) == {"other": True}
    assert "/guest/hello" in wsk("action", "list")
    wsk("action", "delete", "hello")
    wsk("action", "get", "hello", code=status(404))
    wsk("action", "delete", "hello", code=status(404))


def test_parameters_from_a_file_and_a_saved_action(wsk: Tool, folder: Path) -> None:
    (folder / "p.json").write_text(json.dumps({"name": "File", "place": {"a": [1]}}))
    wsk("action create hello hello.py --kind python:3.11 -P p.json")
    assert shown(wsk("action", "invoke", "hello", "-r")) == {"greeting": "Hello File", "place": {"a": [1]}}
    (folder / "q.json").write_text(json.dumps({"name": "Call"}))
    assert shown(wsk("action", "invoke", "hello", "-r", "-P", "q.json"))["greeting"] == "Hello Call"
    wsk("action", "get", "hello", "--save-as", "saved.py")
    assert (folder / "saved.py").read_text() == HELLO
    (folder / "hello.py").unlink()
    wsk("action", "get", "hello", "--save")
    assert (folder / "hello.py").read_text() == HELLO
    assert shown(wsk("action", "get", "hello", "exec"))["kind"] == "python:3.11"
    assert wsk("action", "get", "hello", "--url").strip().endswith("/api/v1/namespaces/guest/actions/hello")


def test_kinds_by_file_name_and_copies(wsk: Tool) -> None:
    wsk("action", "create", "node", "node.js")
    assert shown(wsk("action", "invoke", "node", "-r", "-p", "name", "x")) == {"payload": "node x"}
    wsk("action", "create", "python", "hello.py")
    assert annotations(shown(wsk("action", "get", "python")))["exec"] == "python:3.10"
    wsk("action", "create", "copied", "python", "--copy")
    assert shown(wsk("action", "invoke", "copied", "-r"))["greeting"] == "Hello you"
    wsk("action create x hello.py --kind cobol:1", code=status(400))


def test_sequences(wsk: Tool) -> None:
    wsk("package", "create", "p")
    wsk("action create p/first hello.py --kind python:3.11")
    wsk("action create last page.py --kind python:3.11")
    wsk("action", "create", "both", "--sequence", "p/first,last")
    record = shown(wsk("action", "invoke", "both", "-b"))
    assert record["response"]["result"] == {"body": "<h1>-</h1>"}
    assert len(record["logs"]) == 2
    assert annotations(record)["topmost"] is True
    wsk("action", "update", "both", "--sequence", "last,last,last")
    assert shown(wsk("action", "get", "both"))["exec"]["components"] == ["/guest/last"] * 3
    wsk("action", "create", "none", "--sequence", "missing", code=status(400))


@pytest.mark.parametrize(("web", "raw"), [("true", False), ("raw", True)])
def test_web_actions(clean_whisk: Engine, wsk: Tool, web: str, raw: bool) -> None:
    import urllib.request

    wsk("action", "create", "page", "page.py", "--kind", "python:3.11", "--web", web, "-p", "title", "T")
    found = annotations(shown(wsk("action", "get", "page")))
    assert (found["web-export"], found["raw-http"], found["final"]) == (True, raw, True)
    address = wsk("action", "get", "page", "--url").split()[-1]
    assert address.endswith("/api/v1/web/guest/default/page")
    with urllib.request.urlopen(f"{clean_whisk.apihost}/api/v1/web/guest/default/page") as answer:
        assert answer.read() == b"<h1>T</h1>"
    wsk("action", "update", "page", "--web-secure", "s3cret")
    assert annotations(shown(wsk("action", "get", "page")))["require-whisk-auth"] == "s3cret"
    wsk("action", "update", "page", "--web", "no")
    assert annotations(shown(wsk("action", "get", "page")))["web-export"] is False


def test_failures_end_with_their_code_and_say_why(wsk: Tool) -> None:
    for name in ("failing", "crashing"):
        wsk("action", "create", name, f"{name}.py", "--kind", "python:3.11")
    assert "it will not" in wsk("action", "invoke", "failing", "-r", code=status(502))
    assert "it will not" in wsk("action", "invoke", "failing", "-b", code=status(502))
    assert "error" in wsk("action", "invoke", "crashing", "-r", code=status(502))
    assert "application error" in wsk("activation", "list")
    wsk("action", "invoke", "missing", code=status(404))
    wsk("action", "create", "late", "hello.py", "--kind", "python:3.11", "-t", "1", code=status(400))
    wsk("action", "create", "none", "nofile.py", code=2)
    wsk("nonsense", code=1)


def test_packages_bindings_and_what_they_hand_on(wsk: Tool) -> None:
    wsk("package create shop -p name Shop -a description things --shared yes")
    wsk("action create shop/hello hello.py --kind python:3.11 -p place Here")
    entity = shown(wsk("package", "get", "shop"))
    assert entity["publish"] is True
    assert [one["name"] for one in entity["actions"]] == ["hello"]
    assert "/guest/shop/hello" in wsk("package", "get", "shop", "--summary").replace("   ", "")
    wsk("package", "create", "shop", code=status(409))
    wsk("package", "bind", "/_/shop", "mine", "-p", "name", "Bound")
    bound = shown(wsk("action", "invoke", "mine/hello", "-r"))
    assert bound == {"greeting": "Hello Bound", "place": "Here"}
    assert annotations(shown(wsk("activation", "get", "--last")))["binding"] == "guest/mine"
    wsk("package", "update", "shop", "-p", "name", "Other")
    assert shown(wsk("action", "invoke", "shop/hello", "-r"))["greeting"] == "Hello Other"
    listed = wsk("package", "list")
    assert "/guest/shop" in listed
    assert "/guest/mine" in listed
    assert "shared" in listed
    wsk("action", "create", "mine/x", "hello.py", "--kind", "python:3.11", code=status(400))
    wsk("package", "bind", "/_/missing", "other", code=status(400))
    wsk("package", "refresh", code=status(404))
    assert "alarms" in wsk("package", "list", "/whisk.system")
    assert ALARM in wsk("package", "get", "/whisk.system/alarms", "--summary")
    wsk("package", "delete", "shop", code=status(409))
    wsk("package", "delete", "mine")
    wsk("action", "delete", "shop/hello")
    wsk("package", "delete", "shop")


def test_triggers_and_rules(clean_whisk: Engine, wsk: Tool) -> None:
    wsk("action create hello hello.py --kind python:3.11")
    wsk("trigger create go -p place Trigger -a note x")
    assert "ok" in wsk("trigger", "fire", "go")
    wsk("rule", "create", "r", "go", "hello")
    wsk("rule", "create", "r", "go", "hello", code=status(409))
    assert shown(wsk("rule", "get", "r"))["status"] == "active"
    assert re.search(r"/guest/r\s+private\s+active", wsk("rule", "list"))
    since = int(time.time() * 1000)
    assert "with id" in wsk("trigger", "fire", "go", "-p", "name", "Fired")
    path = f"activations?name=hello&docs=true&since={since}"
    fired = wait_until(lambda: clean_whisk.call("GET", path)[1], what="the action")
    assert fired[0]["response"]["result"] == {"greeting": "Hello Fired", "place": "Trigger"}
    assert "active" in wsk("rule", "status", "r")
    wsk("rule", "disable", "r")
    assert "inactive" in wsk("rule", "status", "r")
    wsk("rule", "enable", "r")
    wsk("action create second hello.py --kind python:3.11")
    wsk("rule", "update", "r", "go", "second")
    assert shown(wsk("rule", "get", "r"))["action"]["name"] == "second"
    assert list(shown(wsk("trigger", "get", "go"))["rules"]) == ["guest/r"]
    wsk("trigger", "update", "go", "-p", "place", "Else")
    assert shown(wsk("trigger", "get", "go"))["parameters"] == [{"key": "place", "value": "Else"}]
    wsk("rule", "create", "bad", "missing", "hello", code=status(400))
    wsk("rule", "delete", "r", "--disable")
    wsk("trigger", "delete", "go")
    wsk("trigger", "get", "go", code=status(404))
    wsk("trigger", "fire", "go", code=status(404))


def test_feeds(clean_whisk: Engine, wsk: Tool) -> None:
    refused = wsk("trigger", "create", "bad", "--feed", ALARM, "-p", "cron", "nonsense", code=status(502))
    assert "cron pattern 'nonsense' is not valid" in refused
    wsk("trigger", "get", "bad", code=status(404))
    wsk("trigger", "create", "bad", "--feed", "/whisk.system/alarms/none", code=status(404))
    wsk("trigger", "get", "bad", code=status(404))
    wsk("trigger", "create", "tick", "--feed", ALARM, "-p", "cron", "* * * * * *", "-p", "trigger_payload", '{"name":"t"}')
    found = shown(wsk("trigger", "get", "tick"))
    assert found["response"]["result"]["config"]["cron"] == "* * * * * *"
    wsk("action create hello hello.py --kind python:3.11")
    wsk("rule", "create", "r", "tick", "hello")
    path = f"activations?name=tick&since={int(time.time() * 1000)}"
    wait_until(lambda: clean_whisk.call("GET", path)[1], what="a tick")
    wsk("trigger", "update", "tick", "-p", "cron", "0 0 1 1 *")
    assert shown(wsk("trigger", "get", "tick"))["response"]["result"]["config"]["cron"] == "0 0 1 1 *"
    wsk("trigger", "delete", "tick")
    wsk("trigger", "create", "one", "--feed", "/whisk.system/alarms/once", "-p", "date", "2001-01-01", code=status(502))
    wsk("trigger", "create", "each", "--feed", "/whisk.system/alarms/interval", "-p", "minutes", "5")
    assert shown(wsk("trigger", "get", "each"))["response"]["result"]["config"]["minutes"] == 5
    wsk("trigger", "delete", "each")


def test_activations(wsk: Tool) -> None:
    wsk("action create hello hello.py --kind python:3.11")
    for name in ("A", "B"):
        wsk("action", "invoke", "hello", "-b", "-p", "name", name)
    listed = wsk("activation", "list", "hello", "--limit", "2")
    ids = re.findall(r"\b[0-9a-f]{32}\b", listed)
    assert len(ids) == 2
    assert re.search(r"python:3.11\s+warm", listed)
    assert shown(wsk("activation", "get", ids[1]))["response"]["result"]["greeting"] == "Hello A"
    assert "Hello B" in wsk("activation", "result", "--last")
    logs = wsk("activation", "logs", ids[1])
    assert " stdout: hello A" in logs
    assert " stderr: aside" in logs
    assert sorted(wsk("activation", "logs", ids[1], "--strip").splitlines()) == ["aside", "hello A"]  # two pipes, in either order
    assert "hello B" in wsk("activation", "get", "--last", "--logs")
    assert ids[1] in wsk("activation", "list", "--full", "--limit", "2", "hello")
    assert "hello A" in wsk("activation", "poll", "hello", "--since-minutes", "5", "--exit", "5")
    wsk("activation", "get", "0" * 32, code=status(404))
    wsk("activation", "get", "short", code=status(400))


def test_list_shows_everything(wsk: Tool) -> None:
    wsk("package", "create", "pkg")
    wsk("action create pkg/act hello.py --kind python:3.11")
    wsk("trigger", "create", "trig")
    wsk("rule", "create", "rul", "trig", "pkg/act")
    listed = wsk("list")
    for name in ("/guest/pkg", "/guest/pkg/act", "/guest/trig", "/guest/rul"):
        assert re.search(rf"{name}\s", listed)
    assert "/guest/rul" in wsk("namespace", "get")


def test_bad_credentials_say_401(clean_whisk: Engine, wsk: Tool, folder: Path) -> None:
    plain = Tool(clean_whisk, Path(wsk._command[0]), folder, flags=False)
    wrong = clean_whisk.auth[:-1] + "x"
    for command in ("list", "action invoke x", "trigger create x"):
        refused = plain(f"--apihost {clean_whisk.apihost} --auth {wrong} {command}", code=status(401))
        assert "The supplied authentication is invalid" in refused
    for command in ("package get /whisk.system/x", "action list /whisk.system"):
        assert "not authorized" in wsk(command, code=status(403))


MANIFEST = """
project:
  name: shop
  packages:
    shop:
      inputs: {name: Manifest}
      actions:
        hello: {function: hello.py, runtime: "python:3.11"}
        page: {function: page.py, runtime: "python:3.11", web: true}
      sequences:
        both: {actions: "hello, page"}
      triggers:
        go: {inputs: {place: There}}
      rules:
        on-go: {trigger: go, action: hello}
"""


def test_projects_are_deployed_synced_exported_and_undeployed(
    clean_whisk: Engine, wsk: Tool, folder: Path
) -> None:
    (folder / "manifest.yaml").write_text(MANIFEST)
    assert "Success: Deployment completed successfully." in wsk("project", "deploy", "--manifest", "manifest.yaml")
    assert shown(wsk("action", "invoke", "shop/hello", "-r"))["greeting"] == "Hello Manifest"
    wsk("project", "undeploy", "--manifest", "manifest.yaml")
    assert clean_whisk.call("GET", "actions") == (200, [])
    wsk("project", "sync", "--manifest", "manifest.yaml")
    assert "whisk-managed" in json.dumps(clean_whisk.call("GET", "packages/shop")[1])
    (folder / "manifest.yaml").write_text(MANIFEST.replace('        page: {function: page.py, runtime: "python:3.11", web: true}\n', "").replace("hello, page", "hello"))
    wsk("project", "sync", "--manifest", "manifest.yaml")
    assert [one["name"] for one in clean_whisk.call("GET", "actions/shop/")[1]] == ["both", "hello"]
    wsk("project", "export", "--manifest", str(folder / "exported" / "manifest.yaml"), "--projectname", "shop")
    assert "hello" in (folder / "exported" / "manifest.yaml").read_text()
    wsk("project", "undeploy", "--projectname", "shop")
    for collection in ("packages", "actions", "triggers", "rules"):
        assert clean_whisk.call("GET", collection) == (200, [])
