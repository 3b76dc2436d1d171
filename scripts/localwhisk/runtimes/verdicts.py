"""What one init or run came to, decided from the bytes the action gave.

The rules are those of OpenWhisk's ActivationResponse (processInitResponseContent, processRunResponseContent) behind
the ActionLoop proxy's runHandler.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from localwhisk import jsonio
from localwhisk.runtime_api import Status
from localwhisk.runtimes import texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The end of an init or a run; `size` as OpenWhisk counts it (UTF-16 units, newline included)."""

    status: Status
    result: object
    result_json: bytes | None = None
    size: int | None = None
    timeout: bool = False

    @property
    def keeps_process(self) -> bool:
        """Tell whether the process may serve again: it may not after a developer or a system error."""
        return self.status in ("success", "application error")


def text_size(raw: bytes) -> int:
    """Count UTF-16 units, the length of a Java string."""
    return len(raw) if raw.isascii() else len(raw.decode("utf-8", "replace").encode("utf-16-le")) // 2


def developer_error(message: object, *, sized: bool = False, timeout: bool = False) -> Verdict:
    """Make a developer error; `sized` when the real proxy would have sent it as a response body."""
    size = text_size(orjson.dumps({"error": message})) + 1 if sized else None
    return Verdict(status="action developer error", result={"error": message}, size=size, timeout=timeout)


def system_error(message: str) -> Verdict:
    """Make an error that is not the action's fault."""
    return Verdict(status="whisk internal error", result={"error": message})


def parse(raw: bytes) -> tuple[bool, object]:
    """Parse JSON strictly (no NaN, no Infinity); the flag is false when it is none."""
    for read in (jsonio.loads, jsonio.loads_slowly):
        try:
            return True, read(raw)
        except (ValueError, RecursionError):
            continue
    return False, None


def too_long(beginning: bytes, length: int) -> Verdict:
    """Judge a result above the limit, of which only the beginning was kept."""
    text = texts.result_too_long(length, beginning[: texts.RESULT_LIMIT].decode("utf-8", "replace"))
    return Verdict(status="application error", result={"error": text}, size=length)


def of_line(line: bytes, length: int) -> Verdict:
    """Judge the line an ActionLoop process wrote; `length` counts the newline, `line` may lack its tail."""
    if length > texts.RESULT_LIMIT:
        return too_long(line, length)
    valid, value = parse(line)
    if not valid or not (value is None or isinstance(value, (dict, list))):
        return developer_error(texts.NOT_A_DICTIONARY, sized=True)
    return of_value(line, value)


def of_value(raw: bytes, value: object) -> Verdict:
    """Judge what a successful /run brought: `raw` with its newline, and parsed."""
    size = text_size(raw)
    if isinstance(value, dict):
        if "error" in value:
            return Verdict(status="application error", result={"error": value["error"]}, size=size)
        return Verdict(status="success", result=value, result_json=raw.strip(), size=size)
    if isinstance(value, list):
        return Verdict(status="success", result=value, result_json=raw.strip(), size=size)
    message = texts.invalid_run(raw.decode("utf-8", "replace"))
    return Verdict(status="action developer error", result={"error": message}, size=size)


def of_init_response(body: bytes) -> Verdict:
    """Judge a failed /init by its body."""
    valid, value = parse(body)
    message = value["error"] if valid and isinstance(value, dict) and "error" in value else None
    if message is None:
        message = texts.invalid_init(body.decode("utf-8", "replace"))
    return Verdict(status="action developer error", result={"error": message}, size=text_size(body))


def of_run_response(code: int, body: bytes, length: int) -> Verdict:
    """Judge a /run by its HTTP status and body; `length` is the whole body's, of which `body` may lack the tail."""
    if length > texts.RESULT_LIMIT:
        return too_long(body, length)
    valid, value = parse(body)
    if code == 200 and valid:
        return of_value(body, value)
    message: object = texts.invalid_run(body.decode("utf-8", "replace"))
    if valid and isinstance(value, dict) and "error" in value:
        message = value["error"]
    return Verdict(status="action developer error", result={"error": message}, size=text_size(body))
