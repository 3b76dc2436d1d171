"""The README's commands, typed as it says them: the suite for one's own devices, and what can be done with it."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from demonstrate.plates import DRAWN
from lib.env_files import read_env_file
from tests.support.paths import ROOT, SCRIPTS
from tests.support.polling import wait_until
from tests.support.readme import command
from tests.support.services import environment

START_S = 900
PUT, READ, PHOTO, REPORT = 'curl -H @"$AUTH" -X PUT', 'curl "$HOST', "curl -H @\"$AUTH\" -H 'Content", "curl -H @\"$KEY\" -H 'Content"
DELETE, LOOK_UP = 'curl -H @"$AUTH" -X DELETE', 'curl -H @"$KEY" "$HOST'
SERVERS, PROVIDER, OPENWHISK = "export HORT_REDIS_URL", "export HORT_PROVIDER_URL", "export HORT_API_HOST"
COMPOSED = "set -a; . ./hort.env"
RUN = (
    "export HORT_MQTT_URL=mqtt://broker.example", "export HORT_TOPIC_PATTERN", "./scripts/demo --no-city",
    ". .hort/demo/use.sh", "wsk action list", "(umask 077; cat > broker.json", "wsk trigger create", PUT, READ, DELETE,
    "(umask 077; echo", "wsk action invoke", PHOTO, REPORT, LOOK_UP,
    "./scripts/trace ID", "./scripts/trace --topic", "./scripts/dead-letters list", "./scripts/dead-letters show", "./scripts/dead-letters replay",
    "wsk trigger get", "wsk trigger update", "./scripts/setup --paths", "./scripts/deploy", "./scripts/deploy --manifest feeds",
    "./scripts/build && wskdeploy", SERVERS, PROVIDER, OPENWHISK, "./scripts/provider", "(umask 077; set -C", COMPOSED,
    "export HORT_MQTT_URL=mqtt://$HORT_ADDRESS", "./scripts/deploy --undeploy",
)  # fmt: skip
"""What this test runs, by its beginning; the rest is in tests/support/readme.py."""


class Shell:
    """Runs commands of the README in a folder that looks like the repository, with a state folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "home").mkdir()
        for name in ("docker", "feeds", "manifest.yaml", "build"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "scripts").mkdir()
        for script in SCRIPTS.iterdir():
            if script.is_file() and os.access(script, os.X_OK):
                (folder / "scripts" / script.name).write_text(f'#!/bin/sh\nexec {script} "$@"\n')
                (folder / "scripts" / script.name).chmod(0o755)
        cache = os.environ.get("HORT_CACHE") or str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hort")
        self.env = environment(HORT_STATE=str(folder / ".hort"), HORT_CACHE=cache, HOME=str(folder / "home"))

    def text(self, *starts: str, **replaced: str) -> str:
        """Commands that begin so, with what cannot be taken literally replaced."""
        text = "\n".join(command(start) if start in RUN else start for start in starts)
        for old, new in replaced.items():
            assert SAID[old] in text, old
            text = text.replace(SAID[old], new)
        return text

    def __call__(self, *starts: str, may_fail: bool = False, **replaced: str) -> str:
        """What they print, on one shell that uses the demo."""
        text = self.text(". .hort/demo/use.sh", *starts, **replaced)
        done = subprocess.run(["bash", "-c", f"set -e\n{text}"], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300, check=False)
        assert may_fail or done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout


SAID = {
    "broker": "mqtt://broker.example:1883", "score": "http://127.0.0.1:9000", "photos": "https://photos.example", "identity": "ID", "identities": "ID …",
    "topic": "iot-2/type/pump/id/*/evt/*", "redis": "redis://…", "all": "0.0.0.0",
}  # fmt: skip
"""Words of the README that stand for the reader's own."""


@pytest.fixture
def shell(tmp_path: Path, zips: Path) -> Shell:
    assert zips == ROOT / "build"
    return Shell(tmp_path / "hort")


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[str]:
    """An address under which a photo car.jpg is."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "car.jpg").write_bytes(DRAWN.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def demo(shell: Shell, mqtt_url: str, tmp_path: Path) -> Iterator[Path]:
    """The suite on the test's broker, as "Your own devices" starts it; gives its log."""
    log = tmp_path / "log"
    text = shell.text("export HORT_MQTT_URL=mqtt://broker.example", "export HORT_TOPIC_PATTERN", "./scripts/demo --no-city", broker=mqtt_url)
    with log.open("wb") as out:
        running = subprocess.Popen(["bash", "-c", text], cwd=shell.folder, env=shell.env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    wait_until(lambda: running.poll() is not None or "to use wsk and curl, paste" in log.read_text(), timeout_s=START_S, interval_s=0.5, what="the demo's start")
    assert running.poll() is None, log.read_text()
    yield log
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(300) == 0, log.read_text()


def publish(url: str, *messages: tuple[str, str]) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    host, _, port = url.removeprefix("mqtt://").partition(":")
    client.connect(host, int(port))
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos=1).wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


@pytest.mark.slow(80)
@pytest.mark.timeout(1800)
def test_every_command_does_what_the_readme_says(shell: Shell, demo: Path, mqtt_url: str, redis_url: str, photos: str) -> None:
    publish(mqtt_url, *[("plant/pump/7/status", json.dumps({"pressure": number})) for number in range(3)], ("plant/pump/8/status", "{"))
    keys = read_env_file(shell.folder / ".hort/demo/keys.env")

    assert "/guest/hort/stream" in shell("wsk action list")
    assert "ok: created trigger mine" in shell("(umask 077; cat > broker.json", "wsk trigger create", "wsk trigger delete mine").replace("\x1b[32m", "").replace("\x1b[0m", "")
    assert (shell.folder / "broker.json").stat().st_mode & 0o077 == 0
    assert '"name": "mine"' in shell(PUT, score="http://127.0.0.1:9")
    assert '"mine"' in shell(READ)
    assert '"deleted": "mine"' in shell(DELETE)
    shell.env |= {"HORT_AUTH": keys["HORT_AUTH"], "HORT_REGISTRY_KEY": keys["HORT_REGISTRY_KEY"]}
    shell("(umask 077; echo")
    for name in ("auth.header", "key.header"):
        assert (shell.folder / name).read_text() == (shell.folder / ".hort/demo" / name).read_text()

    (shell.folder / "car.jpg").write_bytes(DRAWN.read_bytes())
    wait_until(lambda: " plates: drawn.jpg" in demo.read_text() or " plates: s16" in demo.read_text(), timeout_s=600, what="the reader of plates")
    assert '"results"' in shell("wsk action invoke", photos=photos)
    assert json.loads(shell(PHOTO))["results"] is not None
    report = json.loads(shell(REPORT))
    shell.env["ID"] = report["id"]
    assert json.loads(shell(LOOK_UP))["id"] == report["id"]

    shell.env["HORT_TOPIC_PATTERN"] = "plant/{device_type}/{device_id}/{event}"
    trace = partial(shell, "./scripts/trace --topic", may_fail=True, topic="plant/pump/*/*")
    found = wait_until(lambda: found if "all-events" in (found := trace()) else "", timeout_s=120, what="the records in the trace")
    assert "plant/pump/7/status" in shell("./scripts/trace ID", identity=found.split()[1])
    wait_until(lambda: "ingest" in shell("./scripts/dead-letters list"), timeout_s=120, what="the dead letter")
    identity = json.loads(shell("./scripts/dead-letters list --json"))[0]["id"]
    assert "plant/pump/8/status" in shell("./scripts/dead-letters show", identity=identity)
    assert "died again" in shell("./scripts/dead-letters replay", identities=identity, may_fail=True), "what is no JSON stays none"

    assert '"active": true' in shell("wsk trigger get")
    shell("wsk trigger update")
    assert "HORT_TOOLS=" in shell("./scripts/setup --paths")
    assert "HORT_TOPICS" in shell("./scripts/deploy")
    assert '"linger_ms": 200' in shell("wsk trigger get")
    shell("./scripts/deploy --manifest feeds")
    shell("set -a; . .hort/demo/stack.env; . .hort/demo/keys.env; . .hort/demo/demo.env; set +a", "./scripts/build && wskdeploy")

    shell(SERVERS, PROVIDER, OPENWHISK)
    shell("(umask 077; set -C", COMPOSED, "export HORT_MQTT_URL=mqtt://$HORT_ADDRESS", 'test "$HORT_MQTT_URL" = "mqtt://$HORT_ADDRESS"')
    assert (shell.folder / "hort.env").stat().st_mode & 0o077 == 0
    serve = 'HORT_PROVIDER_PORT=0 timeout --preserve-status -s TERM 600 $PROVIDE >provider.log 2>&1 & until grep -q \'"started"\' provider.log; do sleep 0.2; done; kill %1; wait %1'
    shell(SERVERS, PROVIDER, OPENWHISK, serve.replace("$PROVIDE", command("./scripts/provider")), redis=redis_url, all="127.0.0.1")
    assert "completed successfully" in shell("./scripts/deploy --undeploy")
