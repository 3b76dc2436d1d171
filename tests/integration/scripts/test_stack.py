import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import redis
import requests
from paho.mqtt.enums import CallbackAPIVersion

from lib.stack import probes
from lib.stack.ports import choose, free_port, is_free
from lib.stack.services import SERVICES
from tests.support.paths import SCRIPTS
from tests.support.polling import wait_until
from tests.support.services import Services, environment

LIGHT = ("mosquitto", "redis")


@pytest.fixture
def light(tmp_path: Path) -> Iterator[Services]:
    services = Services(tmp_path / "state")
    yield services
    services.close()


def stack(*arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(SCRIPTS / "stack"), *arguments],
        capture_output=True,
        text=True,
        env=environment(**extra),
        timeout=300,
        check=False,
    )


def test_up_is_idempotent_and_the_address_stays_over_down_and_up(light: Services) -> None:
    light.run("up", *LIGHT)
    before = {name: (light.url(name), light.pid(name)) for name in LIGHT}
    light.run("up", *LIGHT)
    assert {name: (light.url(name), light.pid(name)) for name in LIGHT} == before
    light.run("down")
    assert all(light.status(name)["state"] == "stopped" for name in LIGHT)
    light.run("up", *LIGHT)
    assert {name: light.url(name) for name in LIGHT} == {name: url for name, (url, _) in before.items()}


def test_stack_env_names_what_runs_and_only_the_owner_can_read_it(light: Services) -> None:
    light.run("up", *LIGHT)
    text = (light.state / "stack.env").read_text()
    assert text == f"HORT_MQTT_URL={light.url('mosquitto')}\nHORT_REDIS_URL={light.url('redis')}\n"
    assert (light.state / "stack.env").stat().st_mode & 0o077 == 0


def test_what_servers_keep_is_for_their_user_alone(light: Services) -> None:
    (light.state / "stack/redis").mkdir(parents=True)
    (light.state / "stack/redis").chmod(0o755)  # as an earlier version left it
    light.run("up", *LIGHT)
    with redis.Redis.from_url(light.url("redis")) as client:
        client.set("key", "a photo")
    light.stop("mosquitto")  # it saves now
    open_ones = [path for path in (light.state / "stack").rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert open_ones == []
    kept = {path.name for path in light.state.rglob("*")}
    assert {"mosquitto.db", "appendonlydir", "redis.log", "stack.env"} <= kept


@pytest.mark.slow(25)
def test_a_checkout_may_lie_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis took a folder's name with a blank for two arguments; Java knew no umlaut in a container, where no language is set."""
    monkeypatch.setenv("LC_ALL", "C")
    found = Services(tmp_path / 'meine "Häuser" #1: $HOME \\ it\'s')
    try:
        for name in SERVICES:
            assert found.url(name)
            assert any((found.state / "stack" / name / "data").iterdir()) or name == "mosquitto"
    finally:
        found.close()


def test_elasticsearch_s_keystore_is_for_its_user_alone(stack: Services, elasticsearch_url: str) -> None:
    """Elasticsearch itself opens it to its group."""
    del elasticsearch_url  # it runs
    keystore = stack.state / "stack/elasticsearch/config/elasticsearch.keystore"
    assert keystore.stat().st_mode & 0o777 == 0o600


def test_a_page_of_another_site_closes_no_index(elasticsearch_url: str) -> None:
    foreign = requests.post(f"{elasticsearch_url}/_all/_close", headers={"Origin": "https://elsewhere.example"}, timeout=60)
    assert foreign.status_code == 403
    own = requests.post(f"{elasticsearch_url}/_search?size=0", headers={"Origin": elasticsearch_url}, timeout=60)
    assert own.status_code == 200


def test_servers_listen_on_loopback_and_do_not_run_as_root(light: Services) -> None:
    light.run("up", *LIGHT)
    for name in LIGHT:
        status = Path(f"/proc/{light.pid(name)}/status").read_text()
        assert "Uid:\t0" not in status
        port = int(light.url(name).rpartition(":")[2])
        listening = [
            line.split()[1]
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if line.split()[3] == "0A"
        ]
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening


def test_redis_keeps_its_data_over_a_kill_and_start(light: Services) -> None:
    with redis.Redis.from_url(light.url("redis")) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "always"}, "else a busy disk loses what was answered"
        assert client.config_get("no-appendfsync-on-rewrite") == {"no-appendfsync-on-rewrite": "no"}
        client.set("key", "value")
    os.kill(light.pid("redis"), signal.SIGKILL)
    wait_until(lambda: light.status("redis")["state"] == "stopped", what="the end of Redis")
    url = f"redis://127.0.0.1:{light.status('redis')['port']}"
    light.start("redis")
    assert light.url("redis") == url
    with redis.Redis.from_url(url) as client:
        assert client.get("key") == b"value"


def test_redis_starts_with_a_torn_last_write(light: Services) -> None:
    with redis.Redis.from_url(light.url("redis")) as client:
        client.set("whole", "1")
        client.set("torn", "x" * 1000)
    light.stop("redis")
    log = next((light.state / "stack/redis/data/appendonlydir").glob("*.incr.aof"))
    os.truncate(log, log.stat().st_size - 100)
    light.start("redis")
    with redis.Redis.from_url(light.url("redis")) as client:
        assert (client.get("whole"), client.get("torn")) == (b"1", None)


def test_the_broker_keeps_a_session_and_its_queue_over_a_restart(light: Services) -> None:
    light.run("up", "mosquitto")
    port = int(light.url("mosquitto").rpartition(":")[2])

    def client(name: str, *, clean: bool) -> mqtt.Client:
        made = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean)
        made.connect("127.0.0.1", port)
        made.loop_start()
        wait_until(made.is_connected, what="the connection")
        return made

    subscriber = client("subscriber", clean=False)
    acknowledged: list[int] = []
    subscriber.on_subscribe = lambda *_: acknowledged.append(1)
    subscriber.subscribe("t/#", qos=1)
    wait_until(lambda: acknowledged, what="the subscription")
    subscriber.disconnect()
    subscriber.loop_stop()

    publisher = client("publisher", clean=True)
    for number in range(2000):  # more than mosquitto's own default of queued messages
        publisher.publish("t/x", str(number), qos=1)
    wait_until(
        lambda: publisher.want_write() is False and not publisher._out_messages, what="the acknowledgements"
    )
    publisher.disconnect()
    publisher.loop_stop()
    light.stop("mosquitto")
    light.start("mosquitto")

    received: list[bytes] = []
    subscriber = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="subscriber", clean_session=False)
    subscriber.on_message = lambda _client, _data, message: received.append(bytes(message.payload))
    subscriber.connect("127.0.0.1", port)
    subscriber.loop_start()
    wait_until(lambda: len(received) >= 2000, what="the queued messages")
    subscriber.disconnect()
    subscriber.loop_stop()
    assert received == [str(number).encode() for number in range(2000)]


def test_a_given_port_that_is_taken_is_an_error_and_starts_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = stack("up", *LIGHT, "--redis-port", str(port), "--state", str(tmp_path))
    assert done.returncode == 1
    assert f"error: redis: port {port} is in use by another program" in done.stderr
    assert stack("status", "mosquitto", "--state", str(tmp_path)).returncode == 3


def test_start_never_moves_to_another_port_but_up_may(light: Services) -> None:
    port = int(light.url("redis").rpartition(":")[2])
    light.stop("redis")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        refused = stack("start", "redis", "--state", str(light.state))
        assert (refused.returncode, "in use" in refused.stderr) == (1, True)
        light.run("up", "redis")
        assert light.url("redis") != f"redis://127.0.0.1:{port}"


def test_a_server_of_ones_own_is_checked_named_and_left_alone(light: Services, tmp_path: Path) -> None:
    url = light.url("redis")
    other = str(tmp_path / "other")
    assert stack("up", "redis", "--state", other, HORT_REDIS_URL=url).returncode == 0
    assert f"HORT_REDIS_URL={url}" in (tmp_path / "other/stack.env").read_text()
    assert stack("down", "--state", other, HORT_REDIS_URL=url).returncode == 0
    assert light.status("redis")["state"] == "running"


def test_a_folder_that_somebody_else_filled_is_not_given_to_a_server(tmp_path: Path) -> None:
    (tmp_path / "stack/redis").mkdir(parents=True)
    (tmp_path / "stack/redis/letters.txt").touch()
    done = stack("up", "redis", "--state", str(tmp_path))
    assert (done.returncode, "holds files that are not ours" in done.stderr) == (1, True)
    assert [path.name for path in (tmp_path / "stack/redis").iterdir()] == ["letters.txt"]


def test_two_ups_at_once_start_one_server(tmp_path: Path) -> None:
    argv = [str(SCRIPTS / "stack"), "up", "redis", "--state", str(tmp_path)]
    both = [subprocess.Popen(argv, env=environment(), stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    services = Services(tmp_path)
    assert services.status("redis")["state"] == "running"
    services.close()


def test_elasticsearch_answers_and_survives_a_kill(stack: Services, elasticsearch_url: str) -> None:
    wait_until(lambda: probes.elasticsearch(elasticsearch_url) is None, what="an answer of Elasticsearch")
    os.kill(stack.pid("elasticsearch"), signal.SIGKILL)
    wait_until(lambda: stack.status("elasticsearch")["state"] == "stopped", what="the end of Elasticsearch")
    stack.start("elasticsearch")
    assert stack.url("elasticsearch") == elasticsearch_url


def test_probes_say_why_a_server_is_not_ready(redis_url: str, mqtt_url: str) -> None:
    wait_until(lambda: probes.mqtt(mqtt_url) is None, what="an answer of mosquitto")
    wait_until(lambda: probes.redis(redis_url) is None, what="an answer of Redis")
    closed = free_port()
    assert "refused" in (probes.redis(f"redis://127.0.0.1:{closed}") or "")
    assert "refused" in (probes.mqtt(f"mqtt://127.0.0.1:{closed}") or "")
    wait_until(lambda: "AUTH" in (probes.redis(redis_url.replace("//", "//:secret@")) or ""), what="Redis' refusal")
    assert probes.mqtt(redis_url.replace("redis:", "mqtt:")) is not None


def test_ports_are_free_remembered_or_refused() -> None:
    port = free_port()
    assert is_free(port)
    assert choose(service="redis", given=None, remembered=port) == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not is_free(port)
        assert choose(service="redis", given=None, remembered=port) != port


def test_no_outgoing_connection_gets_the_port_of_a_server_that_is_stopped() -> None:
    lowest_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert {port < lowest_given for port in (free_port() for _ in range(50))} == {True}
