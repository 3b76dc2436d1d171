"""What an operator may say about the way in: topics, fields, time, schema, repeats and caps."""

from __future__ import annotations

from dataclasses import dataclass, field

from hort import config, event_time
from hort import schema as schemas
from hort.errors import ConfigError
from hort.payload import (
    LARGEST_PAYLOAD_BYTES,
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_NAME_LENGTH,
    MAX_PAYLOAD_BYTES,
    MAX_RECORDS_PER_MESSAGE,
    Caps,
)
from hort.topics import DEFAULT_PATTERN, TopicPattern, compile_pattern

DEFAULT_DEVICE_TYPE = "device"
DEFAULT_EVENT = "event"
DEDUPE_S = 3_600
MAX_FUTURE_S = 86_400
MAX_ATTEMPTS = 5
"""How often an action may begin with a batch that cannot be cut, and not get through, before the batch goes on without it."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """The options of ingest; a `*_field` is the dotted name of a field in the record, "" where there is none."""

    pattern: TopicPattern = field(default_factory=lambda: compile_pattern(DEFAULT_PATTERN))
    device_type_field: str = ""
    device_id_field: str = ""
    event_field: str = ""
    default_device_type: str = DEFAULT_DEVICE_TYPE
    default_event: str = DEFAULT_EVENT
    time_field: str = ""
    time_unit: str = "auto"
    max_future_ms: int = MAX_FUTURE_S * 1_000
    id_field: str = ""
    dedupe_ms: int = DEDUPE_S * 1_000
    schema: schemas.GivenSchema = field(default_factory=schemas.GivenSchema)
    max_schema_fields: int = schemas.MAX_FIELDS_PER_TYPE
    caps: Caps = field(default_factory=Caps)
    max_attempts: int = MAX_ATTEMPTS

    @property
    def topic_decides(self) -> bool:
        """Whether type, id and event are the same for all records of a topic."""
        return not (self.device_type_field or self.device_id_field or self.event_field)


def from_params(params: config.Params) -> IngestOptions:
    """The options from parameters, environment and defaults; ConfigError names the one that cannot be used."""
    pattern = compile_pattern(config.text(params, "topic_pattern", default=DEFAULT_PATTERN))
    device_id_field = config.text(params, "device_id_field", default="")
    if "device_id" not in pattern.names and not device_id_field:
        raise ConfigError(
            "topic_pattern", pattern.text, "must have {device_id} where device_id_field is not given"
        )
    return IngestOptions(
        pattern=pattern,
        device_type_field=config.text(params, "device_type_field", default=""),
        device_id_field=device_id_field,
        event_field=config.text(params, "event_field", default=""),
        default_device_type=config.text(params, "default_device_type", default=DEFAULT_DEVICE_TYPE),
        default_event=config.text(params, "default_event", default=DEFAULT_EVENT),
        time_field=config.text(params, "time_field", default=""),
        time_unit=config.text(params, "time_unit", default="auto", choices=event_time.UNITS),
        max_future_ms=config.milliseconds(params, "max_future_s", default_s=MAX_FUTURE_S),
        id_field=config.text(params, "id_field", default=""),
        dedupe_ms=config.milliseconds(params, "dedupe_s", default_s=DEDUPE_S, minimum_s=1),
        schema=schemas.from_params(params),
        max_schema_fields=config.integer(
            params, "max_schema_fields", default=schemas.MAX_FIELDS_PER_TYPE, minimum=1, maximum=4_096
        ),
        caps=_caps(params),
        max_attempts=config.integer(params, "max_attempts", default=MAX_ATTEMPTS, minimum=1, maximum=10_000),
    )


def _caps(params: config.Params) -> Caps:
    def cap(name: str, default: int, maximum: int) -> int:
        return config.integer(params, name, default=default, minimum=1, maximum=maximum)

    return Caps(
        payload_bytes=cap("max_payload_bytes", MAX_PAYLOAD_BYTES, LARGEST_PAYLOAD_BYTES),
        depth=cap("max_depth", MAX_DEPTH, 200),
        fields=cap("max_fields", MAX_FIELDS, 10_000),
        records_per_message=cap("max_records_per_message", MAX_RECORDS_PER_MESSAGE, 1_000_000),
        name_length=cap("max_name_length", MAX_NAME_LENGTH, 2_000),
    )
