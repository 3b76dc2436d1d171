"""Clients of a real Redis, cut off or killed between the effect of a command and its answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from campaign.owners import descendant_of, owners
from campaign.proxy import Network, Proxy
from tests.support.polling import wait_until

ADD = "return redis.call('RPUSH', KEYS[1], ARGV[1])"
CLIENT = """
import redis, sys
from redis.backoff import NoBackoff
from redis.retry import Retry
client = redis.Redis(host=sys.argv[1], port=int(sys.argv[2]), retry=Retry(NoBackoff(), 0))
print(client.ping(), flush=True)
sys.stdin.readline()
print(client.rpush("list", "from the client"), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.close()


@pytest.fixture
def upstream(redis_client: redis.Redis) -> tuple[str, int]:
    given = redis_client.get_connection_kwargs()
    return given["host"], given["port"]


@pytest.fixture
def proxy(network: Network, upstream: tuple[str, int]) -> Proxy:
    return network.proxy("redis", upstream=upstream, may_kill=descendant_of(os.getpid()))


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    with redis.Redis(
        host=proxy.address[0], port=proxy.address[1], retry=Retry(NoBackoff(), 0), socket_timeout=20
    ) as made:
        made.ping()
        yield made


@pytest.fixture
def start(proxy: Proxy) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start client processes that have greeted the server, and add to a list when told to go on."""
    started: list[subprocess.Popen[str]] = []

    def one() -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", CLIENT, proxy.address[0], str(proxy.address[1])]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        return process

    yield one
    for process in started:
        process.kill()
        process.communicate()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_client_is_killed_when_its_command_is_done_and_not_answered(
    proxy: Proxy, redis_client: redis.Redis, start: Callable[[], subprocess.Popen[str]]
) -> None:
    other, process = start(), start()
    proxy.kill_after_effect(b"RPUSH")
    go_on(process)
    assert process.wait(60) == -signal.SIGKILL
    assert process.stdout
    assert process.stdout.read() == ""
    assert redis_client.lrange("list", 0, -1) == [b"from the client"]
    assert proxy.effects == {"killed": 1}
    go_on(other)
    assert other.stdout
    assert other.stdout.readline() == "2\n"
    assert proxy.traffic.resets == 1


def test_who_must_not_be_killed_is_cut_off_and_counted_as_spared(
    network: Network, upstream: tuple[str, int], redis_client: redis.Redis
) -> None:
    proxy = network.proxy("redis", upstream=upstream)
    proxy.kill_after_effect(b"INCR")
    client = redis.Redis(port=proxy.address[1], retry=Retry(NoBackoff(), 0))
    with client, pytest.raises(redis.ConnectionError):
        client.incr("n")
    assert redis_client.get("n") == b"1"
    assert proxy.effects == {"spared": 1}


def test_this_process_never_kills_itself(proxy: Proxy, client: redis.Redis) -> None:
    proxy.kill_after_effect(b"INCR")
    with pytest.raises(redis.ConnectionError):
        client.incr("n")
    assert proxy.effects == {"spared": 1}


def test_cut_after_effect_happens_as_often_as_it_was_ordered(proxy: Proxy, client: redis.Redis) -> None:
    proxy.cut_after_effect(b"INCR", times=2)
    for _ in range(2):
        assert client.get("other") is None
        with pytest.raises(redis.ConnectionError):
            client.incr("n")
    assert client.incr("n") == 3
    assert proxy.effects == {"cut": 2}
    assert proxy.disarm() == 0


def test_a_script_has_had_its_effect_once(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis
) -> None:
    script = client.register_script(ADD)
    script(keys=["list"], args=["a"])
    proxy.cut_after_effect(b"EVALSHA")
    with pytest.raises(redis.ConnectionError):
        script(keys=["list"], args=["b"])
    assert redis_client.lrange("list", 0, -1) == [b"a", b"b"]


def long_pipeline(client: redis.Redis, *, transaction: bool) -> None:
    """Run one that is sent and answered in many pieces, with something to match at its beginning."""
    pipeline = client.pipeline(transaction=transaction)
    pipeline.set("mark", "first of all")
    for number in range(3000):
        pipeline.rpush("list", str(number) * 20)
        pipeline.lrange("list", -3, -1)
    pipeline.execute()


def test_a_transaction_has_had_all_its_effects(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis
) -> None:
    proxy.cut_after_effect(b"first of all")
    with pytest.raises(redis.ConnectionError):
        long_pipeline(client, transaction=True)
    assert redis_client.llen("list") == 3000
    assert proxy.effects == {"cut": 1}


def test_a_pipeline_cut_in_the_middle_has_had_the_effect_that_was_waited_for(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis
) -> None:
    """Nobody between the two can know whether more commands will come."""
    proxy.cut_after_effect(b"first of all")
    with pytest.raises(redis.ConnectionError):
        long_pipeline(client, transaction=False)
    assert redis_client.get("mark") == b"first of all"
    assert proxy.effects == {"cut": 1}


def test_a_match_split_over_reads_is_found(proxy: Proxy, client: redis.Redis) -> None:
    """The value is far longer than a read."""
    proxy.cut_after_effect(b"x" * 50 + b"needle")
    with pytest.raises(redis.ConnectionError):
        client.set("key", b"x" * 3_000_000 + b"needle" + b"y" * 3_000_000)
    assert client.strlen("key") == 6_000_006


def test_traffic_without_a_match_is_as_without_an_order(proxy: Proxy, client: redis.Redis) -> None:
    proxy.cut_after_effect(b"never said")
    pipeline = client.pipeline()
    for number in range(500):
        pipeline.set(f"key{number}", b"\r\n*1\r\n$4\r\nPING\r\n" * 50)
        pipeline.hset("hash", mapping={f"a{number}": 1, "b": 2})
    assert len(pipeline.execute()) == 1000
    assert client.strlen("key7") == 16 * 50 - 100 + 50 * 2
    assert proxy.disarm() == 1
    assert proxy.effects == {}


def test_many_clients_at_once_lose_only_as_many_answers_as_ordered(proxy: Proxy, client: redis.Redis) -> None:
    proxy.cut_after_effect(b"INCR", times=5)
    failures: list[Exception] = []

    def work() -> None:
        for _ in range(200):
            try:
                client.incr("n")
            except redis.ConnectionError as error:
                failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(failures) == 5
    assert int(str(client.get("n"), "ascii")) == 800  # type: ignore[arg-type]
    assert proxy.effects == {"cut": 5}


def test_a_connection_lost_before_its_answer_gives_the_order_back(
    proxy: Proxy, client: redis.Redis
) -> None:
    proxy.cut_after_effect(b"BLPOP")
    waiting = redis.Redis(port=proxy.address[1], retry=Retry(NoBackoff(), 0))
    errors: list[Exception] = []

    def wait() -> None:
        try:
            waiting.blpop(["empty"], 0)
        except redis.ConnectionError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: not proxy._effects.armed, what="the request")
    proxy.reset()
    thread.join()
    assert errors
    assert proxy.effects == {}
    assert proxy.disarm() == 1


def test_the_owner_of_a_socket_is_found(proxy: Proxy, start: Callable[[], subprocess.Popen[str]]) -> None:
    process = start()
    (link,) = proxy._links
    assert owners(*link.addresses) == [process.pid]
    assert descendant_of(os.getpid())(process.pid)
    assert not descendant_of(process.pid)(os.getpid())
