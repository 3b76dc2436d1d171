"""The provider's own settings, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hort import config, store
from hort.errors import ConfigError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
MINIMUM_SECRET = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """HORT_REDIS_URL, HORT_API_HOST (outranks what the feed says), HORT_API_INSECURE, HORT_PROVIDER_HOST, _PORT, _SECRET, _KEY."""

    redis_url: str = field(repr=False)
    api_host: str
    api_insecure: bool
    host: str
    port: int
    secret: str = field(repr=False)
    key: str = field(repr=False)


def read(overrides: Mapping[str, object]) -> Settings:
    """The settings; ConfigError names what is missing and never shows a secret."""
    return Settings(
        redis_url=config.text(overrides, "redis_url", default=store.DEFAULT_URL),
        api_host=config.text(overrides, "api_host", default=""),
        api_insecure=config.boolean(overrides, "api_insecure", default=False),
        host=config.text(overrides, "provider_host", default=DEFAULT_HOST),
        port=config.integer(overrides, "provider_port", default=DEFAULT_PORT, maximum=65_535),
        secret=secret(overrides, "provider_secret"),
        key=secret(overrides, "provider_key"),
    )


def secret(overrides: Mapping[str, object], name: str) -> str:
    """A secret of enough characters that a header can carry; ConfigError names it and never shows it."""
    value = config.text(overrides, name)
    if len(value) < MINIMUM_SECRET:
        raise ConfigError(name, None, f"must have at least {MINIMUM_SECRET} characters")
    if not value.isascii() or not value.isprintable():
        raise ConfigError(name, None, "must be printable ASCII, as headers carry it")
    return value
