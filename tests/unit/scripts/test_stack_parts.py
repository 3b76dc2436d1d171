import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.stack import records
from lib.stack.__main__ import main
from lib.stack.controller import Stack, masked
from lib.stack.errors import StackError
from lib.stack.ports import choose
from lib.stack.probes import PROBES
from lib.stack.process import Process, start_time
from lib.stack.services import MOSQUITTO, REDIS, SERVICES


def test_a_pid_with_another_start_time_is_another_process() -> None:
    started = start_time(os.getpid())
    assert started is not None
    assert Process(pid=os.getpid(), started=started).alive()
    assert not Process(pid=os.getpid(), started=started - 1).alive()


def test_a_reused_pid_is_never_signalled() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        stale = Process(pid=child.pid, started=(start_time(child.pid) or 0) - 1)
        assert stale.stop(grace=0.1)
        assert child.poll() is None
        child.communicate(b"\n")


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_time(child.pid) is None
    child.stdout.close()
    child.wait()


def test_a_process_that_ignores_the_request_is_killed() -> None:
    code = (
        "import signal,sys; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = Process(pid=child.pid, started=start_time(child.pid) or 0)
        assert not process.stop(grace=0.1)
        assert not process.alive()


def test_records_are_kept_whole_and_of_this_boot_only(tmp_path: Path) -> None:
    record = records.Record(
        port=1234, pid=os.getpid(), started=start_time(os.getpid()) or 0, boot=records.boot_id()
    )
    records.save(tmp_path, record)
    assert records.load(tmp_path) == record
    assert record.process() is not None
    records.save(
        tmp_path, records.Record(port=1234, pid=record.pid, started=record.started, boot="another boot")
    )
    earlier = records.load(tmp_path)
    assert earlier is not None
    assert earlier.process() is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"port": 1}', '{"port":1,"pid":2,"started":3,"boot":"b","more":4}']
)
def test_a_torn_record_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "service.json").write_text(text)
    assert records.load(tmp_path) is None


def test_a_pid_file_of_an_unrelated_process_is_not_adopted(tmp_path: Path) -> None:
    (tmp_path / "x.pid").write_text(f"{os.getpid()}\n")
    records.save(
        tmp_path,
        records.Record(port=1, pid=0, started=0, boot=records.boot_id(), pid_file=str(tmp_path / "x.pid")),
    )
    record = records.load(tmp_path)
    assert record is not None
    assert record.process() is None


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_named(port: int) -> None:
    with pytest.raises(StackError, match=f"redis: port {port} is not between"):
        choose(service="redis", given=port, remembered=None)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtt://me:secret@host:1883", "mqtt://me:***@host:1883"),
        ("redis://:secret@host", "redis://:***@host"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("http://me@host", "http://me@host"),
    ],
)
def test_addresses_are_shown_without_passwords(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_settings_keep_data_safe_and_servers_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.stack.services._program", lambda name: name)
    MOSQUITTO.prepare(tmp_path, 2001)
    REDIS.prepare(tmp_path, 2002)
    broker, store = (
        (tmp_path / "mosquitto.conf").read_text().splitlines(),
        (tmp_path / "redis.conf").read_text().splitlines(),
    )
    assert {"listener 2001 127.0.0.1", "persistence true"} <= set(broker)
    assert {"bind 127.0.0.1", "appendonly yes", "appendfsync always", "maxmemory-policy noeviction"} <= set(
        store
    )


def test_unacknowledged_messages_never_share_a_packet_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.stack.services._program", lambda name: name)
    MOSQUITTO.prepare(tmp_path, 2001)
    settings = dict(
        line.split()[:2] for line in (tmp_path / "mosquitto.conf").read_text().splitlines() if line[0] != "#"
    )
    assert 0 < int(settings["max_inflight_messages"]) < 65535


def test_a_fresh_state_folder_reports_all_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for service in SERVICES.values():
        monkeypatch.delenv(service.variable, raising=False)
    assert main(["status", "--json", "--state", str(tmp_path)]) == 3
    assert [(row["name"], row["state"]) for row in json.loads(capsys.readouterr().out)] == [
        (name, "stopped") for name in SERVICES
    ]
    assert main(["down", "--state", str(tmp_path)]) == 0


def test_an_unknown_service_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["up", "kafka"])
    assert "unknown service 'kafka'" in capsys.readouterr().err


def test_a_server_of_ones_own_with_a_wrong_scheme_is_reported_without_its_password(tmp_path: Path) -> None:
    row = Stack(state=tmp_path, own={"HORT_REDIS_URL": "http://me:secret@127.0.0.1:1"}).status(["redis"])[0]
    assert (row.state, row.reason) == ("own server unreachable", "scheme 'http' is none of redis, rediss")
    assert "secret" not in str(row)


@pytest.mark.parametrize("url", ["http://[::1", "mqtt://h:x", "mqtt://h:99999", "redis://h:x", "https://me:pw@h:99x", os.fsdecode(b"mqtt://a\xff"), "redis://a..b", "http://a b:1"])
@pytest.mark.parametrize("name", list(PROBES))
def test_what_is_no_address_is_told(name: str, url: str) -> None:
    reason = PROBES[name](url, {})
    assert reason is not None
    assert "pw" not in reason


def test_tls_files_that_cannot_be_read_are_told_apart_from_the_broker() -> None:
    assert "HORT_MQTT_TLS_CA" in (PROBES["mosquitto"]("mqtts://127.0.0.1:1", {"HORT_MQTT_TLS_CA": "/nowhere"}) or "")
