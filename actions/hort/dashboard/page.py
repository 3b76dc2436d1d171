"""The page: HTML, styles and scripts in one answer, and the policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path

STYLES = ("uPlot.min.css", "page.css")
LIBRARY = "uPlot.iife.min.js"
SCRIPTS = ("format.js", "charts.js", "tables.js", "page.js")


@lru_cache(maxsize=2)
def assemble(folder: Path) -> tuple[str, dict[str, str]]:
    """The page made of the files of a folder, and its headers; the scripts are allowed by their digests."""
    style = "\n".join(_read(folder, name) for name in STYLES)
    own = "\n".join(_read(folder, name) for name in SCRIPTS)
    script = f"{_read(folder, LIBRARY)}\n(() => {{\n{own}\n}})();\n"
    html = _read(folder, "page.html")
    html = html.replace("/* styles */", style, 1).replace("/* scripts */", script, 1)
    return html, {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-cache",
        "content-security-policy": _policy(style, script),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")
