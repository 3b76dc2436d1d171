"""Reads the `exec` of a PUT; says what is wrong in the server's words (its Exec.scala)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localwhisk import jsonio, kinds, messages, names
from localwhisk.errors import malformed

_IMAGE = re.compile(
    r"(?:(?:[A-Za-z0-9.\-]+(?::\d+)?)/)?(?:[a-z0-9._\-]+/)*[a-z0-9._\-]+(?::[A-Za-z0-9._\-]+)?(?:@sha256:[0-9a-f]{64})?\Z"
)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_STRETCH = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPut:
    """The `exec` of a PUT; `code` None where there is none, '_' in `components` not yet resolved."""

    kind: str
    code: str | None = None
    main: str | None = None
    image: str | None = None
    components: tuple[names.Name, ...] = ()

    @property
    def binary(self) -> bool:
        """Whether the code is base64 of an archive; what the client says of it does not count."""
        return self.code is not None and is_base64(self.code)

    @property
    def size(self) -> int:
        """Bytes that count against the limit of code."""
        texts = (self.code, self.main, self.image, *(component.doc for component in self.components))
        return sum(_bytes(text) for text in texts if text)


def read(value: object, own: str) -> ExecPut | None:
    """The `exec` member; `own` is the namespace '_' stands for."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise malformed(messages.OBJECT_EXPECTED)
    kind = value.get("kind")
    if not isinstance(kind, str):
        raise malformed(messages.KIND_MISSING)
    kind = kind.strip().lower()
    if kind == kinds.SEQUENCE:
        return ExecPut(kind=kind, components=_components(value, own))
    if kind == kinds.BLACKBOX:
        return _blackbox(value)
    return _managed(kind, value)


def is_image(name: str) -> bool:
    """Whether a text has the form of an image's name."""
    return bool(_IMAGE.match(name))


def is_base64(code: str) -> bool:
    """Whether code is one block of base64, as clients send archives."""
    text = code.strip()
    if not text or len(text) % 4 or not text.isascii():
        return False
    end = len(text) - (2 if text.endswith("==") else 1 if text.endswith("=") else 0)
    return not any(
        text[start : min(start + _STRETCH, end)].encode().translate(None, _BASE64)
        for start in range(0, end, _STRETCH)
    )


def _components(value: Mapping[str, Any], own: str) -> tuple[names.Name, ...]:
    if "components" not in value:
        raise malformed(messages.COMPONENTS_MISSING)
    if not isinstance(value["components"], list):
        raise malformed(messages.COMPONENTS_NOT_ARRAY)
    return tuple(names.qualified(component, own) for component in value["components"])


def _blackbox(value: Mapping[str, Any]) -> ExecPut:
    image = value.get("image")
    if not isinstance(image, str):
        raise malformed(messages.IMAGE_MISSING)
    if not is_image(image):
        raise malformed(messages.IMAGE_MALFORMED)
    code = _text(value["code"]) if "code" in value else ""
    given = code if code.strip() else None
    return ExecPut(kind=kinds.BLACKBOX, image=image, code=given, main=_main(value, kinds.BLACKBOX))


def _managed(kind: str, value: Mapping[str, Any]) -> ExecPut:
    concrete = kinds.resolve(kind)
    if concrete is None:
        raise malformed(messages.runtime_unsupported(kind, kinds.listed()))
    given = next((name for name in ("code", "jar") if name in value), None)
    if given is None:
        raise malformed(messages.code_missing(kind))
    main = _main(value, kind)
    if main is None and kinds.requires_main(concrete):
        raise malformed(messages.main_missing(kind))
    return ExecPut(kind=concrete, code=_text(value[given]), main=main)


def _text(code: object) -> str:
    if not isinstance(code, str):
        raise malformed(messages.code_not_text(jsonio.dumps(code).decode()))
    return code


def _main(value: Mapping[str, Any], kind: str) -> str | None:
    if "main" not in value:
        return None
    main = value["main"]
    if not isinstance(main, str):
        raise malformed(messages.main_not_string(kind))
    return main


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
