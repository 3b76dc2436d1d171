"""The real wskdeploy: deploy, redeploy, managed sync with pruning, export, report, preview, undeploy."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Engine
from tests.support.polling import wait_until
from tests.support.whisk_tool import Tool

FAILED = 255
COLLECTIONS = ("packages", "actions", "triggers", "rules")
MANIFEST = """
packages:
  shop:
    inputs: {greeting: Hello}
    dependencies:
      clock: {location: /whisk.system/alarms}
    actions:
      greet: {function: functions/greet, runtime: "python:3.11", limits: {timeout: 50000, memorySize: 128, logSize: 1}}
      page: {function: page.py, runtime: "python:3.11", web: true, annotations: {note: a page}}
      inline: {code: "def main(args):\\n    return {'inline': True}\\n", runtime: "python:3.11"}
    sequences:
      twice: {actions: "greet, greet"}
    triggers:
      tick: {feed: /whisk.system/alarms/alarm, inputs: {cron: "* * * * * *", trigger_payload: {name: tick}}}
      plain: {inputs: {name: plain}}
    rules:
      on-tick: {trigger: tick, action: greet}
      on-plain: {trigger: plain, action: /_/shop/greet}
"""
GREET = (
    "from words import join\ndef main(args):\n    return {'said': join(args['greeting'], args.get('name', 'you'))}\n"
)
WORDS = "def join(*words):\n    return ' '.join(words)\n"
PAGE = "def main(args):\n    return {'body': '<h1>' + args['greeting'] + '</h1>'}\n"


@pytest.fixture(autouse=True)
def sources(folder: Path) -> None:
    (folder / "functions" / "greet").mkdir(parents=True)
    (folder / "functions" / "greet" / "__main__.py").write_text(GREET)
    (folder / "functions" / "greet" / "words.py").write_text(WORDS)
    (folder / "page.py").write_text(PAGE)
    (folder / "manifest.yaml").write_text(MANIFEST)


def names(whisk: Engine) -> dict[str, list[str]]:
    return {kind: sorted(one["name"] for one in whisk.call("GET", kind)[1]) for kind in COLLECTIONS}


def invoke(whisk: Engine, action: str, **arguments: Any) -> Any:
    return whisk.call("POST", f"actions/{action}?blocking=true&result=true", arguments)


NOTHING: dict[str, list[str]] = {kind: [] for kind in COLLECTIONS}
EVERYTHING = {
    "packages": ["clock", "shop"],
    "actions": ["greet", "inline", "page", "twice"],
    "triggers": ["plain", "tick"],
    "rules": ["on-plain", "on-tick"],
}


def test_deployed_twice_run_and_undeployed(clean_whisk: Engine, wskdeploy: Tool) -> None:
    for _ in range(2):
        assert "completed successfully" in wskdeploy("-m", "manifest.yaml")
        assert names(clean_whisk) == EVERYTHING
    assert invoke(clean_whisk, "shop/twice", name="A") == (200, {"said": "Hello you"})
    assert invoke(clean_whisk, "shop/inline") == (200, {"inline": True})
    limits = clean_whisk.call("GET", "actions/shop/greet?code=false")[1]["limits"]
    assert limits == {"timeout": 50000, "memory": 128, "logs": 1, "concurrency": 1}
    ticks = wait_until(
        lambda: clean_whisk.call("GET", "activations?name=shop/greet&docs=true")[1][2:],
        timeout_s=120,
        what="a tick of the alarm",
    )
    assert ticks[0]["response"]["success"]
    assert clean_whisk.call("GET", "rules/on-plain")[1]["status"] == "active"
    wskdeploy("undeploy", "-m", "manifest.yaml")
    assert names(clean_whisk) == NOTHING


def test_inputs_come_from_the_command_the_deployment_file_and_the_environment(
    clean_whisk: Engine, wskdeploy: Tool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREETING", "Env")
    (folder / "manifest.yaml").write_text(MANIFEST.replace("greeting: Hello", "greeting: $GREETING"))
    wskdeploy("-m", "manifest.yaml")
    assert invoke(clean_whisk, "shop/greet") == (200, {"said": "Env you"})
    deployment = {"project": {"packages": {"shop": {"actions": {"greet": {"inputs": {"name": "File"}}}}}}}
    (folder / "deployment.yaml").write_text(json.dumps(deployment))
    wskdeploy("-m", "manifest.yaml", "-d", "deployment.yaml")
    assert invoke(clean_whisk, "shop/greet") == (200, {"said": "Env File"})
    wskdeploy("-m", "manifest.yaml", "--param", "greeting", "Flag")
    assert invoke(clean_whisk, "shop/greet")[1]["said"].startswith("Flag ")


def test_a_managed_project_is_pruned_of_what_left_the_manifest(
    clean_whisk: Engine, wskdeploy: Tool, folder: Path
) -> None:
    managed = "project:\n  name: stall" + MANIFEST.replace("\n", "\n  ")
    (folder / "manifest.yaml").write_text(managed)
    wskdeploy("sync", "-m", "manifest.yaml")
    assert names(clean_whisk) == EVERYTHING
    clean_whisk.call("PUT", "actions/mine", {"exec": {"kind": "python:3.11", "code": PAGE}})
    less = "\n".join(
        line for line in managed.splitlines() if not any(word in line for word in ("page:", "on-plain", "plain:"))
    )
    (folder / "manifest.yaml").write_text(less)
    wskdeploy("--managed", "-m", "manifest.yaml")
    assert names(clean_whisk) == {
        "packages": ["clock", "shop"],
        "actions": ["greet", "inline", "mine", "twice"],
        "triggers": ["tick"],
        "rules": ["on-tick"],
    }
    wskdeploy("undeploy", "--projectname", "stall")
    assert names(clean_whisk) == {**NOTHING, "actions": ["mine"]}


def test_an_export_is_deployed_again(clean_whisk: Engine, wskdeploy: Tool, folder: Path) -> None:
    (folder / "manifest.yaml").write_text("project:\n  name: stall" + MANIFEST.replace("\n", "\n  "))
    wskdeploy("sync", "-m", "manifest.yaml")
    out = folder / "out" / "manifest.yaml"
    wskdeploy("export", "-m", str(out), "--projectname", "stall")
    wskdeploy("undeploy", "--projectname", "stall")
    assert names(clean_whisk) == NOTHING
    wskdeploy("-m", str(out))
    assert names(clean_whisk) == EVERYTHING
    assert invoke(clean_whisk, "shop/twice", name="A") == (200, {"said": "Hello you"})
    assert invoke(clean_whisk, "shop/page") == (200, {"body": "<h1>Hello</h1>"})


def test_a_preview_changes_nothing_and_a_report_lists_what_is_there(clean_whisk: Engine, wskdeploy: Tool) -> None:
    previewed = wskdeploy("--preview", "-m", "manifest.yaml")
    assert "greet" in previewed
    assert names(clean_whisk) == NOTHING
    wskdeploy("-m", "manifest.yaml")
    reported = wskdeploy("report", "-m", "manifest.yaml")
    for name in ("shop", "greet", "twice", "tick", "plain"):
        assert name in reported


def test_a_feed_that_fails_takes_its_trigger_with_it(clean_whisk: Engine, wskdeploy: Tool, folder: Path) -> None:
    (folder / "manifest.yaml").write_text(MANIFEST.replace('cron: "* * * * * *"', "cron: nonsense"))
    failed = wskdeploy("-m", "manifest.yaml", code=FAILED)
    assert "nonsense" in failed
    assert clean_whisk.call("GET", "triggers/tick")[0] == 404


def test_bad_credentials_and_bad_manifests_end_with_a_failure(
    clean_whisk: Engine, wskdeploy: Tool, folder: Path
) -> None:
    plain = Tool(clean_whisk, Path(wskdeploy._command[0]), folder, flags=False)
    wrong = clean_whisk.auth[:-1] + "x"
    refused = plain("--apihost", clean_whisk.apihost, "--auth", wrong, "-m", "manifest.yaml", code=FAILED)
    assert "authentication" in refused
    (folder / "manifest.yaml").write_text(MANIFEST.replace("function: page.py", "function: nowhere.py"))
    wskdeploy("-m", "manifest.yaml", code=FAILED)
    assert names(clean_whisk) == NOTHING


def test_the_runtimes_come_from_the_server(clean_whisk: Engine, wskdeploy: Tool, folder: Path) -> None:
    (folder / "manifest.yaml").write_text(MANIFEST.replace("python:3.11", "python:default"))
    wskdeploy("--strict", "-m", "manifest.yaml")
    kind = clean_whisk.call("GET", "actions/shop/greet?code=false")[1]["exec"]["kind"]
    assert kind == "python:3.10"
    (folder / "manifest.yaml").write_text(MANIFEST.replace("python:3.11", "cobol:1"))
    assert "cobol:1" in wskdeploy("-m", "manifest.yaml", code=FAILED)
