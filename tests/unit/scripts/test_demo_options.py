"""Everything the demo is told is checked before its first part starts, and it publishes to nobody's broker unasked."""

import gzip
import os
import subprocess
from pathlib import Path

import pytest
import requests

from demonstrate import keys, settings
from demonstrate.options import ANONYMOUS_PER_MINUTE, INVOCATIONS_PER_MINUTE, Options, parse
from lib.stack import ports
from lib.stack.ports import free_port
from tests.support.paths import ROOT, SCRIPTS
from tests.support.services import OWN_SERVERS


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OWN_SERVERS, "HORT_STATE"):
        monkeypatch.delenv(name, raising=False)


def _written(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "99999999"], "argument --port: must be from 0 to 65535"),
        (["--port", "-1"], "argument --port: must be from 0 to 65535"),
        (["--speed", "nan"], "argument --speed: must be a number above 0"),
        (["--duration", "inf"], "argument --duration: must be a number above 0"),
        (["--duration", "nan"], "argument --duration: must be a number above 0"),
        (["--stations", "0"], "--stations must be from 1"),
        (["--summary", "/nowhere/at/all.json"], "no file in an existing folder"),
        (["--replay", "none.jsonl"], "no such file"),
        *((["--state", "LOOP"], "leads nowhere"), (["--replay", "LOOP"], "leads nowhere"), (["--summary", "LOOP"], "leads nowhere")),
        (["--replay", "EMPTY"], "--replay: empty: no documents"),
        (["--replay", "NO-JSON"], "--replay: no-json line 1: not JSON"),
        (["--replay", "TORN"], "--replay: torn: "),
        (["--live", "--no-city"], "not allowed with argument"),
    ],
)
def test_a_bad_option_is_named(arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents = {"EMPTY": b"", "NO-JSON": b"hello\n", "TORN": gzip.compress(b"x" * 1000)[:-12]}
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    arguments = [str(tmp_path / "loop") if one == "LOOP" else one for one in arguments]
    files = [_written(tmp_path, one.lower(), contents[one]) if one in contents else one for one in arguments]
    with pytest.raises(SystemExit) as ended:
        parse(files)
    assert (ended.value.code, told in capsys.readouterr().err) == (2, True)


def test_options_are_looked_at_before_anything_is_installed(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HORT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([SCRIPTS / "demo", "--port", "99999"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "argument --port: must be" in done.stderr) == (2, True)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("broker", "arguments", "published"),
    [("", [], True), ("", ["--no-city"], False), ("mqtt://mine", [], False), ("mqtt://mine", ["--city"], True), ("mqtt://mine", ["--live"], True)],
)
def test_nothing_is_published_to_a_broker_of_the_user_s_unless_asked(
    broker: str, arguments: list[str], published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HORT_MQTT_URL", broker)
    assert parse(arguments).city is published


def _problems(folder: Path, *arguments: str, **exported: str) -> list[str]:
    options: Options = parse(["--state", str(folder), *arguments])
    return settings.problems(options, settings.settled(exported, keys.kept(folder)))


@pytest.mark.parametrize(
    ("exported", "told"),
    [
        ({"HORT_WINDOW_S": "soon"}, "HORT_WINDOW_S must be a number"),
        ({"HORT_MQTT_URL": "mqtt://me:secret-word@broker"}, "HORT_MQTT_URL must not hold credentials"),
        ({"HORT_ELASTICSEARCH_PASSWORD": "secret-word"}, "HORT_ELASTICSEARCH_PASSWORD must not be given without elasticsearch_username"),
        ({"HORT_TIME_FIELD": " "}, "HORT_TIME_FIELD must hold more than blanks, got ' '"),
        ({"HORT_MQTT_USERNAME": " "}, "HORT_MQTT_USERNAME must hold more than blanks"),
        ({"HORT_TOPIC": "a/#"}, "HORT_TOPIC is no setting, did you mean HORT_TOPICS?"),
        ({"HORT_MQTT_TLS_CA": "/nowhere/ca.pem"}, "HORT_MQTT_TLS_CA is neither PEM text nor a file"),
    ],
)
def test_a_bad_variable_is_named(exported: dict[str, str], told: str, tmp_path: Path) -> None:
    found = _problems(tmp_path, **exported)
    assert [told in text for text in found] == [True], found
    assert "secret-word" not in found[0]


def test_good_settings_are_none_of_its_problems(tmp_path: Path) -> None:
    assert _problems(tmp_path, HORT_TOPICS="a/#", HORT_REDIS_MAXMEMORY="1gb", HORT_ES_HOME="x", HORT_PROVIDER_PORT="0") == []


def test_a_full_disk_and_a_taken_port_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(settings, "FREE_BYTES", 1 << 62)
    monkeypatch.setattr(ports, "is_free", lambda asked: asked != port)
    found = _problems(tmp_path, "--port", str(port))
    assert [f"MB are free for {tmp_path}" in found[0], found[1]] == [True, f"--port {port} is in use by another program"]


def test_live_without_a_network_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "get", refused)
    assert "does not answer (ConnectionError)" in _problems(tmp_path, "--live")[0]


def test_the_user_s_own_settings_go_before_the_demo_s(tmp_path: Path) -> None:
    drawn = keys.kept(tmp_path)
    found = settings.settled({"HORT_GRACE_S": "60", "HORT_REGISTRY_KEY": "mine", "HORT_AUTH": "of:another", "HORT_TOPICS": ""}, drawn)
    assert (found["HORT_GRACE_S"], found["HORT_REGISTRY_KEY"], found["HORT_ACK_DEADLINE_S"]) == ("60", "mine", "150")
    assert found["HORT_AUTH"] == drawn["HORT_AUTH"], "that of another OpenWhisk would not open this one"
    assert "HORT_TOPICS" not in found


def test_keys_are_drawn_once_and_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORT_TOOLS", "/tools of mine")
    first = keys.kept(tmp_path)
    assert keys.kept(tmp_path) == first
    assert len(set(first.values())) == 4
    line = keys.tell(tmp_path, {**first, "HORT_API_HOST": "http://127.0.0.1:1", "HORT_PROVIDER_URL": "http://127.0.0.1:2"})
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    assert first["HORT_AUTH"] not in line
    shown = subprocess.run(["bash", "-c", f'{line}; echo "$PATH" "$WSK_CONFIG_FILE" "$HOST"; cat "$AUTH" "$KEY"'], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("/tools of mine:")
    assert f"{tmp_path / 'wskprops'} http://127.0.0.1:1\nAuthorization: Basic " in shown.stdout
    assert shown.stdout.endswith(f"X-HoRT-Key: {first['HORT_REGISTRY_KEY']}\n")
    assert f"AUTH={first['HORT_AUTH']}\n" in (tmp_path / "wskprops").read_text()


def test_strangers_at_every_web_action_leave_the_clockwork_its_minute() -> None:
    actions = [line for line in (ROOT / "manifest.yaml").read_text().splitlines() if line.strip().startswith(("web:", "web-export:"))]
    kinds = 2  # browsers and programs have a share each
    assert kinds * len(actions) * ANONYMOUS_PER_MINUTE <= INVOCATIONS_PER_MINUTE // 2, "one action's callers take another's share"
