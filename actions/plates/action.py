"""One activation: parameters in, answer or refusal out, with a line for the log that names neither plate nor address."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from hort import redaction, urls
from plates import contract, download, limits, waiting
from plates.contract import Request
from plates.errors import Refused
from plates.supervisor import Supervisor

MAX_WAITING = 16
"""OpenWhisk sends one activation at a time; a server that several callers share lets this many wait their turn."""
ANSWER_MARGIN_S = 0.5
"""What is left of OpenWhisk's own deadline for the way back."""

Document = dict[str, Any]


class Action:
    """The plates action over a supervised reader; one photo at a time."""

    def __init__(self, supervisor: Supervisor, *, resolver: urls.Resolver = urls.system_resolver) -> None:
        self._supervisor = supervisor
        self._resolver = resolver
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING + 1)

    def run(self, params: Mapping[str, Any], *, deadline_ms: int | None, activation_id: str) -> Document:
        """The action's result; a refusal is a result with `error`, as OpenWhisk's applications report theirs.

        Args:
            params: the action's parameters.
            deadline_ms: OpenWhisk's deadline in milliseconds since the epoch.
            activation_id: for the log.
        """
        started = time.monotonic()
        params = contract.of_caller(params)
        refused = None
        try:
            result = self._answer(params, deadline_ms, started)
        except Refused as error:
            refused = error
            result = {"error": error.as_json()}
        _log(activation_id, started, result, refused)
        return _shaped(result, params, refused)

    def _answer(self, params: Mapping[str, Any], deadline_ms: int | None, started: float) -> Document:
        if not self._places.acquire(blocking=False):
            raise Refused("busy", "image", f"{MAX_WAITING} photos wait already")
        try:
            self._supervisor.ready()
            request = contract.read(params, self._supervisor.trained)
            deadline = _deadline(request, deadline_ms, started)
            if not self._turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise Refused("too-slow", "timeout_ms", "other photos took all the time allowed")
            try:
                return self._read(request, deadline)
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def _read(self, request: Request, deadline: float) -> Document:
        field, photo, url = "image", request.image, request.url
        if request.photo is not None:
            photo = waiting.fetch(request.photo, deadline=deadline, max_bytes=limits.MAX_BYTES)
            url = waiting.address(photo)
        if photo is None or url is not None:
            field = "url"
            photo = download.fetch(
                url or "",
                policy=request.policy,
                deadline=deadline,
                max_bytes=limits.MAX_BYTES,
                resolver=self._resolver,
            )
        return self._supervisor.read(photo, request.options, field=field, deadline=deadline)


def _deadline(request: Request, deadline_ms: int | None, started: float) -> float:
    seconds = request.timeout_ms / 1000
    if deadline_ms is not None:
        seconds = min(seconds, deadline_ms / 1000 - time.time() - ANSWER_MARGIN_S)
    return started + max(0.0, seconds)


def _shaped(result: Document, params: Mapping[str, Any], refused: Refused | None) -> Document:
    """The result as its caller takes it.

    A report that rides along is never lost to its photo: it goes on with the refusal beside it, since an `error` would end the sequence.
    Where plates are to be redacted, the answer to a report holds none: OpenWhisk keeps it in the activation's record.
    A web request gets an HTTP answer.
    """
    report = params.get("report")
    if isinstance(report, dict):
        if refused is not None:
            result = {"plate": None, "confidence": None, "results": [], "refused": refused.as_json()}
        return {**redaction.applied(result, redaction.of(params)), "report": report}
    if "__ow_method" not in params:
        return result
    if refused is not None:  # what a name resolves to here is not for everybody who has a key
        result = {"error": {name: urls.without_addresses(text) for name, text in refused.as_json().items()}}
    return {"statusCode": 200 if refused is None else 400, "headers": {"Content-Type": "application/json"}, "body": result}


def _log(activation_id: str, started: float, result: Document, refused: Refused | None) -> None:
    line: Document = {
        "activation_id": activation_id,
        "elapsed_ms": round((time.monotonic() - started) * 1000, 1),
        "plates": len(result.get("results", [])),
    }
    if refused is not None:
        line = {**line, "refused": refused.code, "field": refused.field}
    print(json.dumps(line), flush=True)
