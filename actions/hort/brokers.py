"""Addresses of MQTT brokers: their schemes, and what a host and a port may be."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from hort.errors import ConfigError, without_login

PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
"""Port of a scheme where the address has none."""
_FORM = f"must be {', '.join(f'{name}://' for name in list(PORTS)[:-1])} or {list(PORTS)[-1]}:// with a host"
_HOST = re.compile(r"[^\s/]+")


def split(url: str, *, name: str) -> tuple[SplitResult, int]:
    """The parts of a broker's address and its port; ConfigError for parameter `name` where it is none, without its login."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise ConfigError(name, without_login(url), _FORM) from None
    if parts.scheme not in PORTS or not _HOST.fullmatch(host):
        raise ConfigError(name, without_login(url), _FORM)
    try:
        port = PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if not port:
        raise ConfigError(name, without_login(url), "must have a port from 1 to 65535")
    return parts, port
