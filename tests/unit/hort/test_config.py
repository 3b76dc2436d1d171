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
