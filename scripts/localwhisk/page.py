"""The page for browsers at `/`: one file, no address but this server's, a nonce of its own at each answer."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path

from localwhisk import negotiation
from localwhisk.browsers import is_loopback, without_port
from localwhisk.engine import Engine
from localwhisk.http import JSON, Request, Response
from localwhisk.identity import PUBLIC

_HTML = "text/html"
_FILE = Path(__file__).with_name("page.html")
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def wanted(request: Request) -> bool:
    """Whether the Accept header names HTML before JSON, as browsers' do; clients do not name it."""
    accept = request.accept()
    if not negotiation.names(accept, _HTML):
        return False
    named_too = negotiation.quality(accept, JSON) if negotiation.names(accept, JSON) else 0.0
    return negotiation.quality(accept, _HTML) > named_too


def answer(engine: Engine, request: Request) -> Response:
    """The page; asked for by a loopback name it brings the public key of `guest` along, never another key."""
    guest = PUBLIC[0]
    public = engine.identities.of_namespace(guest.namespace) == guest
    key = guest.auth if public and is_loopback(without_port(request.header("host") or "")) else ""
    nonce = secrets.token_urlsafe(16)
    body = _text().replace("@NONCE@", nonce).replace("@KEY@", key)
    headers = [
        ("content-security-policy", _POLICY.format(nonce=nonce)),
        ("cache-control", "no-store"),
        ("vary", "accept"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ]
    return Response(200, body.encode(), f"{_HTML}; charset=UTF-8", headers)


@cache
def _text() -> str:
    return _FILE.read_text("utf-8")
