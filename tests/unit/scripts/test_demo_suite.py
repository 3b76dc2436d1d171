"""What the demo takes back when it ends."""

import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from demonstrate import keys, processes
from demonstrate.facts import Facts
from demonstrate.options import parse
from demonstrate.plates import Plates
from demonstrate.settings import SERVICES
from demonstrate.suite import Suite
from demonstrate.view import PlainView
from lib.stack import records


@pytest.mark.parametrize(("free", "told"), [(0, "redis ended: only 0 MB are free"), (1 << 40, "redis ended by itself: it is started again")])
def test_a_redis_that_ends_on_a_full_disk_is_told_and_comes_back(free: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo said "Connection refused" for ten minutes, also after there was room again."""
    (tmp_path / "stack" / "redis").mkdir(parents=True)
    records.save(tmp_path / "stack" / "redis", records.Record(port=1, pid=1, started=1, boot="another"))
    suite = Suite(parse(["--state", str(tmp_path)]), PlainView())
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(suite, "_quietly", lambda *arguments, **_: calls.append(arguments))
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=free))
    for _ in range(3):
        suite.tend_services()
    said = capsys.readouterr().out
    assert said.count(told) == 1, said
    assert [call[:3] for call in calls] == ([("stack", "up", "redis")] if free else [])


@pytest.mark.parametrize(
    ("given", "removed"),
    [
        ({}, False),
        ({"HORT_ELASTICSEARCH_URL": "http://127.0.0.1:9"}, False),
        ({"HORT_MQTT_URL": "mqtt://127.0.0.1:9"}, True),
        ({"HORT_REDIS_URL": "redis://127.0.0.1:9"}, True),
    ],
)
def test_servers_of_the_user_s_keep_no_feed_of_the_demo(
    given: dict[str, str], removed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SERVICES:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    suite = Suite(parse(["--state", str(tmp_path)]), PlainView())
    suite.env |= {name: f"ours://127.0.0.1:{number}" for number, name in enumerate(SERVICES) if name not in given}
    suite.env["HORT_GRACE_S"] = "5"
    suite._deployed = True
    calls: list[tuple[str, ...]] = []

    def quietly(*arguments: str, **_options: object) -> bool:
        calls.append(arguments)
        return True

    monkeypatch.setattr(suite, "_quietly", quietly)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)

    suite.stop()

    assert [call[:2] for call in calls] == ([("deploy", "--undeploy")] if removed else [])


def test_the_line_to_paste_is_the_last_of_the_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORT_TOOLS", "/tools")
    suite = Suite(parse(["--state", str(tmp_path)]), PlainView())
    suite.env |= {**keys.kept(tmp_path), **dict.fromkeys(SERVICES, "x://127.0.0.1:1"), "HORT_API_HOST": "http://h", "HORT_PROVIDER_URL": "http://p"}
    suite.plates = Plates(logs=tmp_path, env=suite.env, tell=print)
    found = suite.addresses()
    assert list(found)[-1] == "to use wsk and curl, paste"
    assert found["plates"].endswith("plates-page (the reader is being built: minutes, the first time; the page waits for it)")


def test_another_port_than_the_one_that_links_name_is_told_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    suite = Suite(parse(["--state", str(tmp_path), "--no-plates"]), PlainView())
    suite.env[keys.AUTH] = "uuid:key"
    suite._given.pop(keys.AUTH, None)
    monkeypatch.setattr(processes, "free_port", lambda _wanted: 4711)
    started: list[tuple[list[str], dict[str, str]]] = []

    def start(_name: str, argv: list[str], *, env: dict[str, str]) -> SimpleNamespace:
        started.append((argv, env))
        return SimpleNamespace(address="http://127.0.0.1:4711")

    monkeypatch.setattr(suite, "_start", start)
    suite._start_engine()
    assert "WARNING: port 3233 is in use by another program, so the engine gets 4711" in capsys.readouterr().out
    argv, env = started[0]
    assert "uuid:key" not in argv, "anybody may read a command line"
    assert env["LOCALWHISK_IDENTITY"] == "guest=uuid:key"
    assert keys.AUTH not in env, "whoever runs actions needs no secret of the suite"


def test_polls_that_fail_are_told_when_there_are_more(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(PlainView, "PERIOD_S", 0.0)
    view = PlainView()
    for failed in ({}, {"source-unavailable": 1}, {"source-unavailable": 1}, {"source-unavailable": 2}):
        view.show(Facts(polls_failed=failed), rate=0, left=None)
    said = capsys.readouterr().out
    assert [said.count(f"that failed: source-unavailable {count}") for count in (1, 2)] == [1, 1]


def test_nothing_polls_the_source_before_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORT_GBFS_URL", "http://the-users-own")
    suite = Suite(parse(["--state", str(tmp_path), "--city"]), PlainView())
    done: list[str] = []
    whisk = mock.MagicMock(api_host="http://127.0.0.1:9")
    whisk.bind.side_effect = lambda _action, params: done.append(f"bound {params['gbfs_url']}")
    whisk.set_rule.side_effect = lambda _rule, *, active: done.append(f"rule {active}")
    suite.whisk = whisk
    monkeypatch.setattr(suite, "_script", lambda *_arguments: done.append(f"deployed {suite.env.get('HORT_GBFS_URL')}"))
    monkeypatch.setattr(suite, "_start", lambda name, _argv: done.append(f"started {name}"))
    suite._deploy()
    suite.start_source()
    assert done == ["deployed None", "rule False", "started gbfs", f"bound http://127.0.0.1:{suite._gbfs_port}/gbfs.json", "rule True"]


@pytest.mark.parametrize(("own", "awaited"), [("http://127.0.0.1:9", True), ("", False)])
def test_an_elasticsearch_of_the_user_s_is_awaited_before_anything_builds_on_it(own: str, awaited: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody answers at was told after the whole deployment."""
    monkeypatch.setenv("HORT_ELASTICSEARCH_URL", own)
    suite = Suite(parse(["--state", str(tmp_path)]), PlainView())
    (tmp_path / "stack.env").touch()
    calls: list[str] = []
    monkeypatch.setattr(suite, "_stack", lambda *_: None)
    monkeypatch.setattr(processes, "start", lambda *_, **__: None)
    monkeypatch.setattr(suite, "_await_elasticsearch", lambda: calls.append("awaited"))
    suite._start_services()
    assert bool(calls) is awaited
