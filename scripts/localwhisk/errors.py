"""What a handler raises; `app` turns it into a response in one place."""

from __future__ import annotations

from collections.abc import Sequence

from localwhisk import messages


class LocalWhiskError(Exception):
    """Base of what this package raises."""


class ApiError(LocalWhiskError):
    """An answer that is an error.

    `cors` tells whether the CORS headers go with it: the real server sends them with what a handler
    decides, not with what its routing rejects. `negotiated` tells whether it obeys the Accept header,
    which what a handler decides does.
    """

    def __init__(
        self,
        status: int,
        text: str,
        *,
        cors: bool = True,
        negotiated: bool = True,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.cors = cors
        self.negotiated = negotiated
        self.headers = tuple(headers)


class PlainError(LocalWhiskError):
    """An error of the HTTP layer itself, answered as plain text; `close` ends the connection."""

    def __init__(self, status: int, text: str, *, close: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.close = close


class NotKept(ApiError):
    """What a request wanted kept is not on the disk; 507 where that is full."""

    def __init__(self, reason: str, *, full: bool) -> None:
        super().__init__(507 if full else 500, messages.not_kept(reason))


def rejected(status: int, text: str, *, headers: Sequence[tuple[str, str]] = ()) -> ApiError:
    """An error of routing or unmarshalling, which carries no CORS headers and comes as JSON whatever is accepted."""
    return ApiError(status, text, cors=False, negotiated=False, headers=headers)


def terminated(status: int, text: str) -> ApiError:
    """An error that a web action's handler decides before it adds CORS headers."""
    return ApiError(status, text, cors=False)


def malformed(detail: str) -> ApiError:
    """400 for a body."""
    return rejected(400, messages.malformed(detail))


def route_not_found() -> ApiError:
    """404 for a path or method no route takes."""
    return rejected(404, messages.ROUTE_NOT_FOUND)


def missing() -> ApiError:
    """404 for an entity that is not there."""
    return ApiError(404, messages.NOT_FOUND)
