"""What the handlers of the API share: the call they answer, and reading list parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from localwhisk import messages
from localwhisk.engine import Engine
from localwhisk.errors import rejected
from localwhisk.http import Request, Response, integer, json_value
from localwhisk.identity import Identity
from localwhisk.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One request under /namespaces/<namespace>/<collection>; `rest` is what follows, decoded."""

    engine: Engine
    request: Request
    identity: Identity
    namespace: str
    rest: Sequence[str]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    limit: int
    skip: int
    count: bool

    @classmethod
    def read(cls, request: Request, collection: str, limits: Limits) -> Page:
        """Read skip, limit and count, in the order of the server; raises 400."""
        skip = _integer(request, "skip", 0, collection)
        if skip < 0:
            raise rejected(400, messages.query_malformed("skip", messages.skip_negative(skip, collection)))
        limit = _integer(request, "limit", limits.page_default, collection)
        if not 0 <= limit <= limits.page_max:
            detail = messages.limit_out_of_range(limit, limits.page_max, collection)
            raise rejected(400, messages.query_malformed("limit", detail))
        return cls(limit or limits.page_max, skip, request.flag("count"))

    def answer(
        self, found: Sequence[Any], collection: str, show: Callable[[Any], dict[str, Any]]
    ) -> Response:
        """The list, or how many there are (of all, less those skipped)."""
        if self.count:
            return json_value({collection: max(0, len(found) - self.skip)})
        return json_value([show(item) for item in found[self.skip : self.skip + self.limit]])


def _integer(request: Request, name: str, default: int, collection: str) -> int:
    value = request.parameter(name)
    if value is None:
        return default
    number = integer(value, bits=32)
    if number is None:
        raise rejected(400, messages.query_malformed(name, messages.not_integer(value, collection)))
    return number
