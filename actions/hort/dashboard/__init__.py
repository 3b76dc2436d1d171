"""The dashboard's data: one answer from Elasticsearch and Redis in which each part fails on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import redis

from hort.dashboard import panels, queries
from hort.dashboard.search import Searcher, SearchFailed
from hort.dashboard.state import State
from hort.dashboard.view import View

Panel = dict[str, Any]


def collect(view: View, *, search: Searcher, state: State, now: int) -> Panel:
    """Everything the page shows, and `errors` by part for what could not be read."""
    errors: dict[str, str] = {}
    part = _Parts(errors)
    found: Panel = {
        "now": now,
        **part("counters", state.counters, {"counters": {}, "trouble": []}),
        "feeds": part("feeds", lambda: state.feeds(now=now), []),
        "registry": part("registry", lambda: state.models(now=now), {"rows": []}),
    }
    found |= _searched(view, search, now, errors)
    return {**found, "errors": errors}


def _searched(view: View, search: Searcher, now: int, errors: dict[str, str]) -> Panel:
    """The parts from Elasticsearch; when it is down each of them is empty and one error says so."""
    answers = _run(search, queries.overview(view, now=now), errors)
    windows = panels.type_windows(answers["type_windows"])
    found = panels.streams(answers["types"], answers["type_windows"])
    view = _with_field(panels.chosen(view, found), windows, search, now, errors)
    lines = panels.lines({})
    if view.device_type and view.field and "elasticsearch" not in errors:
        lines = panels.lines(_run(search, {"series": queries.series(view, now=now)}, errors)["series"])
    ids = [device["id"] for device in lines["devices"]]
    if ids:
        latest = {"records": queries.latest_records(view, ids, now=now)}
        names = panels.labels(_run(search, latest, errors)["records"])
        lines["devices"] = [{**device, "record": names.get(device["id"])} for device in lines["devices"]]
    return {
        "view": {
            "type": view.device_type,
            "event": view.event,
            "field": view.field,
            "stat": view.stat,
            "minutes": view.minutes,
            "devices": list(view.devices),
        },
        "streams": found,
        "windows": windows,
        "lines": lines,
        "rate": panels.rate(answers["rate"], step_s=view.rate_step_s),
        "models": panels.models(answers["models"]),
        "anomalies": panels.anomalies(answers["anomalies"]),
        "alarms": panels.alarms(answers["alarms"]),
        "dead_letters": panels.dead_letters(answers["dead"]),
    }


def _with_field(view: View, windows: list[Panel], search: Searcher, now: int, errors: dict[str, str]) -> View:
    """The view with the liveliest field where it names none."""
    fields: Panel = next((row["fields"] for row in windows if row["device_type"] == view.device_type), {})
    if view.field or not fields:
        return view
    wanted = {"activity": queries.activity(view, list(fields), now=now)}
    return replace(view, field=panels.liveliest(fields, _run(search, wanted, errors)["activity"]))


def _run(
    search: Searcher, wanted: dict[str, queries.Search], errors: dict[str, str]
) -> dict[str, panels.Answer]:
    """The answer of each search; an empty one where it failed."""
    try:
        answers = search(list(wanted.values()))
    except SearchFailed as error:
        errors["elasticsearch"] = str(error)
        return {name: {} for name in wanted}
    result = dict(zip(wanted, answers, strict=True))
    for name, answer in result.items():
        if reason := answer.get("failed"):
            errors[name] = str(reason)
        elif answer.get("timed_out"):
            errors[name] = "Elasticsearch took too long, this part is not complete"
    return result


class _Parts:
    """Runs the parts from Redis; one that fails leaves its message and its default."""

    def __init__(self, errors: dict[str, str]) -> None:
        self._errors = errors

    def __call__(self, name: str, read: Callable[[], Any], default: Any) -> Any:
        try:
            return read()
        except (redis.RedisError, ValueError, KeyError, TypeError) as error:
            what = (
                "Redis does not answer"
                if isinstance(error, redis.RedisError)
                else "Redis holds what cannot be read"
            )
            self._errors[name] = f"{what} ({type(error).__name__})"
            return default
