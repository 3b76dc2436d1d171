"""The OpenWhisk that is deployed to: what it says about itself, and whether wskdeploy needs a forwarder in front of it.

wskdeploy asks /api/info for the runtimes, takes no Content-Type but parts of the one below, letter by letter, and checks no certificate. A stock OpenWhisk answers
405 there and says the same at /; so a forwarder stands in between whenever the answer would not do, and for every https address.
"""

import http.client
import json
import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from hort.errors import shown

CONTENT_TYPE = "application/json; charset=UTF-8"
TIMEOUT_S = 20.0
_HOST = re.compile(r"[A-Za-z0-9_.:%-]+")


class TargetError(Exception):
    """The given address is no OpenWhisk, or cannot be reached."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    content_type: str
    body: bytes

    def runtimes(self) -> Any:
        """Return the runtimes the answer lists, or None when it lists none."""
        try:
            return json.loads(self.body).get("runtimes") if self.status == 200 else None
        except (ValueError, AttributeError):
            return None


def parse(address: str) -> SplitResult:
    """Check an API host's address; a bare host gets https, as wsk does."""
    whole = address.strip() if "://" in address else f"https://{address.strip()}"
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError:
        raise TargetError("the API host (--apihost or HORT_API_HOST) has a host or port that is not valid") from None
    if parts.username or parts.password:
        raise TargetError("the API host must not hold credentials; the key is given by --auth or HORT_AUTH")
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.hostname or "") or port == 0:
        raise TargetError(f"API host {shown(address)} is not an http or https address")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise TargetError(f"API host {shown(address)} must be an address without a path: the API is found below it")
    return parts


def connection(
    parts: SplitResult, *, insecure: bool, timeout: float = TIMEOUT_S
) -> http.client.HTTPConnection:
    """Open a connection to the API host; certificates are checked unless `insecure`."""
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port or 80, timeout=timeout)
    context = ssl._create_unverified_context() if insecure else ssl.create_default_context()  # noqa: S323, SLF001 (asked for by name)
    return http.client.HTTPSConnection(host, parts.port or 443, timeout=timeout, context=context)


def get(parts: SplitResult, path: str, *, insecure: bool) -> Answer:
    """Read one document of the API host; not reaching it raises TargetError."""
    link = connection(parts, insecure=insecure)
    try:
        link.request("GET", path, headers={"Accept": "application/json"})
        answer = link.getresponse()
        return Answer(answer.status, answer.getheader("Content-Type") or "", answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise TargetError(f"{parts.geturl()} cannot be reached: {error}") from error
    finally:
        link.close()


def needs_forwarder(parts: SplitResult, *, insecure: bool) -> bool:
    """Tell whether wskdeploy would misunderstand this API host; one that lists no runtimes at all raises TargetError."""
    info = get(parts, "/api/info", insecure=insecure)
    if info.runtimes():
        return parts.scheme == "https" or info.content_type not in CONTENT_TYPE  # wskdeploy's own comparison
    if get(parts, "/", insecure=insecure).runtimes():
        return True
    raise TargetError(f"{parts.geturl()} is no OpenWhisk: neither /api/info nor / lists runtimes")
