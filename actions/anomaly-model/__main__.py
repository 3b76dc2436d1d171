"""Web action `anomaly-model`: above or below the last window's average by more than `sigma` (1) standard deviations.

`fields` (default: every field with analytics) and `sigma` are bound parameters or part of the model's URL:
`.../anomaly-model?fields=num_bikes_available,num_docks_available&sigma=2`.
"""

from __future__ import annotations

from typing import Any

from hort import anomaly, config, model_action, web
from hort.errors import ConfigError


def main(args: dict[str, Any]) -> dict[str, Any]:
    try:
        fields = config.strings(args, "fields")
        sigma = config.number(args, "sigma", default=1, minimum=0, maximum=100)
    except ConfigError as error:
        return web.problem(400, str(error))
    return model_action.respond(args, anomaly.detector(fields, sigma=sigma))
