"""The runtimes manifest: what the root document lists and PUT accepts (openwhisk's runtimes.json)."""

from __future__ import annotations

from typing import Any

BLACKBOX = "blackbox"
SEQUENCE = "sequence"
NATIVE = "nodejs:20"  # what the feeds of the real alarms package are written in
_DEFAULT_SUFFIX = ":default"

# family: (kind, image, default, main required)
_TABLE: dict[str, tuple[tuple[str, str, bool, bool], ...]] = {
    "python": (
        ("python:3.10", "action-python-v3.10:nightly", True, False),
        ("python:3.11", "action-python-v3.11:nightly", False, False),
    ),
    "nodejs": (
        ("nodejs:18", "action-nodejs-v18:nightly", False, False),
        ("nodejs:20", "action-nodejs-v20:nightly", True, False),
    ),
    "go": (("go:1.20", "action-golang-v1.20:nightly", True, False),),
    "java": (("java:8", "java8action:nightly", True, True),),
    "php": (("php:8.1", "action-php-v8.1:nightly", True, False),),
    "ruby": (("ruby:2.5", "action-ruby-v2.5:nightly", True, False),),
    "rust": (("rust:1.34", "action-rust-v1.34:nightly", True, False),),
    "swift": (
        ("swift:5.3", "action-swift-v5.3:nightly", True, False),
        ("swift:5.7", "action-swift-v5.7:nightly", False, False),
    ),
    "dotnet": (
        ("dotnet:3.1", "action-dotnet-v3.1:nightly", True, True),
        ("dotnet:6.0", "action-dotnet-v6.0:nightly", False, True),
    ),
}
_MAIN_REQUIRED = frozenset(
    kind for family in _TABLE.values() for kind, *_, required in family if required
)
KINDS: tuple[str, ...] = tuple(kind for family in _TABLE.values() for kind, *_ in family)


def document() -> dict[str, list[dict[str, Any]]]:
    """The `runtimes` member of the root document."""
    return {
        family: [
            {
                "attached": True,
                "default": default,
                "deprecated": False,
                "image": f"openwhisk/{image}",
                "kind": kind,
                "requireMain": require_main,
            }
            for kind, image, default, require_main in entries
        ]
        for family, entries in _TABLE.items()
    }


def resolve(kind: str) -> str | None:
    """Concrete kind of 'python:3.11' or 'python:default'; None when unknown."""
    if kind.endswith(_DEFAULT_SUFFIX):
        family = _TABLE.get(kind.removesuffix(_DEFAULT_SUFFIX), ())
        return next((name for name, _, default, _ in family if default), None)
    return kind if kind in KINDS else None


def image(kind: str) -> str:
    """Image of a concrete kind; the kind itself where the manifest lists none."""
    images = (f"openwhisk/{image}" for entries in _TABLE.values() for name, image, *_ in entries if name == kind)
    return next(images, kind)


def requires_main(kind: str) -> bool:
    """Whether actions of a concrete kind must name what to run."""
    return kind in _MAIN_REQUIRED


def listed() -> list[str]:
    """Names for the error about an unknown kind."""
    return [*KINDS, BLACKBOX, SEQUENCE]
