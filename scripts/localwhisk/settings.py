"""Settings of a serving engine, from the command line and the environment."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from localwhisk import browsers, execs, identity, kinds
from localwhisk.browsers import ANY, Gate
from localwhisk.identity import Identity
from localwhisk.limits import PRESETS, Limits
from localwhisk.retention import DAY_MS, Retention

N_ = TypeVar("N_", int, float)
DEFAULT_PORT = 3233
_ORIGIN = re.compile(r"https?://[^/]+\Z")
_HOST = re.compile(r"(?:\*|[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?\Z")
_ENDLESS = 1_000_000_000
_RATES = ("invocations", "fires", "concurrent")
ACTION_PYTHON = "LOCALWHISK_ACTION_PYTHON"
ACTION_NODE_MODULES = "LOCALWHISK_ACTION_NODE_MODULES"
IDENTITY = "LOCALWHISK_IDENTITY"
AUTH = "LOCALWHISK_AUTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve; `port` 0 takes a free one, `images` maps images and kinds to URLs of running servers and to the words of commands."""

    host: str
    port: int
    state: Path
    limits: Limits
    own_limits: Mapping[str, Limits]
    identities: tuple[Identity, ...]
    gate: Gate
    retention: Retention
    images: Mapping[str, str | tuple[str, ...]]
    action_python: Path
    action_node_modules: Path | None
    ready_file: Path | None
    wskprops: Path | None
    alarms: bool
    tls: bool
    memory_mb: int | None
    quiet: bool


def add_state(parser: ArgumentParser) -> None:
    """The option that names the state folder, which all commands share."""
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".whisk"),
        metavar="FOLDER",
        help="where entities and activations are (default: %(default)s)",
    )


def add_arguments(parser: ArgumentParser) -> None:
    """Options of `serve`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)"
    )
    add_state(parser)
    parser.add_argument(
        "--limits",
        choices=sorted(PRESETS),
        default="stock",
        help="stock: 60/60/30 as a stock installation; raised: 600/600/100 as hosted ones",
    )
    parser.add_argument("--invocations-per-minute", type=int, metavar="N")
    parser.add_argument("--fires-per-minute", type=int, metavar="N")
    parser.add_argument("--concurrent", type=int, metavar="N", help="activations in flight per namespace")
    parser.add_argument(
        "--anonymous-per-minute",
        type=int,
        metavar="N",
        help="calls without a key that each web action takes in a minute; more get 429 and cost its owner nothing (default: as many as the owner may)",
    )
    parser.add_argument(
        "--namespace-limits",
        action="append",
        default=[],
        metavar="NAME=INVOCATIONS/FIRES/CONCURRENT",
        help="rates of one namespace, as in team=600/60/100 (repeatable)",
    )
    parser.add_argument(
        "--identity",
        action="append",
        default=[],
        metavar="NAME=@FILE",
        help="a namespace, guest among them, and the file with its key, UUID:KEY; also NAME=UUID:KEY, which the process "
        f"list shows (repeatable; ${IDENTITY}: the same, separated by spaces)",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of another origin in while the key of guest is the public one, as in http://localhost:5173 (repeatable; *: all)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer under another name than localhost while the key of guest is the public one (repeatable; *: all)",
    )
    parser.add_argument(
        "--map-image",
        action="append",
        default=[],
        metavar="IMAGE=URL|COMMAND",
        help="serve an image, or a kind such as php:8.1, by a running server that speaks /init and /run (http://HOST:PORT), or by a "
        "command that is started for each action and serves them on 127.0.0.1 and the port it is given, as $PORT or in place of "
        "{port}: php:8.1='php-proxy --port {port}' (repeatable)",
    )
    parser.add_argument(
        "--action-python",
        type=Path,
        default=None,
        metavar="FILE",
        help=f"interpreter of the environment python actions see (default: ${ACTION_PYTHON}, else the engine's own)",
    )
    parser.add_argument(
        "--action-node-modules",
        type=Path,
        default=None,
        metavar="FOLDER",
        help=f"folder with the node_modules that nodejs actions find beside their own (default: ${ACTION_NODE_MODULES}, else none)",
    )
    parser.add_argument(
        "--action-memory",
        type=int,
        metavar="MB",
        help="memory for all action processes together (default: half of the machine)",
    )
    parser.add_argument(
        "--keep-activations",
        type=int,
        default=Retention().count,
        metavar="N",
        help="records kept (default: %(default)s)",
    )
    parser.add_argument(
        "--keep-days",
        type=float,
        default=Retention().age_ms / DAY_MS,
        metavar="DAYS",
        help="age of records kept (default: %(default)s)",
    )
    parser.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="write the address there once requests are answered"
    )
    parser.add_argument(
        "--wskprops", type=Path, metavar="FILE", help="point wsk and wskdeploy here, by this .wskprops"
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="speak HTTPS, with tls.crt and tls.key in the state folder; made where there are none (wsk -i takes them)",
    )
    parser.add_argument(
        "--no-alarms",
        action="store_true",
        help="without the package /whisk.system/alarms, as a stock installation",
    )
    parser.add_argument("--quiet", action="store_true", help="no line for each activation")


def from_arguments(options: Namespace, environment: Mapping[str, str] | None = None) -> Settings:
    """Check the options; raises ValueError naming the option and the value."""
    environment = os.environ if environment is None else environment
    if not 0 <= options.port <= 65535:  # ports are 16 bits
        message = f"--port must be 0 to 65535, got {options.port}"
        raise ValueError(message)
    limits = PRESETS[options.limits].with_rates(
        invocations=options.invocations_per_minute,
        fires=options.fires_per_minute,
        concurrent=options.concurrent,
        anonymous=options.anonymous_per_minute,
    )
    texts = [*environment.get(IDENTITY, "").split(), *options.identity]
    identities = identity.complete(identity.parse_identity(text) for text in texts)
    _check_reach(options.host, identities)
    return Settings(
        host=options.host,
        port=options.port,
        state=options.state,
        limits=limits,
        own_limits=_own_limits(options.namespace_limits, limits, {one.namespace for one in identities}),
        identities=identities,
        gate=Gate(
            origins=frozenset(_origin(text) for text in options.allow_origin),
            hosts=frozenset(_host_name(text) for text in options.allow_host),
        ),
        retention=Retention(
            count=_positive("--keep-activations", options.keep_activations),
            age_ms=int(_positive("--keep-days", options.keep_days) * DAY_MS),
        ),
        images=_images(options.map_image),
        action_python=options.action_python or Path(environment.get(ACTION_PYTHON) or sys.executable),
        action_node_modules=_node_modules(options.action_node_modules, environment),
        ready_file=options.ready_file,
        wskprops=options.wskprops,
        alarms=not options.no_alarms,
        tls=options.tls,
        memory_mb=None if options.action_memory is None else _positive("--action-memory", options.action_memory),
        quiet=options.quiet,
    )


def shows_keys(options: Namespace) -> bool:
    """Whether a key stands in the command line, where every user of the machine can read it."""
    return any("=@" not in text for text in options.identity)


def _check_reach(host: str, identities: Sequence[Identity]) -> None:
    """Whoever knows a key can run code: where others reach the engine no key may be a public one."""
    known = [one.namespace for one in identities if one.is_well_known]
    if known and not browsers.is_loopback(host):
        message = (
            f"--host {host} lets others reach the engine, and everybody knows the key of {known[0]}: "
            f"`whisk key FILE` draws one, --identity {known[0]}=@FILE takes it"
        )
        raise ValueError(message)


def _node_modules(given: Path | None, environment: Mapping[str, str]) -> Path | None:
    return given or (Path(environment[ACTION_NODE_MODULES]) if environment.get(ACTION_NODE_MODULES) else None)


def _positive(name: str, value: N_) -> N_:
    if not 0 < value < _ENDLESS:
        bound = f"less than {_ENDLESS}" if value > 0 else "greater than 0"
        message = f"{name} must be {bound}, got {value}"
        raise ValueError(message)
    return value


def _own_limits(texts: Sequence[str], limits: Limits, namespaces: Container[str]) -> dict[str, Limits]:
    found: dict[str, Limits] = {}
    for text in texts:
        name, _, rates = text.partition("=")
        numbers = rates.split("/")
        if len(numbers) != len(_RATES) or not all(number.isdecimal() for number in numbers):
            message = f"--namespace-limits must be given as NAME=INVOCATIONS/FIRES/CONCURRENT, got {text!r}"
            raise ValueError(message)
        if name not in namespaces:
            message = f"--namespace-limits names the namespace {name!r}, which no --identity adds"
            raise ValueError(message)
        found[name] = limits.with_rates(**dict(zip(_RATES, map(int, numbers), strict=True)))
    return found


def _origin(text: str) -> str:
    found = text.lower().rstrip("/")
    if found != ANY and not _ORIGIN.match(found):
        message = f"--allow-origin must be given as http://HOST:PORT, https://HOST:PORT or *, got {text!r}"
        raise ValueError(message)
    return found


def _host_name(text: str) -> str:
    if not _HOST.match(text):
        message = f"--allow-host must be given as NAME, NAME:PORT or *, got {text!r}"
        raise ValueError(message)
    return text.lower()


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        return False


def _images(texts: Sequence[str]) -> dict[str, str | tuple[str, ...]]:
    found: dict[str, str | tuple[str, ...]] = {}
    for text in texts:
        image, _, target = text.partition("=")
        name = kinds.resolve(image) or image
        if not execs.is_image(name) or not target.strip():
            message = f"--map-image must be given as IMAGE=URL, KIND=URL or the same with a COMMAND, got {text!r}"
            raise ValueError(message)
        if name in found:
            message = f"--map-image maps {name} twice, the second time by {text!r}"
            raise ValueError(message)
        found[name] = target.strip() if _is_http(target) else _command(target, text)
    return found


def _command(target: str, text: str) -> tuple[str, ...]:
    """The words of a command, split as a shell does, without anything else that a shell does."""
    try:
        words = tuple(shlex.split(target))
    except ValueError as error:
        message = f"--map-image has a command that cannot be read ({error}), got {text!r}"
        raise ValueError(message) from None
    if not words or shutil.which(words[0]) is None:
        named = repr(words[0]) if words else "''"
        message = f"--map-image needs an http:// address with a host, or a command that is there, and {named} is neither, got {text!r}"
        raise ValueError(message)
    return words
