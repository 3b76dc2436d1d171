import pytest

from feeds.provider.settings import read
from feeds.provider.vault import Vault
from hort.errors import ConfigError, FeedRefused


def test_sealed_secrets_open_with_the_same_key_only() -> None:
    sealed = Vault("a-key-of-sixteen-characters").seal({"password": "hidden"})
    assert "hidden" not in sealed
    assert Vault("a-key-of-sixteen-characters").open(sealed) == {"password": "hidden"}
    for other, text in (("another-key-of-sixteen", sealed), ("a-key-of-sixteen-characters", sealed[:-4] + "AAAA")):
        with pytest.raises(FeedRefused, match="HORT_PROVIDER_KEY"):
            Vault(other).open(text)


GOOD = {"provider_secret": "s" * 16, "provider_key": "k" * 16}


@pytest.mark.parametrize("name", ["provider_secret", "provider_key"])
@pytest.mark.parametrize("value", [None, "", "short-hidden"])
def test_weak_or_missing_secrets_are_refused(name: str, value: str | None) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        read({**GOOD, name: value})
    assert "hidden" not in str(caught.value)


def test_settings_show_no_secret() -> None:
    assert "ssss" not in repr(read(GOOD))
    assert "kkkk" not in repr(read(GOOD))


def test_settings_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "API_HOST", "PROVIDER_HOST", "PROVIDER_PORT"):
        monkeypatch.delenv(f"HORT_{name}", raising=False)
    settings = read(GOOD)
    assert (settings.host, settings.port, settings.api_host) == ("127.0.0.1", 8080, "")
