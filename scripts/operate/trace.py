"""Shows the whole way of a record: MQTT message, batch, fire, activations with their logs, documents in every index.

Give the id of a record, batch, window (analytics), model result, dead letter, alarm or activation; or --topic for the
newest ones of a topic. What cannot be known (any more) is said. Exit status: 0 found, 1 nothing has this id, 2 could not look.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import redis

from hort import keys
from operate import connections
from operate.activations import HttpWhisk
from operate.command import Refused, carried_out, positive, say
from operate.families import Families
from operate.search import Search
from operate.tracing import Trace, Tracer

INDENT = "    "
_SHOWN = ("status", "reason", "model", "level", "window_start", "window_end", "revision", "count", "alarm", "stage", "detail", "late", "error")
"""Of a document these fields say most; --json has all."""


def main() -> int:
    """The command."""
    options = _parser().parse_args()
    return carried_out(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    tracer = _tracer(options)
    ids = [options.id] if options.id else tracer.newest(_topic(options), limit=options.newest)
    found = [trace for name in ids if (trace := tracer.trace(name)) is not None]
    if options.json:
        print(json.dumps([asdict(trace) for trace in found], indent=2))
    else:
        for number, trace in enumerate(found):
            for line in (*([""] if number else []), *lines(trace)):
                say(line)
    if not found:
        print(f"nothing has the id {options.id!r}" if options.id else "no record has such a topic", file=sys.stderr)
    return 0 if found else 1


def _tracer(options: argparse.Namespace) -> Tracer:
    links = connections.resolve(options)
    client: Any = links.redis()
    triggers: dict[str, str] = {}
    try:
        rows = client.hgetall(keys.REGISTRATIONS)
        triggers = {name.decode(): str(json.loads(raw)["trigger"]).rpartition("/")[2] for name, raw in rows.items()}
    except redis.RedisError:
        client = None
    return Tracer(
        search=Search(links.elasticsearch(), prefix=links.prefix),
        families=Families(HttpWhisk(links.api_host, links.api_key, insecure=links.insecure), triggers),
        redis=client,
        limit=options.limit,
    )


def _topic(options: argparse.Namespace) -> str:
    if not options.topic:
        raise Refused("give an id, or --topic")
    if options.device and "*" not in options.topic:
        raise Refused("--device goes with a --topic that has a *: it stands for the device")
    topic: str = options.topic
    return topic.replace("*", options.device, 1) if options.device else topic


def lines(trace: Trace) -> Iterator[str]:
    """A trace as text."""
    yield f"{trace.what} {trace.id}"
    yield from _facts("message", trace.message)
    yield from _facts("batch", trace.batch)
    yield "activations" if trace.activations else "activations  none found"
    for row in trace.activations:
        yield from _activation(row)
    yield "documents" if trace.documents else "documents    none found"
    for index, rows in trace.documents.items():
        yield f"{INDENT}{index}: {trace.counts.get(index, len(rows)):,}"
        for row in rows:
            shown = "  ".join(f"{name} {row[name]}" for name in _SHOWN if row.get(name) not in (None, ""))
            yield f"{INDENT * 2}{row['_id']}  {shown}".rstrip()
    if trace.unknown:
        yield "not known"
        yield from (f"{INDENT}{text}" for text in dict.fromkeys(trace.unknown))


def _facts(name: str, facts: Mapping[str, Any]) -> Iterator[str]:
    if facts:
        yield name
        yield from (f"{INDENT}{key:<14} {value}" for key, value in facts.items() if value is not None)


def _activation(row: Mapping[str, Any]) -> Iterator[str]:
    indent = INDENT * (row["depth"] + 1)
    took = "" if row["duration_ms"] is None else f"  {row['duration_ms']} ms"
    error = f"  {row['error']}" if row["error"] else ""
    yield f"{indent}{row['start']}  {row['name']}  {row['activation']}{took}  {row['status']}{error}"
    for rule in row["rules"]:
        if rule.get("error"):
            yield f"{indent}{INDENT}rule {rule.get('rule')}: {rule['error']}"
    yield from (f"{indent}{INDENT}| {line}" for line in row["logs"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/trace", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("id", nargs="?", help="an id of a record, batch, document or activation")
    parser.add_argument("--topic", metavar="GLOB", help="instead of an id: the newest messages of a topic, 'iot-2/type/pump/id/*/evt/*'")
    parser.add_argument("--device", metavar="ID", help="stands for the first * of --topic")
    parser.add_argument("--newest", type=positive, default=1, metavar="N", help="of --topic: how many; default 1")
    parser.add_argument("--limit", type=positive, default=20, metavar="N", help="documents shown of each index; default 20")
    connections.add_options(parser)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
