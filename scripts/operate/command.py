"""What both commands do around their work: failures as one clear line, times as people write them."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import redis
from elastic_transport import TransportError
from elasticsearch import ApiError

from hort.document_store import RequestRefused, StoreBusy
from hort.errors import HortError
from localwhisk.lines import printable
from operate.activations import WhiskFailed
from operate.connections import NotConnected

USAGE = 2
"""Exit status where the command could not do its work at all."""
_AGO = re.compile(r"(\d{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Refused(Exception):
    """The command cannot do that; the message says why."""


def carried_out(work: Callable[[], int]) -> int:
    """The exit status of some work; a part that does not answer is named, without its credentials; a reader may go, as `head` does."""
    try:
        status = work()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return 0
    except (Refused, NotConnected, WhiskFailed, HortError, ValueError) as error:
        return _failed(str(error))
    except redis.RedisError as error:
        return _failed(f"Redis: {type(error).__name__}: {error}")
    except ApiError as error:
        return _failed(f"Elasticsearch answered {error.status_code}: {str(error.message)[:200]}")
    except (TransportError, StoreBusy, RequestRefused) as error:
        return _failed(f"Elasticsearch: {str(error)[:200]}")
    except KeyboardInterrupt:
        return 130


def say(text: str, *, file: TextIO | None = None) -> None:
    """Prints one line; what devices and others sent in it moves no cursor, forges no line and turns no direction."""
    print(printable(text), file=file)


def payload(content: bytes) -> None:
    """Writes a payload: its own bytes to a file or a pipe, to a terminal lines that can do nothing to it."""
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(content)
        return
    for line in content.decode("utf-8", "backslashreplace").split("\n"):
        say(line)


def _failed(text: str) -> int:
    say(f"error: {text}", file=sys.stderr)
    return USAGE


def moment(text: str) -> str:
    """An option's time for a search: ISO 8601, or how long ago (`15m`, `2h`, `3d`)."""
    if not text:
        return ""
    ago = _AGO.fullmatch(text)
    if ago:
        return f"now-{int(ago[1]) * _SECONDS[ago[2]]}s"
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither ISO 8601 nor like 15m, 2h, 3d") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).isoformat()


def positive(text: str) -> int:
    """An option's number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return int(text)
