"""What every action does around its core: strip what OpenWhisk adds, find the batch, answer in one shape."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from hort import batch, store
from hort.errors import BatchError
from hort.journal import RedisJournal

Args = dict[str, Any]
Result = dict[str, Any]

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


def log(event: str, **facts: object) -> None:
    """One structured line in the activation's log."""
    line = {"event": event, "activation": os.environ.get("__OW_ACTIVATION_ID", ""), **facts}
    print(json.dumps(line, default=str), file=sys.stderr if "error" in facts else sys.stdout)
