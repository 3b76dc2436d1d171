"""The command behind scripts/stack."""

import argparse
import json
import os
import sys
from dataclasses import asdict

from lib.arguments import resolved
from lib.stack.controller import Stack, Status
from lib.stack.errors import StackError
from lib.stack.process import PRIVATE
from lib.stack.services import SERVICES

NOT_ALL_RUNNING = 3  # as LSB's status action
DESCRIPTION = """\
mosquitto, Redis and Elasticsearch on loopback, with their data in the state folder.

  up, start      start what does not run, wait until it answers, write stack.env (start: never on another port than before)
  down, stop     stop what runs and wait until it is gone
  status         a table, and status 3 when a service is not ready

HORT_MQTT_URL, HORT_REDIS_URL and HORT_ELASTICSEARCH_URL name servers of your own: those are checked, never started or stopped,
with HORT_MQTT_USERNAME, _PASSWORD, _TLS_CA, _TLS_CERT, _TLS_KEY and HORT_ELASTICSEARCH_API_KEY, _USERNAME, _PASSWORD where they ask for these.
HORT_ELASTICSEARCH_JVM: further options of its Java, spaces between them."""


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/stack", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["up", "start", "down", "stop", "status"])
    parser.add_argument(
        "services", nargs="*", metavar="SERVICE", help=f"some of {', '.join(SERVICES)} (default: all)"
    )
    parser.add_argument(
        "--state",
        type=resolved,
        default=os.environ.get("HORT_STATE") or ".hort",
        help="state folder (HORT_STATE, default .hort in the repository)",
    )
    parser.add_argument(
        "--mqtt-port", type=int, help="port of mosquitto (default: the one it had, or a free one)"
    )
    parser.add_argument("--redis-port", type=int, help="port of Redis")
    parser.add_argument("--elasticsearch-port", type=int, help="port of Elasticsearch")
    parser.add_argument(
        "--json",
        action="store_true",
        help="status as JSON: a list of objects with name, state, url, port, pid",
    )
    options = parser.parse_args(argv)
    for name in options.services:
        if name not in SERVICES:
            parser.error(f"unknown service {name!r}; there are {', '.join(SERVICES)}")
    return options


def _print_table(rows: list[Status]) -> None:
    print(f"{'service':<14} {'state':<23} {'pid':>8} {'memory':>8}  address")
    for row in rows:
        memory = f"{row.memory_bytes / 1e6:.0f} MB" if row.memory_bytes else "-"
        print(f"{row.name:<14} {row.state:<23} {row.pid or '-':>8} {memory:>8}  {row.url or '-'}")
        if row.reason:
            print(f"{'':<14} {row.reason}")


def main(argv: list[str]) -> int:
    """Run one command; returns the exit status."""
    options = _arguments(argv)
    os.umask(PRIVATE)
    names = options.services or list(SERVICES)
    stack = Stack(state=options.state, own=os.environ)
    given = {
        "mosquitto": options.mqtt_port,
        "redis": options.redis_port,
        "elasticsearch": options.elasticsearch_port,
    }
    try:
        if options.command in ("up", "start"):
            stack.up(names, given=given, strict=options.command == "start")
        elif options.command in ("down", "stop"):
            stack.down(names)
        else:
            rows = stack.status(names)
            print(json.dumps([asdict(row) for row in rows])) if options.json else _print_table(rows)
            return 0 if all(row.ready for row in rows) else NOT_ALL_RUNNING
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
