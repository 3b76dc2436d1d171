"""Pure alarm semantics: what may be asked for, and when a registration is due next.

A registration is a JSON object with the names the real service keeps: apikey, name, namespace, payload, maxTriggers,
status, and cron, timezone, strict | minutes | date, deleteAfterFire, and startDate, stopDate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localwhisk.alarms import cron, dates, texts
from localwhisk.alarms.errors import AlarmError
from localwhisk.alarms.texts import Kind

Registration = dict[str, Any]
Params = Mapping[str, Any]

UNLIMITED = -1


def create(kind: Kind, params: Params, *, now_ms: int, five_fields_only: bool = False) -> Registration:
    """Check the parameters of a CREATE and make the registration of them; raises AlarmError."""
    made: Registration = {
        "payload": payload(params.get("trigger_payload") or {}),
        "maxTriggers": _max_triggers(params),
    }
    if kind == "once":
        return made | _once(params, now_ms=now_ms, required=True)
    if kind == "interval":
        made |= _interval(params, required=True)
    else:
        made |= _cron(params, now_ms=now_ms, five_fields_only=five_fields_only)
    made |= _start(kind, params, now_ms=now_ms)
    if params.get("stopDate"):
        if params.get("maxTriggers"):
            raise AlarmError(texts.MAX_WITH_INTERVAL if kind == "interval" else texts.MAX_WITH_STOP)
        made["stopDate"] = _date("stopDate", params["stopDate"], now_ms=now_ms, start=made.get("startDate"))
        if next_fire(made, now_ms) is None:
            raise AlarmError(texts.FIRST_AFTER_STOP)
    return made


def update(old: Registration, params: Params, *, now_ms: int, five_fields_only: bool = False) -> Registration:
    """Check the parameters of an UPDATE and give the changes; raises AlarmError."""
    changes: Registration = {}
    if params.get("trigger_payload"):
        changes["payload"] = payload(params["trigger_payload"])
    if old.get("date"):
        changes |= _once(params, now_ms=now_ms, required=False)
    else:
        if old.get("minutes"):
            changes |= _interval(params, required=False)
        else:
            changes |= _cron_changes(old, params, now_ms=now_ms, five_fields_only=five_fields_only)
        changes |= _date_changes(old, params, now_ms=now_ms)
    if not changes:
        raise AlarmError(texts.NOTHING_TO_UPDATE)
    return changes


def payload(value: object) -> dict[str, Any]:
    """Bring a trigger_payload into the form that is fired: a text becomes {"payload": text}."""
    if isinstance(value, str):
        return {"payload": value}
    if isinstance(value, dict):
        return value
    raise AlarmError(texts.BAD_PAYLOAD)


def _max_triggers(params: Params) -> int:
    value = params.get("maxTriggers") or UNLIMITED
    if isinstance(value, str) and value.strip().lstrip("-").isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise AlarmError("the maxTriggers parameter must be an integer")
    return value


def _once(params: Params, *, now_ms: int, required: bool) -> Registration:
    made: Registration = {}
    if params.get("date"):
        made["date"] = _date("date", params["date"], now_ms=now_ms)
    elif required:
        raise AlarmError(texts.NO_DATE)
    if params.get("deleteAfterFire"):
        chosen = str(params["deleteAfterFire"]).strip().lower()
        if chosen not in texts.DELETE_AFTER_FIRE:
            raise AlarmError(texts.BAD_DELETE_AFTER_FIRE)
        made["deleteAfterFire"] = chosen
    return made


def _interval(params: Params, *, required: bool) -> Registration:
    value = params.get("minutes")
    if not value:
        if required:
            raise AlarmError(texts.NO_MINUTES)
        return {}
    try:
        number = None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = None
    if number is None or not number.is_integer():
        raise AlarmError(texts.MINUTES_NOT_INTEGER)
    if number <= 0:
        raise AlarmError(texts.MINUTES_NOT_POSITIVE)
    return {"minutes": int(number)}


def _cron(params: Params, *, now_ms: int, five_fields_only: bool) -> Registration:
    if not params.get("cron"):
        raise AlarmError(texts.NO_CRON)
    cron.check(
        params["cron"], params.get("timezone") or None, now_ms=now_ms, five_fields_only=five_fields_only
    )
    given = {name: params.get(name) for name in ("cron", "timezone", "strict")}
    return {name: value for name, value in given.items() if value is not None}


def _cron_changes(old: Registration, params: Params, *, now_ms: int, five_fields_only: bool) -> Registration:
    changes: Registration = {name: params[name] for name in ("cron", "timezone") if params.get(name)}
    if changes:
        merged = {**old, **changes}
        limited = five_fields_only and "cron" in changes
        cron.check(merged["cron"], merged.get("timezone"), now_ms=now_ms, five_fields_only=limited)
    if params.get("strict") is not None:
        changes["strict"] = params["strict"]
    return changes


def _start(kind: Kind, params: Params, *, now_ms: int) -> Registration:
    if params.get("startDate"):
        return {"startDate": _date("startDate", params["startDate"], now_ms=now_ms)}
    return {"startDate": now_ms + texts.START_DELAY_MS} if kind == "interval" else {}


def _date_changes(old: Registration, params: Params, *, now_ms: int) -> Registration:
    changes: Registration = {}
    start = params.get("startDate")
    if start:
        changes["startDate"] = _date("startDate", start, now_ms=now_ms)
    if params.get("stopDate"):
        begins = start or old.get("startDate")
        changes["stopDate"] = _date("stopDate", params["stopDate"], now_ms=now_ms, start=begins)
    elif start and old.get("stopDate") and _ms(start) >= _ms(old["stopDate"]):
        raise AlarmError(texts.start_not_before_stop(start, old["stopDate"]))
    return changes


def _date(name: str, value: object, *, now_ms: int, start: object = None) -> object:
    """Check a date and give it back as it came, since READ shows it so."""
    when = dates.parse(value)
    if when is None:
        raise AlarmError(texts.bad_date(name, value))
    if when <= now_ms:
        raise AlarmError(texts.not_in_future(name, value))
    if start and when <= _ms(start):
        raise AlarmError(texts.not_after_start(name, value, start))
    return value


def _ms(value: object) -> int:
    return dates.parse(value) or 0


def next_fire(
    registration: Registration, after_ms: int, *, delay_limit_s: int = 0, begun: bool = False
) -> int | None:
    """Compute the epoch millisecond of the first fire strictly after `after_ms`; None when there is none.

    Ticks lie on the wall clock (cron) or on the grid that startDate begins (interval), so late firing never shifts them.
    Where the alarm has `begun`, startDate only places the grid: a clock that was set back does not make it begin again.
    """
    if registration.get("date"):
        due: int | None = _ms(registration["date"])
        return due if due is not None and due > after_ms else None
    start = _ms(registration["startDate"]) if registration.get("startDate") else None
    if registration.get("minutes"):
        due = _next_interval(registration["minutes"] * 60_000, start or 0, after_ms, begun=begun)
    else:
        begin = after_ms if start is None or begun else max(after_ms, start - 1)
        second = spread_second(registration, delay_limit_s)
        due = cron.next_after(registration["cron"], registration.get("timezone"), begin, second=second)
    stop = registration.get("stopDate")
    return None if stop and due > _ms(stop) else due


def _next_interval(step: int, start: int, after_ms: int, *, begun: bool) -> int:
    return start if after_ms < start and not begun else start + ((after_ms - start) // step + 1) * step


def spread_second(registration: Registration, limit_s: int) -> int:
    """Choose the second of a five-field alarm that is not strict, by the trigger's name, 0 to `limit_s`."""
    if limit_s <= 0 or str(registration.get("strict", "")).lower() == "true":
        return 0
    hashed = 0
    for char in registration.get("name", ""):
        hashed = ((hashed << 5) - hashed + ord(char)) & 0xFFFFFFFF
    signed = hashed - (1 << 32) if hashed >= 1 << 31 else hashed
    return abs(signed) % (limit_s + 1)
