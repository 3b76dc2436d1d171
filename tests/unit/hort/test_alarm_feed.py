import base64
from typing import Any

import pytest
import requests

from hort import alarm_feed

BOUND = {"provider_url": "http://provider.inner:8080", "provider_secret": "s"}
CALLER = {"__ow_user": "guest", "__ow_headers": {"authorization": "Basic " + base64.b64encode(b"user:key").decode()}, "__ow_body": base64.b64encode(b"{}").decode()}


@pytest.mark.parametrize("error", [requests.ConnectionError("provider.inner:8080 refused"), KeyError("provider.inner:8080")])
def test_the_web_action_does_not_tell_where_the_provider_is(error: Exception) -> None:
    def away(*_: Any, **__: Any) -> requests.Response:
        raise error

    answer = alarm_feed.handle_web({**BOUND, **CALLER}, call=away)
    assert answer["statusCode"] in (400, 500)
    assert "provider.inner" not in repr(answer)


def test_a_provider_that_is_not_set_up_is_not_shown() -> None:
    answer = alarm_feed.handle_web({**BOUND, **CALLER, "provider_url": "ftp://provider.inner:8080"})
    assert (answer["statusCode"], "provider.inner" in repr(answer)) == (400, False)
