"""The demo's own keys, drawn at its first start over a state folder and kept there for its user alone."""

from __future__ import annotations

import base64
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from lib.env_files import read_env_file
from localwhisk import private, wskprops
from localwhisk.identity import GUEST, drawn

FILE = "keys.env"
AUTH = "HORT_AUTH"
FOR_SHELLS = "use.sh"
MADE = ("demo.env", FOR_SHELLS, "wskprops", "auth.header", "key.header")
"""What `tell` writes."""


def kept(state: Path) -> dict[str, str]:
    """The keys: of the namespace, of the registry, and what provider and feed share."""
    path = state / FILE
    found = read_env_file(path) if path.exists() else {}
    fresh = {
        AUTH: drawn(GUEST).auth,
        "HORT_REGISTRY_KEY": secrets.token_urlsafe(24),
        "HORT_PROVIDER_SECRET": secrets.token_urlsafe(24),
        "HORT_PROVIDER_KEY": secrets.token_urlsafe(32),
    }
    found = {**fresh, **found}
    private.write(path, _lines(found))
    return found


def tell(state: Path, settings: Mapping[str, str]) -> str:
    """Write what wsk, curl and our own commands need to find this engine; the line that makes a shell use it."""
    host, key = settings["HORT_API_HOST"], settings[AUTH]
    private.write(state / "demo.env", _lines({name: settings[name] for name in ("HORT_API_HOST", "HORT_PROVIDER_URL")}))
    private.write(state / "auth.header", f"Authorization: Basic {base64.b64encode(key.encode()).decode()}\n")
    private.write(state / "key.header", f"X-HoRT-Key: {settings['HORT_REGISTRY_KEY']}\n")
    wskprops.write(state / "wskprops", host, key)
    values = {"WSK_CONFIG_FILE": state / "wskprops", "HOST": host, "AUTH": state / "auth.header", "KEY": state / "key.header"}
    words = [f"{name}={shlex.quote(str(value))}" for name, value in values.items()]
    private.write(state / FOR_SHELLS, f"export PATH={shlex.quote(os.environ['HORT_TOOLS'])}:$PATH\nexport {' '.join(words)}\n")
    return f". {shlex.quote(str(state / FOR_SHELLS))}"


def _lines(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
