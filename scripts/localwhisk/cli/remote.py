"""A few calls to a running engine, by the standard library alone so that commands start fast."""

from __future__ import annotations

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from localwhisk import instance
from localwhisk.identity import PUBLIC, read_auth
from localwhisk.lines import printable
from localwhisk.settings import AUTH

_TIMEOUT_S = 30.0
_PAGE = 200


class NotReached(Exception):
    """No engine answers."""


class Remote:
    """An engine at an address, seen as the owner of `auth` ('uuid:key')."""

    def __init__(self, address: str, auth: str, *, state: Path) -> None:
        self.address = address.rstrip("/")
        self._context = _context(state / instance.CERTIFICATE)
        self._auth = base64.b64encode(auth.encode()).decode()

    def get(self, path: str) -> Any:
        """JSON of a path; raises NotReached with the reason."""
        request = urllib.request.Request(f"{self.address}{path}")  # noqa: S310  # the user's own address
        request.add_header("Authorization", f"Basic {self._auth}")
        request.add_header("Accept", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self._context) as answer:  # noqa: S310
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise NotReached(f"{self.address} answers {error.code}: {_reason(error)}") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise NotReached(f"{self.address} does not answer as an OpenWhisk: {reason}") from error

    def count(self, collection: str) -> int:
        """Number of entities or activations of the namespace."""
        answer = self.get(f"/api/v1/namespaces/_/{collection}?count=true")
        return int(answer[collection])


def address(apihost: str | None, state: Path) -> str:
    """Where the engine is: as given, or as the state folder says; raises NotReached."""
    if apihost:
        return apihost if "://" in apihost else f"http://{apihost}"
    found = instance.running(state)
    if found is None:
        raise NotReached(f"no engine runs over {state} (--state names another folder, --apihost an address)")
    return found.address


def auth(given: str | None, apihost: str | None, state: Path) -> str:
    """The key: as given, as the environment says, that of the engine over the state folder, or the public one; raises NotReached."""
    chosen = given or os.environ.get(AUTH)
    if chosen:
        try:
            return read_auth(chosen)
        except ValueError as error:
            raise NotReached(str(error)) from error
    found = None if apihost else instance.running(state)
    return (found.auth if found else "") or PUBLIC[0].auth


def _context(certificate: Path) -> ssl.SSLContext:
    """Trust in what everybody trusts, or where an engine has a certificate of its own in that one alone, whatever names it has."""
    if not certificate.exists():
        return ssl.create_default_context()
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return printable(str(json.loads(error.read())["error"]))
    except (OSError, ValueError, KeyError, TypeError):
        return printable(str(error.reason))
