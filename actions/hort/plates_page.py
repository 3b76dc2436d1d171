"""The plates page as a web action: the page at its root, and `/read`, which has a photo read by the action `plates`.

The page reads photos for strangers too, up to a number a minute, since each costs about a second of a processor; whoever has
the key is not counted. Photos go to the action as parameters and are kept nowhere, and strangers cannot have addresses
downloaded: they may only send photos.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hort import config, page, quota, report_fields, store, urls, web
from hort.counters import RedisCounters
from hort.errors import ReportError, WhiskUnavailable
from hort.namespace import Invoked
from hort.quota import Quota

STYLES = ("page.css",)
SCRIPTS = ("strip.js", "shrink.js", "photo.js", "result.js", "ask.js", "report.js", "page.js")
DEFAULT_QUOTA = 20
READS = ("image", *report_fields.READING)
MAX_BODY_BYTES = 1_048_576
MAX_SAID = 200
BUSY_RETRY_S = 5

STARTING = "The plate reader does not answer. Where it was started just now it may still be being built, which takes minutes once."
"""Said when OpenWhisk could not run the action."""


class Whisk(Protocol):
    """What is asked of OpenWhisk, see `hort.namespace.Namespace`."""

    def sibling(self, action: str) -> str:
        """`package/action` beside the one that runs."""

    def invoke(self, action: str, params: Mapping[str, Any]) -> Invoked:
        """Invokes an action and waits for its result."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads photos for the page.

    Args:
        whisk: runs the action.
        quota: the photos a minute of those without the key; none where it is 0.
        key: the registry key; its holders and the namespace's owner are not counted.
    """

    whisk: Whisk
    quota: Quota
    key: str = ""


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
        return web.refusal(503, str(error), retry_s=web.RETRY_S, code="not-running")
    return _answer(invoked)


def _check(values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in READS:
            raise ReportError(name[:80], None, f"is unknown, there are {', '.join(READS)}")
    report_fields.read(values, now=0)


def _over_quota(reader: Reader, request: web.Request) -> web.Result | None:
    if web.may_write(request, key=reader.key):
        return None
    most = reader.quota.per_minute
    if most == 0:
        return web.problem(401, "reading photos needs the namespace owner's Basic auth or the registry key in X-HoRT-Key")
    wait_s = reader.quota.wait_s()
    if not wait_s:
        return None
    text = f"{most} photos a minute are read for everybody together: try again in {wait_s} s, or send the key"
    return web.refusal(page.TOO_MANY, text, retry_s=wait_s, code="quota")


def _answer(invoked: Invoked) -> web.Result:
    if invoked.ok:
        return web.answer(200, invoked.result)
    error = invoked.result.get("error")
    if isinstance(error, Mapping) and "code" in error:
        facts = {name: error.get(name) for name in ("code", "field", "reason")}
        if error["code"] == "busy":
            return web.refusal(503, str(error.get("message", "")), retry_s=BUSY_RETRY_S, **facts)
        return web.problem(422, str(error.get("message", "")), **facts)
    if invoked.status == 429:
        return web.refusal(page.TOO_MANY, "OpenWhisk runs too much at the moment: try again in a minute", retry_s=60, code="throttled")
    if invoked.status == 202:
        return web.problem(504, "the plate reader took more than a minute", code="too-slow")
    said = urls.without_addresses(error)[:MAX_SAID] if isinstance(error, str) else ""
    return web.refusal(503, f"{STARTING} OpenWhisk says: {said}" if said else STARTING, retry_s=web.RETRY_S, code="not-running")


def answer(args: dict[str, Any], *, folder: Path) -> web.Result:
    """The action: the page by GET, `/read` by POST."""
    return web.served(args, lambda request, settings: _served(request, settings, folder), away=store.AWAY)


def _served(request: web.Request, settings: web.Settings, folder: Path) -> web.Result:
    match (request.method, request.path):
        case ("GET" | "HEAD", ()):
            if wait_s := quota.reader_waits_s(request, settings, "plates-page"):
                return page.waiting(wait_s)
            html, headers = page.assemble(folder, styles=STYLES, scripts=SCRIPTS)
            return {"statusCode": 200, "headers": headers, "body": html}
        case ("POST", ("read",)):
            return _read(request, settings)
        case (_, ()) | (_, ("read",)):
            return web.problem(405, "the page is read with GET, photos go to /read with POST")
    return web.problem(404, "there is nothing here; the page is at the root, photos go to /read")


def photos_per_minute(settings: config.Params) -> int:
    """Return the share of strangers' photos; ConfigError names a value that is none."""
    return config.integer(settings, "photos_per_minute", default=DEFAULT_QUOTA, maximum=quota.MAX_PER_MINUTE)


def _read(request: web.Request, settings: web.Settings) -> web.Result:
    from hort import namespace

    client = store.looked_at(settings)
    most = photos_per_minute(settings)
    photos = Quota(quota.redis_counts(client), "photos", most)
    result = read(Reader(namespace.of_this_action(settings), photos, config.header_text(settings, "registry_key")), request)
    if result["statusCode"] == page.TOO_MANY:
        RedisCounters(client).add({"plates.too-many": 1})
    return result
