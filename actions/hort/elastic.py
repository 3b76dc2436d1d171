"""Elasticsearch 8 by its own client: one client a process and address; retries are the sink's business, not the client's."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import orjson
from elastic_transport import ApiResponse, TransportError
from elasticsearch import ApiError, Elasticsearch

from hort import config, watchdog
from hort.document_store import ItemError, RequestRefused, StoreBusy, TemplateState
from hort.errors import ConfigError, without_login

DEFAULT_URL = "http://127.0.0.1:9200"
_FORM = "must be an http or https address with its port, such as http://127.0.0.1:9200"
REQUEST_TIMEOUT_S = 20.0
CONNECTIONS = 4
REFUSED = frozenset({400, 413})
"""Statuses of a whole request that say its body is at fault; any other failure may pass."""

NOT_THERE = 404
HIDDEN = frozenset({401, 403, 404, 405})
"""Statuses that say that tasks cannot be seen from here."""

_ANY_ERRORS = "errors"
_ERRORS = "items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"
_TEMPLATE = "index_templates.name,index_templates.index_template.version,index_templates.index_template._meta.fields"
_ACCEPT = {"accept": "application/json"}
_JSON = {"accept": "application/json", "content-type": "application/json"}
_NDJSON = {"accept": "application/json", "content-type": "application/x-ndjson"}

T = TypeVar("T")
P = ParamSpec("P")


def _reads_answer(method: Callable[P, T]) -> Callable[P, T]:
    """Put off what reads an answer that has not the form of Elasticsearch's: it is a proxy's, and may be right the next time."""

    @wraps(method)
    def read(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise StoreBusy(f"what answered is no Elasticsearch: {type(error).__name__} in {method.__name__}") from error

    return read


def connect(params: config.Params) -> ElasticStore:
    """The store of parameter `elasticsearch_url` (several with commas), with `elasticsearch_api_key` or
    `elasticsearch_username` and `elasticsearch_password`, and `elasticsearch_ca` (a PEM file) where they are given.
    """
    urls = config.strings(params, "elasticsearch_url", default=[DEFAULT_URL])
    username, password, ca = (config.text(params, f"elasticsearch_{name}", default="") for name in ("username", "password", "ca"))
    api_key = config.header_text(params, "elasticsearch_api_key")
    _check(urls)
    if password and not username:
        raise ConfigError("elasticsearch_password", None, "must not be given without elasticsearch_username")
    if username and api_key:
        raise ConfigError(
            "elasticsearch_username", username, "must not be given beside elasticsearch_api_key"
        )
    return _store(urls, api_key, username, password, ca)


@lru_cache(maxsize=8)
def _store(urls: tuple[str, ...], api_key: str, username: str, password: str, ca: str) -> ElasticStore:
    options: dict[str, Any] = {}
    if api_key:
        options["api_key"] = api_key
    if username:
        options["basic_auth"] = base64.b64encode(f"{username}:{password}".encode()).decode()  # the client's own way takes ASCII only
    if ca:
        options["ca_certs"] = ca
    try:
        client = Elasticsearch(
            list(urls),
            request_timeout=REQUEST_TIMEOUT_S,
            connections_per_node=CONNECTIONS,
            max_retries=0,
            dead_node_backoff_factor=0.1,
            max_dead_node_backoff=1.0,
            **options,
        )
    except OSError as error:
        raise ConfigError("elasticsearch_ca", ca, f"cannot be used: {error}") from error
    except ValueError:  # its text repeats the address with what is secret in it
        raise ConfigError("elasticsearch_url", ", ".join(map(without_login, urls)), _FORM) from None
    return ElasticStore(client)


def _check(urls: Sequence[str]) -> None:
    for url in urls or ("",):
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError("elasticsearch_url", without_login(url), _FORM)


class ElasticStore:
    """Documents in Elasticsearch, see `hort.document_store.DocumentStore`."""

    def __init__(self, client: Elasticsearch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock

    @property
    def client(self) -> Elasticsearch:
        """The client itself, for those who search."""
        return self._client

    @_reads_answer
    def bulk(self, index: str, body: bytes, *, timeout_s: float = REQUEST_TIMEOUT_S, batch_id: str = "") -> list[ItemError]:
        """Post a bulk body as it is.

        Thousands of statuses cost more to read than the documents to send, so the first answer only says whether there
        were errors; if so the same body goes again, which changes nothing, and its answer says which. Both have `timeout_s`
        together.
        """
        began = self._clock()
        if not self._post(index, body, timeout_s, _ANY_ERRORS, batch_id)["errors"]:
            return []
        left = timeout_s - (self._clock() - began)
        if left <= 0:
            raise StoreBusy(f"there were errors, and no time of {timeout_s:g} s left to ask which")
        items = self._post(index, body, left, _ERRORS, batch_id)["items"]
        if len(items) != body.count(b"\n") // 2:
            raise StoreBusy("the answer to a bulk request does not tell of each document")
        return _item_errors(items)

    def _post(self, index: str, body: bytes, timeout_s: float, answer: str, batch_id: str = "") -> dict[str, Any]:
        """The answer of a bulk request; Elasticsearch is told to give up waiting (for a shard, an index) before we do."""
        client = self._client.options(request_timeout=timeout_s)
        params = {"filter_path": answer, "timeout": f"{max(1, int(timeout_s / 2))}s"}
        headers = {**_NDJSON, "x-opaque-id": _opaque_id(batch_id)} if batch_id else _NDJSON
        found = _carried_out(
            lambda: client.perform_request("POST", f"/{index}/_bulk", params=params, headers=headers, body=body)
        ).body
        if not isinstance(found, dict) or re.split("[.,]", answer)[0] not in found:
            raise StoreBusy("what answered to a bulk request is no Elasticsearch")
        return found

    @_reads_answer
    def under_way(self, batch_id: str) -> bool:
        """Whether a bulk task bears the batch's name; False where the user may not see tasks, or a proxy hides them."""
        client = self._client.options(request_timeout=REQUEST_TIMEOUT_S)
        params = {"actions": "indices:data/write/bulk*", "filter_path": "nodes.*.tasks.*.headers"}
        try:
            found = _carried_out(lambda: client.perform_request("GET", "/_tasks", params=params, headers=_ACCEPT)).body
        except RequestRefused:
            return False
        except StoreBusy as error:
            if error.status in HIDDEN:
                return False
            raise
        nodes = found.get("nodes", {}).values() if isinstance(found, dict) else ()
        tasks = (task for node in nodes for task in node.get("tasks", {}).values())
        return any(task["headers"].get("X-Opaque-Id") == _opaque_id(batch_id) for task in tasks)

    @_reads_answer
    def delete(self, index: str, ids: Sequence[str]) -> None:
        """Post a bulk body of deletions; StoreBusy where one of them failed."""
        body = b"".join(b'{"delete":{"_id":%b}}\n' % orjson.dumps(name) for name in ids)
        answer = self._post(index, body, REQUEST_TIMEOUT_S, f"{_ANY_ERRORS},{_ERRORS}")
        failed = [item for item in _item_errors(answer.get("items", [])) if item.status != NOT_THERE]
        if failed:
            raise StoreBusy(f"{failed[0].status} {failed[0].kind}")

    @_reads_answer
    def template_states(self, pattern: str) -> dict[str, TemplateState]:
        """Version and mapped fields of the index templates whose names match; one without a version has 0."""
        params = {"filter_path": _TEMPLATE}
        try:
            answer = _carried_out(
                lambda: self._client.perform_request("GET", f"/_index_template/{pattern}", params=params, headers=_ACCEPT)
            )
        except NotThere:
            return {}
        rows = answer.body.get("index_templates", []) if isinstance(answer.body, dict) else []
        return {row["name"]: _template_state(row["index_template"]) for row in rows}

    def put_template(self, name: str, body: Mapping[str, Any]) -> None:
        """Create or replace an index template."""
        _carried_out(
            lambda: self._client.perform_request(
                "PUT", f"/_index_template/{name}", headers=_JSON, body=dict(body)
            )
        )

    @_reads_answer
    def mapping(self, index: str) -> dict[str, Any] | None:
        """The mapping of the index, or of what an alias writes to; None where there is none."""
        try:
            answer = _carried_out(lambda: self._client.perform_request("GET", f"/{index}/_mapping", headers=_ACCEPT))
        except NotThere:
            return None
        mappings = [value["mappings"] for _, value in sorted(answer.body.items())]
        return mappings[-1] if mappings else None

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> None:
        """Add fields to the mapping of the index, or of what an alias writes to."""
        path, params = f"/{index}/_mapping", {"write_index_only": "true"}
        _carried_out(
            lambda: self._client.perform_request("PUT", path, params=params, headers=_JSON, body=dict(body))
        )


class NotThere(StoreBusy):
    """The store answered 404."""


def _opaque_id(batch_id: str) -> str:
    return f"hort-{batch_id}"


def _template_state(template: Mapping[str, Any]) -> TemplateState:
    return TemplateState(int(template.get("version") or 0), (template.get("_meta") or {}).get("fields") or {})


def _carried_out(call: Callable[[], ApiResponse[Any]]) -> ApiResponse[Any]:
    """The answer of a call; its failures as StoreBusy or RequestRefused, without addresses or credentials."""
    try:
        with watchdog.waiting():
            return call()
    except ApiError as error:
        kind, status = str(error.message)[:200], error.status_code
        if status in REFUSED:
            raise RequestRefused(status, kind, _reason(error.body)) from error
        failure = NotThere if status == NOT_THERE else StoreBusy
        raise failure(f"HTTP {status} {kind}", status=status) from error
    except TransportError as error:
        raise StoreBusy(f"{type(error).__name__}: {str(error.message)[:200]}") from error


def _reason(body: Any) -> str:
    """Why Elasticsearch refused a request, "" where the answer is not its own."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("reason", ""))[:200] if isinstance(error, dict) else ""


def _item_errors(items: list[dict[str, Any]]) -> list[ItemError]:
    found = []
    for position, item in enumerate(items):
        (entry,) = item.values()
        if "error" in entry:
            error = entry["error"]
            cause = (error.get("caused_by") or {}).get("reason")
            reason = (error.get("reason") or "") + (f" ({cause})" if cause else "")
            found.append(ItemError(position, entry["status"], error.get("type") or "", reason))
    return found
