"""The real wsk and wskdeploy against the engine."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.engine import Engine
from tests.support.polling import wait_until

NewWhisk = Callable[..., Engine]
MANIFEST = """
packages:
  shop:
    inputs: {greeting: Hello}
    dependencies:
      clock: {location: /whisk.system/alarms}
    actions:
      greet: {function: functions/greet, runtime: "python:3.11"}
      page: {function: page.py, runtime: "python:3.11", web: true}
    sequences:
      twice: {actions: "greet, greet"}
    triggers:
      tick: {feed: /whisk.system/alarms/alarm, inputs: {cron: "* * * * * *", trigger_payload: {name: tick}}}
    rules:
      on-tick: {trigger: tick, action: greet}
"""
GREET = "def main(args):\n    return {'said': args['greeting'] + ' ' + args.get('name', 'you')}\n"
PAGE = "def main(args):\n    return {'body': '<h1>' + args['greeting'] + '</h1>'}\n"


@pytest.fixture
def tools() -> Path:
    paths = subprocess.run(["scripts/setup", "--paths"], capture_output=True, text=True, check=True).stdout
    folder = Path(
        next(line.split("=", 1)[1] for line in paths.splitlines() if line.startswith("HORT_TOOLS="))
    )
    if not (folder / "wsk").exists():
        pytest.skip(f"wsk is not in {folder}: ./scripts/setup tools")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "functions" / "greet").mkdir(parents=True)
    (folder / "manifest.yaml").write_text(MANIFEST)
    (folder / "functions" / "greet" / "__main__.py").write_text(GREET)
    (folder / "page.py").write_text(PAGE)
    return folder


class Tool:
    """Runs a client's command in a folder; the output of both streams."""

    def __init__(self, whisk: Engine, tool: Path, folder: Path) -> None:
        self._command = [str(tool), "--apihost", whisk.apihost, "--auth", whisk.auth]
        self._folder = folder

    def __call__(self, *arguments: str, code: int = 0) -> str:
        environment = {
            **os.environ,
            "WSK_CONFIG_FILE": str(self._folder / "wskprops"),
            "HOME": str(self._folder),
        }
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def test_wskdeploy_deploys_twice_and_undeploys(new_whisk: NewWhisk, tools: Path, project: Path) -> None:
    whisk = new_whisk("--limits", "raised")
    deploy = Tool(whisk, tools / "wskdeploy", project)
    for _ in range(2):
        deploy("-m", "manifest.yaml")
    assert whisk.call("POST", "actions/shop/twice?blocking=true&result=true", {"name": "A"}) == (
        200,
        {"said": "Hello you"},
    )
    ticks = wait_until(
        lambda: whisk.call("GET", "activations?name=shop/greet&docs=true")[1][1:],
        timeout_s=30,
        what="a tick of the alarm",
    )
    assert ticks[0]["response"]["success"]
    deploy("undeploy", "-m", "manifest.yaml")
    for collection in ("packages", "actions", "triggers", "rules"):
        assert whisk.call("GET", collection) == (200, [])


def test_wsk_through_an_actions_life(new_whisk: NewWhisk, tools: Path, project: Path) -> None:
    wsk = Tool(new_whisk("--limits", "raised"), tools / "wsk", project)
    wsk(
        "action",
        "create",
        "page",
        "page.py",
        "--kind",
        "python:3.11",
        "-p",
        "greeting",
        "Hi",
        "--web",
        "true",
        "-t",
        "5000",
    )
    assert '"body": "<h1>Hi</h1>"' in wsk("action", "invoke", "page", "-r")
    wsk("action", "create", "page", "page.py", code=(409 - 256) % 256)
    wsk("action", "update", "page", "-p", "greeting", "Bye")
    assert "Bye" in wsk("action", "invoke", "page", "-r")
    assert "/guest/page" in wsk("list")
    assert "page" in wsk("activation", "list", "--limit", "1")
    assert "success" in wsk("activation", "get", "--last")
    wsk("action", "delete", "page")
    wsk("action", "get", "page", code=(404 - 256) % 256)


def test_wsk_rolls_a_trigger_back_when_its_feed_fails(
    new_whisk: NewWhisk, tools: Path, project: Path
) -> None:
    wsk = Tool(new_whisk("--limits", "raised"), tools / "wsk", project)
    refused = wsk(
        "trigger",
        "create",
        "bad",
        "--feed",
        "/whisk.system/alarms/alarm",
        "-p",
        "cron",
        "nonsense",
        code=(502 - 256) % 256,
    )
    assert "not valid" in refused
    wsk("trigger", "get", "bad", code=(404 - 256) % 256)
    wsk("trigger", "create", "good", "--feed", "/whisk.system/alarms/alarm", "-p", "cron", "0 0 1 1 *")
    assert '"cron": "0 0 1 1 *"' in wsk("trigger", "get", "good")
    wsk("trigger", "delete", "good")


def test_bad_credentials_say_401(new_whisk: NewWhisk, tools: Path, project: Path) -> None:
    whisk = new_whisk()
    whisk.auth = whisk.auth[:-1] + "x"
    assert "authentication" in Tool(whisk, tools / "wsk", project)("list", code=(401 - 256) % 256)
