"""Ask a server whether it is ready, by its own protocol and with nothing but the standard library.

Each probe returns None when the server is ready, else a short reason. No reason holds a password.
"""

import base64
import http.client
import json
import secrets
import socket
import ssl
import struct
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, unquote, urlsplit

TIMEOUT_S = 5.0
MQTT_REFUSALS = {
    1: "protocol version refused",
    2: "client id refused",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorised",
}


Settings = Mapping[str, str]
"""HORT_* variables that a user's own server asks for."""
NOTHING: Settings = {}


def mqtt(url: str, given: Settings = NOTHING) -> str | None:
    """Connect and disconnect (MQTT 3.1.1, sections 3.1, 3.2, 3.14). Over WebSockets only the port is tried."""
    parts = urlsplit(url)
    default = {"mqtt": 1883, "tcp": 1883, "mqtts": 8883, "ssl": 8883, "ws": 80, "wss": 443}.get(parts.scheme)
    if default is None:
        return f"scheme {parts.scheme!r} is none of mqtt, mqtts, ws, wss"
    try:
        tls = _mqtt_tls(given) if parts.scheme in ("mqtts", "ssl") else None
    except OSError as error:
        return f"HORT_MQTT_TLS_CA, _CERT and _KEY cannot be used: {_reason(error)}"
    try:
        with _connect(parts, default, tls=tls) as link:
            if parts.scheme in ("ws", "wss"):
                return None
            link.sendall(_mqtt_connect(parts, given))
            answer = link.recv(4)
            link.sendall(b"\xe0\x00")
    except OSError as error:
        return _reason(error)
    if len(answer) < 4 or answer[0] != 0x20:
        return "the answer is not MQTT"
    return None if answer[3] == 0 else MQTT_REFUSALS.get(answer[3], f"refused with code {answer[3]}")


def redis(url: str, _given: Settings = NOTHING) -> str | None:
    """Say PING, after AUTH where the address has a password (RESP2). A server that still loads its data is not ready."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss"):
        return f"scheme {parts.scheme!r} is none of redis, rediss"
    try:
        with _connect(parts, 6379, tls=ssl.create_default_context() if parts.scheme == "rediss" else None) as link:
            if parts.password:
                user = [unquote(parts.username)] if parts.username else []
                answer = _resp(link, "AUTH", *user, unquote(parts.password))
                if not answer.startswith("+OK"):
                    return "AUTH refused"
            answer = _resp(link, "PING")
    except OSError as error:
        return _reason(error)
    return None if answer.startswith("+PONG") else answer[:80]


def elasticsearch(url: str, given: Settings = NOTHING) -> str | None:
    """Ask for the cluster's health; yellow will do, since one node has no place for replicas."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return f"scheme {parts.scheme!r} is none of http, https"
    host = parts.netloc.rpartition("@")[2]
    health_url = (
        f"{parts.scheme}://{host}{parts.path.rstrip('/')}/_cluster/health?wait_for_status=yellow&timeout=2s"
    )
    request = urllib.request.Request(health_url)  # noqa: S310 (the scheme was looked at)
    user, password = _login(parts, given, "HORT_ELASTICSEARCH")
    if key := given.get("HORT_ELASTICSEARCH_API_KEY"):
        request.add_header("Authorization", f"ApiKey {key}")
    elif user:
        request.add_header("Authorization", f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            health = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except (OSError, ValueError) as error:
        return _reason(error)
    return None if health.get("status") in ("green", "yellow") else f"health is {health.get('status')!r}"


Probe = Callable[[str, Settings], str | None]


def _of_any_text(probe: Probe) -> Probe:
    """A probe that takes what is no address, too."""

    def asked(url: str, given: Settings) -> str | None:
        try:
            return probe(url, given)
        except (ValueError, http.client.HTTPException):
            return "it is no address with a host and a port from 1 to 65535"

    return asked


PROBES: dict[str, Probe] = {
    "mosquitto": _of_any_text(mqtt),
    "redis": _of_any_text(redis),
    "elasticsearch": _of_any_text(elasticsearch),
}


def _login(parts: SplitResult, given: Settings, prefix: str) -> tuple[str, str]:
    """User and password of an address, else of the variables."""
    if parts.username:
        return unquote(parts.username), unquote(parts.password or "")
    return given.get(f"{prefix}_USERNAME", ""), given.get(f"{prefix}_PASSWORD", "")


def _mqtt_tls(given: Settings) -> ssl.SSLContext:
    """TLS as the variables have it, PEM texts or their files; OSError where they are neither."""
    ca, certificate, key = (given.get(f"HORT_MQTT_TLS_{name}", "") for name in ("CA", "CERT", "KEY"))
    context = ssl.create_default_context(**({"cadata": ca} if "-----BEGIN" in ca else {"cafile": ca or None}))
    if "-----BEGIN" in certificate:
        with tempfile.NamedTemporaryFile("w") as pair:
            pair.write(f"{certificate}\n{key}\n")
            pair.flush()
            context.load_cert_chain(pair.name)
    elif certificate:
        context.load_cert_chain(certificate, key or None)
    return context


def _connect(parts: SplitResult, default_port: int, *, tls: ssl.SSLContext | None) -> socket.socket:
    host = parts.hostname or "127.0.0.1"
    link = socket.create_connection((host, parts.port or default_port), timeout=TIMEOUT_S)
    return tls.wrap_socket(link, server_hostname=host) if tls else link


def _mqtt_connect(parts: SplitResult, given: Settings) -> bytes:
    def text(value: str) -> bytes:
        data = value.encode()
        return struct.pack(">H", len(data)) + data

    user, password = _login(parts, given, "HORT_MQTT")
    flags = 0x02 | (0x80 if user else 0) | (0x40 if password else 0)
    body = text("MQTT") + bytes([4, flags, 0, 10]) + text(f"hort-probe-{secrets.token_hex(4)}")
    body += text(user) if user else b""
    body += text(password) if password else b""
    length, size = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        size += bytes([digit | (0x80 if length else 0)])
        if not length:
            return b"\x10" + size + body


def _resp(link: socket.socket, *words: str) -> str:
    encoded = [word.encode() for word in words]
    link.sendall(
        b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
    )
    return link.recv(1024).decode(errors="replace").strip()


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None)
    return str(cause or error) or type(error).__name__
