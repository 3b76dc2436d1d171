"""A page of a web action: HTML, styles and scripts in one answer, and the policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=2)
def assemble(
    folder: Path, *, styles: Sequence[str] = (), scripts: Sequence[str] = (), library: str = "", images: str = "data:"
) -> tuple[str, dict[str, str]]:
    """The page made of the files of a folder, and its headers; styles and scripts are allowed by their digests.

    Args:
        folder: holds page.html with `/* styles */` and `/* scripts */` where these go.
        styles: CSS files in their order.
        scripts: our own scripts, which share one scope of their own.
        library: a script that goes before them into the global scope.
        images: sources of images besides none.
    """
    style = "\n".join(_read(folder, name) for name in styles)
    own = "\n".join(_read(folder, name) for name in scripts)
    script = (f"{_read(folder, library)}\n" if library else "") + f"(() => {{\n{own}\n}})();\n"
    html = _read(folder, "page.html")
    html = html.replace("/* styles */", style, 1).replace("/* scripts */", script, 1)
    return html, {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-cache",
        "content-security-policy": _policy(style, script, images),
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
            "frame-ancestors 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")
