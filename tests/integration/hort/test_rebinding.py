"""DNS rebinding against each client: the name answers with an allowed address first and with a forbidden one ever after.

127.0.0.2 stands for the address that may be called, 127.0.0.1 for what lies inside; both listen on the same port, and whatever
looks the name up anew, or connects by name, ends at the second.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from hort import divvy_action, gbfs, outgoing, poll, registry, report, urls, web
from hort.breaker import MemoryBreakers
from hort.errors import AddressRefused, HortError, SourceUnavailable
from hort.model_store import MemoryModelStore
from hort.poll import PollFailed
from hort.report_store import MemoryReports
from plates import download
from plates.errors import Refused
from tests.support.model_server import Exchange, ModelServer, model_server

NAME = "rebind.example"
OPEN, INSIDE = "127.0.0.2", "127.0.0.1"
POLICY = urls.policy({"allow_private": f"{OPEN}/32"})


@dataclass
class Names:
    """What the system's resolver answers: the addresses one after the other, the last one for good."""

    answers: list[list[str]]
    asked: int = 0

    def getaddrinfo(self, host: str, port: int, *rest: Any, **options: Any) -> list[Any]:
        if host != NAME:
            return _ask_system(host, port, *rest, **options)
        found = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


_ask_system: Callable[..., list[Any]] = socket.getaddrinfo


@dataclass
class Place:
    """The same port on both addresses; `url` names it by the name that rebinds."""

    url: str
    names: Names
    opened: ModelServer
    inside: ModelServer
    paths: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    names = Names([[OPEN], [INSIDE]])
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    paths: dict[str, bytes] = {}

    def behave(exchange: Exchange) -> None:
        exchange.answer(200, paths.get(exchange.target.partition("?")[0], b"{}"))

    with model_server(lambda exchange: exchange.answer(200, b"the inside"), host=INSIDE) as inside:
        port = urlsplit(inside.url).port or 0
        with model_server(behave, host=OPEN, port=port) as opened:
            yield Place(f"http://{NAME}:{port}/model", names, opened, inside, paths)
            assert inside.connections == 0


def _get(place: Place) -> bytes:
    return outgoing.get(place.url, policy=POLICY).body


def _poll(place: Place) -> bytes:
    return poll.http_fetch(POLICY, timeout_s=60)(place.url)


def _photo(place: Place) -> bytes:
    return download.fetch(place.url, policy=POLICY, deadline=time.monotonic() + 60, max_bytes=1_000)


def _divvy(place: Place) -> bytes:
    return divvy_action.fetch(place.url, POLICY)


def _score(place: Place) -> bytes:
    async def call() -> bytes:
        client = outgoing.Client(POLICY)
        try:
            return (await client.send(outgoing.Call(place.url, "POST", body=b"{}"))).body
        finally:
            client.close()

    return asyncio.run(call())


CLIENTS = [_get, _poll, _photo, _divvy, _score]


@pytest.mark.parametrize("call", CLIENTS)
def test_what_was_judged_is_what_is_connected_to(place: Place, call: Callable[[Place], bytes]) -> None:
    assert call(place) == b"{}"
    assert place.names.asked == 1


@pytest.mark.parametrize("call", CLIENTS)
def test_the_second_call_is_judged_anew(place: Place, call: Callable[[Place], bytes]) -> None:
    call(place)
    with pytest.raises((AddressRefused, PollFailed, Refused, SourceUnavailable)):
        call(place)
    assert place.opened.connections == 1


@pytest.mark.parametrize("call", CLIENTS)
def test_one_forbidden_address_among_allowed_ones_is_enough(place: Place, call: Callable[[Place], bytes]) -> None:
    place.names.answers = [[OPEN, INSIDE]]
    with pytest.raises((AddressRefused, PollFailed, Refused, SourceUnavailable)):
        call(place)
    assert place.opened.connections == 0


@pytest.mark.parametrize("call", CLIENTS)
def test_a_redirect_to_the_same_name_is_judged_anew(place: Place, call: Callable[[Place], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    moved = place.url.replace("/model", "/moved")
    with model_server(lambda exchange: exchange.answer(307, b"", Location=moved, Connection="close"), host=OPEN) as first:
        start = Place(first.url.replace(OPEN, NAME), place.names, place.opened, place.inside)
        with pytest.raises((AddressRefused, PollFailed, Refused, SourceUnavailable)):
            call(start)
    assert place.names.asked == 2


def test_a_kept_connection_stays_where_it_was_judged(place: Place) -> None:
    async def twice() -> list[bytes]:
        client = outgoing.Client(POLICY)
        try:
            return [(await client.send(outgoing.Call(place.url))).body for _ in range(3)]
        finally:
            client.close()

    assert asyncio.run(twice()) == [b"{}"] * 3
    assert place.names.asked == 1


def test_each_feed_that_gbfs_names_is_judged(place: Place) -> None:
    """Auto-discovery: gbfs.json comes from an allowed address and names feeds inside, by address and by the name that rebinds."""
    port = urlsplit(place.url).port
    for feed in (f"http://{INSIDE}:{port}/status", place.url.replace("/model", "/status"), f"http://[::ffff:{INSIDE}]:{port}/", "file:///etc/passwd", "http://["):
        place.names.asked = 0
        feeds = [{"name": "station_status", "url": feed}]
        place.paths["/model"] = orjson.dumps({"last_updated": 1, "ttl": 0, "version": "3.0", "data": {"feeds": feeds}})
        client = gbfs.Client(place.url, lambda url: divvy_action.fetch(url, POLICY))
        with pytest.raises(HortError):
            client.status()


def test_a_model_that_was_allowed_when_registered_is_judged_when_it_is_called(place: Place) -> None:
    target = registry.Registry(MemoryModelStore(), MemoryBreakers(), key="k", policy=POLICY)
    body = orjson.dumps({"url": place.url})
    assert registry.handle(target, web.Request("PUT", ("m",), body, key="k"))["statusCode"] == 201
    with pytest.raises(AddressRefused):
        _score(place)
    assert place.opened.connections == 0
    assert registry.handle(target, web.Request("PUT", ("n",), body, key="k"))["statusCode"] == 422


def test_a_photo_s_address_that_was_allowed_when_reported_is_judged_when_it_is_fetched(place: Place) -> None:
    desk = report.Desk(MemoryReports(), _NoWhisk(), lambda _id: None, key="k", policy=POLICY)
    body = orjson.dumps({"url": place.url})
    assert report.handle(desk, web.Request("POST", (), body, key="k"))["statusCode"] == 202
    with pytest.raises(Refused):
        _photo(place)
    assert report.handle(desk, web.Request("POST", (), body, key="k"))["statusCode"] == 422
    assert place.opened.connections == 0


class _NoWhisk:
    def web_path(self) -> str:
        return "/report"

    def fire(self, trigger: str, payload: object) -> str:
        return ""

    def activation(self, activation_id: str) -> dict[str, Any]:
        return {}
