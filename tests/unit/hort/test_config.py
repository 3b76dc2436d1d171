import pytest

from hort import config
from hort.errors import ConfigError


@pytest.mark.parametrize("name", ["registry_key", "password", "elasticsearch_password", "provider_secret"])
def test_a_secret_of_the_wrong_type_does_not_show(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.text({name: 123456789}, name)
    assert "123456789" not in f"{caught.value} {caught.value.value}"
    assert name in str(caught.value)


def test_any_other_value_shows() -> None:
    with pytest.raises(ConfigError, match="parameter 'keepalive_s' must be a number from 5 to 10, got 'x'"):
        config.number({"keepalive_s": "x"}, "keepalive_s", default=5, minimum=5, maximum=10)


@pytest.mark.parametrize("value", [10**400, -(10**400), "1e999", "nan", "", " ", "0x1", [1], {"a": 1}, True, "\ud800"])
def test_a_number_is_a_number_within_its_range_or_refused_by_name(value: object) -> None:
    """JSON may carry integers that no double holds."""
    if value == "":
        assert config.integer({"n": value}, "n", default=3, maximum=9) == 3
        return
    with pytest.raises(ConfigError, match="parameter 'n'"):
        config.integer({"n": value}, "n", default=3, maximum=9)


@pytest.mark.parametrize("value", [" ", "\t", " \n ", "\u00a0"])
def test_blanks_alone_are_no_text(value: str) -> None:
    """A field of that name is in no record, so every record would go without."""
    with pytest.raises(ConfigError, match="parameter 'time_field' must hold more than blanks"):
        config.text({"time_field": value}, "time_field", default="")
