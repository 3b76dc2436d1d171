import base64

import pytest

from feeds.provider.settings import read
from feeds.provider.vault import CANNOT_BE_OPENED, Vault
from hort.errors import ConfigError, FeedRefused


def test_sealed_secrets_open_with_the_same_key_only() -> None:
    sealed = Vault("a-key-of-sixteen-characters").seal({"password": "hidden"})
    assert "hidden" not in sealed
    assert Vault("a-key-of-sixteen-characters").open(sealed) == {"password": "hidden"}
    for other, text in (("another-key-of-sixteen", sealed), ("a-key-of-sixteen-characters", sealed[:-4] + "AAAA")):
        with pytest.raises(FeedRefused, match="HORT_PROVIDER_KEY"):
            Vault(other).open(text)


def test_any_changed_byte_is_noticed_and_nothing_of_it_shows() -> None:
    vault = Vault("a-key-of-sixteen-characters")
    sealed = vault.seal({"password": "hidden"})
    assert sealed != vault.seal({"password": "hidden"}), "the same secret never looks the same"
    for at in range(len(sealed)):
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        if base64.urlsafe_b64decode(changed) == base64.urlsafe_b64decode(sealed):
            continue  # the spare bits before the padding
        with pytest.raises(FeedRefused) as caught:
            vault.open(changed)
        assert str(caught.value) == CANNOT_BE_OPENED
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "x", "\u00e9", "\ud800", "A" * 100, "gAAAAA==", "\0"])
def test_what_was_never_sealed_is_refused(text: str) -> None:
    with pytest.raises(FeedRefused, match="HORT_PROVIDER_KEY"):
        Vault("a-key-of-sixteen-characters").open(text)


@pytest.mark.parametrize("name", ["provider_secret", "provider_key"])
@pytest.mark.parametrize("value", ["hidden-\u00e9-" + "x" * 16, "hidden\n" + "x" * 16])
def test_secrets_that_no_header_can_carry_are_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match="ASCII") as caught:
        read({**GOOD, name: value})
    assert "hidden" not in str(caught.value)


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
