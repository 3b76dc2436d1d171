"""What pages in a browser may do: whose requests are answered while everybody knows a key, and what pages of web actions are.

A browser sends requests to this machine for any page it shows. It tells the page's origin (header Origin), and the name the page used
for this machine (Host), which is the page's own where its DNS points here. Neither can be forged by a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from localwhisk import messages
from localwhisk.errors import ApiError
from localwhisk.http import Request

ANY = "*"
APART = (
    (
        "content-security-policy",
        "sandbox allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox allow-downloads allow-modals",
    ),
    ("access-control-expose-headers", ANY),
)
"""Makes a page of a web action an origin of its own ("null"): it cannot act as the engine's page, nor read what that stores, and reads
the answers of web actions with their headers, as it would from the same origin."""
_OPAQUE = "null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Which origins and host names are let in besides the engine's own page and loopback names; ANY for all."""

    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    def check(self, request: Request, *, web: bool) -> None:
        """Raise 403 for a request that another site's page made; `web` is one for a web action."""
        hosts = _values(request, "host")
        for host in hosts:
            name = without_port(host)
            if not is_loopback(name) and not _among(self.hosts, host, name):
                raise ApiError(403, messages.foreign_host(host), cors=False)
        for origin in _values(request, "origin"):
            self._check_origin(request, origin, hosts[0] if hosts else "", web=web)

    def _check_origin(self, request: Request, origin: str, host: str, *, web: bool) -> None:
        own = host != "" and origin.partition("://")[2] == host
        if own or _among(self.origins, origin):
            return
        if web and origin == _OPAQUE and request.header("authorization") is None:
            return  # a page of a web action calls another
        raise ApiError(403, messages.foreign_origin(origin), cors=False)


def _values(request: Request, name: str) -> list[str]:
    """All values of a header, but for empty ones: one that is looked at by nobody else is no way around."""
    return [value.lower() for key, value in request.headers if key == name and value]


def _among(allowed: frozenset[str], *names: str) -> bool:
    return ANY in allowed or not allowed.isdisjoint(names)


def without_port(host: str) -> str:
    """The name or address of a Host header."""
    name, _, port = host.rpartition(":")
    return name if port.isdigit() else host


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own, and only that."""
    name = host.removeprefix("[").removesuffix("]").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
