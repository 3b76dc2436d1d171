"""The parameters of the MQTT feed: one table of names, ranges, defaults and meanings, and the frozen configuration read by it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hort import brokers, config
from hort.errors import ConfigError

INLINE_LIMIT = 900_000
"""Bytes of JSON that a trigger payload may have at most: OpenWhisk's limit is 1 MiB with parameters and headers."""
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Option:
    """One parameter: its name, type, default, range or choices, and what it does."""

    name: str
    kind: str
    default: Any
    text: str
    minimum: float = 0
    maximum: float = float("inf")
    choices: tuple[str, ...] = ()
    secret: bool = False


OPTIONS: tuple[Option, ...] = (
    Option("url", "url", None, "broker: mqtt://host[:port], mqtts://, ws://host[:port]/path, wss://"),
    Option("topics", "topics", ("iot-2/type/+/id/+/evt/+/fmt/+",), "one topic filter or a list; wildcards + and #, $share/group/filter"),
    Option("qos", "integer", 1, "highest quality of service to subscribe with", 0, 2),
    Option("username", "text", "", "user name at the broker"),
    Option("password", "text", "", "password at the broker", secret=True),
    Option("client_id", "text", "", "MQTT client id; default: made from the trigger plus a random part and kept"),
    Option("tls_ca", "text", "", "certificate authorities (PEM text) instead of the system's"),
    Option("tls_cert", "text", "", "client certificate (PEM text)"),
    Option("tls_key", "text", "", "the client certificate's key (PEM text)", secret=True),
    Option("tls_insecure", "boolean", False, "do not check the broker's certificate"),
    Option("keepalive_s", "integer", 60, "seconds between pings when nothing else is sent", 5, 65_535),
    Option("delivery", "choice", "reference", "what a fire carries: the batch's id, or its messages", choices=("reference", "inline")),
    Option("max_records", "integer", 20_000, "messages in one batch at most", 1, 60_000),
    Option("max_bytes", "integer", 8_000_000, f"payload bytes in one batch at most; inline: JSON bytes, at most {INLINE_LIMIT}", 1_000, 64_000_000),
    Option("linger_ms", "integer", 200, "how long the first message of a batch waits for more", 0, 60_000),
    Option("max_fires_per_minute", "integer", 45, "fires in one calendar minute; batches grow when this is small", 1, 100_000),
    Option("max_unacked", "integer", 4, "fired batches that may be unfinished at once; the rest waits in the journal", 1, 1_000),
    Option("ack", "choice", "", "a batch is done when: sink = the suite's sink stored it; started = each active rule's action was started; default: sink for reference, started for inline", choices=("sink", "started")),
    Option("ack_deadline_s", "number", 30.0, "an unfinished batch is fired again after this long, then after ever longer", 1, 3_600),
    Option("max_journal_batches", "integer", 10_000, "batches the journal may hold; then the broker has to wait", 2, 1_000_000),
    Option("max_journal_bytes", "integer", 268_435_456, "bytes the journal may hold; then the broker has to wait", 1_000_000, 1 << 40),
    Option("partitions", "integer", 1, "over how many partitions the topics are spread", 1, 1_024),
    Option("grace_s", "number", 60.0, "how long session and journal outlive a DELETE, for a CREATE that follows", 0, 3_600),
)  # fmt: skip
BY_NAME = {option.name: option for option in OPTIONS}
SECRETS = tuple(option.name for option in OPTIONS if option.secret)
_ALIASES = {"topic": "topics", "user": "username", "max_batch_bytes": "max_bytes", "max_batch_records": "max_records"}


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """A feed's parameters, checked; see OPTIONS."""

    url: str
    topics: tuple[str, ...]
    qos: int
    username: str
    password: str
    client_id: str
    tls_ca: str
    tls_cert: str
    tls_key: str
    tls_insecure: bool
    keepalive_s: int
    delivery: str
    max_records: int
    max_bytes: int
    linger_ms: int
    max_fires_per_minute: int
    max_unacked: int
    ack: str
    ack_deadline_s: float
    max_journal_batches: int
    max_journal_bytes: int
    partitions: int
    grace_s: float

    def __repr__(self) -> str:
        return f"FeedConfig({self.public()})"

    def as_params(self) -> dict[str, Any]:
        """The parameters that give this configuration again, secrets included."""
        return {**asdict(self), "topics": list(self.topics)}

    def public(self) -> dict[str, Any]:
        """The configuration as anyone may see it: secrets show only whether they are set."""
        return {
            name: (HIDDEN if value else "") if name in SECRETS else value for name, value in self.as_params().items()
        }

    @property
    def host(self) -> str:
        """The broker's: another scheme, port or path is another way to the same sessions."""
        return address(self.url).host

    def session(self) -> tuple[object, ...]:
        """What makes another MQTT session or connection when it changes; topics are changed on a live one."""
        names = ("url", "username", "password", "client_id", "tls_ca", "tls_cert", "tls_key", "tls_insecure", "keepalive_s")
        return tuple(getattr(self, name) for name in names)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is: transport `tcp` or `websockets`."""

    host: str
    port: int
    transport: str
    tls: bool
    path: str


def known(params: Mapping[str, Any]) -> dict[str, Any]:
    """The feed's own parameters among all that an action gets; a name that is nearly right is an error."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        target = _ALIASES.get(name, name)
        if target in BY_NAME:
            if value is not None and value != "":
                found[target] = value
        elif near := difflib.get_close_matches(name, BY_NAME, n=1, cutoff=0.8):
            raise ConfigError(name, value if near[0] not in SECRETS else HIDDEN, f"is not known, did you mean '{near[0]}'?")
    return found


def kept(params: Mapping[str, Any]) -> tuple[str, ...]:
    """Parameter `keep` of a CREATE: secrets that stay as they are in the feed which it replaces, since nobody is shown them."""
    names = config.strings({"keep": params.get("keep")}, "keep") if params.get("keep") else ()
    if unknown := [name for name in names if name not in SECRETS]:
        raise ConfigError("keep", unknown[0], f"must name secrets: {', '.join(SECRETS)}")
    return names


def parse(params: Mapping[str, Any]) -> FeedConfig:
    """The checked configuration; ConfigError names the parameter and its value (never a secret's)."""
    values = {option.name: _value(option, params.get(option.name)) for option in OPTIONS}
    if values["delivery"] == "inline":
        values["max_bytes"] = min(values["max_bytes"], INLINE_LIMIT)
    values["ack"] = values["ack"] or ("started" if values["delivery"] == "inline" else "sink")
    if (values["delivery"], values["ack"]) == ("reference", "started"):
        raise ConfigError("ack", "started", "would forget a batch before its actions can read it: it needs delivery inline")
    if bool(values["tls_cert"]) != bool(values["tls_key"]):
        raise ConfigError("tls_cert", None, "and 'tls_key' must be given together")
    address(values["url"])
    return FeedConfig(**values)


def address(url: str) -> Address:
    """The parts of a broker's URL; ConfigError where it is none."""
    parts, port = brokers.split(url, name="url")
    if parts.username or parts.password:
        raise ConfigError("url", parts.hostname, "must not hold credentials, use 'username' and 'password'")
    websockets = parts.scheme in ("ws", "wss")
    return Address(
        parts.hostname or "",
        port,
        "websockets" if websockets else "tcp",
        parts.scheme in ("mqtts", "wss"),
        (parts.path or "/mqtt") if websockets else "",
    )


def _value(option: Option, value: Any) -> Any:
    if value is None or value == "":
        if option.default is None:
            raise ConfigError(option.name, None, "must be given")
        return option.default
    return _READERS[option.kind](option, value)


def _number(option: Option, value: Any) -> float:
    return config.number({option.name: value}, option.name, default=0, minimum=option.minimum, maximum=option.maximum)


def _integer(option: Option, value: Any) -> int:
    low, high = int(option.minimum), int(option.maximum)
    return config.integer({option.name: value}, option.name, default=0, minimum=low, maximum=high)


def _boolean(option: Option, value: Any) -> bool:
    return config.boolean({option.name: value}, option.name, default=False)


def _text(option: Option, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(option.name, HIDDEN if option.secret else value, "must be text")
    config.text({option.name: value}, option.name)
    if "\x00" in value:
        raise ConfigError(option.name, None, "must not hold a zero character")
    return value


def _choice(option: Option, value: Any) -> str:
    return config.text({option.name: value}, option.name, choices=option.choices)


def _topics(option: Option, value: Any) -> tuple[str, ...]:
    filters = config.strings({option.name: value}, option.name)
    if not filters:
        raise ConfigError(option.name, value, "must name at least one topic filter")
    for item in filters:
        _check_filter(item)
    return tuple(dict.fromkeys(filters))


def _check_filter(item: str) -> None:
    name = item
    if item.startswith("$share/"):
        _, group, name = (*item.split("/", 2), "")[:3]
        if not group or not name or "+" in group or "#" in group:
            raise ConfigError("topics", item, "must be $share/<group>/<filter>")
    levels = name.split("/")
    wild = any(len(level) > 1 and ("+" in level or "#" in level) for level in levels)
    if not name or "\x00" in name or wild or "#" in levels[:-1] or len(item.encode()) > 65_535:
        raise ConfigError("topics", item, "must be a topic filter: + is a whole level, # is the last one")


_READERS: dict[str, Any] = {
    "url": _text,
    "text": _text,
    "topics": _topics,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "choice": _choice,
}


def table() -> str:
    """The parameters as a Markdown table, for feeds/README.md."""
    rows = ["| parameter | default | range | meaning |", "|---|---|---|---|"]
    rows += [f"| `{option.name}` | {_shown_default(option)} | {_shown_range(option)} | {option.text} |" for option in OPTIONS]
    return "\n".join(rows)


def _shown_default(option: Option) -> str:
    if option.default is None:
        return "required"
    return "" if option.default == "" else f"{option.default:g}" if option.kind == "number" else str(option.default)


def _shown_range(option: Option) -> str:
    if option.choices:
        return ", ".join(option.choices)
    return f"{int(option.minimum)} to {int(option.maximum)}" if option.kind in ("integer", "number") else ""
