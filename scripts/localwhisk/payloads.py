"""Arguments of an activation as JSON text: checked once, then joined as text and not encoded again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from localwhisk import jsonio, messages
from localwhisk.entities import KeyValues
from localwhisk.errors import malformed


@dataclass(frozen=True, slots=True)
class Payload:
    """A JSON object (or, between components of a sequence, an array) as one line of UTF-8, and parsed."""

    raw: bytes
    value: Any

    @classmethod
    def of(cls, value: Any) -> Payload:
        """Encode a value."""
        return cls(jsonio.dumps(value), value)


EMPTY = Payload(b"{}", {})


def parse(body: bytes) -> Payload:
    """Payload of a request's body, empty for none; raises the 400s of the real server."""
    if not body:
        return EMPTY
    value = jsonio.parse_body(body)
    if not isinstance(value, dict):
        raise malformed(messages.OBJECT_EXPECTED)
    return Payload(_one_line(body, value), value)


def with_defaults(defaults: Mapping[str, Any], payload: Payload) -> Payload:
    """Put defaults under a payload. As text the payload's members come last, and the last one wins."""
    if not defaults or not isinstance(payload.value, dict):
        return payload
    head = jsonio.dumps(defaults)
    if not payload.value:
        return Payload(head, dict(defaults))
    raw = head[:-1] + b"," + payload.raw.lstrip()[1:]
    return Payload(raw, {**defaults, **payload.value})


def arguments(parameters: KeyValues) -> dict[str, Any]:
    """Parameters an action gets with each call: all but those for its initialisation."""
    return {pair["key"]: pair["value"] for pair in parameters if not pair.get("init")}


def environment(parameters: KeyValues, payload: Payload = EMPTY) -> dict[str, str]:
    """Parameters marked init, as the texts they become in the environment; the payload may replace them."""
    given = payload.value if isinstance(payload.value, dict) else {}
    return {
        pair["key"]: _as_text(given.get(pair["key"], pair["value"])) for pair in parameters if pair.get("init")
    }


def without(payload: Payload, taken: Collection[str]) -> Payload:
    """A payload without the members that went into the environment."""
    if not isinstance(payload.value, dict) or not any(name in payload.value for name in taken):
        return payload
    return Payload.of({name: value for name, value in payload.value.items() if name not in taken})


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else jsonio.dumps(value).decode()


def _one_line(body: bytes, value: dict[str, Any]) -> bytes:
    """The body itself when it can be joined and sent as a line; encoded anew otherwise."""
    if b"\n" in body or b"\r" in body or jsonio.has_surrogates(body) or not _is_utf8(body):
        return jsonio.dumps(value)
    return body.strip()


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
