import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import urls
from hort.errors import AddressRefused, ConfigError


def answering(*found: str) -> urls.Resolver:
    return lambda _host, _port: found


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "239.1.1.1",
        "255.255.255.255",
        "240.0.0.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "fec0::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::",
        "2001:0:1::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "::ffff:0:0",
        "64:ff9b:1::7f00:1",
        "64:ff9b::ffff:ffff",
        "2002:c0a8:101::1",
        "2002:e000:1::",
        "fe80::5efe:7f00:1",
        "febf::1",
        "ff0e::1",
        "100::1",
        "2001:db8::1",
        "0.1.2.3",
        "192.0.0.8",
        "192.0.0.171",
        "192.88.99.1",
        "3fff::1",
        "5f00::1",
        "2001:20::1",
        "192.0.2.1",
        "203.0.113.9",
        "198.51.100.1",
        "127.1",
        "0x7f000001",
        "017700000001",
        "127.0.0.1 ",
        "",
        "not an address",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        urls.resolve("http://model.example/", urls.PUBLIC, resolver=answering(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_addresses_are_allowed(address: str) -> None:
    origin, found = urls.resolve("https://model.example:8443/a?b=c", urls.PUBLIC, resolver=answering(address))
    assert found == (address,)
    assert (origin.host_header, origin.target) == ("model.example:8443", "/a?b=c")


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        urls.resolve("http://model.example/", urls.PUBLIC, resolver=answering("93.184.216.34", "10.0.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        "model.example",
        "ftp://model.example/",
        "file:///etc/passwd",
        "gopher://model.example/",
        "http://",
        "http:///path",
        "http://user:secret@model.example/",
        "http://user@model.example/",
        "http://model.example:0/",
        "http://model.example:99999/",
        "http://model.example:x/",
        "http://[::1/",
        "http://a b/",
        "http://a/\r\nX: y",
        "http://a/\tb",
        "http://a\\@b/",
        "http://bücher.example/",
        "http://a/" + "x" * 3000,
    ],
)
def test_urls_that_cannot_be_used_are_refused(url: object) -> None:
    with pytest.raises(AddressRefused):
        urls.parse(url)


def test_a_password_in_a_refused_url_is_not_shown() -> None:
    with pytest.raises(AddressRefused) as caught:
        urls.parse("http://user:hunter2@model.example/")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://localhost./",
        "http://localhost../",
        "http://LOCALHOST/",
        "http://127.0.0.1./",
        "http://127.000.000.001/",
        "http://0x7f000001/",
        "http://017700000001/",
        "http://0/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::127.0.0.1]/",
        "http://[::1%25lo]/",
        "http://[fe80::1%25lo]/",
        "http://127.0.0.1:443/",
        "https://127.0.0.1:80/",
        "http://127.0.0.1#@public.example/",
        "http://127.0.0.1?@public.example/",
        "http://127.0.0.1;@public.example/",
        "http://public.example:80@127.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http://127.0.0.1%00.public.example/",
        "http://127.0.0.1%2f.public.example/",
        "http://①②⑦.0.0.1/",
        "http://127。0。0。1/",
        "http://loc\u00adalhost/",
        "http://xn--a/",
        "http://xn--" + "a" * 80 + "/",
        "http:/127.0.0.1/",
        "http:127.0.0.1/",
        "//127.0.0.1/",
        "HTTP:///127.0.0.1",
        "http://127.0.0.1\\@public.example/",
    ],
)
def test_loopback_in_other_spellings_is_refused(written: str) -> None:
    with pytest.raises(AddressRefused):
        urls.resolve(written, urls.PUBLIC)


def test_no_spelling_of_a_literal_asks_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone or a name in brackets never becomes a look-up over the network."""
    for url in ("http://[::1%25eth0]/", "http://[v1.fe80::a+en1]/", "http://[localhost]/"):
        with pytest.raises(AddressRefused):
            urls.resolve(url, urls.Policy(), resolver=answering("127.0.0.1"))


@pytest.mark.parametrize("hostname", ["localhost", "LOCALHOST", "localhost."])
def test_a_host_that_is_allowed_by_name_is_allowed_in_any_spelling(hostname: str) -> None:
    rules = urls.policy({"allow_private": "localhost"})
    assert urls.resolve(f"http://{hostname}/", rules, resolver=answering("127.0.0.1"))[1] == ("127.0.0.1",)


@pytest.mark.parametrize("value", [True, "10.0.0.0/8", "0.0.0.0/0"])
def test_what_is_allowed_does_not_let_the_metadata_service_in_through_ipv6(value: object) -> None:
    rules = urls.policy({"allow_private": value})
    for address in ("fe80::a9fe:a9fe", "ff02::1", "::"):
        with pytest.raises(AddressRefused):
            urls.resolve("http://model.example/", rules, resolver=answering(address))


def test_a_host_without_an_answer_is_refused_with_a_reason() -> None:
    def silent(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    with pytest.raises(AddressRefused, match="cannot be resolved"):
        urls.resolve("http://nowhere.example/", urls.PUBLIC, resolver=silent)


@pytest.mark.parametrize(
    ("value", "allowed", "refused"),
    [
        ("", (), ("127.0.0.1", "10.0.0.1")),
        (False, (), ("127.0.0.1",)),
        (True, ("127.0.0.1", "10.0.0.1", "::1", "fd00::1"), ("169.254.169.254", "224.0.0.1", "0.0.0.0")),
        ("true", ("127.0.0.1",), ()),
        ("10.0.0.0/8, ::1", ("10.9.9.9", "::1", "::ffff:10.0.0.1"), ("127.0.0.1", "192.168.0.1")),
        (["169.254.169.254"], ("169.254.169.254",), ("169.254.169.253",)),
        ("model.example", ("127.0.0.1", "10.0.0.1"), ()),
        ("other.example", (), ("127.0.0.1",)),
    ],
)
def test_the_parameter_allows_what_it_names(
    value: object, allowed: Sequence[str], refused: Sequence[str]
) -> None:
    rules = urls.policy({"allow_private": value})
    for address in allowed:
        assert urls.resolve("http://model.example/", rules, resolver=answering(address))[1] == (address,)
    for address in refused:
        with pytest.raises(AddressRefused):
            urls.resolve("http://model.example/", rules, resolver=answering(address))


@pytest.mark.parametrize("value", ["10.0.0.0/99", "bad host", 7, ["ok", 3], "1.2.3.4.5", "yes", "on", "*", "all", " true", "10.0.0.0/8,true"])
def test_a_policy_that_cannot_be_read_names_the_parameter(value: object) -> None:
    with pytest.raises(ConfigError, match="allow_private"):
        urls.policy({"allow_private": value})


@given(st.text(max_size=60) | st.text(max_size=40).map("http://".__add__))
def test_parse_refuses_or_answers_and_nothing_else(url: str) -> None:
    try:
        origin = urls.parse(url)
    except AddressRefused:
        return
    assert origin.scheme in {"http", "https"}
    assert "\r" not in origin.target
    assert "\n" not in origin.target


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_passes(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    try:
        urls.resolve("http://model.example/", urls.PUBLIC, resolver=answering(str(address)))
    except AddressRefused:
        return
    assert address.is_global or address.version == 6
    assert not address.is_multicast


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a/b", "http://a/b"),
        ("http://a/b?", "http://a/b"),
        ("http://a/b?token=s3cret", "http://a/b?token=***"),
        ("http://a/b?x=1&y=&s3cret&z=2=3", "http://a/b?x=***&y=&***&z=***"),
        ("http://a/b?x=1#s3cret", "http://a/b?x=***"),
        ("http://user:s3cret@a/b", "http://a/b"),
        ("http://user:p@s3cret@a/b@c", "http://a/b@c"),
        ("http://a/b?x=http://u:s3cret@c/?d=e", "http://a/b?x=***"),
        ("user:s3cret@a/b", "a/b"),
    ],
)
def test_masked(url: str, shown: str) -> None:
    assert urls.masked(url) == shown
    assert urls.masked(shown) == shown
    assert urls.is_masked(shown) == ("***" in shown)
    assert not urls.is_masked(url)
    assert "s3cret" not in urls.shown(url)


def test_a_server_s_text_loses_what_is_secret_in_the_address() -> None:
    url = "http://a/b?token=s3%2Fcr+et&v=1"
    text = urls.without_secrets("no model at /b?token=s3%2Fcr%2Bet&v=1 for s3/cr+et", url)
    assert text == "no model at /b?token=***&v=1 for ***"
    assert urls.without_secrets("nothing", "http://a/b") == "nothing"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Error 111 connecting to redis.inner:6379. Connection refused.", "Error 111 connecting to ***. Connection refused."),
        ("Error 111 connecting to 127.0.0.1:9.", "Error 111 connecting to ***."),
        ("HTTPConnectionPool(host='10.0.0.1', port=9200): Max retries", "HTTPConnectionPool(***): Max retries"),
        ("mqtt://user:pw@10.1.2.3:1883 refused", "*** refused"),
        ("[::1]:9200, ::1 and fe80::1 and 1:2:3:4:5:6:7:8", "***, *** and *** and ***"),
        ("10.0.0.5 is not a public address", "*** is not a public address"),
        ("cannot pull 'registry.inner:5000/hort/plates:0.1.0'", "cannot pull '***/hort/plates:0.1.0'"),
        ("at 12:30:15, 2026-05-04T22:03:00.000Z, hort/plates:0.1.0, python:3.11, v1.2.3", "at 12:30:15, 2026-05-04T22:03:00.000Z, hort/plates:0.1.0, python:3.11, v1.2.3"),
        ("Too many requests in the last minute (count: 61, allowed: 60).", "Too many requests in the last minute (count: 61, allowed: 60)."),
    ],
)
def test_addresses_in_a_text_are_masked(text: str, shown: str) -> None:
    assert urls.without_addresses(text) == shown
