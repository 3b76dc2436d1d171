"""Texts, names and numbers of the alarm package, as users of the real one know them."""

from __future__ import annotations

from typing import Final, Literal

Kind = Literal["alarm", "once", "interval"]

RETRIES: Final = 10
RETRY_DELAY_S: Final = 1.0
START_DELAY_MS: Final = 30_000
"""An interval without startDate begins this much later, as startDate has to lie in the future."""

DELETE_AFTER_FIRE: Final = ("false", "true", "rules")

NO_TRIGGER: Final = "no trigger name parameter was provided"
NO_DATE: Final = "alarms once trigger feed is missing the date parameter"
NO_MINUTES: Final = "interval trigger feed is missing the minutes parameter"
NO_CRON: Final = "alarms trigger feed is missing the cron parameter"
MINUTES_NOT_INTEGER: Final = "the minutes parameter must be an integer"
MINUTES_NOT_POSITIVE: Final = "the minutes parameter must be an integer greater than zero"
BAD_DELETE_AFTER_FIRE: Final = "deleteAfterFire parameter must be one of [false, true, rules]."
ONLY_FIVE_FIELDS: Final = "cron pattern is limited to 5 fields with 1 minute as the finest granularity"
BAD_TIMEZONE: Final = "Invalid timezone."
BAD_PAYLOAD: Final = "the trigger_payload parameter must be an object or a string"
MAX_WITH_STOP: Final = "maxTriggers is not allowed when the stopDate parameter is specified"
MAX_WITH_INTERVAL: Final = "maxTriggers is not supported for the interval trigger feed"
FIRST_AFTER_STOP: Final = "the first scheduled trigger fire is not until after the stop date"
NOTHING_TO_UPDATE: Final = "no updatable parameters were specified"
UNSUPPORTED_EVENT: Final = "unsupported lifecycleEvent"
AUTH_FAILED: Final = "Trigger authentication request failed."

FIRED_ONCE: Final = "Automatically disabled after firing once"
ONCE_EXPIRED: Final = "the fire once date has expired"
STOP_EXPIRED: Final = "the stop date has expired"
NEXT_AFTER_STOP: Final = "the next scheduled trigger fire is after the stop date"
LAST_CRON: Final = "Automatically disabled after firing last scheduled cron trigger"
LAST_INTERVAL: Final = "Automatically disabled after firing last scheduled interval trigger"
MAX_REACHED: Final = "Automatically disabled after reaching max triggers"
THROTTLED: Final = (
    "Automatically disabled after continuously receiving a 429 status code when firing the trigger"
)
PAUSED: Final = "Paused by its owner"


def bad_cron(pattern: object) -> str:
    """Refuse a pattern."""
    return f"cron pattern '{pattern}' is not valid"


def bad_date(name: str, value: object) -> str:
    """Refuse what is no date."""
    return f"{name} parameter '{value}' is not a valid Date"


def not_in_future(name: str, value: object) -> str:
    """Refuse a date that has passed."""
    return f"{name} parameter '{value}' must be in the future"


def not_after_start(name: str, value: object, start: object) -> str:
    """Refuse a stop before the start."""
    return f"{name} parameter '{value}' must be greater than the startDate parameter '{start}'"


def start_not_before_stop(start: object, stop: object) -> str:
    """Refuse a new start behind the stop that is set."""
    return f"startDate parameter '{start}' must be less than the stopDate parameter '{stop}'"


def disabled_by_admin(trigger: str) -> str:
    """Refuse to update what an operator disabled."""
    return (
        f"{trigger} cannot be updated because it was disabled by an admin.  "
        "Please contact support for further assistance"
    )


def not_found(namespace: str, name: str) -> str:
    """Say that there is no such alarm."""
    return f"could not find trigger /{namespace}/{name} in the database"


def refused(status: int) -> str:
    """Give the reason for disabling after an answer that will not get better."""
    return f"Trigger automatically disabled: Received a {status} status code when firing the trigger"
