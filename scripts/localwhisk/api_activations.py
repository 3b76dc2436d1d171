"""Activations: list, record, logs, result."""

from __future__ import annotations

import re

from localwhisk import messages, names
from localwhisk.access import require_owner
from localwhisk.activations import ID_LENGTH, Query
from localwhisk.api import ApiCall, Page
from localwhisk.errors import ApiError, missing, rejected, route_not_found
from localwhisk.http import Request, Response, integer, json_bytes, json_value

COLLECTION = "activations"
_ID = re.compile(r"[0-9a-f]{32}\Z")
_MAX_PARTS = 2


async def list_all(call: ApiCall) -> Response:
    """GET activations: newest first, by name and time, as summaries or full records."""
    require_owner(call.identity, call.namespace)
    page = Page.read(call.request, COLLECTION, call.engine.limits)
    docs = call.request.flag("docs")
    query = Query(
        namespace=call.namespace,
        name=_filter(call.request),
        since=_epoch(call.request, "since"),
        upto=_epoch(call.request, "upto"),
        limit=page.limit,
        skip=page.skip,
    )
    if page.count and docs:
        raise ApiError(400, messages.DOCS_WITH_COUNT)
    if page.count:
        return json_value({COLLECTION: call.engine.activations.count(query)})
    found = call.engine.activations
    return json_bytes(found.documents(query) if docs else found.summaries(query))


async def get(call: ApiCall) -> Response:
    """GET activations/<id>[/logs|/result]."""
    activation_id = check_id(call.rest[0])
    require_owner(call.identity, call.namespace)
    part = call.rest[1] if len(call.rest) > 1 else ""
    found = call.engine.activations
    if part == "":
        body = found.document(call.namespace, activation_id)
    elif part == "result":
        body = found.member(call.namespace, activation_id, "response")
    elif part == "logs":
        logs = found.member(call.namespace, activation_id, "logs")
        body = None if logs is None else b'{"logs":' + logs + b"}"
    else:
        raise route_not_found()
    if body is None:
        raise missing()
    return json_bytes(body)


def check_id(text: str) -> str:
    """An activation id of a path; raises 400."""
    if len(text) != ID_LENGTH:
        raise rejected(400, messages.activation_id_length(len(text)))
    if not _ID.match(text):
        raise rejected(400, messages.ACTIVATION_ID_ILLEGAL)
    return text


def _filter(request: Request) -> str | None:
    """The `name` to look for: 'action' or 'package/action'."""
    value = request.parameter("name")
    if value is None or not value.strip():
        return None
    try:
        parts = names.path_parts(value)
    except ValueError:
        parts = []
    if not 0 < len(parts) <= _MAX_PARTS:
        raise rejected(400, messages.query_malformed("name", messages.activation_name_malformed(value)))
    return "/".join(part for part in parts if part != names.DEFAULT_PACKAGE)


def _epoch(request: Request, name: str) -> int | None:
    value = request.parameter(name)
    if value is None:
        return None
    number = integer(value, bits=64)
    if number is None:
        raise rejected(400, messages.query_malformed(name, messages.not_epoch(value)))
    return number
