"""The plates page as a web action: the page at its root, and `/read`, which has a photo read by the action `plates`.

The page reads photos for strangers too, up to a number a minute, since each costs about a second of a processor; whoever has
the key is not counted. Photos go to the action as parameters and are kept nowhere, and strangers cannot have addresses
downloaded: they may only send photos.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from redis import RedisError

from hort import action, clock, config, keys, page, report_fields, store, web
from hort.counters import RedisCounters
from hort.errors import ConfigError, ReportError, WhiskUnavailable
from hort.namespace import Invoked

STYLES = ("page.css",)
SCRIPTS = ("shrink.js", "photo.js", "result.js", "report.js", "page.js")
DEFAULT_QUOTA = 20
MINUTE_MS = 60_000
READS = ("image", *report_fields.READING)
MAX_BODY_BYTES = 1_048_576
TOO_MANY = 429

STARTING = "The plate reader does not answer. Where it was started just now it may still be being built, which takes minutes once."
"""Said when OpenWhisk could not run the action."""


class Whisk(Protocol):
    """What is asked of OpenWhisk, see `hort.namespace.Namespace`."""

    def sibling(self, action: str) -> str:
        """`package/action` beside the one that runs."""

    def invoke(self, action: str, params: Mapping[str, Any]) -> Invoked:
        """Invokes an action and waits for its result."""


class Quota(Protocol):
    """Counts photos of a minute."""

    def count(self, minute: int) -> int:
        """One more; how many there are in this minute."""


class RedisQuota:
    """A count over all processes."""

    def __init__(self, client: store.Client) -> None:
        self._client: Any = client

    def count(self, minute: int) -> int:
        """See `Quota`."""
        key = keys.photo_quota(minute)
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, 120)
            return int(pipeline.execute()[0])


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads photos for the page.

    Args:
        whisk: runs the action.
        quota: counts photos of those without the key.
        key: the registry key; its holders and the namespace's owner are not counted.
        per_minute: photos a minute for strangers; 0: none without the key.
    """

    whisk: Whisk
    quota: Quota
    key: str = ""
    per_minute: int = DEFAULT_QUOTA
    now: Callable[[], int] = clock.now_ms


def read(reader: Reader, request: web.Request) -> web.Result:
    """Has one photo read; the answer is the action's own, a refusal is a 422 with its `code`."""
    try:
        values = web.json_object(request.body, limit=MAX_BODY_BYTES)
        _check(values)
    except web.BadBody as error:
        return web.problem(413 if len(request.body) > MAX_BODY_BYTES else 400, str(error))
    except ReportError as error:
        return web.problem(error.status, str(error), field=error.field, reason=error.reason)
    if (refusal := _over_quota(reader, request)) is not None:
        return refusal
    try:
        invoked = reader.whisk.invoke(reader.whisk.sibling("plates"), values)
    except WhiskUnavailable as error:
        return web.answer(503, {"error": str(error), "code": "not-running"}, {"retry-after": "10"})
    return _answer(invoked)


def _check(values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in READS:
            raise ReportError(name[:80], None, f"is unknown, there are {', '.join(READS)}")
    report_fields.read(values, now=0)


def _over_quota(reader: Reader, request: web.Request) -> web.Result | None:
    if web.may_write(request, key=reader.key):
        return None
    if reader.per_minute == 0:
        return web.problem(401, "reading photos needs the namespace owner's Basic auth or the registry key in X-HoRT-Key")
    now = reader.now()
    if reader.quota.count(now // MINUTE_MS) <= reader.per_minute:
        return None
    wait = str(60 - now // 1000 % 60)
    text = f"{reader.per_minute} photos a minute are read for everybody together: try again in {wait} s, or send the key"
    return web.answer(TOO_MANY, {"error": text, "code": "quota"}, {"retry-after": wait})


def _answer(invoked: Invoked) -> web.Result:
    if invoked.ok:
        return web.answer(200, invoked.result)
    error = invoked.result.get("error")
    if isinstance(error, Mapping) and "code" in error:
        busy = error["code"] == "busy"
        return web.problem(503 if busy else 422, str(error.get("message", "")), **{name: error.get(name) for name in ("code", "field", "reason")})
    if invoked.status == 429:
        return web.answer(429, {"error": "OpenWhisk runs too much at the moment: try again in a minute", "code": "throttled"}, {"retry-after": "60"})
    if invoked.status == 202:
        return web.problem(504, "the plate reader took more than a minute", code="too-slow")
    return web.answer(503, {"error": STARTING, "code": "not-running"}, {"retry-after": "10"})


def answer(args: dict[str, Any], *, folder: Path) -> web.Result:
    """The action: the page by GET, `/read` by POST."""
    request = web.request(args)
    match (request.method, request.path):
        case ("GET" | "HEAD", ()):
            html, headers = page.assemble(folder, styles=STYLES, scripts=SCRIPTS)
            return {"statusCode": 200, "headers": headers, "body": html}
        case ("POST", ("read",)):
            return _read(request, action.strip(args))
        case (_, ()) | (_, ("read",)):
            return web.problem(405, "the page is read with GET, photos go to /read with POST")
    return web.problem(404, "there is nothing here; the page is at the root, photos go to /read")


def _read(request: web.Request, params: dict[str, Any]) -> web.Result:
    from hort import namespace

    try:
        client = store.connect(params)
        reader = Reader(
            whisk=namespace.of_this_action(params),
            quota=RedisQuota(client),
            key=config.text(params, "registry_key", default=""),
            per_minute=config.integer(params, "photos_per_minute", default=DEFAULT_QUOTA, maximum=10_000),
        )
        result = read(reader, request)
        if result["statusCode"] == TOO_MANY:
            RedisCounters(client).add({"plates.too-many": 1})
        return result
    except ConfigError as error:
        return web.problem(500, f"this action is not set up: {error}")
    except RedisError as error:
        return web.answer(503, {"error": f"Redis does not answer: {type(error).__name__}"}, {"retry-after": "10"})
