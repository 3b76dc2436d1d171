"""What every action does around its core: strip what OpenWhisk adds, find the batch, answer in one shape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import redis

from hort import activation_log, batch, meanings, store
from hort.counters import RedisCounters
from hort.errors import BatchError, ConfigError, HortError, SinkUnavailable
from hort.journal import RedisJournal

Args = dict[str, Any]
Result = dict[str, Any]

log = activation_log.log

RETRY_SOON_MS = 2_000
"""A batch whose action failed is fired again after this long, not after the provider's whole deadline."""


def strip(args: Args) -> Args:
    """The arguments without the headers of the firing request: they hold the namespace's key."""
    return {name: value for name, value in args.items() if name != "__ow_headers"}


def journal(args: Args) -> RedisJournal:
    """The journal in the Redis of parameter `redis_url`."""
    return RedisJournal(store.connect(args))


def required_reference(args: Args) -> batch.Reference:
    """The batch that the action before handed on; BatchError where there is none."""
    reference = batch.reference(args)
    if reference is None:
        raise BatchError("'batch_id' and 'journal' must be given: this action follows another one in a sequence")
    return reference


def done(reference: batch.Reference) -> Result:
    """The answer for a batch that was stored already."""
    return {**reference.as_result(), "acked": True}


def log_trouble(event: str, reference: batch.Reference, counts: Mapping[str, int], **facts: object) -> None:
    """One line with those of a batch's counts that tell of trouble, under the names of their counters; none where all is well."""
    found = {name: count for name, count in counts.items() if count and meanings.read(name).meaning.trouble}
    if found:
        log(event, batch_id=reference.batch_id, **facts, **found)


@contextlib.contextmanager
def failures_told(part: str, args: Args) -> Iterator[None]:
    """Logs and counts an activation that ends with an error, `<part>.failed.<reason>`; the error goes its way.

    A Redis that does not answer is not asked to count: the provider counts that the batch is fired again.
    """
    try:
        yield
    except Exception as error:
        reason = failure(error)
        text = f"{type(error).__name__}: {error}" if isinstance(error, HortError) else type(error).__name__
        log(f"{part}.failed", batch_id=args.get("batch_id"), reason=reason, error=text)
        if reason != "redis":
            with contextlib.suppress(redis.RedisError, HortError):
                RedisCounters(store.connect(args)).add({f"{part}.failed.{reason}": 1})
        raise


def failure(error: Exception) -> str:
    """The reason under which an error is counted."""
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (redis.RedisError, "redis"),
        (SinkUnavailable, "elasticsearch"),
        (ConfigError, "setting"),
        (BatchError, "batch"),
    )
    return next((reason for kind, reason in kinds if isinstance(error, kind)), "other")
