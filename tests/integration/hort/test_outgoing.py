import asyncio
import gzip
import socket
import threading
from collections.abc import Sequence

import pytest

from hort import outgoing, urls
from hort.errors import AddressRefused, CallFailed
from tests.support import model_server as servers
from tests.support.model_server import Exchange, model_server

LOOPBACK = urls.Policy(private=True)


def get(url: str, **options: object) -> outgoing.Answer:
    return outgoing.get(url, policy=LOOPBACK, **options)  # type: ignore[arg-type]


def answering(status: int, body: bytes = b"", **headers: str) -> servers.Behave:
    return lambda exchange: exchange.answer(status, body, **headers)


def sending(data: bytes) -> servers.Behave:
    def behave(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.hang_up()

    return behave


def test_a_get_brings_status_headers_and_body() -> None:
    with model_server(answering(418, b"tea", X_Kind="pot")) as server:
        answer = get(server.url + "?a=b")
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (418, b"tea", "pot")
    (request,) = server.requests
    assert request.target == "/model?a=b"
    assert request.headers == {"host": server.url.split("/")[2], "user-agent": "hort"}


def test_loopback_is_refused_unless_allowed() -> None:
    with model_server(answering(200)) as server:
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
            outgoing.get(server.url)
        assert server.connections == 0


def test_a_name_that_answers_differently_the_second_time_gains_nothing() -> None:
    """DNS rebinding: the address that was judged is the one that is called, and the name is asked once."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with model_server(answering(200, b"here")) as server:
        url = server.url.replace("127.0.0.1", "model.example")
        answer = outgoing.get(url, policy=LOOPBACK, resolver=rebinding)
    assert answer.body == b"here"
    assert asked == ["model.example"]
    assert server.requests[0].headers["host"].startswith("model.example:")


def test_a_redirect_is_followed() -> None:
    def behave(exchange: Exchange) -> None:
        if exchange.target == "/model":
            exchange.answer(302, b"", Location="/there?x=1")
        else:
            exchange.answer(200, exchange.target.encode())

    with model_server(behave) as server:
        answer = get(server.url)
    assert answer.body == b"/there?x=1"
    assert answer.url.endswith("/there?x=1")


def test_a_redirect_to_a_private_address_is_refused() -> None:
    with model_server(answering(200, b"secret")) as inner:
        location = inner.url.replace("127.0.0.1", "127.0.0.2")
        with model_server(answering(307, b"", Location=location)) as outer, pytest.raises(AddressRefused):
            outgoing.get(outer.url, policy=urls.policy({"allow_private": "127.0.0.1"}))
        assert inner.connections == 0


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "http://169.254.169.254/latest", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/"],
)
def test_a_redirect_elsewhere_is_refused(location: str) -> None:
    with model_server(answering(302, b"", Location=location)) as server, pytest.raises(AddressRefused):
        get(server.url)


@pytest.mark.parametrize("location", ["http://[", "http://a b/", "http://\u00ff/", "//", "http://127.0.0.1:x/", "\x01"])
def test_a_redirect_to_what_is_no_url_fails_and_nothing_else(location: str) -> None:
    """`urljoin` raises on some of these, which ended the whole activation of score once."""
    data = f"HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode("latin-1")
    with model_server(lambda exchange: exchange.send(data)) as server, pytest.raises((AddressRefused, CallFailed)):
        get(server.url)


def test_keys_do_not_follow_a_redirect_to_another_origin() -> None:
    headers = {"X-HoRT-Key": "hidden", "Authorization": "Basic hidden", "Cookie": "hidden", "Accept": "a/b"}
    with model_server(answering(200)) as other:
        with model_server(answering(302, b"", Location=other.url)) as first:
            get(first.url, headers=headers)
        assert other.requests[0].headers["accept"] == "a/b"
        assert "hidden" not in repr(other.requests[0].headers)

    def same(exchange: Exchange) -> None:
        exchange.answer(302 if exchange.target == "/model" else 200, b"", Location="/there")

    with model_server(same) as server:
        get(server.url, headers=headers)
        assert [request.headers["x-hort-key"] for request in server.requests] == ["hidden", "hidden"]


def test_a_header_that_is_no_latin_1_is_a_failed_call() -> None:
    with model_server(answering(200)) as server, pytest.raises(CallFailed, match="Latin-1"):
        get(server.url, headers={"X-HoRT-Key": "\u20ac"})


def test_what_is_compressed_is_not_inflated() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with model_server(answering(200, bomb, Content_Encoding="gzip")) as server:
        assert get(server.url).body == bomb
    assert "accept-encoding" not in server.requests[0].headers


def drip_body(exchange: Exchange) -> None:
    """One byte of a body every 20 ms, in chunks or against a length that is far away."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not exchange.released.wait(0.02):
        exchange.send(b"x")


def drip_chunks(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not exchange.released.wait(0.02):
        exchange.send(b"1\r\nx\r\n")


def drip_interim(exchange: Exchange) -> None:
    while not exchange.released.wait(0.02):
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("behave", [drip_body, drip_chunks, drip_interim])
def test_a_slow_drip_ends_at_the_call_s_own_time(behave: servers.Behave) -> None:
    with model_server(behave) as server, pytest.raises(CallFailed) as caught:
        get(server.url, timeout_s=0.3)
    assert caught.value.kind == "timeout"


def test_a_resolver_that_hangs_costs_the_call_its_time_and_no_more() -> None:
    released = threading.Event()

    def hanging(_host: str, _port: int) -> Sequence[str]:
        released.wait(30)
        return ["127.0.0.1"]

    try:
        with pytest.raises(CallFailed) as caught:
            get("http://slow.example/", timeout_s=0.2, resolver=hanging)
    finally:
        released.set()
    assert caught.value.kind == "timeout"


def test_redirects_are_counted() -> None:
    with model_server(answering(302, b"", Location="/model")) as server:
        with pytest.raises(CallFailed, match="3 redirects"):
            get(server.url)
        assert len(server.requests) == 4


def test_a_post_is_not_turned_into_a_get() -> None:
    with (
        model_server(answering(302, b"", Location="/there")) as server,
        pytest.raises(CallFailed, match="POST"),
    ):
        send(outgoing.Call(server.url, "POST", body=b"x"))


def send(*calls: outgoing.Call) -> list[outgoing.Answer]:
    async def run() -> list[outgoing.Answer]:
        client = outgoing.Client(LOOPBACK)
        try:
            return [await client.send(call) for call in calls]
        finally:
            client.close()

    return asyncio.run(run())


@pytest.mark.parametrize("behave", [servers.hang, servers.drip])
def test_a_server_that_does_not_come_to_an_end_is_given_up(behave: servers.Behave) -> None:
    with model_server(behave) as server, pytest.raises(CallFailed) as caught:
        get(server.url, timeout_s=0.3)
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "closed"),
        (b"SSH-2.0-OpenSSH_9\r\n", "protocol"),
        (b"HTTP/1.1 abc\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "protocol"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "too-large"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyy\r\n" * 20_000 + b"\r\n", "too-large"),
    ],
)
def test_what_is_no_whole_answer_fails_with_its_kind(data: bytes, kind: str) -> None:
    with model_server(sending(data)) as server, pytest.raises(CallFailed) as caught:
        get(server.url, timeout_s=60)
    assert caught.value.kind == kind


def test_an_answer_may_be_so_large_and_no_larger() -> None:
    with model_server(answering(200, b"x" * 100_000)) as server:
        assert len(get(server.url, max_bytes=100_000).body) == 100_000
        with pytest.raises(CallFailed) as caught:
            get(server.url, max_bytes=99_999)
    assert caught.value.kind == "too-large"


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    with model_server(sending(b"HTTP/1.0 200 OK\r\n\r\nall of it")) as server:
        assert get(server.url).body == b"all of it"


def test_a_chunked_answer_is_put_together() -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with model_server(lambda exchange: exchange.send(data)) as server:
        assert get(server.url).body == b"abcde"


def test_an_interim_answer_is_no_answer() -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with model_server(lambda exchange: exchange.send(data)) as server:
        answer = get(server.url)
    assert (answer.status, answer.body) == (200, b"ok")


def test_connections_are_kept() -> None:
    with model_server(lambda exchange: exchange.answer(200, exchange.body)) as server:
        answers = send(*[outgoing.Call(server.url, "POST", body=str(number).encode()) for number in range(5)])
    assert [answer.body for answer in answers] == [b"0", b"1", b"2", b"3", b"4"]
    assert server.connections == 1


def test_a_kept_connection_that_the_server_closed_is_replaced_without_an_error() -> None:
    def behave(exchange: Exchange) -> None:
        exchange.answer(200, b"ok")
        exchange.hang_up()

    with model_server(behave) as server:
        answers = send(*[outgoing.Call(server.url, "POST", body=b"x") for _ in range(3)])
    assert [answer.body for answer in answers] == [b"ok"] * 3


def test_a_second_answer_to_one_request_poisons_no_later_one() -> None:
    twice = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    with model_server(lambda exchange: exchange.send(twice)) as server:
        answers = send(*[outgoing.Call(server.url) for _ in range(3)])
    assert [answer.body for answer in answers] == [b"ok"] * 3
    assert server.connections == 3


def test_a_large_body_arrives() -> None:
    with model_server(lambda exchange: exchange.answer(200, str(len(exchange.body)).encode())) as server:
        (answer,) = send(outgoing.Call(server.url, "POST", body=b"x" * 9_000_000))
    assert answer.body == b"9000000"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(CallFailed) as caught:
        get(f"http://127.0.0.1:{port}/")
    assert caught.value.kind == "connect"


def test_a_header_cannot_smuggle_a_line() -> None:
    with model_server(answering(200)) as server, pytest.raises(CallFailed, match="line break"):
        get(server.url, headers={"X": "a\r\nY: b"})
