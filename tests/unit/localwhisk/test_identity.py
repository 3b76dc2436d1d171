import base64

import pytest

from localwhisk import messages
from localwhisk.errors import ApiError
from localwhisk.identity import PUBLIC, Identities, parse_identity

GUEST = PUBLIC[0]


def basic(auth: str) -> str:
    return "Basic " + base64.b64encode(auth.encode()).decode()


def test_a_key_names_its_namespace() -> None:
    identities = Identities()
    for _ in range(2):
        assert identities.require(basic(GUEST.auth)).namespace == "guest"


@pytest.mark.parametrize("auth", [f"{GUEST.uuid}:xxx", "bob:pw", "bob", f"{GUEST.uuid}:", ""])
def test_wrong_keys_are_invalid(auth: str) -> None:
    with pytest.raises(ApiError) as caught:
        Identities().require(basic(auth))
    assert (caught.value.status, caught.value.text) == (401, messages.AUTH_INVALID)
    assert caught.value.headers == (("www-authenticate", messages.AUTH_CHALLENGE),)


@pytest.mark.parametrize("header", [None, "Bearer abc", "Basic %%%", ""])
def test_what_is_no_basic_header_counts_as_missing(header: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        Identities().require(header)
    assert caught.value.text == messages.AUTH_MISSING


def test_identities_of_the_command_line() -> None:
    identity = parse_identity("me=00000000-0000-0000-0000-000000000001:secret")
    assert (identity.namespace, identity.key) == ("me", "secret")
    assert "secret" not in repr(identity)


@pytest.mark.parametrize(
    "text",
    ["me", "me=x:y", "=00000000-0000-0000-0000-000000000001:k", "me=00000000-0000-0000-0000-000000000001:"],
)
def test_other_identities_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=UUID:KEY"):
        parse_identity(text)
