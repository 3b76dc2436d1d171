"""Dead letters: look at them, send them through once more, or drop them.

A replay takes the way of every batch (journal, trigger, sequence) under the ids of the first one: what is stored twice is
there once. A letter goes when what its replay brought is stored, and stays or comes back under its id when that fails again.
Exit status: 0 done, 1 something is left to look at, 2 could not do it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from hort import clock, documents, keys
from hort.journal import RedisJournal
from hort.topics import DEFAULT_PATTERN, TopicPattern, compile_pattern
from operate import connections
from operate.command import Refused, carried_out, moment, payload, positive, say
from operate.letters import STAGES, Filters, Letter
from operate.replaying import LOCK_S, LOCK_WAIT_S, Outcome, Replayer, batches_of, feeds_of
from operate.search import Search

ORDER = ("@timestamp", "message_id", "stage")
PAYLOAD = "payload_base64"
PAGE = 2_000
"""Letters that are replayed, or dropped, before the next ones are looked for."""
SHOWN = 2_000
"""Characters of a payload that `show` prints."""
WIDTH = 100


class Desk:
    """The letters of one installation and what is done with them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.links = connections.resolve(options)
        self.search = Search(self.links.elasticsearch(), prefix=self.links.prefix)
        self.pattern: TopicPattern = compile_pattern(connections.topic_pattern(self.links, DEFAULT_PATTERN))

    def found(self, filters: Filters, *, payloads: bool = False) -> Iterator[Letter]:
        """The letters that fit, oldest first; a device type can only be told with the payload."""
        without = () if payloads or filters.device_type else (PAYLOAD,)
        rows = self.search.scan(documents.DEAD_LETTERS, filters.query(), sort=ORDER, without=without)
        letters = (Letter.of(row.id, row.source) for row in rows)
        return (letter for letter in letters if filters.fits(letter, self.pattern))

    def now(self, ids: Sequence[str]) -> dict[str, Letter]:
        """Those of these letters that are there."""
        return {name: Letter.of(name, source) for name, source in self.search.now(documents.DEAD_LETTERS, ids).items()}

    def meant(self) -> Iterator[str]:
        """The ids that were given, or those that fit the filters, up to the limit."""
        if self.options.ids:
            return iter(dict.fromkeys(self.options.ids))
        return islice((letter.id for letter in self.found(_filters(self.options))), self.options.limit)

    def replayer(self) -> Replayer:
        """What replays over this installation's journals."""
        client = self.links.redis()
        return Replayer(
            journal=RedisJournal(client),
            batches=lambda journal: batches_of(client, journal),
            feeds=feeds_of(client),
            letters=self.now,
            records=self._records,
            turn=lambda: client.lock(keys.REPLAY_LOCK, timeout=LOCK_S, blocking_timeout=LOCK_WAIT_S),
            now=clock.now_ms,
            trigger=self.options.trigger,
        )

    def _records(self, batch_id: str) -> list[dict[str, Any]]:
        self.search.refresh(documents.ALL_EVENTS)
        query = {"term": {"batch_id": batch_id}}
        return [row.source for row in self.search.scan(documents.ALL_EVENTS, query, sort=("record_id",))]


def main() -> int:
    """The command."""
    options = _parser().parse_args()
    work: Callable[[argparse.Namespace], int] = options.work
    return carried_out(lambda: work(options))


# -- looking ---------------------------------------------------------------------------------------------------------


def list_letters(options: argparse.Namespace) -> int:
    """The newest letters that fit, or how many there are of each kind."""
    desk, filters = Desk(options), _filters(options)
    if options.count:
        return _list_counts(desk, filters)
    if filters.device_type:
        rows = list(desk.found(filters))[-options.limit :][::-1]
    else:
        newest = [{"@timestamp": "desc"}]
        found = desk.search.find(documents.DEAD_LETTERS, filters.query(), limit=options.limit, sort=newest, without=(PAYLOAD,))
        rows = [Letter.of(row.id, row.source) for row in found]
    if options.json:
        return _print_json([_facts(letter) for letter in rows])
    for letter in rows:
        say(f"{clock.iso(letter.received_ms)}  {letter.stage}/{letter.reason}  {letter.topic}")
        say(f"    {letter.id}  {_short(letter.detail)}")
    if not rows:
        say("no dead letters")
    return 0


def _list_counts(desk: Desk, filters: Filters) -> int:
    if filters.device_type:
        counted = Counter((letter.stage, letter.reason) for letter in desk.found(filters))
        rows: list[tuple[tuple[str, ...], int]] = list(counted.most_common())
    else:
        rows = desk.search.groups(documents.DEAD_LETTERS, filters.query(), ("stage", "reason"))
    if desk.options.json:
        return _print_json([{"stage": names[0], "reason": names[1], "count": count} for names, count in rows])
    for names, count in rows:
        say(f"{count:>9,}  {'/'.join(names)}")
    say(f"{sum(count for _, count in rows):>9,}  dead letters")
    return 0


def show(options: argparse.Namespace) -> int:
    """One letter with its payload as text where it is text."""
    letter = _one(Desk(options), options.id)
    if options.payload:
        payload(letter.payload)
        return 0
    facts = _facts(letter) | {"payload": letter.payload.decode("utf-8", "backslashreplace")}
    if options.json:
        return _print_json(facts)
    shown = facts.pop("payload")
    for name, value in facts.items():
        say(f"{name:<14} {value}")
    say(f"{'payload':<14} {shown[:SHOWN]}{' ... (--payload writes all of it)' if len(shown) > SHOWN else ''}")
    return 0


def _one(desk: Desk, name: str) -> Letter:
    letter = desk.now([name]).get(name)
    if letter is None:
        raise Refused(f"there is no dead letter {name!r}")
    return letter


# -- doing -----------------------------------------------------------------------------------------------------------


def replay(options: argparse.Namespace) -> int:
    """Replays letters, some thousands at a time."""
    desk = Desk(options)
    _agreed(desk, "replay")
    outcome, replayer, ids = Outcome(), desk.replayer(), desk.meant()
    for feed in replayer.feeds:
        if not feed.active:
            say(f"feed {feed.trigger} is switched off: what is replayed through it waits in its journal", file=sys.stderr)
    # Letters that die again are written again, with a new time: the ids are settled before the first replay.
    for page in _pages(list(ids)):
        replayer.replay(page, outcome, timeout_s=options.timeout)
        if outcome.waiting:
            break
    _report(outcome, json_form=options.json)
    return 0 if outcome.clean else 1


def drop(options: argparse.Namespace) -> int:
    """Removes letters for good."""
    desk = Desk(options)
    _agreed(desk, "drop")
    gone: list[str] = []
    missing: list[str] = []
    for page in _pages(list(desk.meant())):
        there = desk.now(page)
        desk.search.delete(documents.DEAD_LETTERS, list(there))
        gone += there
        missing += [name for name in page if name not in there]
    if options.json:
        _print_json({"dropped": gone, "gone": missing})
    else:
        say(f"{len(gone)} dropped" + (f", {len(missing)} were not there" if missing else ""))
    return 1 if missing else 0


def _pages(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), PAGE):
        yield list(ids[start : start + PAGE])


def _agreed(desk: Desk, verb: str) -> None:
    """Ids that are named are meant. Filters want --yes, or a yes on a terminal."""
    options = desk.options
    if options.ids or options.yes:
        return
    desk.search.refresh(documents.DEAD_LETTERS)
    chosen = islice(desk.found(_filters(options)), options.limit)
    counted = Counter((letter.stage, letter.reason) for letter in chosen)
    for (stage, reason), count in counted.most_common():
        say(f"{count:>9,}  {stage}/{reason}", file=sys.stderr)
    total = sum(counted.values())
    if not total:
        return
    if sys.stdin.isatty() and not options.json:
        with contextlib.suppress(EOFError):
            if input(f"{verb} these {total}? [y/N] ").strip().lower() in ("y", "yes"):
                return
    raise Refused(f"nothing was done: --yes to {verb} these {total}")


def _report(outcome: Outcome, *, json_form: bool) -> None:
    if json_form:
        _print_json({name: getattr(outcome, name) for name in Outcome.__slots__})
        return
    say(f"{len(outcome.replayed)} replayed and stored")
    for what, reasons in (("died again", outcome.again), ("cannot be replayed", outcome.refused)):
        for name, reason in reasons.items():
            say(f"  {what}: {name}: {_short(reason)}")
    for what, names in (("is being replayed already", outcome.under_way), ("is not there (any more)", outcome.gone)):
        for name in names:
            say(f"  {what}: {name}")
    for batch_id in outcome.waiting:
        say(f"  not stored in time, goes on by itself: batch {batch_id}; see scripts/trace {batch_id}")


# -- the command line ------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/dead-letters", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listed = _command(commands, "list", list_letters, "the newest ones, or --count of each kind")
    _add_filters(listed, limit=50)
    listed.add_argument("--count", action="store_true", help="how many there are by stage and reason")
    shown = _command(commands, "show", show, "one of them with its payload")
    shown.add_argument("id")
    shown.add_argument("--payload", action="store_true", help="only the payload's bytes")
    for name, work, what in (("replay", replay, "send them through once more"), ("drop", drop, "remove them for good")):
        doing = _command(commands, name, work, what)
        doing.add_argument("ids", nargs="*", metavar="ID", help="which; or filters")
        _add_filters(doing, limit=100_000)
        doing.add_argument("--all", action="store_true", help="every one of them")
        doing.add_argument("--yes", action="store_true", help="do not ask")
        if name == "replay":
            doing.add_argument("--trigger", default="", metavar="/NAMESPACE/NAME", help="the feed to replay through, where their own is gone")
            doing.add_argument("--timeout", type=positive, default=120, metavar="S", help="how long to wait for 2000 of them; default 120")
    return parser


def _command(commands: Any, name: str, work: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what)
    parser.set_defaults(work=work)
    connections.add_options(parser)
    return parser


def _add_filters(parser: argparse.ArgumentParser, *, limit: int) -> None:
    group = parser.add_argument_group("filters", "all that are given must fit")
    group.add_argument("--stage", choices=STAGES, default="", help="the action that gave up")
    group.add_argument("--reason", default="", help="not-json, topic-mismatch, unprocessable, ...; --count lists them")
    group.add_argument("--topic", default="", metavar="GLOB", help="'iot-2/type/pump/*'")
    group.add_argument("--device-type", default="", metavar="GLOB")
    group.add_argument("--batch", default="", metavar="ID")
    group.add_argument("--since", type=moment, default="", metavar="TIME", help="ISO 8601, or 15m, 2h, 3d ago")
    group.add_argument("--until", type=moment, default="", metavar="TIME")
    group.add_argument("--limit", type=positive, default=limit, metavar="N", help=f"at most so many; default {limit}")


def _filters(options: argparse.Namespace) -> Filters:
    found = Filters(
        stage=options.stage,
        reason=options.reason,
        topic=options.topic,
        batch_id=options.batch,
        since=options.since,
        until=options.until,
        device_type=options.device_type,
    )
    if not found and getattr(options, "all", None) is False:
        raise Refused("which ones? Give ids, filters or --all")
    return found


def _facts(letter: Letter) -> dict[str, Any]:
    names = ("id", "stage", "reason", "detail", "topic", "batch_id", "message_id")
    facts = {name: getattr(letter, name) for name in names}
    return {**facts, "received_at": clock.iso(letter.received_ms), "payload_bytes": letter.payload_bytes}


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 4] + " ..."


def _print_json(value: Any) -> int:
    print(json.dumps(value, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
