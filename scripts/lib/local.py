"""What runs on this machine over a state folder: an engine's address and key, and the settings that its starter left beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lib.env_files import read_env_file
from localwhisk import instance
from localwhisk.identity import PUBLIC

LOCAL_ENGINE = "http://127.0.0.1:3233"
GUEST_KEY = PUBLIC[0].auth
"""OpenWhisk's public key of the namespace guest; good on loopback only."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ENGINES = ("demo/engine", "engine", "whisk")
"""Folders in a state folder over which an engine may run."""


@dataclass(frozen=True)
class Local:
    """An engine of this machine and the settings (HORT_* variables) of what runs with it."""

    api_host: str
    auth: str = field(repr=False)
    settings: Mapping[str, str] = field(repr=False)

    def key_of(self, api_host: str) -> str:
        """Return the key for an address: its own engine's, the public one for another engine on loopback, none elsewhere."""
        if api_host.rstrip("/") == self.api_host:
            return self.auth
        return GUEST_KEY if urlsplit(api_host).hostname in LOOPBACK else ""

    def settings_of(self, api_host: str) -> Mapping[str, str]:
        """Return the settings where the address is this machine's: addresses on loopback mean nothing elsewhere."""
        return self.settings if urlsplit(api_host).hostname in LOOPBACK else {}


def look(state: Path) -> Local:
    """Return what runs over a state folder; without an engine there, the usual address and the public key."""
    for name in _ENGINES:
        engine = instance.running(state / name)
        if engine is not None:
            return Local(engine.address.rstrip("/"), engine.auth or GUEST_KEY, _settings(state, (state / name).parent))
    return Local(LOCAL_ENGINE, GUEST_KEY, _settings(state))


def _settings(*folders: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.env")):
            found |= read_env_file(path)
    return found
