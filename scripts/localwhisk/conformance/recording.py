"""One recorded exchange, and how its request is put together from earlier answers."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localwhisk.identity import PUBLIC

_REFERENCE = re.compile(r"\{([^{}:]+):([^{}]+)\}")
_SUM = re.compile(r"(-?\d+)([+-]\d+)\Z")
_PLACE = re.compile(r"now\+(\d+)e(\d+)ms\Z")
NAMED = {identity.namespace.removeprefix("whisk."): identity.auth for identity in PUBLIC}

Lookup = Callable[[str], Any]


class Unresolved(LookupError):
    """An exchange refers to one that the recording does not have."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request ready to send."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A line of a recording."""

    raw: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.raw["id"])

    @property
    def group(self) -> str:
        """What it belongs to."""
        return str(self.raw["group"])

    @property
    def wait_s(self) -> float:
        """Seconds to wait first."""
        return float(self.raw.get("wait_before_s", 0))

    @property
    def unstable(self) -> str | None:
        """Why the answer may differ, None when it may not."""
        return self.raw.get("unstable")

    @property
    def response(self) -> Mapping[str, Any]:
        """What the real server answered."""
        answer: Mapping[str, Any] = self.raw["response"]
        return answer

    @property
    def volatile(self) -> list[str]:
        """JSON pointers into the response that are not compared."""
        return list(self.raw.get("volatile", ()))

    def request(self, lookup: Lookup) -> Sent:
        """The request, with what it takes from earlier answers; raises Unresolved."""
        request = self.raw["request"]
        path, query = request["path"], request.get("query") or ""
        template = request.get("path_template", "")
        if template.startswith("/"):
            path = resolve(template, lookup)
        elif template:
            query = _replaced(query, *resolve(template, lookup).split("=", 1))
        body = encoded(request.get("body"))
        target = f"{path}?{query}" if query else path
        return Sent(request["method"], target, self.headers(body), body)

    def headers(self, body: bytes | None) -> dict[str, str]:
        """Headers of the request, credentials among them."""
        return sent_headers(self.raw["request"].get("headers") or {}, body)


def read(path: Path) -> list[Exchange]:
    """All exchanges of a file; raises ValueError naming the line."""
    return list(_lines(path))


def _lines(path: Path) -> Iterator[Exchange]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield Exchange(json.loads(line))
            except ValueError as error:
                message = f"{path}:{number} is not JSON: {error}"
                raise ValueError(message) from None


def resolve(template: str, lookup: Lookup) -> str:
    """Replace {id:pointer} by what that answer had there; a following '+1' is added to a number."""
    filled = _REFERENCE.sub(lambda match: str(find(lookup(match[1]), match[2])), template)
    name, equals, value = filled.partition("=")
    if not equals:
        return filled
    return f"{name}={_computed(value)}"


def find(document: Any, pointer: str) -> Any:
    """Value at 'a/0/b'; '#key' parses the text found so far as JSON first."""
    steps, *parsed = pointer.split("#")
    for step in steps.split("/"):
        document = document[int(step)] if isinstance(document, list) else document[step]
    for key in parsed:
        document = json.loads(document)[key]
    return document


def encoded(body: Any) -> bytes | None:
    """Bytes of a recorded body."""
    if body is None:
        return None
    if isinstance(body, dict):
        if "$raw" in body:
            return str(body["$raw"]).encode()
        if "$base64" in body:
            return base64.b64decode(body["$base64"])
        if "$py" in body:
            return json.dumps(_large(body["$py"])).encode()
    return json.dumps(body).encode()


def _large(expression: str) -> Any:
    """A large body written as a Python expression of literals and products."""
    return eval(expression, {"__builtins__": {}})  # noqa: S307  # recordings are trusted like code


def sent_headers(given: Mapping[str, str | None], body: bytes | None) -> dict[str, str]:
    """Recorded headers as they are sent: 'guest' stands for its credentials, JSON is the default."""
    headers = {name.lower(): value for name, value in given.items()}
    if body is not None:
        headers.setdefault("content-type", "application/json")
    headers["authorization"] = _authorization(headers.get("authorization", "guest"))
    return {name: value for name, value in headers.items() if value is not None}


def _authorization(value: str | None) -> str | None:
    if value is None or value == "none":
        return None
    if value.lower().startswith(("basic ", "bearer ")):
        return value
    auth = NAMED.get(value, value)
    return "Basic " + base64.b64encode(auth.encode()).decode()


def _replaced(query: str, name: str, value: str) -> str:
    parts = [part for part in query.split("&") if part.split("=")[0] != name]
    return "&".join([*parts, f"{name}={value}"])


def _computed(value: str) -> str:
    total = _SUM.match(value)
    if total:
        return str(int(total[1]) + int(total[2]))
    ahead = _PLACE.match(value)
    return str(int(time.time() * 1000) + int(ahead[1]) * 10 ** int(ahead[2])) if ahead else value
