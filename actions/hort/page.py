"""A page of a web action: HTML, styles and scripts in one answer, and the policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from hort import web

FRESH_S = 300
"""How long a browser or a proxy may keep a page: each time it does not ask is an invocation less."""
TOO_MANY = 429
_WAITING = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="content-security-policy" content="{policy}">
<meta http-equiv="refresh" content="{seconds}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>HoRT: too many readers</title>
</head>
<body><p>Too many look at this page in this minute. It comes by itself in {seconds} s.</p></body>
</html>
"""

_ALONE = 'if (self !== top) { document.body.textContent = "This page is not shown inside another one."; return; }'
"""In place of `frame-ancestors`, which a page cannot say of itself."""


@lru_cache(maxsize=2)
def assemble(
    folder: Path, *, styles: Sequence[str] = (), scripts: Sequence[str] = (), library: str = "", images: str = "data:"
) -> tuple[str, dict[str, str]]:
    """The page made of the files of a folder, and its headers; styles and scripts are allowed by their digests.

    The policy stands in the page, too, and scripts end inside another page: OpenWhisk drops the headers of what is asked for as `.html`.

    Args:
        folder: holds page.html with `/* policy */`, `/* styles */` and `/* scripts */` where these go.
        styles: CSS files in their order.
        scripts: our own scripts, which share one scope of their own.
        library: a script that goes before them into the global scope.
        images: sources of images besides none.
    """
    style = "\n".join(_read(folder, name) for name in styles)
    own = "\n".join(_read(folder, name) for name in scripts)
    script = (f"{_read(folder, library)}\n" if library else "") + f"(() => {{\n{_ALONE}\n{own}\n}})();\n"
    html = _read(folder, "page.html")
    policy = _policy(style, script, images)
    html = html.replace("/* policy */", policy, 1).replace("/* styles */", style, 1).replace("/* scripts */", script, 1)
    return html, _headers(policy, cache=f"public, max-age={FRESH_S}")


def waiting(seconds: int) -> web.Result:
    """A page that comes again by itself, where too many were asked for."""
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'"
    headers = {**_headers(policy, cache="no-store"), "retry-after": str(seconds)}
    return {"statusCode": TOO_MANY, "headers": headers, "body": _WAITING.format(policy=policy, seconds=seconds)}


def _headers(policy: str, *, cache: str) -> dict[str, str]:
    return {
        "content-type": "text/html; charset=utf-8",
        "cache-control": cache,
        "content-security-policy": f"{policy}; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }


def _policy(style: str, script: str, images: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "connect-src 'self'",
            f"img-src {images}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")
