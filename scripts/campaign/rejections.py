"""Elasticsearch answering as it does under load: 429 and 503 for requests or for single items of a bulk, and answers that are lost.

The proxy runs in a thread of its own; its methods may be called from any other. It may stand behind a `campaign.proxy.Proxy`.
"""

from __future__ import annotations

import asyncio
import gzip
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import orjson

from campaign import bulk
from campaign.http_relay import Answer, Forward, Headers, Request, serve
from campaign.link import reset
from campaign.loop_thread import LoopThread

HOST = "127.0.0.1"
CONNECTIONS = 500
"""Connections held at most; one more is reset."""

RETRY_AFTER_S = 1
Status = Literal[429, 503]

ERRORS: Mapping[int, tuple[str, str]] = {
    429: (
        "es_rejected_execution_exception",
        (
            "rejected execution of coordinating operation [coordinating_and_primary_bytes=107374182, replica_bytes=0, "
            "all_bytes=107374182, coordinating_operation_bytes=1048576, max_coordinating_and_primary_bytes=107374182]"
        ),
    ),
    503: (
        "cluster_block_exception",
        "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];",
    ),
}
"""Type and reason of a refused request, by its status, in Elasticsearch 8's words."""

_JSON: Headers = ((b"content-type", b"application/json"), (b"x-elastic-product", b"Elasticsearch"))


@dataclass(frozen=True)
class _Faults:
    """What is done to a share of the requests, or of their items; tried in this order."""

    status: Status = 503
    refused: float = 0.0
    lost: float = 0.0
    item_status: Status = 429
    items: float = 0.0


class ElasticsearchProxy:
    """A listening HTTP proxy before one Elasticsearch at `http://host:port`; `seed` decides which requests are hit."""

    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise ValueError(f"upstream={upstream.rpartition('@')[2]!r} must be http://host:port")
        self._upstream = (parts.hostname, parts.port)
        self._random = random.Random(seed)
        self._faults = _Faults()
        self._counts: Counter[str] = Counter()
        self._clients: set[asyncio.Task[None]] = set()
        self._thread = LoopThread("campaign elasticsearch")
        self._server = self._thread.wait_for(asyncio.start_server(self._arrived, HOST, 0, limit=1 << 20))
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{self.address[0]}:{self.address[1]}"

    @property
    def counts(self) -> Counter[str]:
        """How many "requests" came, and of them how many got "429" or "503" unseen by Elasticsearch, or "lost" their answer;
        how many "bulks" were tampered with, in which "items 429" and "items 503" were refused.
        """
        return self._thread.call(self._counts.copy)

    def answer(self, status: Status, *, share: float = 1.0) -> None:
        """From now on a share of the requests is answered so, and not passed on."""
        _check(status, share)
        self._change(status=status, refused=share)

    def lose_answers(self, share: float = 1.0) -> None:
        """From now on a share of the requests is carried out and then answered 503."""
        _check(503, share)
        self._change(lost=share)

    def reject_items(self, share: float, *, status: Status = 429) -> None:
        """From now on a share of the items of each bulk is not passed on, and answered with an error in its place."""
        _check(status, share)
        self._change(item_status=status, items=share)

    def heal(self) -> None:
        """Ends all of it."""
        self._change(refused=0.0, lost=0.0, items=0.0)

    def close(self) -> None:
        """Stops listening, cuts what is live and ends the thread; a second call does nothing."""
        if not self._thread.loop.is_closed():
            self._thread.call(self._server.close)
            self._thread.close()

    def _change(self, **faults: float) -> None:
        def change() -> None:
            self._faults = replace(self._faults, **faults)  # type: ignore[arg-type]  # checked by the callers' types

        self._thread.call(change)

    def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= CONNECTIONS:
            reset(writer.transport)
            return
        work = serve(reader, writer, upstream=self._upstream, exchange=self._exchange)
        task = self._thread.loop.create_task(work)
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _exchange(self, request: Request, forward: Forward) -> Answer:
        faults = self._faults
        self._counts["requests"] += 1
        if self._hit(faults.refused):
            self._counts[str(faults.status)] += 1
            return error_answer(faults.status)
        if self._hit(faults.lost):
            await forward(request)
            self._counts["lost"] += 1
            return error_answer(503)
        if faults.items and _is_bulk(request):
            return await self._reject(request, forward, faults)
        return await forward(request)

    def _hit(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    async def _reject(self, request: Request, forward: Forward, faults: _Faults) -> Answer:
        try:
            items = bulk.items(_plain_body(request), index=_index(request))
            bulk.filtered({}, _filter_path(request))
        except (ValueError, OSError):  # Elasticsearch itself shall say what is wrong, and do what is not known here
            return await forward(request)
        refused = {position for position in range(len(items)) if self._hit(faults.items)}
        if not refused:
            return await forward(request)
        kept = b"".join(item.lines for position, item in enumerate(items) if position not in refused)
        answer = await forward(_part(request, kept)) if kept else _nothing_done()
        if answer.status != 200:
            return answer
        self._counts["bulks"] += 1
        self._counts[f"items {faults.item_status}"] += len(refused)
        whole = bulk.merged(items, refused, orjson.loads(answer.body), status=faults.item_status)
        return replace(answer, body=orjson.dumps(bulk.filtered(whole, _filter_path(request))))


def error_answer(status: Status) -> Answer:
    """Elasticsearch's answer to a request it refuses."""
    kind, reason = ERRORS[status]
    error = {"type": kind, "reason": reason}
    body = orjson.dumps({"error": {"root_cause": [error], **error}, "status": status})
    again: Headers = ((b"retry-after", str(RETRY_AFTER_S).encode()),) if status == 429 else ()
    return Answer(status, (*_JSON, *again), body)


def _nothing_done() -> Answer:
    return Answer(200, _JSON, b'{"took":0,"errors":false,"items":[]}')


def _check(status: int, share: float) -> None:
    if status not in ERRORS:
        raise ValueError(f"status={status} must be 429 or 503")
    if not 0 <= share <= 1:
        raise ValueError(f"share={share} must be from 0 to 1")


def _path(request: Request) -> str:
    return request.target.decode("latin-1").partition("?")[0]


def _query(request: Request) -> list[tuple[str, str]]:
    return parse_qsl(request.target.decode("latin-1").partition("?")[2], keep_blank_values=True)


def _filter_path(request: Request) -> str:
    return dict(_query(request)).get("filter_path", "")


def _is_bulk(request: Request) -> bool:
    return request.method in (b"POST", b"PUT") and _path(request).rstrip("/").endswith("/_bulk")


def _index(request: Request) -> str:
    return unquote(_path(request).strip("/").rpartition("_bulk")[0].strip("/"))


def _plain_body(request: Request) -> bytes:
    return gzip.decompress(request.body) if request.header(b"content-encoding") == b"gzip" else request.body


def _part(request: Request, body: bytes) -> Request:
    """The request for fewer items, whose answer has every item's place and can be read."""
    query = urlencode([(name, value) for name, value in _query(request) if name != "filter_path"])
    target = _path(request) + (f"?{query}" if query else "")
    dropped = (b"content-encoding", b"accept-encoding")
    headers = tuple((name, value) for name, value in request.headers if name not in dropped)
    return Request(request.method, target.encode("latin-1"), headers, body)
