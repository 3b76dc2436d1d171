from argparse import ArgumentParser
from pathlib import Path

import pytest

from localwhisk import settings
from localwhisk.identity import PUBLIC
from localwhisk.settings import Settings


def parsed(*arguments: str, **environment: str) -> Settings:
    parser = ArgumentParser()
    settings.add_arguments(parser)
    return settings.from_arguments(parser.parse_args(arguments), environment)


def test_stock_limits_are_the_default() -> None:
    limits = parsed().limits
    assert (limits.invocations_per_minute, limits.fires_per_minute, limits.concurrent) == (60, 60, 30)


def test_rates_replace_those_of_the_preset() -> None:
    limits = parsed("--limits", "raised", "--fires-per-minute", "7").limits
    assert (limits.invocations_per_minute, limits.fires_per_minute, limits.concurrent) == (600, 7, 100)


def test_images_and_identities() -> None:
    chosen = parsed(
        "--map-image", "a/b:1=http://127.0.0.1:1", "--identity", "me=00000000-0000-0000-0000-000000000001:k"
    )
    assert chosen.images == {"a/b:1": "http://127.0.0.1:1"}
    assert parsed("--map-image", "php:default=http://h").images == {"php:8.1": "http://h"}
    assert parsed("--map-image", "php:8.1=sh -c 'a  b' {port}").images == {"php:8.1": ("sh", "-c", "a  b", "{port}")}
    assert [identity.namespace for identity in chosen.identities] == ["guest", "whisk.system", "me"]


def test_identities_come_from_the_environment_too_and_options_win(tmp_path: Path) -> None:
    keys = [f"00000000-0000-0000-0000-00000000000{number}:k{number}" for number in range(3)]
    (tmp_path / "key").write_text(keys[2])
    given = f"guest={keys[0]}  team={keys[1]}"
    chosen = parsed("--identity", f"guest=@{tmp_path}/key", LOCALWHISK_IDENTITY=given).identities
    assert {one.namespace: one.auth for one in chosen if one.namespace != "whisk.system"} == {
        "guest": keys[2],
        "team": keys[1],
    }


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "::ffff:127.0.0.1"])
def test_where_others_reach_the_engine_no_key_may_be_public(host: str) -> None:
    with pytest.raises(ValueError, match=r"everybody knows the key of guest.*--identity guest=@FILE"):
        parsed("--host", host)
    own = "00000000-0000-0000-0000-000000000001:k"
    assert parsed("--host", host, "--identity", f"guest={own}").host == host
    with pytest.raises(ValueError, match=r"the key of whisk\.system"):
        parsed("--host", host, "--identity", f"guest={own}", "--identity", f"whisk.system={PUBLIC[1].auth}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_on_loopback_the_public_key_of_guest_is_valid(host: str) -> None:
    assert PUBLIC[0] in parsed("--host", host).identities


def test_a_namespace_may_have_limits_of_its_own() -> None:
    own = parsed("--limits", "raised", "--namespace-limits", "guest=7/8/9").own_limits["guest"]
    assert (own.invocations_per_minute, own.fires_per_minute, own.concurrent) == (7, 8, 9)
    assert own.timeout_ms == parsed("--limits", "raised").limits.timeout_ms


def test_the_interpreter_of_actions_comes_from_the_environment() -> None:
    assert parsed(LOCALWHISK_ACTION_PYTHON="/x/python").action_python == Path("/x/python")
    assert parsed().action_node_modules is None
    assert parsed(LOCALWHISK_ACTION_NODE_MODULES="/x").action_node_modules == Path("/x")
    assert parsed("--action-node-modules", "/y", LOCALWHISK_ACTION_NODE_MODULES="/x").action_node_modules == Path("/y")
    assert parsed("--action-python", "/y", LOCALWHISK_ACTION_PYTHON="/x").action_python == Path("/y")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--port", "70000"), "--port must be 0 to 65535, got 70000"),
        (("--map-image", "x"), "--map-image must be given as IMAGE=URL, KIND=URL or the same with a COMMAND, got 'x'"),
        (("--map-image", "x= "), "--map-image must be given as IMAGE=URL, KIND=URL or the same with a COMMAND, got 'x= '"),
        (("--map-image", "=http://h"), "--map-image must be given as IMAGE=URL"),
        (("--map-image", "a b=http://h"), "--map-image must be given as IMAGE=URL"),
        (("--map-image", "x=https://a"), "needs an http:// address with a host, or a command that is there, and 'https://a' is neither"),
        (("--map-image", "x=http://:80"), "and 'http://:80' is neither"),
        (("--map-image", "x=http://a:b"), "and 'http://a:b' is neither"),
        (("--map-image", "x=127.0.0.1:80"), "and '127.0.0.1:80' is neither"),
        (("--map-image", "x=''"), "and '' is neither, got \"x=''\""),
        (("--map-image", "x=nowhere --port {port}"), "and 'nowhere' is neither, got 'x=nowhere --port {port}'"),
        (("--map-image", "x=sh -c 'a"), r"has a command that cannot be read \(No closing quotation\), got"),
        (("--map-image", "php:8.1=sh", "--map-image", "php:default=http://h"), "maps php:8.1 twice, the second time by 'php:default=http://h'"),
        (("--port", "99999999"), "--port must be 0 to 65535, got 99999999"),
        (("--keep-days", "nan"), "--keep-days must be greater than 0, got nan"),
        (("--keep-days", "inf"), "--keep-days must be less than 1000000000, got inf"),
        (("--action-memory", "0"), "--action-memory must be greater than 0, got 0"),
        (("--allow-origin", "localhost"), "--allow-origin must be given as http://HOST:PORT.*got 'localhost'"),
        (("--allow-origin", "null"), "--allow-origin must be given as"),
        (("--allow-host", "http://box.lan"), "--allow-host must be given as NAME, NAME:PORT or .*got 'http://box.lan'"),
        (("--allow-host", ""), "--allow-host must be given as"),
        (("--allow-host", "me@box.lan"), "--allow-host must be given as"),
        (("--identity", "guest=@/nowhere"), "the key in /nowhere cannot be read"),
        (("--concurrent", "-1"), "concurrent must not be negative, got -1"),
        (("--namespace-limits", "guest=1/2"), "NAME=INVOCATIONS/FIRES/CONCURRENT, got 'guest=1/2'"),
        (("--namespace-limits", "me=1/2/3"), "the namespace 'me', which no --identity adds"),
        (("--keep-activations", "0"), "--keep-activations must be greater than 0, got 0"),
    ],
)
def test_bad_values_are_named(arguments: tuple[str, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parsed(*arguments)
