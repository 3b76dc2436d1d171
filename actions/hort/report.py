"""Reports over HTTP: one is taken, its photo kept for a moment, the trigger fired; later its document can be read."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hort import action, clock, config, fires, keys, redaction, report_fields, seal, store, urls, web
from hort.errors import AddressRefused, ReportError, SinkUnavailable, WhiskUnavailable
from hort.report_fields import Report
from hort.report_store import PHOTO_S, Known, RedisReports, Reports

TRIGGER, SEQUENCE = "photo-submitted", "recognize"
MAX_BODY_BYTES = 1_048_576
METHODS = "POST, GET"

_NEEDS_KEY = "reports need the namespace owner's Basic auth or the registry key in X-HoRT-Key"


class Whisk(Protocol):
    """What is asked of OpenWhisk, see `hort.namespace.Namespace`."""

    def web_path(self) -> str:
        """Path of this action as a web action."""

    def fire(self, trigger: str, payload: Mapping[str, Any]) -> str:
        """Fires a trigger; the activation's id. WhiskUnavailable unless an active rule took it."""

    def activation(self, activation_id: str) -> dict[str, Any]:
        """An activation's record; empty where there is none (yet)."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where reports are handed in.

    Args:
        reports: what is under way.
        whisk: fires the trigger.
        find: the stored document of a report, or None.
        key: the secret that allows reports besides the owner's.
        policy: which addresses a report's `url` may have.
    """

    reports: Reports
    whisk: Whisk
    find: Callable[[str], dict[str, Any] | None]
    key: str = ""
    policy: urls.Policy = urls.PUBLIC
    now: Callable[[], int] = clock.now_ms
    resolver: urls.Resolver = urls.system_resolver


def handle(desk: Desk, request: web.Request) -> web.Result:
    """The answer to one request to the web action."""
    if request.method not in {"GET", "HEAD", "POST"}:
        return web.answer(405, {"error": f"{request.method} is not supported, {METHODS} are"}, {"allow": METHODS})
    if not web.may_write(request, key=desk.key):
        return web.problem(401, _NEEDS_KEY)
    try:
        if request.method != "POST":
            return _look_up(desk, request.path)
        if request.path:
            return web.problem(404, "a report is posted to the action itself, without a path")
        return _take(desk, web.json_object(request.body, limit=MAX_BODY_BYTES))
    except web.BadBody as error:
        return web.problem(413 if len(request.body) > MAX_BODY_BYTES else 400, str(error))
    except ReportError as error:
        return web.problem(error.status, str(error), field=error.field, reason=error.reason)
    except (WhiskUnavailable, SinkUnavailable) as error:
        return web.refusal(503, urls.without_addresses(str(error)), retry_s=web.RETRY_S)


def _take(desk: Desk, values: Mapping[str, Any]) -> web.Result:
    now = desk.now()
    report = report_fields.read(values, now=now)
    if report.url is not None:
        _check_address(desk, report.url)
    token, key = secrets.token_urlsafe(24), seal.new_key()
    sealed = seal.crossed(report.photo or (report.url or "").encode(), key)
    begun = desk.reports.begin(report.report_id, digest=report.digest(), token=token, photo=sealed)
    if begun == "other":
        raise ReportError("id", report.report_id, "names another report already", status=409)
    if begun == "starting":  # or a Redis that stood still took the note after its client had gone: nothing is promised yet
        return web.refusal(503, "this report is just being taken by another request", retry_s=web.RETRY_S)
    if begun == "new":
        try:
            activation = desk.whisk.fire(TRIGGER, _payload(report, token, key, now))
        except WhiskUnavailable:
            desk.reports.abandon(report.report_id)
            raise
        desk.reports.fired(report.report_id, activation)
    where = f"{desk.whisk.web_path()}/{report.report_id}"
    body = {"id": report.report_id, "status": "waiting" if begun == "new" else begun, "look_up": where, "index": "plates"}
    return web.answer(202, body, {"location": where})


def _check_address(desk: Desk, url: str) -> None:
    try:
        urls.resolve(url, desk.policy, resolver=desk.resolver)
    except AddressRefused as error:
        raise ReportError("url", urls.shown(url), f"is not allowed: {urls.without_addresses(error.reason)}") from error


def _payload(report: Report, token: str, key: str, now: int) -> dict[str, Any]:
    """What the trigger carries: facts, where photo or address are and what opens them; OpenWhisk keeps it in an activation record."""
    received = clock.iso(now)
    given_as = "url" if report.photo is None else "image"
    facts = {"time": received, **report.facts, "received_at": received, "given_as": given_as}
    return {**report.reading, "report": facts, "photo": keys.photo(token), "photo_key": key}


def _look_up(desk: Desk, path: tuple[str, ...]) -> web.Result:
    if len(path) != 1:
        return web.problem(404, "the path must be /<id of a report>")
    known = desk.reports.known(path[0])
    try:
        document = desk.find(path[0])
    except SinkUnavailable:
        if known is None or known.status == "stored":
            raise
        document = None  # an index that is just being made has no shard to ask yet
    again = known is not None and known.status != "stored" and document is not None and document.get("status") == "refused"
    if document is not None and not again:  # else it was refused before, and is being read again
        return web.answer(200, {"id": path[0], "status": "stored", "document": document})
    if known is None:
        return web.problem(404, f"report '{path[0][:80]}' is not known")
    if reason := _failure(desk, path[0], known):
        return web.answer(200, {"id": path[0], "status": "failed", "reason": reason})
    return web.answer(200, {"id": path[0], "status": known.status})


def _failure(desk: Desk, report_id: str, known: Known) -> str | None:
    """Why a report will not be stored; it is looked for in OpenWhisk's records as long as the report waits, then noted."""
    if known.status != "waiting":
        return known.reason or None
    try:
        reason = fires.failure(known.activation, SEQUENCE, desk.whisk.activation)
    except WhiskUnavailable:
        reason = None
    if reason is None and abs(desk.now() - known.fired_ms) > PHOTO_S * 1000:
        reason = f"nothing has read it within {PHOTO_S // 60} minutes, which is as long as a photo waits"
    if reason is not None:
        desk.reports.failed(report_id, fired_ms=known.fired_ms, reason=reason)
    return reason


def run(args: action.Args) -> web.Result:
    """The action: ports from what is bound, then one request."""
    return web.served(args, _served, away=store.AWAY)


def _served(request: web.Request, settings: web.Settings) -> web.Result:
    from hort import namespace

    redaction.of(settings)
    desk = Desk(
        reports=RedisReports(store.waited_for(settings, method=request.method)),
        whisk=namespace.of_this_action(settings),
        find=lambda report_id: _stored(settings, report_id),
        key=config.header_text(settings, "registry_key"),
        policy=urls.policy(settings),
    )
    return handle(desk, request)


def _stored(params: config.Params, report_id: str) -> dict[str, Any] | None:
    from hort import plate_index

    return plate_index.of(params).find(report_id)
