"""Download safety: addresses judged as they are connected to, redirects likewise, bytes and time bounded."""

import time
from collections.abc import Sequence

import pytest

from hort import urls
from plates import download
from plates.errors import Refused
from tests.support import model_server as servers
from tests.support import pictures
from tests.support.model_server import Exchange, model_server
from tests.support.plates import PlatesServer

LOOPBACK = urls.Policy(private=True)
PHOTO = pictures.encoded(pictures.quarters(160, 120))


def serving(body: bytes, status: int = 200, **headers: str) -> servers.Behave:
    return lambda exchange: exchange.answer(status, body, **headers)


def refusal(url: str, *, policy: urls.Policy = LOOPBACK, seconds: float = 60.0, max_bytes: int = 100_000) -> Refused:
    with pytest.raises(Refused) as caught:
        download.fetch(url, policy=policy, deadline=time.monotonic() + seconds, max_bytes=max_bytes)
    assert caught.value.field == "url"
    return caught.value


def test_a_photo_is_read_by_its_url(plates: PlatesServer) -> None:
    with model_server(serving(PHOTO, Content_Type="text/plain")) as server:
        answer = plates.run(url=server.url + "/../../etc/passwd?x=1", allow_private=True)
    assert answer["source"]["given_as"] == "url"
    assert answer["source"]["bytes"] == len(PHOTO)
    assert "url" not in answer["source"]


def test_loopback_is_not_even_connected_to(plates: PlatesServer) -> None:
    with model_server(serving(PHOTO)) as server:
        assert plates.refusal(url=server.url) == "download-refused"
        assert plates.refusal(url=server.url, allow_private="10.0.0.0/8") == "download-refused"
        assert server.connections == 0
        assert plates.run(url=server.url, allow_private="127.0.0.0/8")["results"] == []


def test_link_local_stays_refused_when_private_ranges_are_allowed() -> None:
    assert refusal("http://169.254.169.254/latest/meta-data/").code == "download-refused"


def test_a_redirect_into_the_house_is_refused() -> None:
    with model_server(serving(b"secret")) as inner:
        with model_server(serving(b"", 302, Location=inner.url.replace("127.0.0.1", "127.0.0.2"))) as outer:
            only = urls.policy({"allow_private": "127.0.0.1/32"})
            assert refusal(outer.url, policy=only).code == "download-refused"
        assert inner.connections == 0


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://169.254.169.254/"])
def test_a_redirect_elsewhere_is_refused(target: str) -> None:
    with model_server(serving(b"", 302, Location=target)) as server:
        assert refusal(server.url).code == "download-refused"


def test_a_redirect_that_leads_on_is_followed_a_few_times() -> None:
    def behave(exchange: Exchange) -> None:
        if exchange.target.endswith("/there"):
            exchange.answer(200, PHOTO)
        else:
            exchange.answer(302, b"", Location="/there")

    with model_server(behave) as server:
        fetched = download.fetch(server.url, policy=LOOPBACK, deadline=time.monotonic() + 60, max_bytes=100_000)
    assert fetched == PHOTO
    with model_server(serving(b"", 302, Location="/again")) as server:
        assert refusal(server.url).code == "download-failed"


def test_a_name_that_answers_differently_the_second_time_gains_nothing() -> None:
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with model_server(serving(PHOTO)) as server:
        url = server.url.replace("127.0.0.1", "photos.example")
        fetched = download.fetch(url, policy=LOOPBACK, deadline=time.monotonic() + 60, max_bytes=100_000, resolver=rebinding)
    assert fetched == PHOTO
    assert asked == ["photos.example"]


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    def mixed(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.216.34", "127.0.0.1"]

    with pytest.raises(Refused) as caught:
        download.fetch("http://photos.example/", policy=urls.PUBLIC, deadline=time.monotonic() + 60, max_bytes=1, resolver=mixed)
    assert caught.value.code == "download-refused"


@pytest.mark.parametrize("behave", [servers.hang, servers.drip])
def test_a_slow_server_is_given_up(behave: servers.Behave) -> None:
    started = time.monotonic()
    with model_server(behave) as server:
        assert refusal(server.url, seconds=0.4).code == "download-too-slow"
    assert time.monotonic() - started < 60


def test_a_slow_server_costs_no_more_than_the_time_allowed(plates: PlatesServer) -> None:
    with model_server(servers.hang) as server:
        assert plates.refusal(url=server.url, allow_private=True, timeout_ms=400) == "download-too-slow"


def test_too_many_bytes_are_not_waited_for() -> None:
    def endless(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not exchange.released.is_set():
            exchange.send(bytes(10_000))

    with model_server(endless) as server:
        assert refusal(server.url).code == "download-too-large"
    with model_server(serving(bytes(100_001))) as server:
        assert refusal(server.url).code == "download-too-large"


@pytest.mark.parametrize("status", [204, 301, 404, 500])
def test_another_status_is_a_failure(status: int) -> None:
    with model_server(serving(b"", status)) as server:
        assert str(status) in refusal(server.url).reason


def test_what_is_no_image_is_named(plates: PlatesServer) -> None:
    with model_server(serving(b"<html>not found</html>")) as server:
        assert plates.refusal(url=server.url, allow_private=True) == "not-an-image"


def test_no_time_left() -> None:
    assert refusal("http://127.0.0.1:1/", seconds=-1).code == "download-too-slow"
