"""Uses up a budget before an exchange that shows it used up, as the recording did with calls it leaves out."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from localwhisk.conformance.client import Client
from localwhisk.conformance.recording import Sent, sent_headers

_RATE = re.compile(r"Too many requests in the last minute \(count: (\d+),")
_CONCURRENT = re.compile(r"Too many concurrent requests in flight \(count: (\d+),")
_WEB = re.compile(r"/api/v1/web/([^/]+)/default/(\w+)(?:\.\w+)?")
_MINUTE_S = 60
_NEEDED_S = 30
_BUSY = {"s": 10}
_SETTLE_S = 1.0
_GATHER_S = 60.0
_LOOK_S = 0.05


@dataclass(slots=True)
class Minute:
    """Calls made against each budget in the current calendar minute, as far as the replay knows."""

    number: int = -1
    invocations: int = 0
    fires: int = 0
    clock: Callable[[], float] = time.time

    def count(self, sent: Sent, status: int) -> None:
        """Take note of a call that was answered."""
        self._turn()
        if sent.method == "POST" and "/triggers/" in sent.target:
            self.fires += 1
            self.invocations += status == 202  # one rule is what recordings of budgets have
        elif (sent.method == "POST" and "/actions/" in sent.target) or "/api/v1/web/" in sent.target:
            self.invocations += 1

    def made(self, sent: Sent) -> int:
        """Calls against the budget a request would count in."""
        self._turn()
        return self.fires if "/triggers/" in sent.target else self.invocations

    def _turn(self) -> None:
        number = int(self.clock() // _MINUTE_S)
        if number != self.number:
            self.number, self.invocations, self.fires = number, 0, 0


def wait_for_budget(minute: Minute) -> None:
    """Sleep into the next minute when this one's budget is used up."""
    if minute.number == int(time.time() // _MINUTE_S):
        time.sleep(_MINUTE_S - time.time() % _MINUTE_S + 0.05)


def use_up(text: str, sent: Sent, client: Client, minute: Minute) -> None:
    """Make calls until the next one has the count that the recorded 429 names."""
    match = _RATE.search(text)
    if match is None:
        return
    if minute.made(sent) + 1 < int(match[1]) and time.time() % _MINUTE_S > _MINUTE_S - _NEEDED_S:
        wait_for_budget(replace(minute, number=int(time.time() // _MINUTE_S)))
    while minute.made(sent) + 1 < int(match[1]):
        began = int(minute.clock() // _MINUTE_S)
        minute.count(sent, client.send(sent).status)
        if int(minute.clock() // _MINUTE_S) != began:  # counted in either: begin anew in a minute that has counted none
            wait_for_budget(minute)


@contextmanager
def kept_busy(text: str, sent: Sent, address: str, minute: Minute) -> Iterator[None]:
    """Keep as many calls in flight as the recorded 429 names, in a minute that has its budget left."""
    match = _CONCURRENT.search(text)
    if match is None:
        yield
        return
    if minute.made(sent):
        wait_for_budget(minute)
    busy = _busy(sent)
    threads = [threading.Thread(target=_call, args=(address, busy)) for _ in range(int(match[1]))]
    for thread in threads:
        thread.start()
    try:
        _gathered(address, len(threads))
        yield
    finally:
        for thread in threads:
            thread.join()


def _busy(sent: Sent) -> Sent:
    """A call of the same action that takes a while; web actions are called by the API, which passes numbers."""
    path, body = sent.target.split("?")[0], json.dumps(_BUSY).encode()
    headers: Mapping[str, str | None] = sent.headers
    web = _WEB.fullmatch(path)
    if web is not None:
        path, headers = f"/api/v1/namespaces/{web[1]}/actions/{web[2]}", {"authorization": web[1]}
    return Sent("POST", f"{path}?blocking=true", sent_headers(headers, body), body)


def _gathered(address: str, count: int) -> None:
    """Wait until so many activations are in flight; where the server does not tell, for a moment."""
    client, end = Client(address), time.monotonic() + _GATHER_S
    while True:
        found = client.send(Sent("GET", "/activation/count", {}, None)).parsed()
        if not isinstance(found, int) or found >= count or time.monotonic() > end:
            break
        time.sleep(_LOOK_S)
    client.close()
    if not isinstance(found, int):
        time.sleep(_SETTLE_S)


def _call(address: str, sent: Sent) -> None:
    client = Client(address)
    client.send(sent)
    client.close()
