"""Searching Elasticsearch, several searches in one call, each failing on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from elasticsearch import ApiError, Elasticsearch, TransportError

from hort import config, elastic, urls
from hort.dashboard.queries import Search
from hort.errors import HortError

REQUEST_TIMEOUT_S = 8.0
MAX_REASON = 200
NOT_MADE = "index_not_found_exception"
"""Of an index that is made with its first document: until then nothing is in it, which is known. One that is closed holds some."""

Searcher = Callable[[Sequence[Search]], list[dict[str, Any]]]
"""Answers in the order of the searches; one that failed, or found a part only, is `{"failed": reason}`."""


class SearchFailed(HortError):
    """Elasticsearch did not answer at all."""

    code = "search"


def searcher(params: Mapping[str, Any]) -> Searcher:
    """The searches of the server that `hort.elastic` connects to, indices with `index_prefix` before their names."""
    client = elastic.connect(params).client.options(request_timeout=REQUEST_TIMEOUT_S)
    prefix = config.text(params, "index_prefix", default="")
    return lambda searches: _msearch(client, prefix, searches)


def _msearch(client: Elasticsearch, prefix: str, searches: Sequence[Search]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for index, body in searches:
        lines += [{"index": prefix + index}, body]
    try:
        answers = client.msearch(searches=lines)["responses"]
    except ApiError as error:
        raise SearchFailed(f"Elasticsearch refused the searches (status {error.status_code})") from error
    except TransportError as error:
        raise SearchFailed(f"Elasticsearch does not answer ({type(error).__name__})") from error
    return [_answer(answer) for answer in answers]


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    """One search's answer; `failed` also where it is not the whole one: a part of the documents looks like all of them."""
    error = answer.get("error")
    if error is not None:
        return {} if error.get("type") == NOT_MADE else {"failed": _reason(error)}
    if answer.get("timed_out"):
        return {"failed": "Elasticsearch took too long"}
    shards = answer.get("_shards", {})
    if shards.get("failed"):
        return {"failed": f"{shards['failed']} of {shards.get('total')} shards do not answer"}
    return answer


def _reason(error: dict[str, Any]) -> str:
    causes = error.get("root_cause") or [error]
    return urls.without_addresses(str(causes[0].get("reason") or error.get("type"))[:MAX_REASON])
