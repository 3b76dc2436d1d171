import base64
from pathlib import Path

import pytest

from localwhisk import messages
from localwhisk.errors import ApiError
from localwhisk.identity import PUBLIC, Identities, Identity, complete, drawn, parse_identity, read_auth

GUEST = PUBLIC[0]
OWN = "00000000-0000-0000-0000-000000000001:secret"


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


def test_a_key_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{OWN}\n")
    assert parse_identity(f"guest=@{tmp_path}/key").auth == OWN
    with pytest.raises(ValueError, match="nope cannot be read"):
        parse_identity(f"guest=@{tmp_path}/nope")


@pytest.mark.parametrize("written", [f"{OWN}\r\n", f"\ufeff{OWN}\n", f"\n  {OWN}"])
def test_a_key_may_be_written_by_any_editor(written: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(written.encode())
    assert read_auth(f"@{tmp_path}/key") == OWN


@pytest.mark.parametrize("written", [b"", b"\n", f"{OWN}\n{OWN}\n".encode(), b"\xff\xfeu:k", b"u:" + b"k" * 5000, b"no colon", b"AUTH=u:k x"])
def test_a_file_that_holds_no_one_key_is_named_and_nothing_of_it_shown(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(written)
    with pytest.raises(ValueError, match=f"{tmp_path}/key") as caught:
        read_auth(f"@{tmp_path}/key")
    assert OWN not in str(caught.value)


def test_a_file_without_an_end_is_no_key() -> None:
    with pytest.raises(ValueError, match="must hold one key"):
        read_auth("@/dev/zero")


def test_a_replaced_guest_leaves_its_public_key_behind() -> None:
    identities = Identities(complete([parse_identity(f"guest={OWN}")]))
    assert identities.of_auth(GUEST.auth) is None
    assert identities.require(basic(OWN)).namespace == "guest"
    assert not identities.well_known


@pytest.mark.parametrize("given", [(), (f"me={OWN}",), (f"guest={OWN}",)])
def test_nobody_knows_the_key_of_the_system_namespace(given: tuple[str, ...]) -> None:
    first, second = (complete(parse_identity(text) for text in given) for _ in range(2))
    keys = {one.auth for found in (first, second) for one in found if one.namespace == "whisk.system"}
    assert len(keys) == 2
    assert PUBLIC[1].auth not in keys


def test_the_last_key_of_a_namespace_counts_and_no_two_namespaces_share_one() -> None:
    found = complete([Identity("me", "u", "first"), Identity("me", "u", "last")])
    assert [one.key for one in found if one.namespace == "me"] == ["last"]
    with pytest.raises(ValueError, match="same uuid"):
        complete([Identity("me", GUEST.uuid, "k")])


def test_a_drawn_key_is_of_the_form_of_others() -> None:
    one, other = drawn("me"), drawn("me")
    assert parse_identity(f"me={one.auth}") == one
    assert len(one.key) == 64
    assert one.auth != other.auth
    assert not one.is_well_known


@pytest.mark.parametrize(
    "text",
    [OWN, f"{OWN}=", "me", "me=x:y", "=00000000-0000-0000-0000-000000000001:k", "me=00000000-0000-0000-0000-000000000001:"],
)
def test_other_identities_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=@FILE") as caught:
        parse_identity(text)
    assert "secret" not in str(caught.value)
