import os
from pathlib import Path

import pytest

from lib.deploy import environment
from lib.env_files import read_env_file
from tests.support.paths import ROOT

MANIFEST = """
# $HORT_IN_A_COMMENT is none
packages:
  $HORT_PACKAGE:
    inputs:
      redis_url: $HORT_REDIS_URL   # not $HORT_THIS
      both: x${HORT_A}y${HORT_B}
      literal: $${HORT_LITERAL}
      price: 5$
      again: $HORT_A
"""


def test_names_are_those_wskdeploy_interpolates() -> None:
    assert environment.names_in(MANIFEST) == ["HORT_A", "HORT_B", "HORT_PACKAGE", "HORT_REDIS_URL"]


def test_the_real_manifest_asks_only_for_hort_variables() -> None:
    names = environment.names_in((ROOT / "manifest.yaml").read_text())
    assert "HORT_REDIS_URL" in names
    assert all(name.startswith("HORT_") for name in names)


@pytest.mark.parametrize("line", ["rm -rf x", "A", "1A=x", "unset A=b"])
def test_a_line_that_is_no_assignment_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.env").write_text(f"A=1\n{line}\n")
    with pytest.raises(ValueError, match=r"x\.env, line 2"):
        read_env_file(tmp_path / "x.env")


def test_an_env_file_is_read_as_a_shell_reads_it(tmp_path: Path) -> None:
    (tmp_path / "stack.env").write_text("HORT_A=from-stack\nexport HORT_B='b c'\n# note\n\n")
    assert read_env_file(tmp_path / "stack.env") == {"HORT_A": "from-stack", "HORT_B": "b c"}


def test_a_pem_text_may_be_given_by_its_file(tmp_path: Path) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nx\n"
    (tmp_path / "ca.pem").write_text(pem)
    given = {"HORT_MQTT_TLS_CA": str(tmp_path / "ca.pem"), "HORT_MQTT_TLS_CERT": pem, "HORT_TOPICS": "a/b"}
    names = [*given, "HORT_MQTT_TLS_KEY"]
    assert environment.resolve(names, environment=given) == {**given, "HORT_MQTT_TLS_CA": pem, "HORT_MQTT_TLS_KEY": ""}


def test_what_is_no_pem_file_or_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "notes").write_text("no certificate")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("none.pem", "", "empty", "notes", "bytes", "a\0b", "/dev/zero"):
        with pytest.raises(ValueError, match="HORT_MQTT_TLS_CA is neither PEM text nor a file of it"):
            environment.resolve(["HORT_MQTT_TLS_CA"], environment={"HORT_MQTT_TLS_CA": str(tmp_path / name)})
    with pytest.raises(ValueError, match="HORT_TOPICS must be UTF-8 text"):
        environment.resolve(["HORT_TOPICS"], environment={"HORT_TOPICS": os.fsdecode(b"plant/\xff")})


def test_the_tool_gets_a_home_of_its_own_and_nothing_it_need_not_know(tmp_path: Path) -> None:
    config = tmp_path / "wskprops"
    env = environment.for_tool(
        {"HORT_A": "1"}, environment={"PATH": "/bin", "HOME": "/home/me", "AWS_SECRET": "x"}, config=config
    )
    assert env == {"PATH": "/bin", "HORT_A": "1", "WSK_CONFIG_FILE": str(config), "HOME": str(tmp_path)}


def test_secrets_are_known_by_name_and_in_addresses_and_replaced() -> None:
    assert environment.secrets_in({"HORT_KEPT_1_TLS_KEY": "-----BEGIN KEY\nfirst-line\nline-2\n"}) == ["-----BEGIN KEY", "first-line", "line-2"]
    secrets = environment.secrets_in(
        {
            "HORT_REGISTRY_KEY": "k-12345",
            "HORT_MQTT_URL": "mqtts://me:pass-word@host:8883",
            "HORT_TOPICS": "a/b",
        }
    )
    assert secrets == ["pass-word", "k-12345"]
    assert (
        environment.redacted("key k-12345, mqtts://me:pass-word@host", secrets)
        == "key ***, mqtts://me:***@host"
    )
