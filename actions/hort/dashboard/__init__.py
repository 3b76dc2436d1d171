"""The dashboard's data: one answer from Elasticsearch and Redis in which each part fails on its own; what is not known is None."""

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
NO_LINES = panels.lines({})


def collect(view: View, *, search: Searcher, state: State, now: int) -> Panel:
    """Everything the page shows, and `errors` by part for what could not be read."""
    errors: dict[str, str] = {}
    part = _Parts(errors)
    found: Panel = {
        "now": now,
        **(part("counters", state.counters) or dict.fromkeys(("counters", "trouble"))),
        "feeds": part("feeds", lambda: state.feeds(now=now)),
        "registry": part("registry", lambda: state.models(now=now)),
    }
    found |= _searched(view, search, now, errors)
    return {**found, "errors": errors}


def _searched(view: View, search: Searcher, now: int, errors: dict[str, str]) -> Panel:
    """The parts from Elasticsearch; when it is down none of them is known and one error says so."""
    answers = _run(search, queries.overview(view, now=now), errors)
    windows = _known(panels.type_windows, answers["type_windows"])
    found = _known(panels.streams, answers["types"], answers["type_windows"])
    view = _with_field(panels.chosen(view, found or []), windows or [], search, now, errors)
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
        "lines": None if found is None else _lines(view, search, now, errors),
        "rate": _known(lambda answer: panels.rate(answer, step_s=view.rate_step_s), answers["rate"]),
        "models": _known(panels.models, answers["models"]),
        "anomalies": _known(panels.anomalies, answers["anomalies"]),
        "alarms": _known(panels.alarms, answers["alarms"]),
        "dead_letters": _known(panels.dead_letters, answers["dead"]),
    }


def _lines(view: View, search: Searcher, now: int, errors: dict[str, str]) -> Panel | None:
    """The values over time; where no field is chosen there are none."""
    if not (view.device_type and view.field):
        return NO_LINES
    lines: Panel | None = _known(panels.lines, _run(search, {"series": queries.series(view, now=now)}, errors)["series"])
    if lines is None:
        return None
    ids = [device["id"] for device in lines["devices"]]
    if ids:
        latest = {"records": queries.latest_records(view, ids, now=now)}
        names = _known(panels.labels, _run(search, latest, errors)["records"]) or {}
        lines["devices"] = [{**device, "record": names.get(device["id"])} for device in lines["devices"]]
    return lines


def _with_field(view: View, windows: list[Panel], search: Searcher, now: int, errors: dict[str, str]) -> View:
    """The view with the liveliest field where it names none."""
    fields: Panel = next((row["fields"] for row in windows if row["device_type"] == view.device_type), {})
    if view.field or not fields:
        return view
    wanted = {"activity": queries.activity(view, list(fields), now=now)}
    return replace(view, field=panels.liveliest(fields, _run(search, wanted, errors)["activity"] or {}))


def _run(search: Searcher, wanted: dict[str, queries.Search], errors: dict[str, str]) -> dict[str, panels.Answer | None]:
    """The answer of each search; None where it failed."""
    try:
        answers = search(list(wanted.values()))
    except SearchFailed as error:
        errors["elasticsearch"] = str(error)
        return dict.fromkeys(wanted)
    result: dict[str, panels.Answer | None] = dict(zip(wanted, answers, strict=True))
    for name, answer in zip(wanted, answers, strict=True):
        if reason := answer.get("failed"):
            errors[name] = str(reason)
            result[name] = None
    return result


def _known(make: Callable[..., Any], *answers: panels.Answer | None) -> Any:
    """The panel of some answers; None where one of them is not known."""
    return None if None in answers else make(*answers)


class _Parts:
    """Runs the parts from Redis; one that fails leaves its message. Where Redis did not answer one it is not asked for the others."""

    def __init__(self, errors: dict[str, str]) -> None:
        self._errors = errors
        self._away = ""

    def __call__(self, name: str, read: Callable[[], Any]) -> Any:
        try:
            if not self._away:
                return read()
        except redis.RedisError as error:
            self._away = f"Redis does not answer ({type(error).__name__})"
        except (ValueError, KeyError, TypeError) as error:
            self._errors[name] = f"Redis holds what cannot be read ({type(error).__name__})"
            return None
        self._errors[name] = self._away
        return None
