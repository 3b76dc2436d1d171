"""The feeds as their manifests deploy them, by the real wskdeploy: whoever may use them cannot lead the provider's secret away."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.support import tools
from tests.support.engine import OTHER_KEY, Engine
from tests.support.paths import ROOT
from tests.support.provider import SECRET, Provider
from tests.support.services import environment

REFUSED = 400
PROTECTED = "provider_url"


class Feeds:
    """The two packages on an engine; the clients' commands answer their exit status and all they say."""

    def __init__(self, whisk: Engine, provider: Provider, zips: Path, topic: str, mqtt_url: str) -> None:
        self.whisk = whisk
        self._login = ["--apihost", whisk.apihost, "--auth", whisk.auth]
        self._env = environment(
            HORT_PROVIDER_URL=provider.url, HORT_PROVIDER_SECRET=SECRET, HORT_MQTT_URL=mqtt_url, HORT_TOPICS=topic
        )
        self.deploy(zips, _only(ROOT / "manifest.yaml", "hort", ["mqtt"], ["device-events"]))
        alarms = ROOT / "feeds" / "alarms" / "manifest.yaml"
        self.deploy(zips, _only(alarms, "alarms", ["alarm", "once"], []))
        self.deploy(zips, _only(alarms, "alarms-web", ["feed"], []))

    def deploy(self, folder: Path, manifest: dict[str, Any]) -> None:
        path = folder / "manifest.yaml"  # beside the zips: wskdeploy takes only paths that are relative to it
        path.write_text(yaml.safe_dump(manifest))
        argv = [str(tools.wskdeploy()), *self._login, "-m", str(path)]
        done = subprocess.run(argv, capture_output=True, text=True, env=self._env, timeout=120, check=False, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    def wsk(self, *arguments: str) -> tuple[int, str]:
        argv = [str(tools.wsk()), *self._login, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, env=self._env, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    def invoke(self, action: str, **params: Any) -> tuple[int, Any]:
        bound = {"lifecycleEvent": "READ", "triggerName": "/_/device-events", "authKey": self.whisk.auth}
        return self.whisk.call("POST", f"actions/{action}?blocking=true&result=true", {**bound, **params})


def _only(path: Path, package: str, actions: list[str], triggers: list[str]) -> dict[str, Any]:
    """The manifest with these actions and triggers only, built elsewhere."""
    whole = yaml.safe_load(path.read_text())["packages"][package]
    kept = {name: whole["actions"][name] for name in actions}
    for action in kept.values():
        action["function"] = Path(action["function"]).name
    found = {name: whole["triggers"][name] for name in triggers}
    parts = {name: value for name, value in whole.items() if name not in ("sequences", "rules", "triggers")}
    return {"packages": {package: {**parts, "actions": kept, **({"triggers": found} if found else {})}}}


@pytest.fixture
def feeds(
    tmp_path: Path, whisk: Engine, zips: Path, redis_url: str, redis_client: object, mqtt_url: str, topic_root: str
) -> Iterator[Feeds]:
    del redis_client  # an empty Redis
    provider = Provider(tmp_path, redis_url=redis_url, api_host=whisk.apihost)
    try:
        yield Feeds(whisk, provider, zips, topic_root, mqtt_url)
    finally:
        provider.close()
        for name in ("device-events", "mine", "yearly"):
            whisk.call("DELETE", f"triggers/{name}")
        for name in ("borrowed", "alarms", "alarms-web"):
            whisk.call("DELETE", f"packages/{name}?force=true")


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """An address that is nobody's business, and the secrets it got to see."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers.get("X-HoRT-Secret", ""))
            self.send_response(200)
            self.end_headers()

        do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - the names that http.server asks for

        def log_message(self, *_args: object) -> None:
            """Stays quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_wskdeploy_and_wsk_create_feeds(feeds: Feeds, mqtt_url: str) -> None:
    status, read = feeds.invoke("hort/mqtt")
    assert (status, read["triggerName"], read["config"]["url"]) == (200, "/guest/device-events", mqtt_url)
    status, said = feeds.wsk("trigger", "create", "mine", "--feed", "hort/mqtt", "-p", "url", mqtt_url, "-p", "topics", "a")
    assert status == 0, said
    status, said = feeds.wsk("trigger", "update", "mine", "-p", "linger_ms", "30")
    assert status == 0, said
    assert feeds.wsk("trigger", "get", "mine")[0] == 0
    status, said = feeds.wsk("trigger", "create", "yearly", "--feed", "alarms/alarm", "-p", "cron", "0 0 1 1 *")
    assert status == 0, said
    for name in ("mine", "yearly"):
        status, said = feeds.wsk("trigger", "delete", name)
        assert status == 0, said


@pytest.mark.parametrize("action", ["hort/mqtt", "alarms/alarm", "alarms/once"])
def test_a_caller_names_no_other_provider(feeds: Feeds, elsewhere: tuple[str, list[str]], action: str) -> None:
    address, seen = elsewhere
    for name, value in ((PROTECTED, address), ("provider_secret", "mine")):
        status, body = feeds.invoke(action, **{name: value})
        assert (status, body["error"]) == (REFUSED, "Request defines parameters that are not allowed (e.g., reserved properties).")
    assert feeds.wsk("trigger", "create", "mine", "--feed", action, "-p", PROTECTED, address, "-p", "url", "mqtt://a")[0] != 0
    assert seen == []


@pytest.mark.parametrize(("package", "action"), [("hort", "mqtt"), ("alarms", "alarm")])
def test_a_binding_names_no_other_provider(feeds: Feeds, elsewhere: tuple[str, list[str]], package: str, action: str) -> None:
    address, seen = elsewhere
    status, said = feeds.wsk("package", "bind", f"/guest/{package}", "borrowed", "-p", PROTECTED, address)
    assert status == 0, said
    status, _ = feeds.invoke(f"borrowed/{action}")
    assert status in (200, 502), "the alarms know no such trigger"
    assert seen == []


def test_who_may_use_the_public_feeds_reads_no_secret_and_can_use_them(feeds: Feeds) -> None:
    """In OpenWhisk a shared package's parameters are readable by everybody: the secret lies in a package that is not shared."""
    user, _, password = OTHER_KEY.partition(":")

    def other(method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{feeds.whisk.apihost}/api/v1/{path}", json=body, auth=(user, password), timeout=60)

    for path in ("packages/alarms", "actions/alarms/alarm", "actions/alarms/once"):
        answer = other("GET", f"namespaces/guest/{path}")
        assert answer.status_code == 200
        assert SECRET not in answer.text
    for path in ("packages/alarms-web", "actions/alarms-web/feed"):
        assert other("GET", f"namespaces/guest/{path}").status_code == 403
    web = f"{feeds.whisk.apihost}/api/v1/web/guest/alarms-web/feed"
    assert requests.post(web, json={"kind": "alarm", "params": {}}, timeout=60).status_code == 401

    assert other("PUT", "namespaces/_/triggers/of-another", {}).status_code == 200
    try:
        told = {"triggerName": "/other/of-another", "authKey": OTHER_KEY, "cron": "0 0 1 1 *"}
        for event in ("CREATE", "READ", "DELETE"):
            answer = other("POST", "namespaces/guest/actions/alarms/alarm?blocking=true&result=true", {"lifecycleEvent": event, **told})
            assert answer.status_code == 200, answer.text
            assert SECRET not in answer.text
        mine = {**told, "lifecycleEvent": "CREATE", "triggerName": "/guest/device-events"}
        answer = other("POST", "namespaces/guest/actions/alarms/alarm?blocking=true&result=true", mine)
        assert answer.status_code == 502, "another's trigger"
    finally:
        other("DELETE", "namespaces/_/triggers/of-another")
