"""Which outgoing URLs are allowed: form of the URL, and the addresses that its host stands for.

Server-side request forgery is the concern: a model, photo or registry URL must not reach what only this machine's network can
see. A host is resolved once, every address of that answer is judged, and the caller connects to exactly those addresses, so
that a name which answers differently the second time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from hort import config
from hort.errors import AddressRefused, ConfigError

MAX_URL = 2048
MAX_ADDRESSES = 8
PORTS = {"http": 80, "https": 443}
MASK = "***"
SHORTEST_SECRET = 4
"""A shorter value of a query is no secret, and masking it would make a text unreadable."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

_CLEAN = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[A-Za-z0-9_.:%-]{1,253}")
_ADDRESS = re.compile(
    r"""[a-z][a-z0-9+.-]*://[^\s'"<>]+            # a URL
    | host=['"][^'"]*['"],\ ?port=\d+            # as urllib3 says it
    | \[[0-9a-f:.]*:[0-9a-f:.]*\](?::\d+)?        # IPv6 in brackets
    | (?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.]*\w)
    | (?<![\w:])(?:[0-9a-f:]*::[0-9a-f:]*|(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4})(?![\w:])
    | (?<![\w.-])(?=[\w.-]*[a-z])[\w.-]+:(?:80|\d{3,5})(?![\w:.]*\d)  # a name and a port""",
    re.IGNORECASE | re.VERBOSE,
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NO_HOSTS = frozenset({"true", "false", "yes", "no", "on", "off", "all", "any", "none", "null"})
"""Words that somebody means otherwise than as a host's name."""
_SPECIAL = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "2001::/23", "3fff::/20", "5f00::/16"))
)
"""Not for hosts on the Internet by IANA's registries of special-purpose addresses; older Pythons take some of them for public."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which addresses besides public ones may be called.

    Args:
        private: every private and loopback address; link-local ones (cloud metadata lives there) must be named as a network.
        networks: networks that are allowed whatever they are.
        hosts: host names (lower case) whose addresses are not judged.
    """

    private: bool = False
    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()


PUBLIC = Policy()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL connects to, and what to ask for there."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """Value of the Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"


def policy(params: Mapping[str, Any], name: str = "allow_private") -> Policy:
    """The policy of a parameter: true, false, or a list (JSON or with commas) of networks and host names."""
    value = config.lookup(params, name)
    if value is None or str(value).lower() in {"true", "false"}:
        return Policy(private=config.boolean(params, name, default=False))
    networks: list[Network] = []
    hosts: set[str] = set()
    for item in config.strings(params, name):
        if item.lower() in _NO_HOSTS:
            raise ConfigError(name, item, "must hold true or false alone, networks such as 10.0.0.0/8, or host names")
        if re.fullmatch(r"[0-9.]+(/\d+)?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/\d+)?", item):
            networks.append(_network(name, item))
        elif _HOST.fullmatch(item) and ":" not in item:
            hosts.add(item.lower().rstrip("."))
        else:
            raise ConfigError(name, item, "must hold true, networks such as 10.0.0.0/8, or host names")
    return Policy(networks=tuple(networks), hosts=frozenset(hosts))


def _network(name: str, item: str) -> Network:
    try:
        return ipaddress.ip_network(item, strict=False)
    except ValueError as error:
        raise ConfigError(name, item, f"must hold networks such as 10.0.0.0/8 ({error})") from error


def parse(url: object) -> Origin:
    """The parts of an absolute http or https URL; AddressRefused says what is wrong with it."""
    if not isinstance(url, str) or not url:
        raise AddressRefused(shown(url), "it must be text such as http://host/path")
    if len(url) > MAX_URL:
        raise AddressRefused(shown(url), f"it is longer than {MAX_URL} characters")
    if not _CLEAN.fullmatch(url) or "\\" in url:
        raise AddressRefused(shown(url), "it holds spaces or characters that must be percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused(shown(url), "its host or port is not valid") from None
    if parts.scheme not in PORTS:
        raise AddressRefused(shown(url), "its scheme must be http or https")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused(shown(url), "it must not carry a user name or a password")
    host = (parts.hostname or "").rstrip(".")
    if not _HOST.fullmatch(host) or port == 0:
        raise AddressRefused(shown(url), "its host or port is not valid")
    return Origin(parts.scheme, host, port or PORTS[parts.scheme], _target(parts))


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def shown(url: object) -> str:
    """A URL fit for logs and errors: short, and masked."""
    if not isinstance(url, str):
        return f"<{type(url).__name__}>"
    text = masked(url)
    return text if len(text) <= 200 else text[:200] + "..."


def masked(url: str) -> str:
    """A URL fit for anybody: no user, no password, no fragment, and each value of its query masked."""
    address, _, query = re.sub(r"(^|//)[^/?#]*@", r"\1", url).partition("#")[0].partition("?")
    if not query:
        return address
    return f"{address}?{'&'.join(_masked_part(part) for part in query.split('&'))}"


def is_masked(url: str) -> bool:
    """True where a value of the query is the mask: somebody hands back what he was shown."""
    parts = url.partition("#")[0].partition("?")[2].split("&")
    return any(part.rpartition("=")[2] == MASK for part in parts)


def without_secrets(text: str, url: str) -> str:
    """A text, such as a server's error, in which the values of this URL's query are masked should it repeat them."""
    for _, value in parse_qsl(urlsplit(url).query.replace("+", "%2B")):
        if len(value) >= SHORTEST_SECRET:
            for form in (value, quote(value, safe="")):
                text = text.replace(form, MASK)
    return text


def without_addresses(text: str) -> str:
    """A text, such as a connection's error, in which each address of a server is masked: fit for those who may not know it."""
    return _ADDRESS.sub(MASK, text)


def _masked_part(part: str) -> str:
    name, equals, value = part.partition("=")
    if not equals:
        return MASK if part else part
    return f"{name}={MASK if value else ''}"


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses of a host as the system's resolver gives them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def resolve(
    url: str, rules: Policy, *, resolver: Resolver = system_resolver
) -> tuple[Origin, tuple[str, ...]]:
    """The origin of a URL and the addresses to connect to; AddressRefused unless every one of them is allowed."""
    origin = parse(url)
    return origin, addresses(origin, rules, resolver=resolver)


def addresses(origin: Origin, rules: Policy, *, resolver: Resolver = system_resolver) -> tuple[str, ...]:
    """The addresses of an origin, all of them allowed; this is the one resolution of a connection."""
    url = f"{origin.scheme}://{origin.host_header}/"
    try:
        found = tuple(resolver(origin.host, origin.port))[:MAX_ADDRESSES]
    except (OSError, UnicodeError) as error:
        raise AddressRefused(url, f"host '{origin.host}' cannot be resolved") from error
    if not found:
        raise AddressRefused(url, f"host '{origin.host}' has no address")
    if origin.host.lower() not in rules.hosts:
        for item in found:
            if reason := _refusal(item, rules):
                raise AddressRefused(url, reason)
    return found


def _refusal(text: str, rules: Policy) -> str | None:
    try:
        address = _embedded(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return f"{text!r} is not an address"
    if any(address.version == network.version and address in network for network in rules.networks):
        return None
    if address.is_multicast or address.is_unspecified or address.is_link_local:
        return f"{address} is a link-local, multicast or unspecified address"
    if _public(address) or (rules.private and (address.is_private or address.is_loopback)):
        return None
    return f"{address} is not a public address (parameter allow_private allows networks and hosts)"


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (address.teredo or address.is_site_local):
        return False
    if any(address.version == network.version and address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_reserved


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that leads to it (mapped, 6to4, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
